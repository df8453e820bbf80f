"""Layout of a figure: all text is measured, and the panes take what is left.

Matplotlib's own layouts do not measure 3-D axes rightly and cut the label of the height axis. Here lengths are in
inches from the lower left corner of the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from mpl_toolkits.mplot3d import proj3d

from lossatlas.viz.mpl.panes.base import PaneArtists
from lossatlas.viz.scene.model import Pane

MARGIN, GAP, BAR, BAR_GAP = 0.14, 0.22, 0.14, 0.12


@dataclass(frozen=True)
class Bar:
    """A color bar and the panes it explains."""

    axes: Axes
    panes: tuple[PaneArtists, ...]
    shared: bool


@dataclass(frozen=True)
class Frame:
    """The inner part of the figure that panes and shared color bars divide, in inches."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class Sheet:
    """A figure and all that must find a place on it."""

    figure: Figure
    panes: tuple[PaneArtists, ...]
    bars: tuple[Bar, ...]
    titles: dict[int, Text] = field(default_factory=dict)
    row_heights: tuple[float, ...] = (1.0,)
    columns: int = 1
    turns: tuple[float, ...] = ()


def arrange(sheet: Sheet, frame: Frame) -> None:
    """Place every pane in its cell of the grid, then the color bars beside what they explain; measured and corrected a few times."""
    reliefs = [drawn.axes for drawn in sheet.panes if drawn.is_relief]
    # Room for text depends a little on where the axes stand; a relief's labels stand where its box is projected.
    for _ in range(3 if reliefs else 2):
        _draw_bare(sheet.figure, reliefs)
        inner = Frame(frame.left, frame.bottom, frame.right - _strips(sheet), frame.top)
        cells = [_cell(sheet, inner, drawn.pane) for drawn in sheet.panes]
        insets = [_insets(sheet, drawn) for drawn in sheet.panes]
        _align(sheet.panes, insets)
        for drawn, cell, inset in zip(sheet.panes, cells, insets, strict=True):
            _place(sheet, drawn, cell, inset)
        _draw_bare(sheet.figure, reliefs)
        _place_bars(sheet, frame)


def _strips(sheet: Sheet) -> float:
    return sum(max(_width(bar.axes) for bar in lane) + BAR_GAP + GAP / 2 for lane in _lanes(sheet))


def _lanes(sheet: Sheet) -> list[list[Bar]]:
    """Shared color bars from right to left; those of different rows stand above one another."""
    lanes: list[list[Bar]] = []
    for bar in sheet.bars:
        if bar.shared:
            lane = next((lane for lane in lanes if not any(_rows(bar) & _rows(other) for other in lane)), None)
            if lane is None:
                lanes.append(lane := [])
            lane.append(bar)
    return lanes


def _rows(bar: Bar) -> set[int]:
    rows = [drawn.pane.row for drawn in bar.panes] + [drawn.pane.row + drawn.pane.row_span - 1 for drawn in bar.panes]
    return set(range(min(rows), max(rows) + 1))


def _cell(sheet: Sheet, frame: Frame, pane: Pane) -> Bbox:
    width = (frame.right - frame.left - GAP * (sheet.columns - 1)) / sheet.columns
    total = frame.top - frame.bottom - GAP * (len(sheet.row_heights) - 1)
    heights = np.array(sheet.row_heights) / sum(sheet.row_heights) * total
    tops = frame.top - np.concatenate([[0], np.cumsum(heights + GAP)])
    left = frame.left + pane.column * (width + GAP)
    bottom = tops[pane.row + pane.row_span - 1] - heights[pane.row + pane.row_span - 1]
    return Bbox([[left, bottom], [left + width * pane.column_span + GAP * (pane.column_span - 1), tops[pane.row]]])


def _insets(sheet: Sheet, drawn: PaneArtists) -> np.ndarray:
    """Room for title, labels and an own color bar around the axes: left, bottom, right, top."""
    title = sheet.titles.get(id(drawn.axes))
    above = 0.0 if title is None else _size(title)[1] + 0.07
    bar = sum(_width(bar.axes) + BAR_GAP for bar in sheet.bars if not bar.shared and bar.panes[0] is drawn)
    if drawn.is_relief:
        return np.array([0.0, 0.0, bar, above])
    here, full = _inches(drawn.axes, drawn.axes.get_window_extent()), _extent(drawn)
    return np.array([here.x0 - full.x0, here.y0 - full.y0, max(full.x1 - here.x1, 0.06) + bar, max(full.y1 - here.y1, 0.05) + above])


