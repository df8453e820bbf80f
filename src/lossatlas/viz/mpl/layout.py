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

from lossatlas.viz.mpl.panes.base import PaneArtists, has_axes
from lossatlas.viz.scene.model import Pane

MARGIN, GAP, BAR, BAR_GAP = 0.08, 0.2, 0.13, 0.08
TALLEST = 1.9
"""A row is at most this many times as high as its panes are wide."""
LANDSCAPE, WIDE = 0.82, 4.5
"""A relief that is wider than so many inches is no higher than this share of its width, as slides and screens have it."""
LEAST_PANE = 0.45
"""Inches of a pane's shorter side below which a figure has no room."""
_SHAPES = {"line": 0.62, "curves": 0.58, "histogram": 0.6, "areas": 0.9, "contour": 0.86}
"""Heights of axes that may have any, in units of their widths."""


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
    columns: int = 1
    turns: tuple[float, ...] = ()
    moves: bool = False

    @property
    def rows(self) -> int:
        return max(drawn.pane.row + drawn.pane.row_span for drawn in self.panes)


def first_row_heights(sheet: Sheet, wide: float) -> tuple[float, ...]:
    """Inches of each row before anything is measured."""
    return (0.8 * (wide - 2 * MARGIN) / sheet.columns,) * sheet.rows


def ideal_row_heights(sheet: Sheet, frame: Frame, heights: tuple[float, ...]) -> tuple[float, ...]:
    """Inches of each row in which its panes fill the width they have: the tallest of them decides."""
    inner = Frame(frame.left, frame.bottom, frame.right - _strips(sheet), frame.top)
    ideal = [0.0] * sheet.rows
    insets = [_insets(sheet, drawn) for drawn in sheet.panes]
    _align(sheet.panes, insets)
    columns = _column_edges(sheet, inner, insets)
    cells = [(drawn, _cell(inner, drawn.pane, columns, heights), inset) for drawn, inset in zip(sheet.panes, insets, strict=True)]
    for drawn, cell, inset in sorted(cells, key=lambda one: one[0].pane.row_span):
        rows = range(drawn.pane.row, drawn.pane.row + drawn.pane.row_span)
        need = min(_ideal_height(sheet, drawn, cell, inset), TALLEST * cell.width) - GAP * (len(rows) - 1)
        missing = need - sum(ideal[row] for row in rows)
        for row in rows:
            ideal[row] += max(missing, 0.0) / len(rows)
    return tuple(height or 0.3 for height in ideal)


def _ideal_height(sheet: Sheet, drawn: PaneArtists, cell: Bbox, inset: np.ndarray) -> float:
    """Inches of a cell of this width that its pane fills."""
    if drawn.pane.kind == "text":
        size = sheet.figure.dpi and drawn.axes.texts[0].get_window_extent().height / sheet.figure.dpi
        return float(size) + 0.1
    left, bottom, right, top = inset
    if drawn.is_relief:
        content, cube = _relief_content(sheet, drawn.axes), _cube(drawn.axes)
        text_width, text_height = content.width - cube.width, content.height - cube.height
        full = top + text_height + cube.height * (cell.width - right - text_width) / cube.width
        return min(full, LANDSCAPE * cell.width) if cell.width > WIDE else full
    inner = cell.width - left - right
    (x0, x1), (y0, y1) = drawn.axes.get_xlim(), drawn.axes.get_ylim()
    shape = (y1 - y0) / (x1 - x0) if drawn.axes.get_aspect() != "auto" else _SHAPES.get(drawn.pane.kind, 0.6)
    return bottom + top + shape * min(inner, 5.5 if shape < 0.8 else inner)


def arrange(sheet: Sheet, frame: Frame, row_heights: tuple[float, ...], passes: int = 1) -> None:
    """Place every pane in its cell of the grid, then the color bars beside what they explain; each pass measures anew.

    Room for text depends a little on where the axes stand; a relief's labels stand where its box is projected.
    """
    reliefs = [drawn.axes for drawn in sheet.panes if drawn.is_relief]
    for _ in range(passes):
        _draw_bare(sheet.figure, reliefs)
        inner = Frame(frame.left, frame.bottom, frame.right - _strips(sheet), frame.top)
        insets = [_insets(sheet, drawn) for drawn in sheet.panes]
        columns = _column_edges(sheet, inner, insets)
        cells = [_cell(inner, drawn.pane, columns, row_heights) for drawn in sheet.panes]
        for inset, taller in zip(insets, _wrap_titles(sheet, cells), strict=True):
            inset[3] += taller
        _align(sheet.panes, insets)
        for drawn, cell, inset in zip(sheet.panes, cells, insets, strict=True):
            _place(sheet, drawn, cell, inset)
    _draw_bare(sheet.figure, reliefs)
    _place_bars(sheet, frame)


