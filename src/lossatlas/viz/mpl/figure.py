"""Figure of a scene: panes, color bars, legends and caption laid out with matplotlib.

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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from lossatlas.errors import InputError
from lossatlas.viz.metadata.record import figure_metadata
from lossatlas.viz.metadata.writing import matplotlib_metadata
from lossatlas.viz.mpl.export import FORMATS, check_suffix, encoded, save
from lossatlas.viz.mpl.layout import Sheet
from lossatlas.viz.mpl.legends.color_bars import add_color_bars
from lossatlas.viz.mpl.mathtext import escape_broken_mathtext
from lossatlas.viz.mpl.page import compose_page
from lossatlas.viz.mpl.panes import contour, surface
from lossatlas.viz.mpl.panes import decision_regions as areas
from lossatlas.viz.mpl.panes import lines as flat
from lossatlas.viz.mpl.panes.base import PaneArtists, changes
from lossatlas.viz.mpl.panes.contour import equal_where_alike
from lossatlas.viz.mpl.sizes import Width, base_points, check_height, default_width, inches_of, reflow
from lossatlas.viz.mpl.style import Theme, current_settings, figure_settings, font_points, styled
from lossatlas.viz.scene.captions import CaptionSize
from lossatlas.viz.scene.captions import caption as caption_lines
from lossatlas.viz.scene.model import Pane, Scene

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


class StandaloneFigure(Figure):
    """A figure that a notebook shows without pyplot; it keeps the settings it was made with.

    Attributes:
        attrs: "caption", the full caption, a line each; "metadata", what a file of the figure carries (`FigureMetadata`).
        settings: the rcParams it was made with, and is drawn with again.
    """

    attrs: Mapping[str, Any] = MappingProxyType({})
    settings: Mapping[str, Any] | None = None

    def savefig(self, fname: Any, *, metadata: Mapping[str, Any] | None = None, **options: Any) -> None:
        """Write the figure as matplotlib does, with the full caption in the file where the format holds text."""
        suffix = f".{options.get('format') or Path(str(fname)).suffix[1:] or rcParams['savefig.format']}".lower()
        if suffix in FORMATS and "metadata" in self.attrs:
            metadata = {**matplotlib_metadata(suffix, self.attrs["metadata"]), **(metadata or {})}
        super().savefig(fname, metadata=metadata, **options)

    def draw(self, renderer: Any) -> None:
        """Draw in the style of the day it was made, whoever asks."""
        with styled(self.settings):
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return encoded(self, ".png", 144)

    def __reduce__(self) -> Any:
        """Pickle and copy by way of a function: the class goes under matplotlib's name."""
        state: Any = self.__getstate__()
        return _empty_figure, (), {**state, "attrs": dict(self.attrs)}


# Weights & Biases and Streamlit know a figure of matplotlib by the full name of its class alone.
StandaloneFigure.__module__, StandaloneFigure.__name__, StandaloneFigure.__qualname__ = Figure.__module__, "Figure", "Figure"


def _empty_figure() -> StandaloneFigure:
    return StandaloneFigure()


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


def figure(
    scene: Scene,
    *,
    width: Width = None,
    height: float | None = None,
    theme: Theme | None = None,
    bare: bool = False,
    caption: CaptionSize = "short",
    frame: int | None = None,
) -> Figure:
    """Draw a scene: at a `frame` of its timeline, or with all paths whole and changing fields as they are in the end.

    Args:
        width: of the figure: "column" (3.25 inches), "page" (6.75 inches) or inches; by default what its panes need on a screen.
        height: in inches; by default what the shapes of its panes ask for.
        theme: "light", "dark" or "print"; by default the colors of the user's rcParams, light where these are matplotlib's own.
        bare: reliefs without their box, maps without ticks and labels.
        caption: its size, as in `lossatlas.viz.scene.captions`.

    Raises:
        InputError: a pane that names nothing drawable, an unknown quantity, colormap, kind or theme, or no room for the panes.
    """
    wide = inches_of(width)
    check_height(height)
    with styled(figure_settings(theme, base_points(wide))):
        drawing = draw(scene, width=wide, height=height, bare=bare, caption_size=caption)
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


def draw(
    scene: Scene,
    *,
    width: float | None = None,
    height: float | None = None,
    pixels: int | None = None,
    bare: bool = False,
    caption_size: CaptionSize = "short",
) -> FigureArtists:
    """Build the figure of a scene with all its panes; call inside `styled()`.

    Args:
        width, height: of the figure in inches.
        pixels: of the width, for animations; both sides are then an even number of them, which video wants.
        bare: without box, ticks and labels.
        caption_size: "short", "full" or "none".
    """
    if not scene.panes:
        raise InputError("scene", "no panes", "at least one pane")
    metadata, scene = figure_metadata(scene), reflow(escape_broken_mathtext(scene), width)
    columns = max(pane.column + pane.column_span for pane in scene.panes)
    wide = width or default_width(scene, columns)
    sheet_figure = StandaloneFigure(figsize=(wide, wide), dpi=150 if pixels is None else 2 * (pixels // 2) / wide)
    sheet_figure.settings = current_settings()
    FigureCanvasAgg(sheet_figure)
    sheet_figure.attrs = {"caption": metadata.caption, "metadata": metadata}
    panes = tuple(_draw_pane(sheet_figure, scene, pane, bare) for pane in scene.panes)
    titles = {id(drawn.axes): _pane_title(sheet_figure, drawn) for drawn in panes if drawn.pane.title}
    bars = () if bare else add_color_bars(sheet_figure, scene, panes)
    sheet = Sheet(sheet_figure, panes, bars, titles, columns, _rotation_azimuths(scene), scene.timeline is not None)
    label = compose_page(sheet, scene, caption_lines(scene, caption_size), wide, height)
    return FigureArtists(sheet_figure, scene, panes, label)


def frame_label(scene: Scene, frame: int | None) -> str:
    """The true step in words; a change-over frame says that it is a blend and no surface of its own."""
    timeline = scene.timeline
    if timeline is None or frame is None:
        return ""
    text = timeline.label[frame]
    return f"{text} · blend, no surface of its own" if timeline.cosmetic is not None and timeline.cosmetic[frame] else text


def _draw_pane(drawn: Figure, scene: Scene, pane: Pane, bare: bool) -> PaneArtists:
    if pane.kind not in PANES:
        raise InputError("pane kind", pane.kind, f"one of {', '.join(PANES)}")
    axes = drawn.add_axes((0.3, 0.3, 0.4, 0.4), projection="3d" if pane.kind == "surface" else None)
    if bare and pane.kind in ("contour", "surface", "areas"):
        axes.set_axis_off()
    one = PANES[pane.kind](axes, scene, pane)
    if pane.kind in ("contour", "areas"):
        equal_where_alike(axes)
        axes.set_anchor("N" if pane.row_span == 1 else "C")  # maps of one row hang from one line
    return one


def _pane_title(drawn: Figure, pane: PaneArtists) -> Text:
    return drawn.text(0, 0, pane.pane.title, fontsize=font_points("axes.titlesize"), ha="left", va="top")


def _rotation_azimuths(scene: Scene) -> tuple[float, ...]:
    if scene.timeline is None or scene.timeline.rotation is None:
        return ()
    low, high = float(np.min(scene.timeline.rotation)), float(np.max(scene.timeline.rotation))
    return tuple(np.linspace(low, high, 9))


__all__ = ["FigureArtists", "StandaloneFigure", "check_suffix", "draw", "encoded", "figure", "frame_label", "save"]
