"""Path artist: outline, fading with the distance from the plane, hidden parts, current step, marked points."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

from lossatlas.viz.mpl.style import Palette, blend, map_line_color
from lossatlas.viz.scene.footnotes import is_off_plane
from lossatlas.viz.scene.model import BoolArray, FloatArray, PathData, Scene

MOST_POINTS = 3000
"""A longer path is thinned to this many points, far more than a figure is wide; no timeline step is left out."""
FAINTEST = 0.3
"""Opacity of a path where it is as far off the plane as it is long, or farther."""
FADED_LABEL = "paler: farther off the plane"

_PATTERN = {"solid": "-", "dashed": (0, (4.2, 1.6)), "dashdot": (0, (5.2, 1.4, 1.2, 1.4)), "dotted": (0, (1.2, 1.1))}


class FadingLine(LineCollection):
    """A line whose opacity changes from point to point, with the interface of a `Line2D`."""

    def __init__(self, color: str, opacity: FloatArray, **style: Any) -> None:
        super().__init__([], **style)
        self.opacity, self.rgb = opacity, to_rgb(color)
        self.points = np.empty((0, 2))

    def set_data(self, x: FloatArray, y: FloatArray) -> None:
        self.points = np.column_stack([x, y])
        pieces = np.stack([self.points[:-1], self.points[1:]], axis=1) if len(x) > 1 else np.empty((0, 2, 2))
        seen = np.isfinite(pieces).all(axis=(1, 2))
        self.set_segments(list(pieces[seen]))
        opacity = ((self.opacity[1:] + self.opacity[:-1]) / 2)[: len(pieces)][seen]
        self.set_color([(*self.rgb, float(alpha)) for alpha in opacity])

    def get_xdata(self) -> FloatArray:
        return self.points[:, 0]

    def get_ydata(self) -> FloatArray:
        return self.points[:, 1]

    def do_3d_projection(self) -> float:
        """3-D axes ask this of every collection; the points are projected already."""
        return 0.0


@dataclass(frozen=True)
class PathArtist:
    """A path in the coordinates of its axes, (n,) each; NaN where it has left the window."""

    x: FloatArray
    y: FloatArray
    step: np.ndarray
    hidden: BoolArray
    lines: tuple[Line2D | FadingLine, Line2D, Line2D | FadingLine]
    current_marker: Line2D
    start: Line2D
    trail_dots: Line2D
    marked_points: BoolArray
    label: str
    color: str
    stems: LineCollection | None = None
    stem_ends: FloatArray = field(default_factory=lambda: np.empty((0, 2, 2)))
    """Foot and top of the stem of each point, (n, 2, 2); NaN where there is none."""

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
        if self.stems is not None:
            ends = self.stem_ends[:count]
            self.stems.set_segments(list(ends[np.isfinite(ends).all(axis=(1, 2))]))

    def _place_ball(self, x: FloatArray, y: FloatArray, hidden: BoolArray) -> None:
        here = len(x) and np.isfinite(x[-1]) and np.isfinite(y[-1])
        self.current_marker.set_data([x[-1]] if here else [], [y[-1]] if here else [])
        self.current_marker.set_alpha(0.45 if here and hidden[-1] else 1.0)

    def visible_end(self, axes: Axes) -> tuple[float, float] | None:
        """The last point within the axes."""
        usable = np.flatnonzero(np.isfinite(self.x) & np.isfinite(self.y))
        pixels = axes.transData.transform(np.column_stack([self.x[usable], self.y[usable]]))
        window = axes.get_window_extent().padded(1.0)
        inside = usable[(pixels >= window.min).all(axis=1) & (pixels <= window.max).all(axis=1)] if usable.size else usable
        return (float(self.x[inside[-1]]), float(self.y[inside[-1]])) if inside.size else None

    def annotate_end(self, axes: Axes, offset: tuple[float, float] = (6, 0)) -> Annotation | None:
        """Write the label this many points beside the last visible point; None where there is no such point."""
        end = self.visible_end(axes)
        if end is None:
            return None
        text = axes.annotate(
            self.label,
            end,
            xytext=offset,
            xycoords=axes.transData,
            textcoords="offset points",
            color=self.color,
            fontsize=rcParams["legend.fontsize"],
            fontweight="bold",
            zorder=9,
            path_effects=[withStroke(linewidth=2.4, foreground="white")],
        )
        move_label(text, offset)
        return text

    @property
    def moving(self) -> list[Artist]:
        return [*self.lines, self.current_marker, self.trail_dots, *([] if self.stems is None else [self.stems])]


class StemLines(LineCollection):
    """Lines already projected, from a path to the loss of its iterates."""

    def do_3d_projection(self) -> float:
        """3-D axes ask this of every collection."""
        return 0.0


def add_stems(axes: Axes, track: PathArtist, ends: FloatArray) -> PathArtist:
    """A path with stems, (n, 2, 2), in the coordinates of its axes."""
    stems = StemLines([], colors=[track.color], linewidths=0.9, alpha=0.8, zorder=5.8, transform=axes.transData)
    axes.add_artist(stems)
    return replace(track, stems=stems, stem_ends=ends)


def move_label(text: Annotation, offset: tuple[float, float]) -> None:
    """Put a label this many points off its place, its nearest edge or corner there."""
    x, y = offset
    text.set(
        position=offset, ha="left" if x > 0 else "right" if x < 0 else "center", va="bottom" if y > 0 else "top" if y < 0 else "center"
    )


def add_path(axes: Axes, scene: Scene, path: PathData, x: FloatArray, y: FloatArray, hidden: BoolArray, indices: np.ndarray) -> PathArtist:
    """Put a path on `axes`; `x`, `y` are its drawing coordinates at the indices `kept`."""
    color, pattern = color_of_path(scene, path), _PATTERN[path.dash]
    scale = min(float(rcParams["font.size"]) / 9.0, 1.2)
    wide = scale * (0.55 if _is_jagged(x, y) else 1.0)
    halo = _stroke(axes, path, "white", 3.2 * wide, "-", indices, 6.0, strength=0.9)
    dim = _line(axes, color=color, linewidth=1.1 * wide, alpha=0.38, linestyle=pattern, zorder=6.1)
    bright = _stroke(axes, path, color, 1.8 * wide, pattern, indices, 6.2)
    ball = _line(axes, color=color, marker="o", markersize=6.0 * scale, markeredgecolor="white", markeredgewidth=1.0, zorder=8)
    start = _line(axes, color="white", marker="o", markersize=4.2 * scale, markeredgecolor=color, markeredgewidth=1.4, zorder=7)
    dots = _line(
        axes, color="white", marker="D", markersize=4.6 * scale, markeredgecolor=color, markeredgewidth=1.4, linestyle="none", zorder=8.5
    )
    if len(x) and np.isfinite(x[0]) and np.isfinite(y[0]):
        start.set_data([x[0]], [y[0]])
        start.set_alpha(0.5 if hidden[0] else 1.0)
    marked = np.isin(indices, path.marks)
    return PathArtist(x, y, path.step[indices], hidden, (halo, dim, bright), ball, start, dots, marked, path.label or path.name, color)


def opacity_of(path: PathData) -> FloatArray | None:
    """Opacity of each point, (step,): 1 on the plane, `FAINTEST` where it is as far off as the path is long; None on the plane.

    The distance is compared with the extent on the plane where the units of both are known (`PathData.stem`), else with the largest.
    """
    if not is_off_plane(path) or path.residual is None:
        return None
    finite = np.isfinite(path.alpha) & np.isfinite(path.beta)
    extent = max(float(np.ptp(path.alpha[finite])), float(np.ptp(path.beta[finite])), 1e-300) if finite.any() else 1.0
    distance = np.nan_to_num(path.residual if path.stem is None else path.stem)
    share = distance / (extent if path.stem is not None else max(float(distance.max()), 1e-300))
    return 1 - (1 - FAINTEST) * np.clip(share, 0, 1)


def _stroke(
    axes: Axes, path: PathData, color: str, width: float, pattern: Any, indices: np.ndarray, zorder: float, strength: float = 1.0
) -> Line2D | FadingLine:
    """A line along the path, of opacity `strength` on the plane."""
    opacity = opacity_of(path)
    if opacity is None:
        return _line(axes, color=color, linewidth=width, linestyle=pattern, zorder=zorder, alpha=strength, solid_capstyle="round")
    line = FadingLine(color, strength * opacity[indices], linewidths=width, zorder=zorder, transform=axes.transData)
    line.set_clip_path(axes.patch)
    axes.add_artist(line)
    return line


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
    return path.color or map_line_color(labels.index(path.label or path.name))


def faded_color(scene: Scene, path: PathData) -> str:
    """Color of the legend's sample of a path far off the plane: opaque, so that a GIF's palette can hold it."""
    return blend(color_of_path(scene, path), Palette.current().background, FAINTEST + 0.15)


def path_handles(scene: Scene, names: tuple[str, ...]) -> list[Line2D]:
    """The legend's samples of paths, and what it means that some are paler."""
    paths = [scene.path(name) for name in names]
    faded = any(opacity_of(path) is not None for path in paths)
    sample = Line2D([], [], color=faded_color(scene, paths[0]), linewidth=1.8, label=FADED_LABEL) if faded else None
    return [*(path_handle(scene, path) for path in paths), *([sample] if sample is not None else [])]


def path_handle(scene: Scene, path: PathData) -> Line2D:
    """The legend's sample of a path."""
    dash = _PATTERN[path.dash] if opacity_of(path) is None else "-"
    return Line2D([], [], color=color_of_path(scene, path), linestyle=dash, linewidth=1.8, label=path.label or path.name)


def stem_handle(scene: Scene, name: str) -> Line2D:
    """The legend's sample of stems: upright, in the color of their path."""
    style: dict[str, Any] = {"marker": "|", "markersize": 9, "linestyle": "none"}
    return Line2D([], [], color=color_of_path(scene, scene.path(name)), label="up or down to the iterate's own loss", **style)


def pattern(dash: str) -> object:
    return _PATTERN[dash]


def _line(axes: Axes, **style: object) -> Line2D:
    """A line in the axes' 2-D data coordinates, which takes no part in autoscaling, also on 3-D axes."""
    line = Line2D([], [], transform=axes.transData, **style)  # pyright: ignore[reportArgumentType]
    line.set_clip_path(axes.patch)
    axes.add_artist(line)
    return line
