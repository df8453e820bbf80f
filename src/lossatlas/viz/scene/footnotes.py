"""Footnotes of a figure: how its data were made, what is missing, clipped or outside the window.

Every renderer prints the same lines, for they follow from the scene alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossatlas._util.text import format_percent
from lossatlas.viz.scene.cell_masks import CellMasks, classify_cells
from lossatlas.viz.scene.model import ColorScale, FloatArray, Pane, PathData, Scene, Surface
from lossatlas.viz.scene.value_ranges import FIELD_PANES, limits_of


def footnotes(scene: Scene) -> tuple[str, ...]:
    """Lines for the foot of the figure. What holds for every surface or path is said once; the rest names its owner.

    >>> footnotes(Scene(panes=(), notes=("drawn by hand",)))
    ('drawn by hand',)
    """
    surfaces = [(surface.label or surface.name, _surface_lines(scene, surface)) for surface in shown_surfaces(scene)]
    paths = list(zip(_owners(scene, shown_paths(scene)), (_path_lines(scene, path) for path in shown_paths(scene)), strict=True))
    return tuple(dict.fromkeys([*scene.notes, *_merged(surfaces), *_merged(paths)]))


def _owners(scene: Scene, paths: list[PathData]) -> list[str]:
    """Labels; paths of one label, such as one run on several planes, are told apart by what they run on."""
    labels = [path.label or path.name for path in paths]
    places = [" and ".join(surface.label or surface.name for surface in _below(scene, path)) for path in paths]
    return [f"{label} on {place}" if labels.count(label) > 1 and place else label for label, place in zip(labels, places, strict=True)]


def _merged(owned: list[tuple[str, list[str]]]) -> Iterator[str]:
    """Lines common to all owners first, then the others behind their owner's name; a single owner is not named."""
    common = [line for line in (owned[0][1] if owned else []) if all(line in lines for _, lines in owned)]
    yield from common
    for owner, lines in owned:
        own_lines = [line for line in lines if line not in common]
        if own_lines:
            yield "; ".join(own_lines) if len(owned) == 1 else f"{owner}: {'; '.join(own_lines)}"


def shown_surfaces(scene: Scene) -> list[Surface]:
    """Surfaces that a pane names, each once."""
    names = dict.fromkeys(name for pane in scene.panes for name in pane.surfaces)
    return [scene.surface(name) for name in names]


def shown_paths(scene: Scene) -> list[PathData]:
    """Paths that a pane names, each once."""
    return [scene.path(name) for name in dict.fromkeys(name for pane in scene.panes for name in pane.paths)]


def _surface_lines(scene: Scene, surface: Surface) -> list[str]:
    views = {(pane.quantity, scene.color_of(pane), limits_of(scene, pane)) for pane in scene.panes if _shows(pane, surface)}
    shown = dict.fromkeys(pane.quantity for pane in scene.panes if _shows(pane, surface))
    lines = [*surface.notes, *(note for quantity in shown if quantity in surface.fields for note in surface.fields[quantity].notes)]
    for quantity, color, limits in sorted(views, key=lambda view: view[0]):
        if quantity in surface.fields:
            cells, drawn = classify_cells(surface, color, quantity), drawn_values(surface, color, quantity)
            lines += [*_hole_lines(surface, cells, color.scale), _cut_line(drawn, limits), _minimum_line(surface, quantity)]
    lines = [line for line in lines if line]
    return list(dict.fromkeys(lines))


def _shows(pane: Pane, surface: Surface) -> bool:
    return surface.name in pane.surfaces and pane.kind in (*FIELD_PANES, "line")


def _hole_lines(surface: Surface, cells: CellMasks, scale: str) -> Iterator[str]:
    counted = any("cells computed" in note for note in surface.notes)
    if cells.missing.any() and not counted:
        yield f"{_count(cells.missing)} not computed (///)"
    if cells.not_finite.any():
        yield f"{_count(cells.not_finite)} NaN or infinite (xxx)"
    if cells.not_positive.any():
        yield f"{_count(cells.not_positive)} ≤ 0, not shown on the log scale (...)"
    if scale == "log" and surface.provenance.estimated_on == "linear":
        yield "CAUTION: that estimate is for a linear scale; on this log scale low values between computed cells may be far off"


def _count(mask: np.ndarray) -> str:
    count = int(mask.sum())
    return f"{count} of {mask.size} cell{'s' if mask.size != 1 else ''}"


