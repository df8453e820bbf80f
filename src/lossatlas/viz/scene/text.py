"""Text description of a scene: for tests and for screen readers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossatlas.viz.scene.captions import caption
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.footnotes import footnotes, is_off_plane
from lossatlas.viz.scene.model import Curve, Pane, PathData, Scene, Surface
from lossatlas.viz.scene.value_ranges import FIELD_PANES, limits_of


def describe(scene: Scene) -> str:
    """The whole scene in words, one thing a line.

    >>> print(describe(Scene(panes=(Pane("text", text="Read me"),), title="A scene")))
    scene "A scene", 1 pane
    pane 1 text at row 0, column 0: Read me
    """
    lines = [_opening(scene), *(f"  {scene.subtitle}" for _ in range(bool(scene.subtitle)))]
    lines += [line for number, pane in enumerate(scene.panes, 1) for line in _pane(scene, pane, number)]
    lines += [line for surface in scene.surfaces for line in _surface(scene, surface)]
    lines += [_path(path) for path in scene.paths]
    lines += [_curve(curve) for curve in scene.curves]
    lines += [
        f"areas {a.name}: {len(np.unique(a.labels))} classes, {len(a.points)} points, map {len(a.x)} x {len(a.y)}" for a in scene.areas
    ]
    lines += [
        f"arrow from {_place(arrow.start)} to {_place(arrow.end)}" + (f": {arrow.label}" if arrow.label else "") for arrow in scene.arrows
    ]
    lines += [*_timeline(scene), *(f"caption: {line}" for line in caption(scene))]
    return "\n".join([*lines, *(f"note: {note}" for note in footnotes(scene))])


def _opening(scene: Scene) -> str:
    count = len(scene.panes)
    return f'scene "{scene.title}", {count} pane{"s" if count != 1 else ""}'


def _pane(scene: Scene, pane: Pane, number: int) -> Iterator[str]:
    title = f' "{pane.title}"' if pane.title else ""
    span = f" spanning {pane.row_span} x {pane.column_span}" if (pane.row_span, pane.column_span) != (1, 1) else ""
    shown = ", ".join([*pane.surfaces, *pane.curves, *pane.areas]) or pane.text
    yield f"pane {number} {pane.kind}{title} at row {pane.row}, column {pane.column}{span}: {shown}"
    if pane.paths:
        yield f"  paths {', '.join(pane.paths)}"
    if pane.kind in FIELD_PANES or (pane.kind == "line" and pane.surfaces):
        yield "  " + _scale(scene, pane)
    if pane.kind == "surface":
        yield f"  camera {pane.camera.elevation:g}° up, azimuth {pane.camera.azimuth:g}°, zoom {pane.camera.zoom:g}"


def _scale(scene: Scene, pane: Pane) -> str:
    color, (low, high) = scene.color_of(pane), limits_of(scene, pane)
    clip = f", clipped above {color.clip:g}" if color.clip is not None else ""
    return f"{pane.quantity} from {low:.6g} to {high:.6g}, {color.scale} scale{clip}, {color.colormap}, {color.levels} levels"


def _surface(scene: Scene, surface: Surface) -> Iterator[str]:
    window = f"{surface.alpha_label} {_span(surface.alpha)}"
    if surface.beta is not None:
        window += f", {surface.beta_label} {_span(surface.beta)}"
    yield f"surface {surface.name}: {window}"
    for quantity in surface.fields:
        yield f"  {surface.fields[quantity].label}: {_field(scene, surface, quantity)}"


def _field(scene: Scene, surface: Surface, quantity: str) -> str:
    color = scene.color_of(Pane("contour", quantity=quantity))
    cells, frames = classify_cells(surface, color, quantity), surface.fields[quantity].values
    moving = f", {len(frames)} frames" if frames.ndim > cells.values.ndim else ""
    holes = "".join(
        f", {int(mask.sum())} {word}"
        for mask, word in ((cells.missing, "not computed"), (cells.not_finite, "not finite"), (cells.not_positive, "≤ 0"))
        if mask.any()
    )
    if not cells.drawable.size:
        return f"nothing to draw{holes}{moving}"
    return f"{cells.drawable.min():.6g} to {cells.drawable.max():.6g}{holes}{moving}"


def _path(path: PathData) -> str:
    if not len(path.step):
        return f"path {path.label or path.name}: no steps"
    ends = f"{_place((path.alpha[0], path.beta[0]))} to {_place((path.alpha[-1], path.beta[-1]))}"
    loss = f", loss {path.loss[0]:.6g} to {path.loss[-1]:.6g}" if path.loss is not None else ""
    off = ", off the plane" if is_off_plane(path) else ""
    return f"path {path.label or path.name}: {ends}, steps {path.step[0]} to {path.step[-1]}{loss}{off}, {path.dash}"


def _curve(curve: Curve) -> str:
    return (
        f"curve {curve.label or curve.name}: {len(curve.x)} points, x {_span(curve.x)}, y {_span(curve.y)}, {curve.axis} axis, {curve.dash}"
    )


def _timeline(scene: Scene) -> Iterator[str]:
    timeline = scene.timeline
    if timeline is None:
        return
    cosmetic = 0 if timeline.cosmetic is None else int(timeline.cosmetic.sum())
    turns = f", azimuth {_span(timeline.rotation)}" if timeline.rotation is not None else ""
    yield f"timeline: {len(timeline)} frames ({cosmetic} cosmetic), steps {_span(timeline.step)}, {timeline.milliseconds} ms each{turns}"


def _span(values: np.ndarray) -> str:
    if not np.isfinite(values).any():
        return "nothing finite"
    ends = f"{np.nanmin(values):.6g} to {np.nanmax(values):.6g}"
    return f"{ends} ({len(values)})"


def _place(point: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{part:.4g}" for part in point) + ")"
