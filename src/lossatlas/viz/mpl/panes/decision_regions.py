"""Decision-region pane: tinted regions of a classifier on 2-D data, and the data points."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.lines import Line2D

from lossatlas.errors import InputError
from lossatlas.viz.colors import CLASS_COLORS
from lossatlas.viz.mpl.artists.cell_squares import edges_of
from lossatlas.viz.mpl.panes.base import PaneArtists
from lossatlas.viz.scene.model import DecisionRegions, Pane, Scene


def draw(axes: Axes, scene: Scene, pane: Pane) -> PaneArtists:
    """Draw the pane's decision areas; the map may change from frame to frame, the data never do."""
    if not pane.areas:
        raise InputError("areas pane", "no areas", "a pane that names decision areas of the scene")
    areas = scene.area(pane.areas[0])
    count = int(max(areas.classes.max(), areas.labels.max(initial=0))) + 1
    mesh = _mesh(axes, areas, count)
    _points(axes, areas)
    axes.set(xlabel=pane.x_label or "x", ylabel=pane.y_label or "y", xlim=(areas.x[0], areas.x[-1]), ylim=(areas.y[0], areas.y[-1]))

    def show(frame: int | None) -> None:
        if areas.classes.ndim == 3:
            mesh.set_array(_at(areas, len(areas.classes) - 1 if frame is None else frame).T)

    grows = areas.classes.ndim == 3
    return PaneArtists(pane, axes, show, redraws_every_frame=grows, handles=[_class_handle(k) for k in _classes_of(areas)])


def _mesh(axes: Axes, areas: DecisionRegions, count: int) -> Any:
    tints = ListedColormap([_tint(class_color(k)) for k in range(count)])
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, count)
    return axes.pcolormesh(
        edges_of(areas.x), edges_of(areas.y), _at(areas, 0).T, cmap=tints, norm=norm, shading="flat", antialiased=False, rasterized=True
    )


def _points(axes: Axes, areas: DecisionRegions) -> list[Artist]:
    colors = [class_color(int(k)) for k in areas.labels]
    size = float(np.clip(4000 / max(len(colors), 1), 3.0, 22.0))
    return [axes.scatter(areas.points[:, 0], areas.points[:, 1], s=size, c=colors, edgecolors="white", linewidths=0.35, zorder=3)]


def _classes_of(areas: DecisionRegions) -> list[int]:
    """Classes of the points, and those that some cell answers with."""
    return [int(k) for k in np.union1d(areas.labels, areas.classes) if k >= 0]


def class_color(index: int) -> str:
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def _class_handle(index: int) -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", markersize=5, color=class_color(int(index)), label=f"class {index}")


def _tint(color: str) -> tuple[float, float, float]:
    red, green, blue = (1 - 0.38 * (1 - part) for part in to_rgb(color))
    return red, green, blue


def _at(areas: DecisionRegions, frame: int) -> np.ndarray:
    return areas.classes if areas.classes.ndim == 2 else areas.classes[min(frame, len(areas.classes) - 1)]
