"""Placement of legends where they cover nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend

SHARES = (1.0, 0.0, 0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875)
"""Of the free width and height, in order of preference: corners, then edges, then inside."""
PAD = 0.02
MOST_ROOM = 0.5
"""A legend taller than this share of its pane would squash the curves; it then covers what it must."""


def place_legend(legend: Legend, axes: Axes, right_axes: Axes | None) -> None:
    """Move a legend to where it covers no curve; where there is no such place, the axes grow upward to make one.

    Call it when the axes have their final size and while every line still holds all of its points.
    """
    legend.borderaxespad = 0.0
    wide, tall = _size(legend, axes)
    points = np.concatenate([_points(one) for one in (axes, right_axes) if one is not None])
    places = [(PAD + x * (1 - 2 * PAD - wide), PAD + y * (1 - 2 * PAD - tall)) for y in SHARES for x in SHARES]
    covered = [(_inside(points, *place, wide, tall), _inside(points, *place, wide, tall, PAD / 2)) for place in places]
    best = min(range(len(places)), key=lambda k: covered[k])
    if covered[best][0] and tall <= MOST_ROOM:
        for one in (axes, right_axes):
            if one is not None:
                _make_room(one, tall + 2 * PAD)
        _move(legend, axes, places[0])
    else:
        _move(legend, axes, places[best])


def _move(legend: Any, axes: Axes, place: tuple[float, float]) -> None:
    legend.set_loc("lower left")
    legend.set_bbox_to_anchor(place, transform=axes.transAxes)


def _size(legend: Legend, axes: Axes) -> tuple[float, float]:
    """Width and height in shares of the pane."""
    box, pane = legend.get_window_extent(), axes.get_window_extent()
    return box.width / pane.width, box.height / pane.height


def _make_room(axes: Axes, share: float) -> None:
    """Raise the upper limit so that the uppermost share of the pane is empty; no tick stands in it."""
    low, high = axes.get_ylim()
    scale = axes.yaxis.get_transform()
    bottom, top = scale.transform(np.array([low, high]))
    raised = float(scale.inverted().transform(np.array([bottom + (top - bottom) / (1 - share)]))[0])
    if axes.get_yscale() == "linear":
        axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    axes.set_ylim(low, raised)


def _points(axes: Axes) -> np.ndarray:
    """Points along every line in shares of the pane, (n, 2), dense enough that a long straight piece counts."""
    points = [np.empty((0, 2))]
    for line in axes.lines:
        data = np.asarray(line.get_xydata(), float)
        placed = axes.transAxes.inverted().transform(line.get_transform().transform(data)) if len(data) else np.empty((0, 2))
        placed = placed[np.isfinite(placed).all(1)]
        if len(placed) > 1:
            at = np.linspace(0, len(placed) - 1, max(200, 20 * len(placed)) if len(placed) < 500 else 2 * len(placed))
            index = np.arange(len(placed))
            points.append(np.stack([np.interp(at, index, placed[:, k]) for k in (0, 1)], axis=1))
    return np.concatenate(points)


def _inside(points: np.ndarray, x: float, y: float, wide: float, tall: float, around: float = 0.0) -> int:
    low, high = (x - around, y - around), (x + wide + around, y + tall + around)
    return int(((points >= low) & (points <= high)).all(1).sum())
