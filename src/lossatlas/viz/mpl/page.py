"""Page of a figure: header, panes, legend and caption from top to bottom, and the height they need."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import proj3d

from lossatlas.errors import InputError
from lossatlas.viz.mpl.artists.markers import MINIMUM
from lossatlas.viz.mpl.layout import (
    GAP,
    LEAST_PANE,
    MARGIN,
    Frame,
    Sheet,
    arrange,
    first_row_heights,
    ideal_row_heights,
    least_side,
    wrapped,
)
from lossatlas.viz.mpl.legends.end_labels import label_ends
from lossatlas.viz.mpl.legends.placement import place_legend
from lossatlas.viz.mpl.style import Palette, font_points, note_points
from lossatlas.viz.mpl.ticks import tick_labels
from lossatlas.viz.scene.model import Scene

OWN_LEGEND = ("curves", "histogram", "line")
"""Kinds of panes that may carry a legend of their own."""
LONGEST_RELIEF_LABEL = 0.5
"""Of the width of a relief's pane; a longer label is broken."""
TICK_INCHES = 0.42
"""Inches of an axis that a number below it takes, at 8 points."""


def compose_page(sheet: Sheet, scene: Scene, notes: Sequence[str], wide: float, height: float | None = None) -> Text | None:
    """Lay out a figure of `wide` inches; returns the text that names the frame of an animation.

    Paths are named at their ends where that covers nothing, else in the legend.

    Raises:
        InputError: no room for the panes in the width or height that was asked for.
    """
    _share_labels(sheet)
    _break_relief_labels(sheet, wide)
    header = add_header(sheet.figure, scene, wide - 2 * MARGIN)
    label = _frame_label(sheet) if sheet.moves else None
    note = _add_note(sheet, notes, wide)
    handles = shared_handles(sheet)
    ends = set() if sheet.moves else {track.label for drawn in sheet.panes for track in drawn.tracks}
    for labelled in (ends, set[str]()):
        legend = add_legend(sheet.figure, [handle for handle in handles if handle.get_label() not in labelled], wide - 2 * MARGIN)
        _fit_page(sheet, header, label, legend, note, wide, height)
        if label_ends(sheet, labelled):
            break
        if legend is not None:
            legend.remove()
    if least_side(sheet) < LEAST_PANE:
        smaller = "width" if height is None else "width, height"
        raise InputError(
            smaller, f"{wide:g}" if height is None else f"{wide:g} x {height:g}", "more inches for these panes", "Or draw fewer"
        )
    place_legends(sheet)
    _thin_log_ticks(sheet)
    return label


def _fit_page(
    sheet: Sheet, header: list[Text], label: Text | None, legend: Any, note: Text | None, wide: float, height: float | None
) -> None:
    """Find the rows' heights in which panes fill their width, and place everything."""
    above = max(sum(height_of(text) + 0.05 for text in header) + (0.05 if header else 0.0), height_of(label) if label is not None else 0.0)
    below_note = height_of(note) + 0.08 if note is not None else 0.0
    below = below_note + (height_of(legend) + 0.1 if legend is not None else 0.0)
    outside = above + below + 2 * MARGIN + GAP * (sheet.rows - 1)
    least = LEAST_PANE * len({drawn.pane.row for drawn in sheet.panes if drawn.pane.kind != "text"})
    heights = first_row_heights(sheet, wide)
    frame = Frame(0, 0, wide, wide)
    for attempt in range(4):
        tall = sum(heights) + outside if height is None else height
        tall = 2 * np.ceil(tall * sheet.figure.dpi / 2) / sheet.figure.dpi if height is None else height
        if height is not None and tall - outside < least:
            raise InputError("height", height, f"more than {outside + least:.2g} inches for these panes and words", "Leave it out")
        sheet.figure.set_size_inches(wide, tall)
        stack_header(header, wide, tall)
        if label is not None:
            label.set_position(((wide - MARGIN) / wide, (tall - MARGIN) / tall))
        if note is not None:
            note.set_position((MARGIN / wide, MARGIN / tall))
        if legend is not None:
            legend.set_bbox_to_anchor((MARGIN / wide, (MARGIN + below_note) / tall))
        frame = Frame(MARGIN, MARGIN + below, wide - MARGIN, tall - MARGIN - above)
        arrange(sheet, frame, heights)
        _thin_ticks(sheet)
        better = ideal_row_heights(sheet, frame, heights)
        if attempt == 3 or np.allclose(better, heights, atol=0.02):
            break
        heights = better
    arrange(sheet, frame, heights, passes=2)


def _frame_label(sheet: Sheet) -> Text:
    return sheet.figure.text(0, 0, "", fontsize=font_points("axes.labelsize"), ha="right", va="top", fontweight="bold")


