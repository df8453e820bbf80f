"""Contour pane: filled contours with thin lines, holes hatched cell by cell, paths on top."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.patheffects import withStroke

from lossatlas.errors import InputError
from lossatlas.viz.colors import HOLE, HOLE_EDGE, colormap, norm_of
from lossatlas.viz.mpl.artists import markers as marks
from lossatlas.viz.mpl.artists.cell_squares import cell_rectangles, edges_of
from lossatlas.viz.mpl.artists.path import PathArtist, add_path, kept_points, path_handles
from lossatlas.viz.mpl.artists.uncertainty import add_outlines, hatch_map
from lossatlas.viz.mpl.panes.base import PaneArtists, changes, step_at
from lossatlas.viz.mpl.style import font_points
from lossatlas.viz.scene.cell_masks import CellMasks, classify_cells
from lossatlas.viz.scene.footnotes import outside_window
from lossatlas.viz.scene.interpolation import interpolate_grid
from lossatlas.viz.scene.model import Arrow, BoolArray, FloatArray, Pane, PathData, Scene, Surface
from lossatlas.viz.scene.value_ranges import interpolates_logarithms, levels_of, limits_of

CONTOUR_LINES_STILL = 200
"""Lines a side of the grid that contours are drawn from; a coarse grid's own would be polygons."""
CONTOUR_LINES_ANIMATED = 80

FAR = 1e4
"""Widths of the window; renderers lose numbers that are much larger."""


def draw(axes: Axes, scene: Scene, pane: Pane) -> PaneArtists:
    """Draw the first surface of the pane as a map over (alpha, beta)."""
    surface = mapped_surface(scene, pane)
    map_artists: list[Artist] = _draw_map(axes, scene, pane, surface, 0)
    _frame_axes(axes, pane, surface)
    fixed: list[Any] = [] if changes(scene, pane) else _draw_marks(axes, pane, surface)
    tracks = [add_path_over(axes, scene, surface, scene.path(name)) for name in pane.paths]
    arrows = [add_arrow(axes, arrow, arrow.start, arrow.end) for arrow in scene.arrows] if pane.arrows else []
    volatile = changes(scene, pane)
    fixed += [*([] if volatile else hatch_map(axes, surface, pane)), *(add_outlines(axes, scene) if pane.arrows else [])]

    def show(frame: int | None) -> None:
        if volatile and frame is not None:
            for artist in map_artists:
                artist.remove()
            map_artists[:] = _draw_map(axes, scene, pane, surface, frame)
        for track in tracks:
            track.show(step_at(scene, frame))
        show_arrows(scene, arrows, frame)

    color = scene.color_of(pane)
    cells = classify_cells(surface, color, pane.quantity)
    return PaneArtists(
        pane,
        axes,
        show,
        moving=[artist for track in tracks for artist in track.moving] + arrows,
        redraws_every_frame=volatile,
        mappable=ScalarMappable(norm_of(color, limits_of(scene, pane)), colormap(color.colormap)),
        handles=[
            *path_handles(scene, pane.paths),
            *fixed,
            *marks.hole_handles(cells),
        ],
        tracks=tracks,
    )


def mapped_surface(scene: Scene, pane: Pane) -> Surface:
    """The surface of a map or relief pane.

    Raises:
        InputError: none is named, it is a line, or it has a single row of cells.
    """
    if not pane.surfaces:
        raise InputError(f"{pane.kind} pane", "no surface", "a pane that names a surface of the scene")
    surface = scene.surface(pane.surfaces[0])
    if surface.beta is None or min(len(surface.alpha), len(surface.beta)) < 2:
        raise InputError(f"{pane.kind} pane", surface.name, "a surface of at least 2 x 2 cells", "Draw a line with kind='line'")
    return surface


