"""Path artist: outline, dashes, hidden parts, current step, marked points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lossatlas.viz.colors import path_color
from lossatlas.viz.scene.model import BoolArray, FloatArray, PathData, Scene

MOST_POINTS = 3000
"""A longer path is thinned to this many points, far more than a figure is wide; no timeline step is left out."""

_PATTERN = {"solid": "-", "dashed": (0, (4.2, 1.6)), "dashdot": (0, (5.2, 1.4, 1.2, 1.4)), "dotted": (0, (1.2, 1.1))}


@dataclass(frozen=True)
class PathArtist:
    """A path in the coordinates of its axes, (n,) each; NaN where it has left the window."""

    x: FloatArray
    y: FloatArray
    step: np.ndarray
    hidden: BoolArray
    lines: tuple[Line2D, Line2D, Line2D]
    current_marker: Line2D
    start: Line2D
    trail_dots: Line2D
    marked_points: BoolArray

    def show(self, step: int | None) -> None:
        """Draw the way up to `step`, all of it where None."""
        count = len(self.step) if step is None else int(np.searchsorted(self.step, step, side="right"))
        x, y, hidden = self.x[:count], self.y[:count], self.hidden[:count]
        halo, dim, bright = self.lines
        seen = np.where(hidden, np.nan, y)
        halo.set_data(x, seen)
        bright.set_data(x, seen)
        dim.set_data(x, y if hidden.any() else np.full_like(y, np.nan))
        self.trail_dots.set_data(x[self.marked_points[:count]], seen[self.marked_points[:count]])
        self._place_ball(x, y, hidden)

    def _place_ball(self, x: FloatArray, y: FloatArray, hidden: BoolArray) -> None:
        here = len(x) and np.isfinite(x[-1]) and np.isfinite(y[-1])
        self.current_marker.set_data([x[-1]] if here else [], [y[-1]] if here else [])
        self.current_marker.set_alpha(0.45 if here and hidden[-1] else 1.0)

    @property
    def moving(self) -> list[Artist]:
        return [*self.lines, self.current_marker, self.trail_dots]


def add_path(axes: Axes, scene: Scene, path: PathData, x: FloatArray, y: FloatArray, hidden: BoolArray, indices: np.ndarray) -> PathArtist:
    """Put a path on `axes`; `x`, `y` are its drawing coordinates at the indices `kept`."""
    color, pattern = color_of_path(scene, path), _PATTERN[path.dash]
    wide = 0.55 if _is_jagged(x, y) else 1.0
    halo = _line(axes, color="white", linewidth=3.2 * wide, alpha=0.9, zorder=6.0, solid_capstyle="round")
    dim = _line(axes, color=color, linewidth=1.1 * wide, alpha=0.38, linestyle=pattern, zorder=6.1)
    bright = _line(axes, color=color, linewidth=1.7 * wide, linestyle=pattern, zorder=6.2, solid_capstyle="round")
    ball = _line(axes, color=color, marker="o", markersize=6.5, markeredgecolor="white", markeredgewidth=1.0, zorder=8)
    start = _line(axes, color="white", marker="o", markersize=4.6, markeredgecolor=color, markeredgewidth=1.5, zorder=7)
    dots = _line(axes, color="white", marker="D", markersize=5.2, markeredgecolor=color, markeredgewidth=1.6, linestyle="none", zorder=8.5)
    if len(x) and np.isfinite(x[0]) and np.isfinite(y[0]):
        start.set_data([x[0]], [y[0]])
        start.set_alpha(0.5 if hidden[0] else 1.0)
    return PathArtist(x, y, path.step[indices], hidden, (halo, dim, bright), ball, start, dots, np.isin(indices, path.marks))


def _is_jagged(x: FloatArray, y: FloatArray) -> bool:
    """Whether the way is so much longer than its extent that a broad line would be a blot."""
    seen = np.isfinite(x) & np.isfinite(y)
    if seen.sum() < 3:
        return False
    extent = max(np.ptp(x[seen]), np.ptp(y[seen]), 1e-300)
    return float(np.hypot(np.diff(x[seen]), np.diff(y[seen])).sum()) > 4 * extent


def kept_points(scene: Scene, path: PathData) -> np.ndarray:
    """Indices of the points that are drawn: all, or an even choice that holds both ends, every timeline step and every mark."""
    count = len(path.step)
    if count <= MOST_POINTS:
        return np.arange(count)
    even = np.linspace(0, count - 1, MOST_POINTS).astype(int)
    indices = [] if scene.timeline is None else np.searchsorted(path.step, scene.timeline.step, side="right") - 1
    marked = [mark for mark in path.marks if 0 <= mark < count]
    return np.unique(np.concatenate([even, np.clip(indices, 0, count - 1).astype(int), marked]).astype(int))


def color_of_path(scene: Scene, path: PathData) -> str:
    """A path's own color, or one by its label, so that the same optimizer looks alike on every surface."""
    labels = list(dict.fromkeys(other.label or other.name for other in scene.paths))
    return path.color or path_color(labels.index(path.label or path.name))


def path_handle(scene: Scene, path: PathData) -> Line2D:
    """The legend's sample of a path."""
    return Line2D([], [], color=color_of_path(scene, path), linestyle=_PATTERN[path.dash], linewidth=1.7, label=path.label or path.name)


def pattern(dash: str) -> object:
    return _PATTERN[dash]


def _line(axes: Axes, **style: object) -> Line2D:
    """A line in the axes' 2-D data coordinates, which takes no part in autoscaling, also on 3-D axes."""
    line = Line2D([], [], transform=axes.transData, **style)  # pyright: ignore[reportArgumentType]
    line.set_clip_path(axes.patch)
    axes.add_artist(line)
    return line
