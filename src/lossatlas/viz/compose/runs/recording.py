"""Scene of a recorded run: losses, accuracies, rates, norms, sharpness, weight histograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from lossatlas import schema
from lossatlas._util.text import format_rough_percent
from lossatlas.errors import InputError
from lossatlas.viz.scene.metric_text import better_arrow, spoken_name
from lossatlas.viz.scene.model import Curve, FloatArray, Pane, Scale, Scene

TRAIN, TEST, PLAIN, LIMIT = "#c1121f", "#1d5fa8", "#444444", "#e06c00"
COLUMNS = 3
MOST_LAYERS = 6
"""Layers that are drawn: those of the most weights."""
LAYERS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
QUANTILES = ((0.01, 0.99), (0.1, 0.9), (0.25, 0.75))


def recording_scene(run: xr.Dataset, title: str = "") -> Scene:
    """Every curve of a recorded run over its steps, and the spread of its weights, whole and layer by layer.

    Args:
        run: a trajectory as `archive.trajectory(name)` reads it.
        title: of the figure; the run's label where it is empty.

    Raises:
        InputError: a trajectory without recorded curves, or of one step.
    """
    if "weight_norm" not in run:
        raise InputError("trajectory", str(run.attrs.get("label", "")), "one that a recorder kept", "Record a training with la.Recorder")
    if run.sizes["step"] < 2:
        raise InputError("trajectory", f"{run.sizes['step']} recorded steps", "at least two, for curves need a way")
    run = _without_incomplete(run)
    groups = [(pane, curves) for pane, curves in _panes(run) if curves]
    panes = [
        replace(pane, curves=tuple(curve.name for curve in curves), row=i // COLUMNS, column=i % COLUMNS)
        for i, (pane, curves) in enumerate(groups)
    ]
    curves = tuple(curve for _, curves_of in groups for curve in curves_of)
    return Scene(tuple(panes), curves=curves, title=title or str(run.attrs.get("label") or "A recorded training"), notes=_notes(run))


def recordings_scene(runs: Mapping[str, xr.Dataset], title: str = "") -> Scene:
    """The sheets of several runs, one below the other; panes and notes name their run where there are several.

    Args:
        runs: trajectories by the label that tells them apart.
        title: of the figure.

    Raises:
        InputError: see `recording_scene`.
    """
    if len(runs) == 1:
        return recording_scene(next(iter(runs.values())), title)
    panes, curves, row = list[Pane](), list[Curve](), 0
    sheets = {label: recording_scene(run) for label, run in runs.items()}
    for label, sheet in sheets.items():
        curves += [replace(curve, name=f"{label}: {curve.name}") for curve in sheet.curves]
        for pane in sheet.panes:
            names = tuple(f"{label}: {name}" for name in pane.curves)
            panes.append(replace(pane, title=f"{label}: {pane.title}", curves=names, row=row + pane.row))
        row = 1 + max(pane.row for pane in panes)
    return Scene(tuple(panes), curves=tuple(curves), title=title or "Recorded trainings", notes=_notes_of_all(sheets))


def _notes_of_all(sheets: Mapping[str, Scene]) -> tuple[str, ...]:
    """Notes of each run, then those common to all."""
    common = [note for note in next(iter(sheets.values())).notes if all(note in sheet.notes for sheet in sheets.values())]
    notes_of_runs = [(label, [note for note in sheet.notes if note not in common]) for label, sheet in sheets.items()]
    return (*(f"{label}: {'; '.join(notes)}" for label, notes in notes_of_runs if notes), *common)


def _without_incomplete(run: xr.Dataset) -> xr.Dataset:
    """Without histograms whose bins are missing; an archive from elsewhere may hold parts of what a recorder keeps."""
    binned = [name for name in ("weight_histogram", "layer_histogram") if name in run]
    return run if "bin" in run and run.sizes["bin"] >= 2 else run.drop_vars(binned)


def _panes(run: xr.Dataset) -> Iterator[tuple[Pane, list[Curve]]]:
    losses = _curves(run, ("batch_loss", "path_loss", "test_loss"), ("of the batch, before the update", "training data", "test data"))
    yield _pane("loss", _loss_label(run, "path_loss", "batch_loss"), _log(losses)), losses
    shares = _curves(run, ("path_accuracy", "test_accuracy"), ("training data", "test data"), (TRAIN, TEST))
    yield _pane("accuracy", "fraction"), shares
    for name in _further_metrics(run):
        curves = _curves(run, (f"path_{name}", f"test_{name}"), ("training data", "test data"), (TRAIN, TEST))
        yield _pane(spoken_name(name), _metric_label(run, name)), curves
    sharpness = _curves(run, ("sharpness", "stability_limit"), ("largest Hessian eigenvalue", _limit_label(run)), (TRAIN, LIMIT))
    yield _pane("sharpness and the edge of stability", "eigenvalue", _log(sharpness)), sharpness
    rate = _curves(run, ("learning_rate",), ("learning rate",), (PLAIN,))
    yield _pane("learning rate", "learning rate"), rate
    slope = _curves(run, ("gradient_norm",), ("norm of the gradient",), (PLAIN,))
    yield _pane("gradient before the update", "norm", _log(slope)), slope
    yield _pane("norm of the weights", "Euclidean norm"), [*_curves(run, ("weight_norm",), ("all",), ("#111111",)), *_layer_norms(run)]
    if "weight_histogram" in run:
        counts = run.weight_histogram.values
        yield _pane("spread of all weights" + _beyond(run, counts), "weight"), _spread("all", _steps(run), counts, run.bin.values)
    for name, index in _chosen(run) if "layer_histogram" in run else ():
        counts = run.layer_histogram.values[:, index]
        if counts.sum():
            yield _pane(f"spread of {name}{_beyond(run, counts)}", "weight"), _spread(name, _steps(run), counts, run.bin.values)


def _further_metrics(run: xr.Dataset) -> list[str]:
    """Metrics beside loss and accuracy, recorded as ``path_NAME`` or ``test_NAME``."""
    curves = [str(n) for n in run.data_vars if run[n].dims == ("step",) and str(n).startswith(("path_", "test_"))]
    names = [n.partition("_")[2] for n in curves if n not in schema.VARIABLES and not n.endswith(schema.SUFFIXES)]
    return sorted(dict.fromkeys(names))


def _metric_label(run: xr.Dataset, name: str) -> str:
    attrs = next(run[key].attrs for key in (f"path_{name}", f"test_{name}") if key in run)
    units, arrow = attrs.get("units", "1"), better_arrow(name, attrs)
    text = f"{spoken_name(name)} {arrow}".rstrip()
    return text if units in ("", "1") else f"{text} [{units}]"


def _pane(title: str, y_label: str, scale: Scale = "linear") -> Pane:
    return Pane("curves", title=title, x_label="step", y_label=y_label, y_scale=scale)


def _curves(run: xr.Dataset, names: Sequence[str], labels: Sequence[str], colors: Sequence[str] = ("#999999", TRAIN, TEST)) -> list[Curve]:
    """Those that were recorded; a value that is not finite leaves a gap."""
    curves = []
    for name, label, color in zip(names, labels, colors, strict=True):
        values = np.asarray(run[name].values, float) if name in run else np.empty(0)
        if np.isfinite(values).any():
            dash: Any = "dashed" if color in (TEST, LIMIT) else "solid"
            curves.append(Curve(name, _steps(run), np.where(np.isfinite(values), values, np.nan), label, color, dash))
    return curves


def _layer_norms(run: xr.Dataset) -> list[Curve]:
    if "layer_norm" not in run:
        return []
    norms, steps = run.layer_norm.values, _steps(run)
    return [Curve(f"norm {name}", steps, norms[:, index], name, LAYERS[i]) for i, (name, index) in enumerate(_chosen(run))]


def _chosen(run: xr.Dataset) -> list[tuple[str, int]]:
    """The layers of the most weights, in the order of the network."""
    layers = [str(name) for name in run.attrs.get("layers") or ()]
    counted = "layer_histogram" in run
    sizes = run.layer_histogram.values[0].sum(-1) if counted else np.nan_to_num(run.layer_norm.values[0])
    chosen = sorted(np.argsort(-sizes, kind="stable")[:MOST_LAYERS].tolist())
    return [(_layer_name(layers, i), i) for i in chosen if not counted or sizes[i] or len(layers) <= MOST_LAYERS]


def _layer_name(layers: Sequence[str], index: int) -> str:
    """Names of nothing but a number, as in a Sequential, say what they number."""
    name = layers[index] if index < len(layers) else str(index)
    return f"layer {name}" if name.isdigit() else name


def _spread(name: str, steps: FloatArray, counts: FloatArray, centers: FloatArray) -> list[Curve]:
    """The median of the weights, and bands that hold 98, 80 and 50 % of them.

    A median in an outermost bin is not known, for that holds everything beyond: there the line has a gap.
    """
    middle = quantile(counts, centers, 0.5)
    middle = np.where(np.abs(middle) < _reach(centers), middle, np.nan)
    bands = [
        Curve(f"{name} {low}", steps, middle, "50, 80 and 98 % of the weights", "#1d5fa8", band=_band(counts, centers, low, high))
        for low, high in QUANTILES
    ]
    return [*bands, Curve(f"{name} median", steps, middle, "median weight", "#111111")]


def _reach(centers: FloatArray) -> float:
    """The inner edge of the outermost bins."""
    return float(centers[-1] - (centers[1] - centers[0]) / 2)


def _beyond(run: xr.Dataset, counts: FloatArray) -> str:
    """Share of the weights in the outermost bins, whose values nobody knows, where it is enough to move a band."""
    total = counts.sum(-1)
    with np.errstate(invalid="ignore"):
        share = np.nanmax((counts[:, 0] + counts[:, -1]) / np.where(total > 0, total, np.nan), initial=0.0)
    return f"\nup to {format_rough_percent(share)} beyond ±{_reach(run.bin.values):.3g}" if share >= 0.01 else ""


def _band(counts: FloatArray, centers: FloatArray, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    return quantile(counts, centers, low), quantile(counts, centers, high)


def quantile(counts: FloatArray, centers: FloatArray, share: float) -> FloatArray:
    """The value below which `share` of the counted ones lie, ``(step,)``, as if each bin were filled evenly.

    Args:
        counts: ``(step, bin)``.
        centers: of the equal bins, ``(bin,)``.

    >>> quantile(np.array([[1, 1, 2]]), np.array([-1.0, 0.0, 1.0]), 0.5)
    array([0.5])
    """
    width = centers[1] - centers[0]
    edges = np.append(centers - width / 2, centers[-1] + width / 2)
    quantiles = np.full(len(counts), np.nan)
    for i, row in enumerate(np.asarray(counts, float)):
        below = np.concatenate([[0.0], np.cumsum(row)])
        if below[-1]:
            after = int(np.searchsorted(below, share * below[-1], side="left"))
            bin_ = max(after - 1, 0)
            inside = (share * below[-1] - below[bin_]) / row[bin_] if row[bin_] else 0.0
            quantiles[i] = edges[bin_] + inside * width
    return quantiles


def _steps(run: xr.Dataset) -> FloatArray:
    return np.asarray(run.step.values, float)


def _log(curves: Sequence[Curve]) -> Scale:
    """Logarithmic where all is positive and spans more than a factor of five."""
    values = np.concatenate([curve.y[np.isfinite(curve.y)] for curve in curves]) if curves else np.ones(1)
    return "log" if values.min() > 0 and values.max() > 5 * values.min() else "linear"


def _loss_label(run: xr.Dataset, *names: str) -> str:
    units = next((str(run[name].attrs.get("units", "")) for name in names if name in run), "")
    return f"loss [{units}]" if units not in ("", "1") else "loss"


def _limit_label(run: xr.Dataset) -> str:
    optimizer, momentum = str(run.attrs.get("optimizer", "")), float((run.attrs.get("options") or {}).get("momentum") or 0)
    if optimizer == "SGD":
        return "2 / learning rate" if not momentum else "(2 + 2 momentum) / learning rate"
    return "the optimizer's stability limit"


def _notes(run: xr.Dataset) -> tuple[str, ...]:
    attrs, lines = run.attrs, []
    rate = attrs.get("learning_rate")
    first = ", ".join(filter(None, (str(attrs.get("optimizer") or ""), f"learning rate {rate:g}" if isinstance(rate, int | float) else "")))
    lines.append(f"{first or 'recorded'}; {run.sizes['step']:,} recorded steps, {int(run.step[0]):,} to {int(run.step[-1]):,}")
    for key, label in (("objective", "training data"), ("test_objective", "test data"), ("sharpness_objective", "sharpness")):
        samples = (attrs.get(key) or {}).get("samples")
        if samples is not None:
            lines.append(f"{label}: {samples:,} samples" if isinstance(samples, int) else f"{label}: {samples} samples")
    if "weight_histogram" in run:
        reach = float(run.bin[-1] + (run.bin[1] - run.bin[0]) / 2)
        lines.append("spread: the line is the median, the bands hold 50, 80 and 98 % of the weights")
        lines.append(
            f"counted in {run.sizes['bin']} equal bins up to ±{reach:.3g}, those beyond in the outermost; matrices and filters only"
        )
    if "layer_norm" in run and not np.ptp(run.layer_norm.values, 0).any():
        lines.append("CAUTION: no layer's norm ever changed, the weights stood still: were they given to the optimizer?")
    layers = len(attrs.get("layers") or ())
    if layers > MOST_LAYERS:
        lines.append(f"the {len(_chosen(run))} largest of {layers} layers")
    return tuple(lines)
