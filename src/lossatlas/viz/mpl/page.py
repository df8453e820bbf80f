"""What stands round the panes: title, legend and color bars."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import NullLocator

from lossatlas.viz.mpl.layout import MARGIN, Bar, Sheet, wrapped
from lossatlas.viz.mpl.legend import place_legend
from lossatlas.viz.mpl.panes.base import PaneArtists
from lossatlas.viz.mpl.style import SUBTITLE, TITLE
from lossatlas.viz.mpl.ticks import scale_ticks, tick_labels
from lossatlas.viz.scene.cell_masks import classify_cells, levels_of, limits_of
from lossatlas.viz.scene.model import ColorScale, Pane, Scene

OWN_LEGEND = ("curves", "histogram")
"""Kinds of panes that may carry a legend of their own."""


def add_color_bar(drawn: Figure, scene: Scene, color: ColorScale, group: list[Pane], panes: tuple[PaneArtists, ...]) -> Bar:
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
    shown = [classify_cells(scene.surface(name), scene.color_of(pane), pane.quantity).drawable for pane in group for name in pane.surfaces]
    values = np.concatenate([v.ravel() for v in shown]) if shown else np.zeros(0)
    above, below = bool((values > limits[1]).any()), bool((values < limits[0]).any())
    return {(True, True): "both", (True, False): "max", (False, True): "min"}.get((above, below), "neither")


def add_header(drawn: Figure, scene: Scene, width: float) -> list[Text]:
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


def stack_header(header: list[Text], wide: float, tall: float) -> None:
    y = tall - MARGIN
    for text in header:
        text.set_position((MARGIN / wide, y / tall))
        y -= height_of(text) + 0.05


def shared_handles(sheet: Sheet) -> list[Any]:
    """Entries for the figure's legend, each once; curves that no map and no other pane explains get a legend in their own pane."""
    maps = {h.get_label() for drawn in sheet.panes if drawn.pane.kind not in OWN_LEGEND for h in drawn.handles}
    told = [{_look(h) for h in drawn.handles} for drawn in sheet.panes if drawn.pane.kind in OWN_LEGEND and drawn.handles]
    maps |= {label for one, other in permutations(told, 2) if one <= other for label, _ in other}
    shared = {}
    for drawn in sheet.panes:
        if drawn.pane.kind in OWN_LEGEND and len(sheet.panes) > 1 and not {h.get_label() for h in drawn.handles} <= maps:
            if len({h.get_label() for h in drawn.handles}) > 1:
                handles = list({_look(h): h for h in drawn.handles}.values())
                (drawn.twin or drawn.axes).legend(handles=handles, loc="best", frameon=True, framealpha=0.85, edgecolor="none")
        else:
            shared |= {_look(h): h for h in drawn.handles}
    return list(shared.values())


def place_legends(sheet: Sheet) -> None:
    """Legends within curves panes move to where they cover nothing, once the panes have their places."""
    for drawn in sheet.panes:
        legend = (drawn.twin or drawn.axes).get_legend() if drawn.pane.kind == "curves" else None
        if legend is not None:
            place_legend(legend, drawn.axes, drawn.twin)


def _look(handle: Any) -> tuple[str, str]:
    """What makes two entries of a legend the same."""
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
