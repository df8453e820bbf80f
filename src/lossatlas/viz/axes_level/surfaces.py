"""Surfaces, lines and paths drawn into axes of the user."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D

from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz.axes_level.drawing import (
    PlotArtists,
    added_artists,
    check_axes,
    check_flat,
    draw_pane,
    drawn_surfaces,
    next_index,
    scale_of,
)
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.from_datasets import path_from
from lossatlas.viz.compose.inputs import Source
from lossatlas.viz.mpl.mathtext import escape_broken_mathtext
from lossatlas.viz.mpl.panes import contour, lines, surface
from lossatlas.viz.mpl.style import curve_color, map_line_color
from lossatlas.viz.scene.model import Camera, FloatArray, Pane, PathData, Scale, ScaleOption, Scene


def plot_contour(
    source: Source,
    ax: Axes,
    *,
    quantity: str = "loss",
    scale: ScaleOption = "auto",
    colormap: str | None = None,
    limits: tuple[float, float] | None = None,
    clip: float | None = None,
    levels: int = 21,
    uncertainty: bool = False,
    marks: bool = True,
) -> PlotArtists:
    """Draw a surface as filled contours over (alpha, beta).

    Args:
        source: a surface Dataset, or an archive (or its path) of one surface.
        ax: 2-D axes with linear scales.
        quantity: the metric to draw.
        scale: "linear" or "log" colors; "auto" as for `plot`. Maps that are compared want the same one.
        colormap: any of matplotlib or cmcrameri; "atlas" by default.
        limits: lowest and highest value of the colors, the same for maps that are compared; by default those of the surface.
        clip: hide what is higher.
        levels: number of contour levels.
        uncertainty: hatch the cells that the samples do not tell apart from the lowest one.
        marks: mark the model and the minimum on the grid.

    Raises:
        InputError: 3-D or logarithmic axes, several surfaces or none over a plane, an unknown quantity, scale or colormap.
    """
    check_flat(ax)
    look: dict[str, Any] = {"quantity": quantity, "scale": scale, "colormap": colormap, "clip": clip, "levels": levels}
    scene, pane = _surface_scene(source, "contour", limits, marks, uncertainty=uncertainty, **look)
    drawn = draw_pane(ax, contour.draw, scene, pane)
    contour.equal_where_alike(ax)
    return drawn


def plot_surface(
    source: Source,
    ax: Axes,
    *,
    quantity: str = "loss",
    scale: ScaleOption = "auto",
    colormap: str | None = None,
    limits: tuple[float, float] | None = None,
    clip: float | None = None,
    levels: int = 21,
    camera: Camera | None = None,
    marks: bool = True,
) -> PlotArtists:
    """Draw a surface as a hill-shaded relief over its map.

    Args:
        source, quantity, scale, colormap, limits, clip, levels, marks: as for `plot_contour`; the scale is that of heights too.
        ax: 3-D axes, such as ``plt.subplot(projection="3d")`` makes; ``ax.set_axis_off()`` before leaves the box out.
        camera: direction of the view; by default one from which the lowest and the highest point are seen. The relief is drawn
            for this view: turn it here and not afterwards.

    Raises:
        InputError: 2-D axes, several surfaces or none over a plane, an unknown quantity, scale or colormap.
    """
    check_axes(ax)
    if not isinstance(ax, Axes3D):
        raise InputError("ax", type(ax).__name__, "3-D axes, which a relief needs", 'Make them with plt.subplot(projection="3d")')
    look: dict[str, Any] = {"quantity": quantity, "scale": scale, "colormap": colormap, "clip": clip, "levels": levels}
    scene, pane = _surface_scene(source, "surface", limits, marks, camera=camera, **look)
    return draw_pane(ax, surface.draw, scene, pane)


def plot_line(
    source: Source, ax: Axes, *, quantity: str = "loss", scale: Scale | None = None, label: str | None = None, color: str | None = None
) -> PlotArtists:
    """Draw a surface over one direction as a curve over alpha, with a band of one standard error.

    Args:
        source: a Dataset over ``(alpha,)``, or an archive (or its path) of one such line.
        ax: 2-D axes whose x axis is linear.
        quantity: the metric to draw.
        scale: "linear" or "log" heights; by default that of the axes as they are.
        label: in the legend; by default the line's title.
        color: by default the next one of the axes.

    Raises:
        InputError: 3-D axes or a logarithmic x axis, no single line in `source`, an unknown quantity or scale.
    """
    check_flat(ax, y_scales=("linear", "log"))
    composed = compose(source, kind="line", quantity=quantity, scale=scale or scale_of(ax))
    if len(composed.surfaces) != 1:
        raise InputError("source", f"{len(composed.surfaces)} lines", "one line", "Call plot_line once for each")
    only = composed.surfaces[0]
    named = replace(only, label=label or only.label or only.name)
    scene = replace(composed, surfaces=(named,), panes=(Pane("line", (named.name,), quantity=quantity),))
    index = next_index(ax)
    before = tuple(ax.get_xlim()) if index else None
    drawn = draw_pane(ax, lambda axes, s, p: lines.draw_line(axes, s, p, color=color or curve_color(index)), scene, scene.panes[0])
    if before is not None:
        ax.set_xlim(min(before[0], only.alpha[0]), max(before[1], only.alpha[-1]))
    drawn.handles[0].set_label(named.label)
    return drawn if not index else replace(drawn, handles=drawn.handles[:1])


def plot_path(
    path: xr.Dataset | PathData,
    ax: Axes,
    *,
    label: str | None = None,
    color: str | None = None,
    end_label: bool = False,
    stems: bool = False,
) -> PlotArtists:
    """Draw an optimizer's path over the plane: a dot at its start, a ball at its end, paler where it is off the plane.

    Args:
        path: a trajectory Dataset that was projected on the plane (`la.project_trajectory`), or a `PathData`.
        ax: axes with linear scales, 2-D, or 3-D ones that hold the relief of `plot_surface`.
        label: in the legend; by default the trajectory's own.
        color: by default the next one of the axes.
        end_label: write the label beside the end.
        stems: on a relief, lines from a path that is off the plane to the loss of its iterates.

    Raises:
        InputError: a trajectory that was not projected, logarithmic axes, or 3-D ones without a relief.
    """
    if not isinstance(path, xr.Dataset | PathData):
        raise InputTypeError("path", type(path).__name__, "a projected trajectory Dataset or a PathData")
    data = path if isinstance(path, PathData) else path_from(path)
    data = replace(data, label=label or data.label or data.name)
    data = escape_broken_mathtext(replace(data, color=color or data.color or _path_color(ax)))
    below = drawn_surfaces.get(ax)
    if isinstance(ax, Axes3D) and below is None:
        raise InputError(
            "ax", "3-D axes without a relief", "2-D axes, or 3-D ones with a relief", "Call la.plot_surface(surface, ax) first"
        )
    if not isinstance(ax, Axes3D):
        check_flat(ax)
    before = set(ax.get_children())
    if below is None:
        track = contour.add_path_over(ax, Scene((), (), (data,)), None, data)
        _include(ax, data.alpha, data.beta)
    else:
        scene, pane = below[0], replace(below[1], stems=stems)
        track = (surface if isinstance(ax, Axes3D) else contour).add_path_to(ax, replace(scene, paths=(data,)), pane, data)
    track.show(None)
    if end_label:
        track.annotate_end(ax)
    handles: list[Artist] = list(contour.path_handles(Scene((), (), (data,)), (data.name,)))
    return PlotArtists(added_artists(ax, before), handles)


def _surface_scene(
    source: Source, kind: Any, limits: tuple[float, float] | None, marks: bool, camera: Camera | None = None, **look: Any
) -> tuple[Scene, Pane]:
    if isinstance(source, xr.Dataset) and "beta" not in source.dims:
        raise InputError("source", f"dims {tuple(map(str, source.dims))}", "a surface over (alpha, beta)", "Draw a line with la.plot_line")
    if look["scale"] == "auto" and limits is not None and limits[0] <= 0:
        look["scale"] = "linear"  # no logarithmic scale begins there
    scene = compose(source, kind=kind, trajectories=(), camera=camera, **look)
    if len(scene.panes) != 1:
        names = ", ".join(surface.name for surface in scene.surfaces)
        raise InputError("source", f"{len(scene.panes)} surfaces: {names}", "one surface", "Give archive.surface(name)")
    color = scene.colors[0]
    if limits is not None:
        low, high = limits
        if not high > low or (color.scale == "log" and low <= 0):
            raise InputError("limits", limits, "a lower and a higher value" + (", both above zero" if color.scale == "log" else ""))
        color = replace(color, low=float(low), high=float(high))
    surfaces = scene.surfaces if marks else tuple(replace(one, origin=None) for one in scene.surfaces)
    pane = replace(scene.panes[0], marks=marks)
    return replace(scene, colors=(color,), surfaces=surfaces, panes=(pane,)), pane


def _path_color(ax: Any) -> str:
    """Not of the user's cycle: paths lie on maps, whose colors no style sheet knows."""
    check_axes(ax)
    return map_line_color(next_index(ax))


def _include(ax: Axes, x: FloatArray, y: FloatArray) -> None:
    """Widen the axes to hold these points, as matplotlib's own functions do."""
    usable = np.isfinite(x) & np.isfinite(y)
    ax.update_datalim(np.column_stack([x[usable], y[usable]]))
    ax.autoscale_view()
