"""Stems on a map: the distance of each iterate from the plane, on the scale of the axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lossatlas.viz.mpl.artists.path import PathArtist
from lossatlas.viz.scene.model import FloatArray, PathData

MOST_STEMS = 25
"""More would be a hedge; the first and last point are always among them."""
LABEL = "distance off the plane, to the scale of the vertical axis"


@dataclass(frozen=True)
class Stems:
    """Bars from where a point is drawn to as far above as it is off the plane."""

    x: FloatArray
    y: FloatArray
    top: FloatArray
    step: np.ndarray
    bars: Line2D
    heads: Line2D

    def show(self, step: int | None) -> None:
        """The stems of the way up to `step`, all of them where None."""
        count = len(self.step) if step is None else int(np.searchsorted(self.step, step, side="right"))
        x, gap = self.x[:count], np.full(count, np.nan)
        self.bars.set_data(np.stack([x, x, gap], 1).ravel(), np.stack([self.y[:count], self.top[:count], gap], 1).ravel())
        self.heads.set_data(x, self.top[:count])

    @property
    def moving(self) -> list[Artist]:
        return [self.bars, self.heads]


def add_stems(axes: Axes, path: PathData, track: PathArtist, indices: np.ndarray, color: str) -> Stems | None:
    """Stems of a path that knows their lengths (`Path.stem`), or None."""
    if path.stem is None or not (path.stem > 0).any():
        return None
    chosen = np.unique(np.linspace(0, len(indices) - 1, min(MOST_STEMS, len(indices))).round().astype(int))
    top = track.y[chosen] + path.stem[indices][chosen]
    bars = _line(axes, color=color, linewidth=0.8, alpha=0.75, zorder=5.8)
    heads = _line(axes, color=color, linestyle="none", marker="o", markersize=2.0, alpha=0.9, zorder=5.9)
    return Stems(track.x[chosen], track.y[chosen], top, track.step[chosen], bars, heads)


def stem_handle() -> Line2D:
    """The legend's sample of a stem."""
    style = {"color": "#555555", "marker": "o", "markersize": 2.4, "linewidth": 0.9}
    return Line2D([], [], label=LABEL, **style)  # pyright: ignore[reportArgumentType]


def _line(axes: Axes, **style: object) -> Line2D:
    line = Line2D([], [], transform=axes.transData, **style)  # pyright: ignore[reportArgumentType]
    line.set_clip_path(axes.patch)
    axes.add_artist(line)
    return line
