"""Axes-level plotting: each function draws one thing into matplotlib axes that its caller made, and returns what it drew.

They are what `la.plot` is made of. Colors, fonts and sizes come from the rcParams and style sheets in force; nothing
global is changed, no figure is made, and the axes stay the caller's: titles, legends and color bars are theirs to add.

>>> import matplotlib.pyplot as plt, numpy as np, xarray as xr
>>> x, y = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
>>> surface = xr.Dataset({"loss": (("alpha", "beta"), np.add.outer(x**2, y**2))}, {"alpha": x, "beta": y})
>>> figure, (left, right) = plt.subplots(1, 2)
>>> contour = plot_contour(surface, left)
>>> bar = figure.colorbar(contour.mappable, ax=left, label="loss")
>>> legend = right.legend(handles=plot_line(surface.isel(beta=3, drop=True), right).handles)
>>> plt.close(figure)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import xarray as xr
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from mpl_toolkits.mplot3d import Axes3D

from lossatlas.analysis.eigensolvers.density import SpectralDensity
from lossatlas.analysis.eigensolvers.extremes import ExtremeEigenvalues
from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.from_datasets import path_from
from lossatlas.viz.compose.inputs import Source
from lossatlas.viz.compose.recorded_runs import recordings
from lossatlas.viz.compose.recording import recording_scene
from lossatlas.viz.mpl.mathtext import escape_broken_mathtext
from lossatlas.viz.mpl.panes import contour, lines, surface
from lossatlas.viz.mpl.panes.base import PaneArtists
from lossatlas.viz.mpl.style import curve_color, map_line_color
from lossatlas.viz.scene.model import Camera, Curve, FloatArray, Pane, PathData, Scale, Scene


@dataclass(frozen=True)
class PlotArtists:
    """Artists, legend samples and color mapping of one axes-level call.

    Attributes:
        artists: all that was added to the axes, in the order of drawing.
        handles: samples for a legend: ``ax.legend(handles=drawn.handles)``.
        mappable: for a color bar: ``figure.colorbar(drawn.mappable, ax=ax)``; None where no color stands for a value.
    """

    artists: tuple[Artist, ...]
    handles: list[Artist]
    mappable: ScalarMappable | None = None


_drawn_surfaces: WeakKeyDictionary[Axes, tuple[Scene, Pane]] = WeakKeyDictionary()
"""The map or relief on each axes, so that a path drawn later knows its window, its heights and what hides it."""
_line_counts: WeakKeyDictionary[Axes, int] = WeakKeyDictionary()
"""Lines and paths on each axes, so that each takes the next color."""


def plot_contour(
    source: Source,
    ax: Axes,
    *,
    quantity: str = "loss",
    scale: Scale = "linear",
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
        scale: "linear" or "log" colors.
        colormap: any of matplotlib or cmcrameri; "atlas" by default.
        limits: lowest and highest value of the colors, the same for maps that are compared; by default those of the surface.
        clip: hide what is higher.
        levels: number of contour levels.
        uncertainty: hatch the cells that the samples do not tell apart from the lowest one.
        marks: mark the model and the minimum on the grid.

    Raises:
        InputError: 3-D or logarithmic axes, several surfaces or none over a plane, an unknown quantity, scale or colormap.
    """
    _check_flat(ax)
    look: dict[str, Any] = {"quantity": quantity, "scale": scale, "colormap": colormap, "clip": clip, "levels": levels}
    scene, pane = _surface_scene(source, "contour", limits, marks, uncertainty=uncertainty, **look)
    drawn = _draw(ax, contour.draw, scene, pane)
    contour.equal_where_alike(ax)
    return drawn


