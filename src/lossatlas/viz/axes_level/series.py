"""Spectra, recordings and curves drawn into axes of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from lossatlas.analysis.eigensolvers.density import SpectralDensity
from lossatlas.analysis.eigensolvers.extremes import ExtremeEigenvalues
from lossatlas.errors import InputError
from lossatlas.viz.axes_level.drawing import (
    PlotArtists,
    added_artists,
    check_flat,
    draw_pane,
    next_index,
    scale_of,
)
from lossatlas.viz.compose.inputs import Source
from lossatlas.viz.compose.runs.recorded_runs import recordings
from lossatlas.viz.compose.runs.recording import recording_scene
from lossatlas.viz.mpl.panes import lines
from lossatlas.viz.mpl.style import curve_color
from lossatlas.viz.scene.model import Curve, FloatArray, Pane, Scale, Scene


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
    check_flat(ax, ("linear", "log", "symlog"), ("linear", "log", "symlog"))
    shade, before = color or curve_color(next_index(ax)), set(ax.get_children())
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
    return PlotArtists(added_artists(ax, before), [line])


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
    check_flat(ax, ("linear", "log"), ("linear", "log"))
    runs = recordings(source)
    if len(runs) != 1:
        raise InputError("source", f"{len(runs)} recorded runs", "one", "Give archive.trajectory(name); compare runs with la.plot_curves")
    scene = recording_scene(runs[0].trajectory)
    names = {"loss": ("path_loss", "batch_loss", "test_loss"), "accuracy": ("path_accuracy", "test_accuracy")}.get(quantity, (quantity,))
    pane = next((pane for pane in scene.panes if set(names) & set(pane.curves)), None)
    if pane is None:
        known = dict.fromkeys(name for one in scene.panes for name in one.curves)
        raise InputError("quantity", quantity, f"one that was recorded: loss, {', '.join(known)}")
    return draw_pane(ax, lines.draw_curves, scene, pane)


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
    check_flat(ax, ("linear", "log"), ("linear", "log"))
    runs = _trajectories(source)
    first = next_index(ax, len(runs))
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
    pane = Pane("curves", curves=tuple(curve.name for curve in curves), x_label="step", y_label=label, y_scale=scale or scale_of(ax))
    return draw_pane(ax, lines.draw_curves, Scene((pane,), curves=tuple(curves)), pane)


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
