"""Figure of a scene: panes, color bars, legends and footnotes laid out with matplotlib.

Figures stand alone: no pyplot, no display, no change to the user's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from lossatlas.errors import InputError
from lossatlas.viz.metadata.record import figure_metadata
from lossatlas.viz.metadata.writing import matplotlib_metadata
from lossatlas.viz.mpl import layout
from lossatlas.viz.mpl.color_bars import add_color_bar
from lossatlas.viz.mpl.export import FORMATS, check_suffix, encoded, save
from lossatlas.viz.mpl.layout import GAP, MARGIN, Sheet, arrange, wrapped
from lossatlas.viz.mpl.mathtext import escape_broken_mathtext
from lossatlas.viz.mpl.page import add_header, add_legend, height_of, place_legends, shared_handles, stack_header
from lossatlas.viz.mpl.panes import contour, surface
from lossatlas.viz.mpl.panes import decision_regions as areas
from lossatlas.viz.mpl.panes import lines as flat
from lossatlas.viz.mpl.panes.base import PaneArtists, changes
from lossatlas.viz.mpl.style import FAINT, NOTE, PANE_TITLE, SUBTITLE, styled
from lossatlas.viz.scene.captions import CaptionSize
from lossatlas.viz.scene.captions import caption as caption_lines
from lossatlas.viz.scene.model import Pane, Scene
from lossatlas.viz.scene.value_ranges import FIELD_PANES, panes_by_scale

PANES: dict[str, Callable[[Any, Scene, Pane], PaneArtists]] = {
    "contour": contour.draw,
    "surface": surface.draw,
    "line": flat.draw_line,
    "curves": flat.draw_curves,
    "areas": areas.draw,
    "histogram": flat.draw_histogram,
    "text": flat.draw_text,
}
"""One entry a kind of pane; a new kind is one file and one line here."""
NARROW = 2.3
"""Inches of axes below which numbers under them would touch."""


class StandaloneFigure(Figure):
    """A figure that a notebook shows without pyplot.

    Attributes:
        attrs: "caption", the full caption, a line each; "metadata", what a file of the figure carries (`FigureMetadata`).
    """

    attrs: Mapping[str, Any] = MappingProxyType({})

    def savefig(self, fname: Any, *, metadata: Mapping[str, Any] | None = None, **options: Any) -> None:
        """Write the figure as matplotlib does, with the full caption in the file where the format holds text."""
        suffix = f".{options.get('format') or Path(str(fname)).suffix[1:] or rcParams['savefig.format']}".lower()
        if suffix in FORMATS and "metadata" in self.attrs:
            metadata = {**matplotlib_metadata(suffix, self.attrs["metadata"]), **(metadata or {})}
        super().savefig(fname, metadata=metadata, **options)

    def draw(self, renderer: Any) -> None:
        """Draw in our style, whoever asks."""
        with styled():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return encoded(self, ".png", 144)


@dataclass(frozen=True)
class FigureArtists:
    """A scene on a figure, ready to be saved or brought from frame to frame."""

    figure: Figure
    scene: Scene
    panes: tuple[PaneArtists, ...]
    label: Text | None

    def show(self, frame: int | None) -> None:
        """Bring every pane and the frame's label to `frame`; None shows all paths whole."""
        for pane in self.panes:
            pane.show(frame)
        if self.label is not None and self.scene.timeline is not None:
            self.label.set_text(frame_label(self.scene, frame))


def figure(scene: Scene, *, width: float | None = None, frame: int | None = None, caption: CaptionSize = "short") -> Figure:
    """Draw a scene: at a `frame` of its timeline, or with all paths whole and changing fields as they are in the end.

    Args:
        width: of the figure in inches; by default what its panes need in print.
        caption: its size, as in `lossatlas.viz.scene.captions`.

    Raises:
        InputError: a pane that names nothing drawable, an unknown quantity, colormap or kind.
    """
    with styled():
        drawing = draw(scene, width=width, caption_size=caption)
        drawing.show(_frame_or_last(scene, frame))
        return drawing.figure


def _frame_or_last(scene: Scene, frame: int | None) -> int | None:
    if scene.timeline is None:
        return None
    count = len(scene.timeline)
    if frame is None:
        return count - 1 if any(changes(scene, pane) for pane in scene.panes) else None
    if not -count <= frame < count:
        raise InputError("frame", frame, f"a frame of the timeline, 0 to {count - 1}")
    return frame % count