def plot_surface(
    source: Source,
    ax: Axes,
    *,
    quantity: str = "loss",
    scale: Scale = "linear",
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
    _check_axes(ax)
    if not isinstance(ax, Axes3D):
        raise InputError("ax", type(ax).__name__, "3-D axes, which a relief needs", 'Make them with plt.subplot(projection="3d")')
    look: dict[str, Any] = {"quantity": quantity, "scale": scale, "colormap": colormap, "clip": clip, "levels": levels}
    scene, pane = _surface_scene(source, "surface", limits, marks, camera=camera, **look)
    return _draw(ax, surface.draw, scene, pane)


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
    _check_flat(ax, y_scales=("linear", "log"))
    composed = compose(source, kind="line", quantity=quantity, scale=scale or _scale_of(ax))
    if len(composed.surfaces) != 1:
        raise InputError("source", f"{len(composed.surfaces)} lines", "one line", "Call plot_line once for each")
    only = composed.surfaces[0]
    named = replace(only, label=label or only.label or only.name)
    scene = replace(composed, surfaces=(named,), panes=(Pane("line", (named.name,), quantity=quantity),))
    index = _next_index(ax)
    before = tuple(ax.get_xlim()) if index else None
    drawn = _draw(ax, lambda axes, s, p: lines.draw_line(axes, s, p, color=color or curve_color(index)), scene, scene.panes[0])
    if before is not None:
        ax.set_xlim(min(before[0], only.alpha[0]), max(before[1], only.alpha[-1]))
    drawn.handles[0].set_label(named.label)
    return drawn if not index else replace(drawn, handles=drawn.handles[:1])


def plot_path(
    path: xr.Dataset | PathData, ax: Axes, *, label: str | None = None, color: str | None = None, end_label: bool = False
) -> PlotArtists:
    """Draw an optimizer's path over the plane: a dot at its start, a ball at its end, paler where it is off the plane.

    Args:
        path: a trajectory Dataset that was projected on the plane (`la.project_trajectory`), or a `PathData`.
        ax: axes with linear scales, 2-D, or 3-D ones that hold the relief of `plot_surface`.
        label: in the legend; by default the trajectory's own.
        color: by default the next one of the axes.
        end_label: write the label beside the end.

    Raises:
        InputError: a trajectory that was not projected, logarithmic axes, or 3-D ones without a relief.
    """
    if not isinstance(path, xr.Dataset | PathData):
        raise InputTypeError("path", type(path).__name__, "a projected trajectory Dataset or a PathData")
    data = path if isinstance(path, PathData) else path_from(path)
    data = replace(data, label=label or data.label or data.name)
    data = escape_broken_mathtext(replace(data, color=color or data.color or _path_color(ax)))
    below = _drawn_surfaces.get(ax)
    if isinstance(ax, Axes3D) and below is None:
        raise InputError(
            "ax", "3-D axes without a relief", "2-D axes, or 3-D ones with a relief", "Call la.plot_surface(surface, ax) first"
        )
    if not isinstance(ax, Axes3D):
        _check_flat(ax)
    before = set(ax.get_children())
    if below is None:
        track = contour.add_path_over(ax, Scene((), (), (data,)), None, data)
        _include(ax, data.alpha, data.beta)
    else:
        scene, pane = below
        track = (surface if isinstance(ax, Axes3D) else contour).add_path_to(ax, replace(scene, paths=(data,)), pane, data)
    track.show(None)
    if end_label:
        track.annotate_end(ax)
    handles: list[Artist] = list(contour.path_handles(Scene((), (), (data,)), (data.name,)))
    return PlotArtists(_added(ax, before), handles)


def plot_spectrum(
    spectrum: SpectralDensity | ExtremeEigenvalues | Sequence[float] | FloatArray,
    ax: Axes,
    *,
    width: float | None = None,
    label: str | None = None,
    color: str | None = None,
) -> PlotArtists:
    """Draw eigenvalues: a density as a curve over a logarithmic axis, single ones as stems.

    Args:
        spectrum: of `la.spectral_density`, of `la.extreme_eigenvalues`, or the eigenvalues themselves, ``(n,)``.
        ax: 2-D axes.
        width: standard deviation of the Gaussian that smooths a density, in the units of the eigenvalues; None takes 1 % of the range.
        label: in the legend.
        color: by default the next one of the axes.

    Raises:
        InputError: 3-D axes, or no finite eigenvalue.
    """
    _check_flat(ax, ("linear", "log", "symlog"), ("linear", "log", "symlog"))
    shade, before = color or curve_color(_next_index(ax)), set(ax.get_children())
    if isinstance(spectrum, SpectralDensity):
        nodes = np.concatenate(spectrum.nodes)
        margin = 4 * (width or 0.01 * float(np.ptp(nodes)) or 1.0)
        at = np.linspace(nodes.min() - margin, nodes.max() + margin, 2001)
        density = spectrum.curve(at, width)
        (line,) = ax.plot(at, density, color=shade, label=label or "eigenvalue density")
        ax.set_yscale("log")
        ax.set_ylim(max(float(density.max()) * 1e-7, np.finfo(float).tiny), float(density.max()) * 3)
        ax.set(xlabel="eigenvalue", ylabel="density")
    else:
        line = _stem_eigenvalues(ax, _eigenvalues(spectrum), shade, label or "eigenvalues")
    ax.set_axisbelow(True)
    return PlotArtists(_added(ax, before), [line])


def plot_recording(source: Source, ax: Axes, quantity: str = "loss") -> PlotArtists:
    """Draw one quantity of a recorded training over its steps, as ``la.plot(kind="recording")`` has it among all.

    Args:
        source: a recorded trajectory Dataset, or an archive (or its path) that holds one.
        ax: 2-D axes.
        quantity: "loss" (of the batch, the training and the test data), "accuracy", or another recorded one: "sharpness",
            "learning_rate", "gradient_norm", "weight_norm", or "all median" (the spread of the weights).

    Raises:
        InputError: 3-D axes, no or several recorded runs, or a quantity that was not recorded.
    """
    _check_flat(ax, ("linear", "log"), ("linear", "log"))
    runs = recordings(source)
    if len(runs) != 1:
        raise InputError("source", f"{len(runs)} recorded runs", "one", "Give archive.trajectory(name); compare runs with la.plot_curves")
    scene = recording_scene(runs[0].trajectory)
    names = {"loss": ("path_loss", "batch_loss", "test_loss"), "accuracy": ("path_accuracy", "test_accuracy")}.get(quantity, (quantity,))
    pane = next((pane for pane in scene.panes if set(names) & set(pane.curves)), None)
    if pane is None:
        known = dict.fromkeys(name for one in scene.panes for name in one.curves)
        raise InputError("quantity", quantity, f"one that was recorded: loss, {', '.join(known)}")
    return _draw(ax, lines.draw_curves, scene, pane)


def plot_curves(
    source: xr.Dataset | Mapping[str, xr.Dataset] | Sequence[xr.Dataset],
    ax: Axes,
    quantity: str = "loss",
    *,
    scale: Scale | None = None,
) -> PlotArtists:
    """Draw a quantity of several trajectories over their steps, a curve each.

    Args:
        source: trajectory Datasets, by the labels of their curves where they come as a mapping.
        ax: 2-D axes.
        quantity: a variable over ``(step,)``, with or without ``path_`` before it: "loss", "accuracy", "test_loss", "residual".
        scale: "linear" or "log" heights; by default that of the axes as they are.

    Raises:
        InputError: 3-D axes, no trajectory, or one without this quantity.
    """
    _check_flat(ax, ("linear", "log"), ("linear", "log"))
    runs = _trajectories(source)
    first = _next_index(ax, len(runs))
    curves, label = [], quantity.replace("_", " ")
    for i, (name, run) in enumerate(runs.items()):
        key = next((key for key in (quantity, f"path_{quantity}") if key in run and run[key].dims == ("step",)), None)
        if key is None:
            known = ", ".join(str(k) for k in run.data_vars if run[k].dims == ("step",))
            raise InputError("quantity", quantity, f"one that {name} holds: {known or 'none'}")
        values = np.asarray(run[key].values, float)
        curves.append(
            Curve(name, np.asarray(run.step.values, float), np.where(np.isfinite(values), values, np.nan), name, curve_color(first + i))
        )
        label = _label_of(run[key], label)
    pane = Pane("curves", curves=tuple(curve.name for curve in curves), x_label="step", y_label=label, y_scale=scale or _scale_of(ax))
    return _draw(ax, lines.draw_curves, Scene((pane,), curves=tuple(curves)), pane)


def _draw(ax: Axes, draw: Any, scene: Scene, pane: Pane) -> PlotArtists:
    """Draw a pane and tell apart what it added; a legend's samples of shared kinds are the pane's."""
    before = set(ax.get_children())
    one: PaneArtists = draw(ax, escape_broken_mathtext(scene), escape_broken_mathtext(pane))
    one.show(None)
    if pane.kind in ("contour", "surface"):
        _drawn_surfaces[ax] = (scene, pane)
    else:
        ax.grid(rcParams["axes.grid"])
    return PlotArtists(_added(ax, before), list(one.handles), one.mappable)


def _added(ax: Axes, before: set[Artist]) -> tuple[Artist, ...]:
    """Artists that the axes did not hold before; they lie within the axes, so layouts need not measure them, nor their empty lines."""
    added = tuple(artist for artist in ax.get_children() if artist not in before)
    for artist in added:
        artist.set_in_layout(False)
    return added


def _surface_scene(
    source: Source, kind: Any, limits: tuple[float, float] | None, marks: bool, camera: Camera | None = None, **look: Any
) -> tuple[Scene, Pane]:
    if isinstance(source, xr.Dataset) and "beta" not in source.dims:
        raise InputError("source", f"dims {tuple(map(str, source.dims))}", "a surface over (alpha, beta)", "Draw a line with la.plot_line")
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


def _check_axes(ax: Any) -> None:
    if not isinstance(ax, Axes):
        raise InputTypeError("ax", type(ax).__name__, "matplotlib axes", "Make them with plt.subplots(); of several give one: axes[0]")


def _check_flat(ax: Any, x_scales: Sequence[str] = ("linear",), y_scales: Sequence[str] = ("linear",)) -> None:
    """Refuse what is no 2-D axes, and scales on which coordinates of a plane, zero and negative ones too, have no place."""
    _check_axes(ax)
    if isinstance(ax, Axes3D):
        raise InputError("ax", type(ax).__name__, "2-D axes", "Make them with plt.subplots(); a relief on 3-D axes is la.plot_surface")
    for name, allowed in (("x", x_scales), ("y", y_scales)):
        current = getattr(ax, f"get_{name}scale")()
        if current not in allowed:
            raise InputError(
                "ax", f"a {current} {name} axis", f"a {' or '.join(allowed)} one", f'Undo it with ax.set_{name}scale("linear")'
            )


def _scale_of(ax: Axes) -> Scale:
    return "log" if ax.get_yscale() == "log" else "linear"


def _next_index(ax: Axes, count: int = 1) -> int:
    index = _line_counts.get(ax, 0)
    _line_counts[ax] = index + count
    return index


def _path_color(ax: Any) -> str:
    """Not of the user's cycle: paths lie on maps, whose colors no style sheet knows."""
    _check_axes(ax)
    return map_line_color(_next_index(ax))


def _include(ax: Axes, x: FloatArray, y: FloatArray) -> None:
    """Widen the axes to hold these points, as matplotlib's own functions do."""
    usable = np.isfinite(x) & np.isfinite(y)
    ax.update_datalim(np.column_stack([x[usable], y[usable]]))
    ax.autoscale_view()


def _eigenvalues(spectrum: Any) -> FloatArray:
    parts = (spectrum.smallest, spectrum.largest[::-1]) if isinstance(spectrum, ExtremeEigenvalues) else (spectrum,)
    values = np.concatenate([np.asarray(part, float).ravel() for part in parts])
    values = np.sort(values[np.isfinite(values)])
    if not values.size:
        raise InputError("spectrum", "no finite eigenvalue", "a SpectralDensity, ExtremeEigenvalues, or eigenvalues (n,)")
    return values


def _stem_eigenvalues(ax: Axes, values: FloatArray, color: str, label: str) -> Artist:
    """Eigenvalues by rank, the smallest first, as stems from zero; the line that a legend names."""
    rank = np.arange(1, len(values) + 1)
    ax.vlines(rank, 0, values, color=color, linewidth=1.0, alpha=0.7)
    ax.axhline(0, color=color, linewidth=0.6, alpha=0.5)
    (line,) = ax.plot(rank, values, "o", color=color, markersize=4, label=label)
    ax.set(xlabel="rank", ylabel="eigenvalue")
    ax.locator_params(axis="x", integer=True)
    return line


def _trajectories(source: Any) -> dict[str, xr.Dataset]:
    if isinstance(source, Mapping) and not isinstance(source, xr.Dataset):
        runs = {str(name): run for name, run in source.items()}
    else:
        listed = [source] if isinstance(source, xr.Dataset) else list(source)
        labels = [str(run.attrs.get("label") or "run") if isinstance(run, xr.Dataset) else "" for run in listed]
        runs = {
            f"{label} ({labels[:i].count(label) + 1})" if labels.count(label) > 1 else label: run
            for i, (label, run) in enumerate(zip(labels, listed, strict=True))
        }
    if not runs or not all(isinstance(run, xr.Dataset) and "step" in run.dims for run in runs.values()):
        raise InputError("source", source, "trajectory Datasets over step, as archive.trajectory(name) gives them")
    return runs


def _label_of(values: xr.DataArray, name: str) -> str:
    label, units = str(values.attrs.get("long_name") or name), str(values.attrs.get("units") or "")
    return f"{label} [{units}]" if units not in ("", "1") else label
