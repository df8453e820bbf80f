"""Linear interpolation between models, and the barrier on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lossatlas import schema
from lossatlas._util.progress import progress_bar
from lossatlas.analysis.barrier import barrier_height, monotonicity_stats
from lossatlas.analysis.grid import Grid
from lossatlas.compute.evaluation.provenance import provenance
from lossatlas.compute.evaluation.single_point import evaluate_point, statistics_source, with_recalibrated_statistics
from lossatlas.compute.metrics import metrics_named
from lossatlas.compute.objective.batchnorm import mixed
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.params.params import params_of
from lossatlas.compute.planes.batchnorm_statistics import uses_running_stats
from lossatlas.compute.planes.constructors import plane_through
from lossatlas.errors import InputError

Array = NDArray[np.float64]
Buffers = Literal["interpolate", "stored", "recalibrated"]
MODES: dict[str, str] = {"interpolate": "interpolated", "stored": "eval", "recalibrated": "recalibrated"}
"""What the figure says of BatchNorm, by `buffers`."""
Model = torch.nn.Module | Mapping[str, Tensor] | Objective


def interpolate(
    objective: Objective,
    a: Model,
    b: Model,
    bounds: tuple[float, float] = (-0.5, 1.5),
    resolution: int = 51,
    metrics: str | Iterable[str] = ("loss",),
    *,
    buffers: Buffers = "interpolate",
    calibration: Objective | None = None,
    title: str = "",
    progress: bool | None = None,
) -> xr.Dataset:
    """Metrics on the straight line from `a` at 0 to `b` at 1 (Goodfellow et al. 2015, arXiv 1412.6544).

    Args:
        objective: what to measure; `a` and `b` have its parameters.
        a: start, such as ``trajectory.state(0)``.
        b: end, such as ``trajectory.state(-1)``.
        bounds: of alpha; 0 and 1 are always among the points.
        resolution: points at equal distances over the bounds.
        metrics: any of "loss", "accuracy".
        buffers: "interpolate" mixes BatchNorm statistics like weights (beyond the models, where a straight line would make
            variances negative, by their logarithm); "recalibrated" estimates them anew from the data
            at every point, the ends included; "stored" keeps the objective's own everywhere, which is wrong at the
            other end. The figure names the choice; without BatchNorm all three are the same.
        calibration: the objective whose data "recalibrated" estimates from: the training data when `objective` has
            test data. None takes the objective's own data.
        title: a line for figures.
        progress: show a bar; None shows it on a terminal.

    Returns:
        A line surface over ``("alpha",)``. Where the loss was measured, ``attrs["interpolation"]`` says of its way from 0 to 1: `monotone`
        (non-increasing), `largest_rise` (the largest f(y) - f(x) with x < y) with `rise_from` and `rise_to`, and
        `convexity_defects` (points above the chord of their neighbors), each beyond rounding.

    Raises:
        InputError: models that differ in names or shapes or are the same, other bounds or resolution than a grid takes.

    Example:
        >>> bowl = Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([2.0])})
        >>> line = interpolate(bowl, {"w": torch.tensor([2.0])}, {"w": torch.tensor([-1.0])}, bounds=(0, 1), resolution=7)
        >>> line.attrs["interpolation"]["monotone"], line.attrs["interpolation"]["largest_rise"]
        (False, 1.0)
    """
    line = _line(objective, a, b, bounds, resolution, metrics, buffers, calibration, title, progress)
    if "loss" in line:
        line.attrs["interpolation"] = monotonicity_stats(line.alpha.values, line.loss.values)
    return line


def barrier(
    objective: Objective,
    a: Model,
    b: Model,
    resolution: int = 25,
    metrics: str | Iterable[str] = ("loss",),
    *,
    buffers: Buffers = "interpolate",
    calibration: Objective | None = None,
    title: str = "",
    progress: bool | None = None,
) -> xr.Dataset:
    """The line between two solutions, and how far it rises above the chord (Frankle et al. 2020, arXiv 1912.05671).

    ``B = max over alpha of L((1 - alpha) a + alpha b) - ((1 - alpha) L(a) + alpha L(b))``. The loss barrier depends on
    the scale of the loss; the error barrier, from ``metrics=("loss", "accuracy")``, does not. Call it once with the
    training data and once with the test data. Averaged weights shrink the variance of what BatchNorm normalizes, so that
    much of a barrier may be statistics that fit no longer: ``buffers="recalibrated"`` estimates them anew at every point
    (Jordan et al. 2022, arXiv 2211.08403).

    Returns:
        A line surface over alpha in [0, 1] with ``attrs["barrier"]``: `loss` and `loss_at` (its alpha) where the loss was
        measured, and `error` and `error_at` where accuracy was.

    Example:
        >>> ring = Objective(lambda p, batch: ((p["w"] ** 2).sum() - 1) ** 2, params={"w": torch.zeros(2)})
        >>> line = barrier(ring, {"w": torch.tensor([-1.0, 0.0])}, {"w": torch.tensor([1.0, 0.0])})
        >>> line.attrs["barrier"]
        {'loss': 1.0, 'loss_at': 0.5}
    """
    line = _line(objective, a, b, (0.0, 1.0), resolution, metrics, buffers, calibration, title, progress)
    heights: dict[str, float] = {}
    for word, values in (("loss", line.get("loss")), ("error", 1 - line.accuracy if "accuracy" in line else None)):
        if values is not None:
            heights[word], heights[f"{word}_at"] = barrier_height(line.alpha.values, values.values)
    line.attrs["barrier"] = heights
    return line


def _line(
    objective: Objective,
    a: Model,
    b: Model,
    bounds: tuple[float, float],
    resolution: int,
    metrics: str | Iterable[str],
    buffers: Buffers,
    calibration: Objective | None,
    title: str,
    progress: bool | None,
) -> xr.Dataset:
    check_objective(objective)
    if buffers not in MODES:
        raise InputError("buffers", buffers, "one of " + ", ".join(map(repr, MODES)))
    if calibration is not None and buffers != "recalibrated":
        raise InputError("calibration", "an objective", f'None with buffers="{buffers}"', 'Pass buffers="recalibrated" to estimate from it')
    source = statistics_source(calibration or objective) if buffers == "recalibrated" else None
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    chosen = metrics_named(names)
    (axis,) = Grid.make(bounds, resolution, 1).axes
    alphas = np.union1d(axis[(np.abs(axis) > 1e-12) & (np.abs(axis - 1) > 1e-12)], [0.0, 1.0])
    start, end = ({n: t for n, t in _tensors(model).items() if buffers == "interpolate" or n in objective.params} for model in (a, b))
    line = plane_through(*({n: tensors[n] for n in objective.params if n in tensors} for tensors in (start, end)))
    if buffers == "interpolate" and uses_running_stats(objective) and not all(set(model) - set(objective.params) for model in (start, end)):
        warnings.warn(
            "The models bring no BatchNorm statistics, so the objective's own hold at every point: right for one model only. Pass "
            'modules, or states with buffers such as trajectory.state(-1), or buffers="recalibrated".',
            UserWarning,
            stacklevel=3,
        )
    scores = []
    with progress_bar(title or "line", len(alphas), 0, progress) as advance:
        for alpha in alphas.tolist():
            scores.append(evaluate_point(objective, with_recalibrated_statistics(source, _mix(start, end, alpha)), names))
            advance(1)
    dataset = xr.Dataset(coords={"alpha": ("alpha", alphas, schema.variable("alpha").attrs)})
    for metric in chosen:
        dataset[metric.name] = ("alpha", np.array([s[metric.name] for s in scores]), dict(metric.variable.attrs))
    if "loss" in dataset:
        dataset["loss"].attrs["units"] = str(objective.description["units"]) or "1"
    dataset["done"] = ("alpha", np.ones(len(alphas), bool), schema.variable("done").attrs)
    dataset.attrs = provenance(objective, line, Grid((alphas,)), chosen, title)
    dataset.attrs["objective"]["buffers"] = buffers
    if objective.mode == "eval" and statistics_source(objective) is not None:
        dataset.attrs["objective"]["mode"] = MODES[buffers]
        if buffers == "interpolate" and (alphas[0] < 0 or alphas[-1] > 1):
            dataset.attrs["objective"]["statistics"] = "extrapolated"
    return dataset


def _tensors(model: Model) -> dict[str, Tensor]:
    """Parameters, and buffers where the model has them."""
    module = model.module if isinstance(model, Objective) else model
    held = dict(module.named_buffers()) if isinstance(module, torch.nn.Module) else {}
    return {**params_of(model), **{n: t.detach() for n, t in held.items()}}


def _mix(a: Mapping[str, Tensor], b: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """``(1 - alpha) a + alpha b``, bit for bit a at 0 and b at 1, variances as `mixed` does; counters stay those of a."""
    return {n: mixed(n, (1 - alpha, alpha), (t, b[n])) if t.is_floating_point() and n in b else t for n, t in a.items()}