def drawn_values(surface: Surface, color: ColorScale, quantity: str) -> FloatArray:
    """Drawn values of a quantity, flat, in all of its frames where it changes."""
    values = surface.fields[quantity].values
    frames = len(values) if values.ndim > (1 if surface.is_line else 2) else 1
    return np.concatenate([classify_cells(surface, color, quantity, frame).drawable for frame in range(frames)])


def _cut_line(values: FloatArray, limits: tuple[float, float]) -> str:
    """The share of drawable cells beyond the limits that the scene's author set."""
    if not values.size:
        return ""
    above, below = float(np.mean(values > limits[1])), float(np.mean(values < limits[0]))
    parts = []
    if above:
        parts.append(f"{format_percent(above)} clipped above {_number(limits[1])}")
    if below:
        parts.append(f"{format_percent(below)} clipped below {_number(limits[0])}")
    return ", ".join(parts)


def _minimum_line(surface: Surface, quantity: str) -> str:
    alpha, beta, value = surface.minimum(quantity)
    changes = surface.fields[quantity].values.ndim > (1 if surface.is_line else 2)
    if not np.isfinite(value) or quantity != "loss" or changes:
        return ""
    shown = surface.frame_values(quantity)
    if np.ptp(shown[np.isfinite(shown)]) == 0:
        return f"every computed cell is {_number(value)}"
    place = f"{_number(alpha)}" if surface.is_line else f"({_number(alpha)},\u00a0{_number(beta)})"
    edge = ", on the edge of the window" if _on_edge(surface, alpha, beta) else ""
    if not surface.fields[quantity].is_minimum_located:
        return f"lowest estimate {_number(value, 6)} at {place}, which the samples do not tell from others"
    return f"minimum on this grid {_number(value, 6)} at {place}{edge}"


def _on_edge(surface: Surface, alpha: float, beta: float) -> bool:
    on_alpha = alpha in (surface.alpha[0], surface.alpha[-1])
    return on_alpha or (surface.beta is not None and beta in (surface.beta[0], surface.beta[-1]))


def _path_lines(scene: Scene, path: PathData) -> list[str]:
    lines = list(path.notes)
    lines += [_not_finite_line(path), _residual_line(path), *(_leaving_line(path, surface) for surface in _below(scene, path))]
    return list(dict.fromkeys(line for line in lines if line))


def _below(scene: Scene, path: PathData) -> list[Surface]:
    names = dict.fromkeys(name for pane in scene.panes if path.name in pane.paths for name in pane.surfaces)
    return [surface for surface in map(scene.surface, names) if not surface.is_line]


def is_off_plane(path: PathData) -> bool:
    """Whether the iterates leave the plane by more than rounding, so that the surface below them is not their loss."""
    if path.residual is None or not np.isfinite(path.residual).any():
        return False
    extent = max(float(np.ptp(path.alpha)), float(np.ptp(path.beta)), 1e-12)
    return float(np.nanmax(path.residual)) > 1e-6 * extent


def _not_finite_line(path: PathData) -> str:
    lost = ~np.isfinite(path.alpha)
    if not lost.any():
        return ""
    first = int(path.step[np.argmax(lost)])
    return f"weights are not finite at {int(lost.sum())} of {lost.size} iterates, first at step {first}: they are not drawn"


def _residual_line(path: PathData) -> str:
    if not is_off_plane(path) or path.residual is None:
        return ""
    known = path.residual[np.isfinite(path.residual)]
    text = f"projected: the iterates lie up to {known.max():.3g} off the plane ({known[-1]:.3g} at the end)"
    if path.loss is None or path.plane_loss is None:
        return text
    return f"{text}; their own loss ends at {path.loss[-1]:.4g}, the plane below reads {path.plane_loss[-1]:.4g}"


def _leaving_line(path: PathData, surface: Surface) -> str:
    outside = outside_window(path, surface)
    return f"leaves the window at step {int(path.step[np.argmax(outside)])}" if outside.any() else ""


def outside_window(path: PathData, surface: Surface) -> np.ndarray:
    """Mask of the points of a path beyond the surface's window, (step,); False for points that are not finite."""
    if surface.beta is None:
        return np.zeros(path.alpha.shape, bool)
    finite = np.isfinite(path.alpha) & np.isfinite(path.beta)
    inside = (path.alpha >= surface.alpha[0]) & (path.alpha <= surface.alpha[-1])
    return finite & ~(inside & (path.beta >= surface.beta[0]) & (path.beta <= surface.beta[-1]))


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}".replace("-", "−")
