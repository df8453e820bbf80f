"""Box of a relief: camera, thin edges behind the surface, ticks and labels."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection

from lossatlas.viz.mpl.artists.occlusion import Projection3D
from lossatlas.viz.mpl.panes.base import has_axes
from lossatlas.viz.mpl.style import Palette
from lossatlas.viz.mpl.ticks import linear_ticks, scale_ticks, tick_labels
from lossatlas.viz.scene.model import ColorScale, FloatArray, Pane, Scene, Surface
from lossatlas.viz.scene.value_ranges import heights_of, limits_of

BOX_HEIGHT = 0.8
"""Height of the box in units of its longer side."""
FLOOR_GAP = 0.28
"""Room between the lowest value and the floor with its map, as a share of the range of values."""


class BoxEdges(LineCollection):
    """Lines already projected."""

    def do_3d_projection(self) -> float:
        """3-D axes ask this of every collection."""
        return 0.0


def set_up_box(axes: Any, scene: Scene, pane: Pane, surface: Surface) -> None:
    """Set the limits, the camera, ticks and labels of 3-D axes for a relief."""
    low, high = _box(scene, pane)
    beta = _beta(surface)
    axes.computed_zorder = False
    axes.patch.set_visible(False)
    axes.set_xlim(surface.alpha[0], surface.alpha[-1], view_margin=0)
    axes.set_ylim(beta[0], beta[-1], view_margin=0)
    axes.set_zlim(low, high, view_margin=0)
    axes.set_box_aspect((*_footprint(surface), BOX_HEIGHT), zoom=pane.camera.zoom)
    axes.set_proj_type("persp", focal_length=1.6)
    axes.view_init(elev=pane.camera.elevation, azim=pane.camera.azimuth)
    axes.grid(False)
    _set_up_axes(axes, pane, surface, scene)


def _set_up_axes(axes: Any, pane: Pane, surface: Surface, scene: Scene) -> None:
    color, palette = scene.color_of(pane), Palette.current()
    label = surface.fields[pane.quantity].label if pane.quantity in surface.fields else pane.quantity
    axes.set_xlabel(pane.x_label or surface.alpha_label, labelpad=0)
    axes.set_ylabel(pane.y_label or surface.beta_label, labelpad=0)
    for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_ticks(ticks := linear_ticks(*ends, clear=0.04), labels=tick_labels(ticks))
    _height_ticks(axes, color, limits_of(scene, pane), f"{label}, log scale" if color.scale == "log" else label)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0, 0, 0, 0))
        axis.pane.set_edgecolor("none")
        axis.line.set(color=palette.faint, linewidth=0.6)
        axis._axinfo["tick"].update(color=palette.ink, inward_factor=0.0, outward_factor=0.2)
    axes.tick_params(pad=-1)
    axes.zaxis.set_tick_params(pad=1)


def _height_ticks(axes: Any, color: ColorScale, limits: tuple[float, float], label: str) -> None:
    """Ticks at round values of the quantity, although a log axis counts in decades; the label keeps clear of them."""
    ticks = scale_ticks(color, limits, most=5)
    labels = tick_labels(ticks)
    axes.set_zticks(heights_of(ticks, color), labels=labels)
    longest = max((len(text.replace("\\!\\times\\!", "x").strip("$").replace("{", "").replace("}", "")) for text in labels), default=0)
    axes.zaxis.set_rotate_label(True)  # short ones too, which would lie across the numbers
    axes.set_zlabel(label, labelpad=-3.0 + 2.6 * max(0, longest - 3))


def _box(scene: Scene, pane: Pane) -> tuple[float, float]:
    """Heights of floor and lid: the limits, with the room below in which the map on the floor is seen."""
    low, high = (float(height) for height in heights_of(np.array(limits_of(scene, pane)), scene.color_of(pane)))
    return low - FLOOR_GAP * (high - low), high + 0.01 * (high - low)


def _footprint(surface: Surface) -> tuple[float, float]:
    """Sides of the box: true to the data where they are alike, square where one is over twice the other."""
    width, depth = float(np.ptp(surface.alpha)), float(np.ptp(_beta(surface)))
    if not 0.5 <= width / depth <= 2:
        return 1.0, 1.0
    return width / max(width, depth), depth / max(width, depth)


def draw_box_edges(axes: Any, projection: Projection3D) -> list[Artist]:
    """The edges of the box but for the three that meet in the corner nearest to the camera; none where the axes are off."""
    if not has_axes(axes):
        return []
    corners = np.array(list(product(axes.get_xlim(), axes.get_ylim(), (projection.low, projection.high))))
    x, y, depth = projection.project_with_depth(*corners.T)
    nearest = int(np.argmin(depth))
    pairs = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
    edges = [[(x[i], y[i]), (x[j], y[j])] for i, j in pairs if nearest not in (i, j)]
    lines = BoxEdges(edges, colors=Palette.current().faint, linewidths=0.5, alpha=0.55, zorder=0.4, transform=axes.transData)
    axes.add_artist(lines)
    return [lines]


def _beta(surface: Surface) -> FloatArray:
    assert surface.beta is not None
    return surface.beta