def _add_note(sheet: Sheet, notes: Sequence[str], wide: float) -> Text | None:
    size = note_points()
    text = "\n".join(wrapped(sheet.figure, [line], wide - 2 * MARGIN, size) for line in notes)
    if not text:
        return None
    return sheet.figure.text(0, 0, text, fontsize=size, color=Palette.current().faint, va="bottom", ha="left", linespacing=1.3)


def _share_labels(sheet: Sheet) -> None:
    """In a gallery only the outermost maps and lines carry the numbers and labels of axes that all of a row or column share."""
    panes = [drawn for drawn in sheet.panes if drawn.pane.kind in ("contour", "areas", "line")]
    _equal_right_limits(panes)
    x_axes = {id(d): (*np.round(d.axes.get_xlim(), 9), d.axes.get_xlabel()) for d in panes}
    y_axes = {id(d): (*np.round(d.axes.get_ylim(), 9), d.axes.get_ylabel(), d.axes.get_yscale()) for d in panes}
    for one in panes:
        below = [d for d in panes if d.pane.column == one.pane.column and d.pane.row > one.pane.row]
        row = [d for d in panes if d.pane.row == one.pane.row and d.pane.kind == one.pane.kind]
        left, right = ([d for d in row if sign * (d.pane.column - one.pane.column) > 0] for sign in (-1, 1))
        if below and all(x_axes[id(d)] == x_axes[id(one)] for d in below):
            one.axes.set_xlabel("")
            one.axes.tick_params(labelbottom=False)
        if left and all(y_axes[id(d)] == y_axes[id(one)] for d in left):
            one.axes.set_ylabel("")
            one.axes.tick_params(labelleft=False)
        if right and one.right_axes is not None and all(d.right_axes is not None for d in right):
            one.right_axes.set_ylabel("")
            one.right_axes.tick_params(labelright=False)


def _equal_right_limits(panes: Sequence[Any]) -> None:
    """One scale for the right axes of lines that stand in a row."""
    for row in {drawn.pane.row for drawn in panes}:
        axes = [drawn.right_axes for drawn in panes if drawn.pane.row == row and drawn.right_axes is not None]
        limits = [one.get_ylim() for one in axes]
        for one in axes:
            one.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _break_relief_labels(sheet: Sheet, wide: float) -> None:
    """Labels of 3-D axes, which stand aslant and push the box aside, in lines of at most so much of their pane."""
    size = font_points("axes.labelsize")
    for drawn in sheet.panes:
        longest = LONGEST_RELIEF_LABEL * wide * drawn.pane.column_span / sheet.columns
        for axis in (drawn.axes.xaxis, drawn.axes.yaxis, drawn.axes.zaxis) if drawn.is_relief else ():
            text = wrapped(sheet.figure, [axis.label.get_text()], longest, size)
            if "\n" in text:
                axis.set_label_text(text)
                axis.labelpad += 0.75 * size * text.count("\n")  # labels are placed by their centers


def _thin_ticks(sheet: Sheet) -> None:
    """As many numbers along each axis as it has room for."""
    size = font_points("xtick.labelsize") / 8
    for drawn in sheet.panes:
        axes = drawn.axes
        if drawn.is_relief:
            _thin_height_ticks(axes, sheet.figure.dpi)
        if drawn.is_relief or drawn.pane.kind == "text":
            continue
        box = axes.get_window_extent()
        for axis, inches, scale in ((axes.xaxis, box.width, axes.get_xscale()), (axes.yaxis, box.height, axes.get_yscale())):
            most = int(np.clip(inches / sheet.figure.dpi / (TICK_INCHES * size), 2, 7))
            if scale == "linear" and len(axis.get_majorticklocs()):
                whole = isinstance(axis.get_major_locator(), MaxNLocator) and axis.get_major_locator()._integer
                axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=whole))


def _thin_height_ticks(axes: Any, dpi: float) -> None:
    """Every second number of a height axis on which they would touch."""
    x, y, heights = axes.get_xlim()[1], axes.get_ylim()[0], axes.get_zticks()
    if len(heights) < 3:
        return
    _, v, _ = proj3d.proj_transform(np.full(len(heights), x), np.full(len(heights), y), np.asarray(heights, float), axes.get_proj())
    along = axes.transData.transform(np.column_stack([v, v]))[:, 1]
    if np.abs(np.diff(along)).min() < 1.3 * font_points("ytick.labelsize") * dpi / 72:
        labels = [label.get_text() for label in axes.get_zticklabels()]
        axes.set_zticks(heights[::2], labels=labels[::2])