def _draw_map(axes: Axes, scene: Scene, pane: Pane, surface: Surface, frame: int) -> list[Artist]:
    color, limits = scene.color_of(pane), limits_of(scene, pane)
    cells, style = classify_cells(surface, color, pane.quantity, frame), {"norm": norm_of(color, limits), "cmap": colormap(color.colormap)}
    x, y = surface.alpha, _beta(surface)
    artists: list[Artist] = []
    if cells.holes.any():
        artists += _draw_holes(axes, x, y, cells)
        # A cell whose neighbours are holes has no contour; its own square still shows it.
        artists.append(_squares(axes, x, y, np.ma.masked_invalid(cells.values), zorder=1.1, **style))
    if np.isfinite(cells.values).sum() >= 3:
        lines = CONTOUR_LINES_ANIMATED if changes(scene, pane) else CONTOUR_LINES_STILL
        fine = refine(x, y, cells, lines, interpolates_logarithms(surface, pane.quantity))
        artists += _draw_contours(axes, *fine, levels_of(color, limits), style)
    return artists


def refine(x: FloatArray, y: FloatArray, cells: CellMasks, lines: int, logarithmic: bool) -> tuple[FloatArray, FloatArray, Any]:
    """Coordinates and values of a grid of about `lines` lines a side, masked in every grid square that touches a hole.

    Between the nodes they are the monotone cubic that reliefs show (`interpolate_grid`), so map and relief have the same contours.
    """
    at = [np.linspace(0, len(nodes) - 1, max(1, round(lines / (len(nodes) - 1))) * (len(nodes) - 1) + 1) for nodes in (x, y)]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = interpolate_grid(np.log(cells.values) if logarithmic else cells.values, *at)
    below, above = ([f(part).astype(int) for part in at] for f in (np.floor, np.ceil))
    corners = [cells.holes[np.ix_(i, j)] for i in (below[0], above[0]) for j in (below[1], above[1])]
    xs, ys = (np.interp(part, np.arange(len(nodes)), nodes) for part, nodes in zip(at, (x, y), strict=True))
    return xs, ys, np.ma.masked_array(np.exp(values) if logarithmic else values, np.logical_or.reduce(corners))


def _draw_contours(axes: Axes, x: FloatArray, y: FloatArray, values: Any, levels: FloatArray, style: dict[str, Any]) -> list[Artist]:
    if values.mask.all():
        return []
    filled = axes.contourf(x, y, values.T, levels=levels, extend="both", zorder=1.2, antialiased=False, **style)
    # The interpolation's rounding on a plateau at a level is no contour.
    noise = 1e-9 * (abs(float(values.min())) + abs(float(values.max())))
    crossed = levels[(levels > values.min() + noise) & (levels < values.max() - noise)]
    if not len(crossed):
        return [filled]
    lines = axes.contour(x, y, values.T, levels=crossed, colors="black", linestyles="solid", alpha=0.5, linewidths=0.45, zorder=1.3)
    return [filled, lines]


def _draw_holes(axes: Axes, x: FloatArray, y: FloatArray, cells: CellMasks) -> list[Artist]:
    """Every hole as its own hatched square; the pattern tells why."""
    artists: list[Artist] = []
    for kind, hatch in marks.HATCHES.items():
        mask = getattr(cells, kind)
        if mask.any():
            square = _squares(axes, x, y, np.ma.masked_where(~mask, np.zeros(mask.shape)), zorder=1.0, cmap=_flat_map(), vmin=0, vmax=1)
            artists += [square, _hatching(axes, x, y, mask, hatch)]
    return artists


def _squares(axes: Axes, x: FloatArray, y: FloatArray, values: Any, **style: Any) -> Artist:
    return axes.pcolormesh(edges_of(x), edges_of(y), values.T, shading="flat", rasterized=False, linewidth=0, antialiased=False, **style)


def _hatching(axes: Axes, x: FloatArray, y: FloatArray, mask: np.ndarray, hatch: str) -> Artist:
    from matplotlib.collections import PolyCollection

    corners = cell_rectangles(x, y, mask)
    squares = PolyCollection(list(corners), facecolors="none", edgecolors=HOLE_EDGE, linewidths=0.0, hatch=hatch, zorder=1.05)
    axes.add_collection(squares, autolim=False)
    return squares


def _flat_map() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([HOLE])