def _wrap_titles(sheet: Sheet, cells: Sequence[Bbox]) -> list[float]:
    """Break titles where their panes end; by how many inches each has grown."""
    grown = [0.0] * len(cells)
    for i, (drawn, cell) in enumerate(zip(sheet.panes, cells, strict=True)):
        title = sheet.titles.get(id(drawn.axes))
        if title is None or (_size(title)[0] <= cell.width and title.get_text() == drawn.pane.title):
            continue
        before = _size(title)[1]
        lines = [wrapped(sheet.figure, [line], cell.width, float(title.get_fontsize())) for line in drawn.pane.title.split("\n")]
        title.set_text("\n".join(lines))
        grown[i] = _size(title)[1] - before
    return grown


def least_side(sheet: Sheet) -> float:
    """Inches of the shortest side of any pane, the words round it left out."""
    boxes = [_cube(d.axes) if d.is_relief else _inches(d.axes, d.axes.get_window_extent()) for d in sheet.panes if d.pane.kind != "text"]
    return min((min(box.width, box.height) for box in boxes), default=1.0)


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


def _column_edges(sheet: Sheet, frame: Frame, insets: Sequence[np.ndarray]) -> np.ndarray:
    """Left and right edge of each column, (columns, 2): all axes are equally wide, whatever words stand beside them."""
    left, right = np.zeros(sheet.columns), np.zeros(sheet.columns)
    for drawn, inset in zip(sheet.panes, insets, strict=True):
        first, last = drawn.pane.column, drawn.pane.column + drawn.pane.column_span - 1
        left[first], right[last] = max(left[first], inset[0]), max(right[last], inset[2])
    total = frame.right - frame.left - GAP * (sheet.columns - 1)
    widths = left + right + max(total - float((left + right).sum()), 0.1 * sheet.columns) / sheet.columns
    starts = frame.left + np.concatenate([[0], np.cumsum(widths + GAP)[:-1]])
    return np.stack([starts, starts + widths], axis=1)


def _cell(frame: Frame, pane: Pane, columns: np.ndarray, row_heights: tuple[float, ...]) -> Bbox:
    total = frame.top - frame.bottom - GAP * (len(row_heights) - 1)
    heights = np.array(row_heights) / sum(row_heights) * total
    tops = frame.top - np.concatenate([[0], np.cumsum(heights + GAP)])
    bottom = tops[pane.row + pane.row_span - 1] - heights[pane.row + pane.row_span - 1]
    return Bbox([[columns[pane.column, 0], bottom], [columns[pane.column + pane.column_span - 1, 1], tops[pane.row]]])


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
    """Flat panes that share an edge of a column or row share the room beside it."""
    flat = [i for i, drawn in enumerate(panes) if not drawn.is_relief and drawn.pane.kind != "text"]
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
        box = _inches(drawn.axes, drawn.axes.get_window_extent())
        x = cell.x0 if drawn.is_relief else _title_start(title, box, cell)
        title.set_position(_fraction(sheet.figure, x, _title_top(drawn, box, cell, inset)))


def _title_start(title: Text, box: Bbox, cell: Bbox) -> float:
    """Flush with the axes, or as far to the left as a long title needs."""
    return max(cell.x0, min(box.x0, cell.x1 - _size(title)[0]))


def _title_top(drawn: PaneArtists, box: Bbox, cell: Bbox, inset: np.ndarray) -> float:
    """Close above the axes, which may be lower than their cell; reliefs hang from the top."""
    return cell.y1 if drawn.is_relief else min(cell.y1, box.y1 + inset[3])


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
        axes_shown = (axes.xaxis, axes.yaxis, axes.zaxis) if has_axes(axes) else ()
        contents += [_cube(axes), *(_inches(axes, box) for axis in axes_shown if (box := axis.get_tightbbox()) is not None)]
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
        axes_shown = (drawn.axes.xaxis, drawn.axes.yaxis, drawn.axes.zaxis) if has_axes(drawn.axes) else ()
        boxes = [axis.get_tightbbox() for axis in axes_shown]
        return Bbox.union([_cube(drawn.axes), *(_inches(drawn.axes, box) for box in boxes if box is not None)])
    # Axes.get_tightbbox would count empty lines as standing in the figure's corner.
    every = [drawn.axes, *([] if drawn.right_axes is None else [drawn.right_axes])]
    labels = [axis.get_tightbbox() for axes in every for axis in (axes.xaxis, axes.yaxis) if has_axes(axes)]
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
    for word in "\u00a0\u00a0·  ".join(paragraph).replace(" %", "\u00a0%").split(" "):
        longer = f"{line} {word}" if line else word
        probe.set_text(longer)
        if line and _size(probe)[0] > width:
            lines.append(line.rstrip(" ·\u00a0"))
            longer = word
        line = longer.lstrip() if not line else longer
    probe.remove()
    return "\n".join([*lines, line] if line else lines)