def _thin_log_ticks(sheet: Sheet) -> None:
    """Numbers of logarithmic axes that stand clear of one another, powers of ten before the others; call it when all have their places."""
    letters = font_points("ytick.labelsize") * sheet.figure.dpi / 72
    for axes in {axes for drawn in sheet.panes if not drawn.is_relief for axes in (drawn.axes, drawn.right_axes) if axes is not None}:
        for name, axis, apart in (("x", axes.xaxis, 3.2 * letters), ("y", axes.yaxis, 1.35 * letters)):
            if axis.get_scale() != "log":
                continue
            ticks = np.asarray(axis.get_majorticklocs(), float)
            low, high = sorted(axis.get_view_interval())
            ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
            along = axes.transData.transform(np.column_stack([ticks, ticks]))[:, 0 if name == "x" else 1]
            chosen: list[int] = []
            for i in sorted(range(len(ticks)), key=lambda i: not np.isclose(np.log10(ticks[i]) % 1, [0, 1]).any()):
                if all(abs(along[i] - along[j]) >= apart for j in chosen):
                    chosen.append(i)
            clear = np.sort(ticks[chosen])
            axis.set_ticks(clear.tolist(), labels=tick_labels(clear))
            axis.set_view_interval(low, high, ignore=True)


def add_header(drawn: Figure, scene: Scene, width: float) -> list[Text]:
    """Title and subtitle, broken where the figure ends; an animation keeps the right third for the frame's label."""
    text_width = width * (0.66 if scene.timeline is not None else 1.0)
    lines = [(scene.title, font_points("figure.titlesize"), "bold"), (scene.subtitle, font_points("axes.labelsize"), "normal")]
    return [
        drawn.text(
            0,
            0,
            wrapped(drawn, [text], text_width, size * (1.12 if weight == "bold" else 1)),
            fontsize=size,
            fontweight=weight,
            va="top",
            ha="left",
        )
        for text, size, weight in lines
        if text
    ]


def stack_header(header: list[Text], wide: float, tall: float) -> None:
    y = tall - MARGIN
    for text in header:
        text.set_position((MARGIN / wide, y / tall))
        y -= height_of(text) + 0.05


def shared_handles(sheet: Sheet) -> list[Any]:
    """Entries for the figure's legend, each once; curves that no map and no other pane explains get a legend in their own pane."""
    maps = {h.get_label() for drawn in sheet.panes if drawn.pane.kind not in OWN_LEGEND for h in drawn.handles}
    seen = [{_look(h) for h in drawn.handles} for drawn in sheet.panes if drawn.pane.kind in OWN_LEGEND and drawn.handles]
    maps |= {label for one, other in permutations(seen, 2) if one <= other for label, _ in other}
    shared = {}
    for drawn in sheet.panes:
        if drawn.pane.kind in OWN_LEGEND and len(sheet.panes) > 1 and not {h.get_label() for h in drawn.handles} <= maps:
            if len({h.get_label() for h in drawn.handles}) > 1:
                handles = list({_look(h): h for h in drawn.handles}.values())
                (drawn.right_axes or drawn.axes).legend(handles=handles, loc="best", frameon=True, framealpha=0.85, edgecolor="none")
        else:
            shared |= {_look(h): h for h in drawn.handles}
    return _without_joint_marks(list(shared.values()))


def _without_joint_marks(handles: list[Any]) -> list[Any]:
    """Without the entry for a model that is the minimum too, where both have entries of their own."""
    labels = {handle.get_label() for handle in handles}
    return [h for h in handles if not (MINIMUM in labels and h.get_label().removesuffix(f", {MINIMUM}") in labels - {h.get_label()})]


def place_legends(sheet: Sheet) -> None:
    """Legends within curves panes move to where they cover nothing, once the panes have their places."""
    for drawn in sheet.panes:
        legend = (drawn.right_axes or drawn.axes).get_legend() if drawn.pane.kind == "curves" else None
        if legend is not None:
            place_legend(legend, drawn.axes, drawn.right_axes)


def _look(handle: Any) -> tuple[str, str]:
    """Key that is the same for equal entries of a legend."""
    return handle.get_label(), str(getattr(handle, "get_color", handle.get_label)())


def add_legend(drawn: Figure, handles: list[Any], width: float) -> Any:
    """One legend below the panes, in as many columns as fit."""
    for columns in range(len(handles), 0, -1):
        spacing = {"borderpad": 0.1, "borderaxespad": 0.0, "columnspacing": 1.6, "handlelength": 2.4}
        legend = drawn.legend(handles=handles, loc="lower left", ncol=columns, **spacing)
        if columns == 1 or legend.get_window_extent().width / drawn.dpi <= width:
            return legend
        legend.remove()
    return None


def height_of(artist: Any) -> float:
    return artist.get_window_extent().height / artist.get_figure(root=True).dpi