def _frame_axes(axes: Axes, pane: Pane, surface: Surface) -> None:
    beta = _beta(surface)
    axes.set(xlim=(surface.alpha[0], surface.alpha[-1]), ylim=(beta[0], beta[-1]))
    axes.set_xlabel(pane.x_label or surface.alpha_label)
    axes.set_ylabel(pane.y_label or surface.beta_label)
    axes.locator_params(nbins=7)


def equal_where_alike(axes: Any) -> None:
    """Equal units on both axes, unless that would make a thin strip."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    if 0.5 <= (right - left) / (top - bottom) <= 2:
        axes.set_aspect("equal")


def _draw_marks(axes: Axes, pane: Pane, surface: Surface) -> list[Any]:
    handles: list[Any] = []
    if surface.sampled is not None:
        i, j = np.nonzero(surface.sampled)
        axes.plot(surface.alpha[i], _beta(surface)[j], zorder=2.0, clip_on=False, scalex=False, scaley=False, **marks.SAMPLES)
        handles.append(marks.sample_handle())
    shown = marks.marks_of(surface, pane.quantity) if pane.marks else []
    for mark in shown:
        axes.add_artist(mark.at(mark.alpha, mark.beta, clip_on=False))
        mark.annotate(axes, mark.alpha, mark.beta)
    return [*handles, *marks.handles_of(shown)]


def add_path_to(axes: Axes, scene: Scene, pane: Pane, path: PathData) -> PathArtist:
    """A path over the map that the pane drew on these axes."""
    return add_path_over(axes, scene, mapped_surface(scene, pane), path)


def _leaving(x: FloatArray, y: FloatArray, away: BoolArray, surface: Surface) -> tuple[FloatArray, FloatArray]:
    """Coordinates with NaN outside the window, but for the points just before and after those inside: a path is seen leaving it.

    The axes clip what lies outside. Points farther than `FAR` windows are drawn nearer, in the same direction.
    """
    y_axis = surface.alpha if surface.beta is None else surface.beta
    here, far = ~away, FAR * max(float(np.ptp(surface.alpha)), float(np.ptp(y_axis)))
    x, y = np.where(np.abs(x) < np.inf, x, np.nan), np.where(np.abs(y) < np.inf, y, np.nan)
    before, after = np.append(False, here[:-1]), np.append(here[1:], False)
    distance = np.fmax(np.fmax(np.abs(x), np.abs(y)) / far, 1.0)
    seen = here | before | after
    return np.where(seen, x / distance, np.nan), np.where(seen, y / distance, np.nan)


def add_path_over(axes: Axes, scene: Scene, surface: Surface | None, path: PathData) -> PathArtist:
    """A path on flat axes, up to the first point outside the window of the surface, where it leaves."""
    indices = kept_points(scene, path)
    away = outside_window(path, surface)[indices] if surface is not None else np.zeros(len(indices), bool)
    x, y = path.alpha[indices], path.beta[indices]
    if surface is not None:
        x, y = _leaving(x, y, away, surface)
    return add_path(axes, scene, path, x, y, np.zeros(len(indices), bool), indices)


def add_arrow(axes: Axes, arrow: Arrow, start: tuple[float, float], end: tuple[float, float]) -> Artist:
    """An arrow with a white halo between two places of the axes' flat coordinates."""
    halo = [withStroke(linewidth=3.2, foreground="white")]
    style = {"arrowstyle": "-|>,head_width=0.28,head_length=0.5", "shrinkA": 0, "shrinkB": 0, "linewidth": 1.5}
    style |= {"color": arrow.color or "#111111", "path_effects": halo}
    annotation = axes.annotate(
        arrow.label, end, start, arrowprops=style, fontsize=font_points("legend.fontsize"), zorder=7.2, annotation_clip=True
    )
    annotation.set_path_effects([withStroke(linewidth=2.4, foreground="white")])
    return annotation


def show_arrows(scene: Scene, artists: list[Artist], frame: int | None) -> None:
    for arrow, artist in zip(scene.arrows, artists, strict=False):
        artist.set_visible(arrow.frames is None or frame is None or frame in arrow.frames)


def _beta(surface: Surface) -> FloatArray:
    assert surface.beta is not None
    return surface.beta
