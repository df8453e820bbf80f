"""A scene drawn with matplotlib: `figure` lays it out, `save` writes PNG, SVG or PDF.

Figures stand alone: no pyplot, no display, no change to the user's settings.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import NullLocator

from lossatlas.errors import InputError
from lossatlas.view.cells import FIELD_PANES, levels_of, limits_of, panes_by_scale
from lossatlas.view.draw import areas, contour, flat, layout, surface
from lossatlas.view.draw.corner import clear_corner
from lossatlas.view.draw.layout import GAP, MARGIN, Bar, Sheet, arrange, wrapped
from lossatlas.view.draw.pane import Drawn, changes
from lossatlas.view.draw.style import FAINT, NOTE, PANE_TITLE, SUBTITLE, TITLE, styled
from lossatlas.view.draw.ticks import scale_ticks, tick_labels
from lossatlas.view.honesty import foot_notes
from lossatlas.view.scene import ColorScale, Pane, Scene

PANES: dict[str, Callable[[Any, Scene, Pane], Drawn]] = {
    "contour": contour.draw,
    "surface": surface.draw,
    "line": flat.draw_line,
    "curves": flat.draw_curves,
    "areas": areas.draw,
    "histogram": flat.draw_histogram,
    "text": flat.draw_text,
}
"""One entry a kind of pane; a new kind is one file and one line here."""

OWN_LEGEND = ("curves", "histogram")

FORMATS = {
    ".png": {"Software": "lossatlas"},
    ".pdf": {"CreationDate": None, "Creator": "lossatlas"},
    ".svg": {"Date": None, "Creator": "lossatlas"},
}


class Picture(Figure):
    """A figure that a notebook shows without pyplot."""

    def draw(self, renderer: Any) -> None:
        """Draw in our style, whoever asks."""
        with styled():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return encoded(self, ".png", 144)


@dataclass(frozen=True)
class Drawing:
    """A scene on a figure, ready to be saved or brought from frame to frame."""

    figure: Figure
    scene: Scene
    panes: tuple[Drawn, ...]
    label: Text | None

    def show(self, frame: int | None) -> None:
        """Bring every pane and the frame's label to `frame`; None shows all paths whole."""
        for pane in self.panes:
            pane.show(frame)
        if self.label is not None and self.scene.timeline is not None:
            self.label.set_text(frame_label(self.scene, frame))


def figure(scene: Scene, *, width: float | None = None, frame: int | None = None) -> Figure:
    """Draw a scene: at a `frame` of its timeline, or with all paths whole and changing fields as they are in the end.

    Args:
        width: of the figure in inches; by default what its panes need in print.

    Raises:
        InputError: a pane that names nothing drawable, an unknown quantity, colormap or kind.
    """
    with styled():
        drawing = draw(scene, width=width)
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


