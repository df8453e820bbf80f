"""Evaluation of loss and error along a curve in weight space; a straight line is a curve of two points."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lossatlas import schema
from lossatlas._util.argument_checks import check_choice
from lossatlas._util.caller import caller_level
from lossatlas._util.progress import progress_bar
from lossatlas.analysis.barrier import barrier_heights
from lossatlas.analysis.grid import Grid
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.connectivity.curve import Curve, project_curve_points
from lossatlas.compute.evaluation.single_point import PointEvaluator, evaluate_point, statistics_source, with_recalibrated_statistics
from lossatlas.compute.evaluation.storage.provenance import provenance
from lossatlas.compute.metrics import Metric
from lossatlas.compute.metrics.terms import TermCheck
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.planes.batchnorm_statistics import uses_running_stats
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError, InputTypeError

LineMode = Literal["eval", "interpolated", "recalibrated", "batch", "train"]
"""Modes of `Objective` that a line or a curve can be measured in."""


def evaluate_curve(
    objective: Objective,
    curve: Curve,
    resolution: int = 25,
    metrics: str | Metric | Iterable[str | Metric] = ("loss",),
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    mode: LineMode = "recalibrated",
    calibration: Objective | None = None,
    archive: Location | Archive | None = None,
    name: str = "curve",
    title: str = "",
    progress: bool | None = None,
) -> xr.Dataset:
    """Metrics at equal steps of t along a curve, with its barrier.

    ``B = max over t of f(t) - ((1 - t) f(0) + t f(1))`` (Frankle et al. 2020, arXiv 1912.05671). The loss barrier scales
    with the loss; the error barrier, from ``metrics=("loss", "error")``, does not.

    Args:
        objective: what to measure, training or test data.
        curve: ``Curve.polygonal(a, b)`` for the straight line, or a fitted curve.
        resolution: points, ends included.
        metrics: names or metrics of your own, as for `evaluate`. Metrics relative to a model take the one at t = 0.
        bounds: of t; the barrier is that of the points between 0 and 1, which must be among them.
        mode: BatchNorm statistics and dropout, as in `Objective`. "recalibrated" estimates the statistics anew at every point;
            "eval" uses the objective's own, which belong to one point only; "interpolated" mixes those of the two ends of a
            straight line; "batch" and "train" use each batch's. Without BatchNorm the first three are the same. An objective
            whose own mode takes statistics from the data keeps that mode.
        calibration: the objective whose data "recalibrated" estimates from: the training data when `objective` has test data.
        archive: where to store the line, under `name`.
        name: of the surface within the archive.
        title: a line for figures.
        progress: show progress; None shows it once it takes longer than two seconds, False never.

    Returns:
        A line over ``("alpha",)``, where alpha is t. ``attrs["barrier"]``: `loss`, `loss_at`, and likewise of every
        other metric, `error` where accuracy was measured.

    Raises:
        InputError: no curve, an unknown mode, or one that does not go with the curve or with `calibration`.

    Example:
        >>> import torch
        >>> ring = Objective(lambda p, batch: ((p["w"] ** 2).sum() - 1) ** 2, params={"w": torch.zeros(2)})
        >>> a, c, b = ({"w": torch.tensor(w)} for w in ([-1.0, 0.0], [0.0, 2.0], [1.0, 0.0]))
        >>> [evaluate_curve(ring, curve, 3).attrs["barrier"]["loss"] for curve in (Curve.polygonal(a, b), Curve.bezier(a, c, b))]
        [1.0, 0.0]
    """
    if not isinstance(curve, Curve):
        advice = "Make one with la.Curve.polygonal(a, b) or la.fit_curve(objective, a, b)"
        raise InputTypeError("curve", type(curve).__name__, "a Curve", advice)
    (axis,) = Grid.make(bounds, resolution, 1).axes
    line = measure_curve(objective, curve, axis, metrics, mode, calibration, title, progress)
    line.alpha.attrs["long_name"] = "t"
    line.attrs["barrier"] = barrier_heights(line)
    store_line(archive, name, line)
    return line


def measure_curve(
    objective: Objective,
    curve: Curve,
    axis: NDArray[np.float64],
    metrics: str | Metric | Iterable[str | Metric],
    mode: LineMode,
    calibration: Objective | None,
    title: str,
    progress: bool | None,
    *,
    plane: Plane | None = None,
) -> xr.Dataset:
    """Metrics at the points `axis` of a curve, with their provenance; arguments as in `evaluate_curve`.

    Args:
        plane: the line that the curve is, to be described in place of the curve.
    """
    objective = _in_mode(objective, curve, mode, calibration)
    source = statistics_source(calibration or objective) if mode == "recalibrated" else None

    def point(t: float) -> dict[str, Tensor]:
        buffers = curve.buffers_at(t) if mode == "interpolated" else {}
        return with_recalibrated_statistics(source, {**curve.point(t), **buffers})

    start = point(0.0)
    evaluator = PointEvaluator(objective, metrics, origin=start).probe(start)
    rows, holes = list[dict[str, float]](), dict[str, str]()
    with progress_bar(title or "line", len(axis), 0, progress) as advance:
        for index, t in enumerate(axis.tolist()):
            rows.append(evaluator(point(t)))
            holes |= {str(index): reason for reason in evaluator.failures[:1]}
            advance(1)
    line = xr.Dataset(coords={"alpha": ("alpha", axis, schema.variable("alpha").attrs)})
    for declared in _stored(evaluator.metrics, objective):
        line[declared.name] = ("alpha", np.array([row[declared.name] for row in rows]), dict(declared.attrs))
    line["done"] = ("alpha", np.ones(len(axis), bool), schema.variable("done").attrs)
    described: Any = curve if plane is None else plane  # a curve describes itself as a plane does
    terms, columns = TermCheck.of(evaluator.metrics, objective), {str(name): values.values for name, values in line.data_vars.items()}
    terms(axis[:, None], columns)
    line.attrs = (
        provenance(objective, described, Grid((axis,)), evaluator.metrics, title)
        | ({"holes": holes} if holes else {})
        | terms.note(columns)
    )
    if uses_running_stats(objective):
        line.attrs["objective"]["mode"] = mode
        if mode == "interpolated" and (axis[0] < 0 or axis[-1] > 1):
            line.attrs["objective"]["statistics"] = "extrapolated"
    return line


def _stored(metrics: tuple[Metric, ...], objective: Objective) -> list[schema.Variable]:
    """Variables of a line: every metric in its units, and the errors of those beside the loss."""
    units = str(objective.description["units"]) or "1"
    variables = [replace(m.variable, units=units) if m.in_units_of_loss else m.variable for m in metrics]
    return [v for known in variables for v in ((known,) if known.name == "loss" else (known, *known.errors()))]


def store_line(archive: Location | Archive | None, name: str, line: xr.Dataset) -> None:
    """Store a measured line as the surface `name`; nothing where there is no archive."""
    if archive is not None:
        as_archive(archive).write_surface(name, line)


def _in_mode(objective: Objective, curve: Curve, mode: LineMode, calibration: Objective | None) -> Objective:
    """The objective to measure with, once `mode` is found to go with the curve and the calibration data."""
    check_objective(objective)
    check_choice("mode", mode, get_args(LineMode))
    if calibration is not None and mode != "recalibrated":
        raise InputError("calibration", "an objective", f'None with mode="{mode}"', 'Pass mode="recalibrated" to estimate from it')
    if mode in ("batch", "train"):
        return objective.with_mode(mode)
    if mode == "interpolated" and uses_running_stats(objective):
        if len(curve.points) > 2:
            advice = 'Pass mode="recalibrated"'
            raise InputError("mode", '"interpolated" for a curve with bends', "a mode that knows the statistics of its bends", advice)
        if not all(curve.buffers):
            warnings.warn(
                "The models bring no BatchNorm statistics, so the objective's own hold at every point: right for one model only. Pass "
                'modules, or states with buffers such as trajectory.state(-1), or mode="recalibrated".',
                UserWarning,
                stacklevel=caller_level(),
            )
    return objective


def project_curve(objective: Objective, curve: Curve, plane: Plane, resolution: int = 51, label: str = "") -> xr.Dataset:
    """The curve as a path on a plane, to be drawn over its contours: coordinates, its own loss and its distance from the plane.

    Args:
        objective: measures the loss at the points of the curve themselves, with BatchNorm statistics estimated there.
        curve: where to go.
        plane: where to draw it, such as `curve_plane`.
        resolution: points at equal distances of t from 0 to 1.
        label: words for legends; the curve's kind where empty.

    Returns:
        A path over ``(step,)``: `epoch`, which is t, `path_alpha` and `path_beta` by least squares, `path_loss` in the units of the
        loss, and `path_residual`, the distance from the plane in the norm of the weights.

    Raises:
        InputError: the curve's weights have other names or shapes than the plane's.

    Example:
        >>> import torch
        >>> from lossatlas.compute.connectivity.curve import curve_plane
        >>> start, end, bend = ({"w": torch.tensor(point)} for point in ([0.0, 0.0], [4.0, 0.0], [2.0, 2.0]))
        >>> curve = Curve("bezier", (start, bend, end))
        >>> path = project_curve(Objective(lambda p, _: p["w"].sum(), params=start), curve, curve_plane(curve), 3)
        >>> path.path_alpha.values.tolist(), path.path_loss.values.tolist()
        ([0.0, 0.5, 1.0], [0.0, 3.0, 4.0])
    """
    ts = np.linspace(0, 1, resolution)
    source = statistics_source(objective)
    places = project_curve_points(plane, curve, ts.tolist())
    columns: list[tuple[str, NDArray[Any]]] = [
        ("step", np.arange(resolution)),
        ("epoch", ts),
        ("path_alpha", places[:, 0]),
        ("path_beta", places[:, 1]),
        ("path_loss", np.array([evaluate_point(objective, _placed(objective, source, curve, t))["loss"] for t in ts.tolist()])),
        ("path_residual", places[:, -1]),
    ]
    path = xr.Dataset({name: ("step", values, schema.variable(name).attrs) for name, values in columns})
    path.path_loss.attrs["units"] = str(objective.description["units"]) or "1"
    path.attrs = {"kind": "trajectory", "label": label or curve.kind, "curve": curve.describe(), "start": places[0, :2].tolist()}
    return path


def _placed(objective: Objective, source: Objective | None, curve: Curve, t: float) -> dict[str, Any]:
    """The curve's point with statistics estimated there; at an end that is a model, its own, as on a plane in mode "auto"."""
    stored = curve.buffers[int(t)] if t in (0.0, 1.0) and objective.automatic else {}
    point = dict(curve.point(t))
    return {**point, **{n: b for n, b in stored.items() if n in objective.state}} if stored else with_recalibrated_statistics(source, point)
