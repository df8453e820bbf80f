"""Title, legend and color bars around the panes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from lossatlas.viz.mpl.layout import MARGIN, Sheet, wrapped
from lossatlas.viz.mpl.legend import place_legend
from lossatlas.viz.mpl.style import SUBTITLE, TITLE
from lossatlas.viz.scene.model import Scene

OWN_LEGEND = ("curves", "histogram")
"""Kinds of panes that may carry a legend of their own."""


def add_header(drawn: Figure, scene: Scene, width: float) -> list[Text]:
    """Title and subtitle, broken where the figure ends; an animation keeps the right third for the frame's label."""
    text_width = width * (0.66 if scene.timeline is not None else 1.0)
    lines = [(scene.title, TITLE, "bold"), (scene.subtitle, SUBTITLE, "normal")]
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
    return list(shared.values())


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