def draw(scene: Scene, *, width: float | None = None, pixels: int | None = None, caption_size: CaptionSize = "short") -> FigureArtists:
    """Build the figure of a scene with all its panes; call inside `styled()`.

    Args:
        width: of the figure in inches.
        pixels: of the width, for animations; both sides are then an even number of them, which video wants.
        caption_size: "short", "full" or "none".
    """
    if not scene.panes:
        raise InputError("scene", "no panes", "at least one pane")
    metadata, scene = figure_metadata(scene), escape_broken_mathtext(scene)
    columns = max(pane.column + pane.column_span for pane in scene.panes)
    wide = width or _default_width(scene, columns)
    sheet_figure = StandaloneFigure(figsize=(wide, wide), dpi=150 if pixels is None else 2 * (pixels // 2) / wide)
    FigureCanvasAgg(sheet_figure)
    sheet_figure.attrs = {"caption": metadata.caption, "metadata": metadata}
    panes = tuple(_draw_pane(sheet_figure, scene, pane) for pane in scene.panes)
    titles = {id(drawn.axes): _pane_title(sheet_figure, drawn) for drawn in panes if drawn.pane.title}
    bars = tuple(add_color_bar(sheet_figure, scene, color, group, panes) for color, group in panes_by_scale(scene).items())
    rows = _row_heights(scene, (wide - 2 * MARGIN - GAP * (columns - 1)) / columns)
    sheet = Sheet(sheet_figure, panes, bars, titles, rows, columns, _rotation_azimuths(scene))
    label = _arrange_all(sheet, scene, wide, caption_lines(scene, caption_size))
    return FigureArtists(sheet_figure, scene, panes, label)


def frame_label(scene: Scene, frame: int | None) -> str:
    """The true step in words; a change-over frame says that it is a blend and no surface of its own."""
    timeline = scene.timeline
    if timeline is None or frame is None:
        return ""
    text = timeline.label[frame]
    return f"{text} · blend, no surface of its own" if timeline.cosmetic is not None and timeline.cosmetic[frame] else text


def _default_width(scene: Scene, columns: int) -> float:
    """Inches of paper: a pane is 5 wide alone, 4.4 beside another, and less in a gallery."""
    if columns == 1:
        return 6.4 if scene.panes[0].kind in FIELD_PANES else 6.0
    return {2: 9.6, 3: 11.4}.get(columns, 3.0 * columns + 0.8)


def _row_heights(scene: Scene, column: float) -> tuple[float, ...]:
    """Inches per row, from the tallest kind of pane in it."""
    rows = max(pane.row + pane.row_span for pane in scene.panes)
    heights = [0.0] * rows
    for pane in scene.panes:
        for row in range(pane.row, pane.row + pane.row_span):
            heights[row] = max(heights[row], _pane_height(pane, column) / pane.row_span)
    return tuple(height or 0.4 * column for height in heights)


def _pane_height(pane: Pane, column: float) -> float:
    """Inches that suit a kind of pane in a column of this width; words take the lines they need."""
    if pane.kind == "text":
        return 0.25 + 0.19 * (1 + len(pane.text) * 0.075 / (column * pane.column_span) + pane.text.count("\n"))
    tall = {"contour": 0.86, "surface": 0.8 if column > 4 else 0.92, "areas": 0.9, "line": 0.62, "curves": 0.5, "histogram": 0.6}
    return tall.get(pane.kind, 0.6) * column * min(pane.column_span, 1.5)


def _draw_pane(drawn: Figure, scene: Scene, pane: Pane) -> PaneArtists:
    if pane.kind not in PANES:
        raise InputError("pane kind", pane.kind, f"one of {', '.join(PANES)}")
    axes = drawn.add_axes((0.3, 0.3, 0.4, 0.4), projection="3d" if pane.kind == "surface" else None)
    one = PANES[pane.kind](axes, scene, pane)
    if pane.kind in ("contour", "areas"):
        _equal_where_alike(axes)
    return one


def _equal_where_alike(axes: Axes) -> None:
    """Equal units on both axes, unless that would make a thin strip."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    if 0.5 <= (right - left) / (top - bottom) <= 2:
        axes.set_aspect("equal")


def _pane_title(drawn: Figure, pane: PaneArtists) -> Text:
    return drawn.text(0, 0, pane.pane.title, fontsize=PANE_TITLE, ha="center" if pane.is_relief else "left", va="top")


def _rotation_azimuths(scene: Scene) -> tuple[float, ...]:
    if scene.timeline is None or scene.timeline.rotation is None:
        return ()
    low, high = float(np.min(scene.timeline.rotation)), float(np.max(scene.timeline.rotation))
    return tuple(np.linspace(low, high, 9))


def _arrange_all(sheet: Sheet, scene: Scene, wide: float, lines: tuple[str, ...]) -> Text | None:
    """Header, panes, legend and foot from top to bottom; the figure grows as tall as they need."""
    inner = wide - 2 * MARGIN
    header = add_header(sheet.figure, scene, inner)
    legend = add_legend(sheet.figure, shared_handles(sheet), inner)
    foot = "\n".join(wrapped(sheet.figure, [line], inner, NOTE) for line in lines)
    note = sheet.figure.text(0, 0, foot, fontsize=NOTE, color=FAINT, va="bottom", ha="left", linespacing=1.3) if foot else None
    label = sheet.figure.text(0, 0, "", fontsize=SUBTITLE, ha="right", va="top", fontweight="bold") if scene.timeline is not None else None
    above = max(sum(height_of(text) + 0.05 for text in header), 0.2 if label is not None else 0.0)
    below_note = height_of(note) + 0.08 if note is not None else 0.0
    below = below_note + (height_of(legend) + 0.12 if legend is not None else 0.0)
    tall = sum(sheet.row_heights) + GAP * (len(sheet.row_heights) - 1) + above + below + 2 * MARGIN
    tall = 2 * np.ceil(tall * sheet.figure.dpi / 2) / sheet.figure.dpi
    sheet.figure.set_size_inches(wide, tall)
    stack_header(header, wide, tall)
    if label is not None:
        label.set_position(((wide - MARGIN) / wide, (tall - MARGIN) / tall))
    if note is not None:
        note.set_position((MARGIN / wide, MARGIN / tall))
    if legend is not None:
        legend.set_bbox_to_anchor((MARGIN / wide, (MARGIN + below_note) / tall))
    arrange(sheet, layout.Frame(MARGIN, MARGIN + below, wide - MARGIN, tall - MARGIN - above))
    _thin_ticks(sheet, wide)
    place_legends(sheet)
    return label


def _thin_ticks(sheet: Sheet, wide: float) -> None:
    """Fewer numbers below narrow panes, where they would touch."""
    for drawn in sheet.panes:
        axes = drawn.axes
        if not drawn.is_relief and axes.get_xscale() == "linear" and axes.get_position().width * wide < NARROW:
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


__all__ = ["FigureArtists", "StandaloneFigure", "check_suffix", "draw", "encoded", "figure", "frame_label", "save"]