def draw(scene: Scene, *, width: float | None = None, pixels: int | None = None) -> Drawing:
    """Build the figure of a scene with all its panes; call inside `styled()`.

    Args:
        width: of the figure in inches.
        pixels: of the width, for animations; both sides are then an even number of them, which video wants.
    """
    if not scene.panes:
        raise InputError("scene", "no panes", "at least one pane")
    columns = max(pane.column + pane.column_span for pane in scene.panes)
    wide = width or _default_width(scene, columns)
    sheet_figure = Picture(figsize=(wide, wide), dpi=150 if pixels is None else 2 * (pixels // 2) / wide)
    FigureCanvasAgg(sheet_figure)
    panes = tuple(_draw_pane(sheet_figure, scene, pane) for pane in scene.panes)
    titles = {id(drawn.axes): _pane_title(sheet_figure, drawn) for drawn in panes if drawn.pane.title}
    bars = tuple(_color_bar(sheet_figure, scene, color, group, panes) for color, group in panes_by_scale(scene).items())
    rows = _row_heights(scene, (wide - 2 * MARGIN - GAP * (columns - 1)) / columns)
    sheet = Sheet(sheet_figure, panes, bars, titles, rows, columns, _turns(scene))
    label = _arrange_all(sheet, scene, wide)
    return Drawing(sheet_figure, scene, panes, label)


def save(drawn: Figure, path: str | os.PathLike[str], *, dpi: float = 200) -> Path:
    """Write a figure; the suffix chooses PNG, SVG or PDF. The file appears whole or not at all.

    Raises:
        InputError: another suffix.
    """
    target = check_suffix(path)
    vector = target.suffix.lower() != ".png"
    write_atomically(target, encoded(drawn, target.suffix.lower(), 300 if vector else dpi))
    return target


def check_suffix(path: str | os.PathLike[str]) -> Path:
    """The path, if its suffix is one that `save` can write."""
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise InputError("path", str(path), "a file name ending in .png, .svg or .pdf")
    return target


def encoded(drawn: Figure, suffix: str, dpi: float) -> bytes:
    """The file's bytes; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with styled():
        drawn.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=FORMATS[suffix])
    return buffer.getvalue()


def write_atomically(target: Path, data: bytes) -> None:
    """Replace a file in one step, making its folder where needed.

    Raises:
        InputError: the place cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError("path", str(target), "a place that can be written", f"The system says: {error.strerror or error}") from error


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


def _draw_pane(drawn: Figure, scene: Scene, pane: Pane) -> Drawn:
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


def _pane_title(drawn: Figure, pane: Drawn) -> Text:
    return drawn.text(0, 0, pane.pane.title, fontsize=PANE_TITLE, ha="center" if pane.is_relief else "left", va="top")


def _color_bar(drawn: Figure, scene: Scene, color: ColorScale, group: list[Pane], panes: tuple[Drawn, ...]) -> Bar:
    """One bar for all the panes that share a scale: bands and lines where one of them is a map, smooth for reliefs alone."""
    members = tuple(one for one in panes if one.pane in group)
    limits = limits_of(scene, group[0])
    axes = drawn.add_axes((0.9, 0.3, 0.02, 0.4), label="color bar")
    mappable = members[0].mappable
    assert mappable is not None
    banded = any(pane.kind == "contour" for pane in group)
    bar = drawn.colorbar(mappable, cax=axes, extend=_extend(scene, group, limits), extendfrac=0.04)
    bar.set_ticks((ticks := scale_ticks(color, limits)).tolist(), labels=tick_labels(ticks))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.outline.set_linewidth(0.6)  # pyright: ignore[reportCallIssue]
    if banded:
        bar.ax.hlines(levels_of(color, limits)[1:-1], 0, 1, color="black", alpha=0.5, linewidth=0.4)
    bar.set_label(f"{_bar_label(scene, group[0])} ({color.scale} scale)")
    return Bar(axes, members, shared=len(members) > 1)


def _bar_label(scene: Scene, pane: Pane) -> str:
    found = next((s.fields[pane.quantity] for s in map(scene.surface, pane.surfaces) if pane.quantity in s.fields), None)
    return pane.quantity if found is None else found.label


def _extend(scene: Scene, group: list[Pane], limits: tuple[float, float]) -> str:
    """An arrow at the end of the bar where cells lie beyond it."""
    from lossatlas.view.cells import cells_of

    shown = [cells_of(scene.surface(name), scene.color_of(pane), pane.quantity).drawable for pane in group for name in pane.surfaces]
    values = np.concatenate([v.ravel() for v in shown]) if shown else np.zeros(0)
    above, below = bool((values > limits[1]).any()), bool((values < limits[0]).any())
    return {(True, True): "both", (True, False): "max", (False, True): "min"}.get((above, below), "neither")


def _turns(scene: Scene) -> tuple[float, ...]:
    if scene.timeline is None or scene.timeline.rotation is None:
        return ()
    low, high = float(np.min(scene.timeline.rotation)), float(np.max(scene.timeline.rotation))
    return tuple(np.linspace(low, high, 9))


def _arrange_all(sheet: Sheet, scene: Scene, wide: float) -> Text | None:
    """Header, panes, legend and foot from top to bottom; the figure grows as tall as they need."""
    inner = wide - 2 * MARGIN
    header = _header(sheet.figure, scene, inner)
    legend = _legend(sheet.figure, _shared_handles(sheet), inner)
    foot = wrapped(sheet.figure, foot_notes(scene), inner, NOTE)
    note = sheet.figure.text(0, 0, foot, fontsize=NOTE, color=FAINT, va="bottom", ha="left", linespacing=1.3) if foot else None
    label = sheet.figure.text(0, 0, "", fontsize=SUBTITLE, ha="right", va="top", fontweight="bold") if scene.timeline is not None else None
    above = max(sum(_tall(text) + 0.05 for text in header), 0.2 if label is not None else 0.0)
    below_note = _tall(note) + 0.08 if note is not None else 0.0
    below = below_note + (_tall(legend) + 0.06 if legend is not None else 0.0)
    tall = sum(sheet.row_heights) + GAP * (len(sheet.row_heights) - 1) + above + below + 2 * MARGIN
    tall = 2 * np.ceil(tall * sheet.figure.dpi / 2) / sheet.figure.dpi
    sheet.figure.set_size_inches(wide, tall)
    _stack_header(header, wide, tall)
    if label is not None:
        label.set_position(((wide - MARGIN) / wide, (tall - MARGIN) / tall))
    if note is not None:
        note.set_position((MARGIN / wide, MARGIN / tall))
    if legend is not None:
        legend.set_bbox_to_anchor((MARGIN / wide, (MARGIN + below_note) / tall))
    arrange(sheet, layout.Frame(MARGIN, MARGIN + below, wide - MARGIN, tall - MARGIN - above))
    return label


def _header(drawn: Figure, scene: Scene, width: float) -> list[Text]:
    """Title and subtitle, broken where the figure ends; an animation keeps the right third for the frame's label."""
    room = width * (0.66 if scene.timeline is not None else 1.0)
    lines = [(scene.title, TITLE, "bold"), (scene.subtitle, SUBTITLE, "normal")]
    return [
        drawn.text(
            0,
            0,
            wrapped(drawn, [text], room, size * (1.12 if weight == "bold" else 1)),
            fontsize=size,
            fontweight=weight,
            va="top",
            ha="left",
        )
        for text, size, weight in lines
        if text
    ]


def _stack_header(header: list[Text], wide: float, tall: float) -> None:
    y = tall - MARGIN
    for text in header:
        text.set_position((MARGIN / wide, y / tall))
        y -= _tall(text) + 0.05


def _shared_handles(sheet: Sheet) -> list[Any]:
    """Entries for the figure's legend, each once; curves that no map explains get a legend in their own pane."""
    maps = {h.get_label() for drawn in sheet.panes if drawn.pane.kind not in OWN_LEGEND for h in drawn.handles}
    shared = {}
    for drawn in sheet.panes:
        if drawn.pane.kind in OWN_LEGEND and len(sheet.panes) > 1 and not {h.get_label() for h in drawn.handles} <= maps:
            if len(drawn.handles) > 1:
                place = clear_corner(drawn.axes, drawn.twin) if drawn.pane.kind == "curves" else "best"
                (drawn.twin or drawn.axes).legend(handles=drawn.handles, loc=place, frameon=True, framealpha=0.85, edgecolor="none")
        else:
            shared |= {(h.get_label(), str(getattr(h, "get_color", h.get_label)())): h for h in drawn.handles}
    return list(shared.values())


def _legend(drawn: Figure, handles: list[Any], width: float) -> Any:
    """One legend below the panes, in as many columns as fit."""
    for columns in range(len(handles), 0, -1):
        spacing = {"borderpad": 0.1, "borderaxespad": 0.0, "columnspacing": 1.6, "handlelength": 2.4}
        legend = drawn.legend(handles=handles, loc="lower left", ncol=columns, **spacing)
        if columns == 1 or legend.get_window_extent().width / drawn.dpi <= width:
            return legend
        legend.remove()
    return None


def _tall(artist: Any) -> float:
    return artist.get_window_extent().height / artist.get_figure(root=True).dpi