def _align(panes: Sequence[PaneArtists], insets: list[np.ndarray]) -> None:
    """Flat panes that share a column edge share the room beside it, and those that share a row edge the room below."""
    flat = [i for i, drawn in enumerate(panes) if not drawn.is_relief and drawn.axes.get_aspect() == "auto"]
    for side, key in enumerate((_left, _bottom, _right, _top)):
        widest: dict[int, float] = {}
        for i in flat:
            widest[key(panes[i].pane)] = max(widest.get(key(panes[i].pane), 0.0), insets[i][side])
        for i in flat:
            insets[i][side] = widest[key(panes[i].pane)]


def _left(pane: Pane) -> int:
    return pane.column


def _bottom(pane: Pane) -> int:
    return pane.row + pane.row_span


def _right(pane: Pane) -> int:
    return pane.column + pane.column_span


def _top(pane: Pane) -> int:
    return pane.row


def _place(sheet: Sheet, drawn: PaneArtists, cell: Bbox, inset: np.ndarray) -> None:
    area = Bbox([[cell.x0 + inset[0], cell.y0 + inset[1]], [cell.x1 - inset[2], cell.y1 - inset[3]]])
    if drawn.is_relief:
        _fit_relief(sheet, drawn, area)
    else:
        _set(drawn.axes, area)
        if drawn.right_axes is not None:
            _set(drawn.right_axes, area)
        drawn.axes.apply_aspect()
    title = sheet.titles.get(id(drawn.axes))
    if title is not None:
        center = area.x0 + area.width / 2 if drawn.is_relief else _inches(drawn.axes, drawn.axes.get_window_extent()).x0
        title.set_position(_fraction(sheet.figure, center, cell.y1))


def _fit_relief(sheet: Sheet, drawn: PaneArtists, area: Bbox) -> None:
    """Move and scale a square 3-D axes until box and labels just fill the room; the axes itself may be larger."""
    axes = drawn.axes
    content, box = _relief_content(sheet, axes), _inches(axes, axes.get_window_extent())
    cube = _cube(axes)
    # Only the box grows with the axes; the text round it keeps its size.
    text_width, text_height = content.width - cube.width, content.height - cube.height
    scale = min((area.width - text_width) / cube.width, (area.height - text_height) / cube.height)
    scale = float(np.clip(scale, 0.2, 5.0))
    side = box.width * scale
    center_x, center_y = cube.x0 + cube.width / 2, cube.y0 + cube.height / 2
    left = area.x0 + (area.width - (cube.width * scale + text_width)) / 2 + (cube.x0 - content.x0)
    bottom = area.y0 + (area.height - (cube.height * scale + text_height)) / 2 + (cube.y0 - content.y0)
    x = left + cube.width * scale / 2 - (center_x - box.x0) * scale
    y = bottom + cube.height * scale / 2 - (center_y - box.y0) * scale
    _set(axes, Bbox([[x, y], [x + side, y + side]]))
    axes.apply_aspect()


def _relief_content(sheet: Sheet, axes: Any) -> Bbox:
    """Box and labels together, over every azimuth that the animation will turn to."""
    start_azimuth = axes.azim
    contents = []
    for azimuth in sheet.turns or (start_azimuth,):
        if sheet.turns:
            axes.view_init(elev=axes.elev, azim=azimuth)
            _draw_bare(sheet.figure, [axes])
        contents += [
            _cube(axes),
            *(_inches(axes, box) for axis in (axes.xaxis, axes.yaxis, axes.zaxis) if (box := axis.get_tightbbox()) is not None),
        ]
    axes.view_init(elev=axes.elev, azim=start_azimuth)
    return Bbox.union(contents)


