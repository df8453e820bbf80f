"""Linear interpolation between models, and the barrier on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lossatlas.analysis.barrier import barrier_heights, monotonicity_stats
from lossatlas.analysis.grid import Grid
from lossatlas.archive import Archive, Location
from lossatlas.compute.connectivity.curve import Curve
from lossatlas.compute.connectivity.evaluation import LineMode, measure_curve, store_line
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.params.params import Params, params_of
from lossatlas.compute.params.prefixes import rename_to_match
from lossatlas.compute.planes.constructors import plane_through
from lossatlas.errors import InputError

Model = torch.nn.Module | Mapping[str, Tensor] | Objective


def interpolate(
    objective: Objective,
    a: Model,
    b: Model,
    bounds: tuple[float, float] = (-0.5, 1.5),
    resolution: int = 51,
    metrics: str | Metric | Iterable[str | Metric] = ("loss",),
    *,
    mode: LineMode = "interpolated",
    calibration: Objective | None = None,
    archive: Location | Archive | None = None,
    name: str = "interpolation",
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
        metrics: names or metrics of your own, as for `evaluate`. Metrics relative to a model take the one at 0.
        mode: BatchNorm statistics and dropout, as in `Objective`. "interpolated" mixes the statistics of the two models like
            weights (beyond the models, where a straight line would make variances negative, by their logarithm); "recalibrated"
            estimates them anew from the data at every point, the ends included; "eval" keeps the objective's own everywhere,
            which is wrong at the other end; "batch" and "train" use each batch's. The figure names the choice; without BatchNorm
            the first three are the same.
        calibration: the objective whose data "recalibrated" estimates from: the training data when `objective` has
            test data. None takes the objective's own data.
        archive: where to store the line, under `name`.
        name: of the surface within the archive.
        title: a line for figures.
        progress: show progress; None shows it once it takes longer than two seconds, False never.

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
    line = _measure_line(objective, a, b, bounds, resolution, metrics, mode, calibration, title, progress)
    if "loss" in line:
        line.attrs["interpolation"] = monotonicity_stats(line.alpha.values, line.loss.values)
    store_line(archive, name, line)
    return line


def barrier(
    objective: Objective | xr.Dataset,
    a: Model | None = None,
    b: Model | None = None,
    resolution: int = 25,
    metrics: str | Metric | Iterable[str | Metric] = ("loss",),
    *,
    mode: LineMode = "interpolated",
    calibration: Objective | None = None,
    archive: Location | Archive | None = None,
    name: str = "barrier",
    title: str = "",
    progress: bool | None = None,
) -> xr.Dataset:
    """The line between two solutions, and how far it rises above the chord (Frankle et al. 2020, arXiv 1912.05671).

    ``B = max over alpha of L((1 - alpha) a + alpha b) - ((1 - alpha) L(a) + alpha L(b))``. The loss barrier depends on
    the scale of the loss; the error barrier, from ``metrics=("loss", "accuracy")``, does not. Call it once with the
    training data and once with the test data. Averaged weights shrink the variance of what BatchNorm normalizes, so that
    much of a barrier may be statistics that fit no longer: ``mode="recalibrated"`` estimates them anew at every point
    (Jordan et al. 2022, arXiv 2211.08403).

    Args:
        objective: what to measure; or a line that was measured before, a Dataset over ``("alpha",)`` with `a` at 0 and `b` at 1,
            to which the other arguments do not apply (`barrier_heights` reads one without torch).
        a: the solution at 0.
        b: the solution at 1.
        resolution: points, ends included.
        metrics: names or metrics of your own, as for `evaluate`. Metrics relative to a model take the one at 0.
        mode: BatchNorm statistics and dropout, as for `interpolate`.
        calibration: the objective whose data "recalibrated" estimates from.
        archive: where to store the line, under `name`.
        name: of the surface within the archive.
        title: a line for figures.
        progress: show progress; None shows it once it takes longer than two seconds, False never.

    Returns:
        A line surface over alpha in [0, 1], or the line that was given, with ``attrs["barrier"]``: `loss` and `loss_at` (its
        alpha) where the loss was measured, and `error` and `error_at` where accuracy was.

    Raises:
        InputError: models that differ in names or shapes or are the same, or a line without the models at 0 and 1.

    Example:
        >>> ring = Objective(lambda p, batch: ((p["w"] ** 2).sum() - 1) ** 2, params={"w": torch.zeros(2)})
        >>> left, right = {"w": torch.tensor([-1.0, 0.0])}, {"w": torch.tensor([1.0, 0.0])}
        >>> barrier(ring, left, right).attrs["barrier"], barrier(interpolate(ring, left, right)).attrs["barrier"]["loss"]
        ({'loss': 1.0, 'loss_at': 0.5}, 1.0)
    """
    if isinstance(objective, xr.Dataset):
        line = _with_barrier(objective)
    elif a is None or b is None:
        raise InputError("a, b", "one model or none", "the two models of the line", "Call barrier(objective, a, b), or barrier(line)")
    else:
        line = _measure_line(objective, a, b, (0.0, 1.0), resolution, metrics, mode, calibration, title, progress)
        line.attrs["barrier"] = barrier_heights(line)
    store_line(archive, name, line)
    return line


def _with_barrier(line: xr.Dataset) -> xr.Dataset:
    """The line with its barrier among the attributes."""
    if line.sizes.keys() != {"alpha"} or not {"loss", "accuracy"} & set(line.data_vars):
        problem = f"a Dataset of {', '.join(map(str, line.data_vars)) or 'nothing'} over {tuple(map(str, line.sizes))}"
        raise InputError("line", problem, "the loss or the accuracy over alpha alone", "Measure one with la.interpolate(objective, a, b)")
    line = line.sortby("alpha")
    heights = barrier_heights(line)
    if not heights:
        raise InputError("line", f"points from {float(line.alpha[0]):g} to {float(line.alpha[-1]):g}", "points that include 0 and 1")
    return line.assign_attrs(barrier=heights)


def _measure_line(
    objective: Objective,
    a: Model,
    b: Model,
    bounds: tuple[float, float],
    resolution: int,
    metrics: str | Metric | Iterable[str | Metric],
    mode: LineMode,
    calibration: Objective | None,
    title: str,
    progress: bool | None,
) -> xr.Dataset:
    """The straight line between two models as a curve of two points; both models are among the points."""
    check_objective(objective)
    (axis,) = Grid.make(bounds, resolution, 1).axes
    alphas = np.union1d(axis[(np.abs(axis) > 1e-12) & (np.abs(axis - 1) > 1e-12)], [0.0, 1.0])
    (start, start_buffers), (end, end_buffers) = (_params_and_buffers(model, objective) for model in (a, b))
    curve, plane = Curve("polygon", (start, end), (start_buffers, end_buffers)), plane_through(start, end)
    return measure_curve(objective, curve, alphas, metrics, mode, calibration, title, progress, plane=plane)


def _params_and_buffers(model: Model, objective: Objective) -> tuple[Params, Params]:
    """The parameters of the objective that the model has, and all else it has, such as BatchNorm statistics."""
    module = model.module if isinstance(model, Objective) else model
    buffers = dict(module.named_buffers()) if isinstance(module, torch.nn.Module) else {}
    tensors = {**params_of(model), **{n: t.detach() for n, t in buffers.items()}}
    tensors = dict(rename_to_match(tensors, objective.state, "models"))
    params = {n: tensors[n] for n in objective.params if n in tensors}
    if not params:
        names = f"a model of {', '.join(list(tensors)[:4])}"
        raise InputError("models", names, f"one with the objective's parameters: {', '.join(list(objective.params)[:4])}")
    return params, {n: t for n, t in tensors.items() if n not in params}
