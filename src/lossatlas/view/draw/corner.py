"""The corner of a curves pane where its legend covers least, counting both axes and curves that have yet to grow."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

CORNERS = {
    "upper right": (1, 1),
    "lower left": (0, 0),
    "upper left": (0, 1),
    "lower right": (1, 0),
    "center right": (1, 0.5),
    "center left": (0, 0.5),
}
WIDE, TALL = 0.5, 0.45
"""Share of the pane that a legend is taken to cover."""


def clear_corner(axes: Axes, twin: Axes | None) -> Any:
    """A legend location of matplotlib; call it while every line still holds all of its points."""
    points = np.concatenate([_points(one) for one in (axes, twin) if one is not None])
    covered = {name: _inside(points, *corner) for name, corner in CORNERS.items()}
    return min(covered, key=lambda name: covered[name])


def _points(axes: Axes) -> np.ndarray:
    """Points along every line in shares of the pane, (n, 2), dense enough that a long straight piece counts."""
    found = [np.empty((0, 2))]
    for line in axes.lines:
        data = np.asarray(line.get_xydata(), float)
        placed = axes.transAxes.inverted().transform(line.get_transform().transform(data)) if len(data) else np.empty((0, 2))
        placed = placed[np.isfinite(placed).all(1)]
        if len(placed) > 1:
            at = np.linspace(0, len(placed) - 1, 200)
            index = np.arange(len(placed))
            found.append(np.stack([np.interp(at, index, placed[:, k]) for k in (0, 1)], axis=1))
    return np.concatenate(found)


def _inside(points: np.ndarray, x: float, y: float) -> int:
    left, bottom = x * (1 - WIDE), y * (1 - TALL)
    return int(((points >= (left, bottom)) & (points <= (left + WIDE, bottom + TALL))).all(1).sum())