def _cube(axes: Any) -> Bbox:
    """The 3-D box as it appears on the sheet, in inches."""
    corners = np.array([[x, y, z] for x in axes.get_xlim() for y in axes.get_ylim() for z in axes.get_zlim()])
    flat = proj3d.proj_transform(corners[:, 0], corners[:, 1], corners[:, 2], axes.get_proj())
    pixels = axes.transData.transform(np.column_stack(flat[:2]))
    return _inches(axes, Bbox([pixels.min(axis=0), pixels.max(axis=0)]))


def _place_bars(sheet: Sheet, frame: Frame) -> None:
    left, right = dict[int, float](), frame.right
    for lane in _lanes(sheet):
        width = max(_width(bar.axes) for bar in lane)
        left |= {id(bar): right - width for bar in lane}
        right -= width + BAR_GAP + GAP / 2
    for bar in sheet.bars:
        boxes = [_cube(d.axes) if d.is_relief else _inches(d.axes, d.axes.get_window_extent()) for d in bar.panes]
        around = Bbox.union(boxes)
        shrink = 0.12 * around.height if all(d.is_relief for d in bar.panes) else 0.0
        x = left[id(bar)] if bar.shared else max(_extent(bar.panes[0]).x1, around.x1) + BAR_GAP
        _set(bar.axes, Bbox([[x, around.y0 + shrink], [x + BAR, around.y1 - shrink]]))


def _extent(drawn: PaneArtists) -> Bbox:
    if drawn.is_relief:
        boxes = [axis.get_tightbbox() for axis in (drawn.axes.xaxis, drawn.axes.yaxis, drawn.axes.zaxis)]
        return Bbox.union([_cube(drawn.axes), *(_inches(drawn.axes, box) for box in boxes if box is not None)])
    # Axes.get_tightbbox would count empty lines as standing in the figure's corner.
    every = [drawn.axes, *([] if drawn.right_axes is None else [drawn.right_axes])]
    labels = [axis.get_tightbbox() for axes in every for axis in (axes.xaxis, axes.yaxis) if axes.axison]
    return Bbox.union([_inches(drawn.axes, box) for box in (drawn.axes.get_window_extent(), *labels) if box is not None])


def _width(axes: Axes) -> float:
    box = axes.get_tightbbox()
    return BAR if box is None else _inches(axes, box).width


def _size(text: Text) -> tuple[float, float]:
    box = text.get_window_extent()
    dpi = _figure(text).dpi
    return box.width / dpi, box.height / dpi


def _inches(axes: Any, box: Any) -> Bbox:
    return Bbox(np.asarray(box.get_points()) / _figure(axes).dpi)


def _figure(artist: Any) -> Figure:
    figure = artist.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def _set(axes: Any, area: Bbox) -> None:
    figure = _figure(axes)
    width, height = figure.get_size_inches()
    axes.set_position([area.x0 / width, area.y0 / height, max(area.width, 0.1) / width, max(area.height, 0.1) / height])


def _fraction(figure: Figure, x: float, y: float) -> tuple[float, float]:
    width, height = figure.get_size_inches()
    return x / width, y / height


def _draw_bare(figure: Figure, reliefs: Sequence[Any]) -> None:
    """Let 3-D axes find the places of their labels, without the heavy artists: a measuring pass costs milliseconds."""
    renderer: Any = figure.canvas.get_renderer()  # pyright: ignore[reportAttributeAccessIssue]
    for axes in reliefs:
        heavy = [artist for artist in (*axes.collections, *axes.lines, *axes.texts) if artist.get_visible()]
        for artist in heavy:
            artist.set_visible(False)
        axes.draw(renderer)
        for artist in heavy:
            artist.set_visible(True)


def wrapped(figure: Figure, paragraph: Sequence[str], width: float, size: float) -> str:
    """Phrases set one after the other and broken between words where `width` inches end."""
    probe = figure.text(0, 0, "", fontsize=size)
    lines, line = [], ""
    for word in "\u00a0\u00a0·  ".join(paragraph).split(" "):
        longer = f"{line} {word}" if line else word
        probe.set_text(longer)
        if line and _size(probe)[0] > width:
            lines.append(line.rstrip(" ·\u00a0"))
            longer = word
        line = longer.lstrip() if not line else longer
    probe.remove()
    return "\n".join([*lines, line] if line else lines)
