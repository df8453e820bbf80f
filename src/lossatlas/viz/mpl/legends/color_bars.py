"""Color bars beside the panes that share a scale."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lossatlas.viz.mpl.layout import Bar
from lossatlas.viz.mpl.panes.base import PaneArtists
from lossatlas.viz.mpl.ticks import scale_ticks, tick_labels
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.model import ColorScale, Pane, Scene
from lossatlas.viz.scene.value_ranges import levels_of, limits_of, panes_by_scale

MOST_NUMBERED = 3
"""Reliefs of one scale that carry numbers on their axes."""


def add_color_bars(drawn: Figure, scene: Scene, panes: tuple[PaneArtists, ...]) -> tuple[Bar, ...]:
    """One bar for all the maps that share a scale, and none for reliefs alone: their height says the same.

    A relief beside such a map gives up the label of its height, which the bar has. In a gallery of reliefs the bar takes the place
    of all their numbers, which would be too many to read.
    """
    bars = []
    for color, group in panes_by_scale(scene).items():
        maps = [pane for pane in group if pane.kind == "contour"]
        if not maps and len(group) > MOST_NUMBERED:
            maps = group
            for one in panes:
                if one.pane in group:
                    one.axes.set(xticks=[], yticks=[], zticks=[])
                    one.axes.xaxis.labelpad = one.axes.yaxis.labelpad = -11
        if maps:
            bars.append(_add_color_bar(drawn, scene, color, group, tuple(one for one in panes if one.pane in maps)))
            for one in panes:
                if one.pane in group and one.is_relief:
                    one.axes.set_zlabel("")
    return tuple(bars)


def _add_color_bar(drawn: Figure, scene: Scene, color: ColorScale, group: list[Pane], members: tuple[PaneArtists, ...]) -> Bar:
    limits = limits_of(scene, group[0])
    axes = drawn.add_axes((0.9, 0.3, 0.02, 0.4), label="color bar")
    mappable = members[0].mappable
    assert mappable is not None
    bar = drawn.colorbar(mappable, cax=axes, extend=_extend(scene, group, limits), extendfrac=0.04)
    bar.set_ticks((ticks := scale_ticks(color, limits)).tolist(), labels=tick_labels(ticks))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.outline.set_linewidth(0.6)  # pyright: ignore[reportCallIssue]
    bar.ax.hlines(levels_of(color, limits)[1:-1], 0, 1, color="black", alpha=0.5, linewidth=0.4)
    label = _bar_label(scene, group[0])
    bar.set_label(f"{label}, log scale" if color.scale == "log" else label)
    return Bar(axes, members, shared=len(members) > 1)


def _bar_label(scene: Scene, pane: Pane) -> str:
    field = next((s.fields[pane.quantity] for s in map(scene.surface, pane.surfaces) if pane.quantity in s.fields), None)
    return pane.quantity if field is None else field.label


def _extend(scene: Scene, group: list[Pane], limits: tuple[float, float]) -> str:
    """An arrow at the end of the bar where cells lie beyond it."""
    shown = [classify_cells(scene.surface(name), scene.color_of(pane), pane.quantity).drawable for pane in group for name in pane.surfaces]
    values = np.concatenate([v.ravel() for v in shown]) if shown else np.zeros(0)
    above, below = bool((values > limits[1]).any()), bool((values < limits[0]).any())
    return {(True, True): "both", (True, False): "max", (False, True): "min"}.get((above, below), "neither")
