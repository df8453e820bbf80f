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
from lossatlas.viz.scene.value_ranges import levels_of, limits_of


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
    field = next((s.fields[pane.quantity] for s in map(scene.surface, pane.surfaces) if pane.quantity in s.fields), None)
    return pane.quantity if field is None else field.label


def _extend(scene: Scene, group: list[Pane], limits: tuple[float, float]) -> str:
    """An arrow at the end of the bar where cells lie beyond it."""
    shown = [classify_cells(scene.surface(name), scene.color_of(pane), pane.quantity).drawable for pane in group for name in pane.surfaces]
    values = np.concatenate([v.ravel() for v in shown]) if shown else np.zeros(0)
    above, below = bool((values > limits[1]).any()), bool((values < limits[0]).any())
    return {(True, True): "both", (True, False): "max", (False, True): "min"}.get((above, below), "neither")
