"""Evaluation of loss and error along a curve in weight space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.progress import progress_bar
from lossatlas.analysis.barrier import barrier_height
from lossatlas.analysis.grid import Grid
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.connectivity.curve import Curve, project_curve_points
from lossatlas.compute.evaluation.provenance import provenance
from lossatlas.compute.evaluation.single_point import evaluate_point, statistics_source, with_recalibrated_statistics
from lossatlas.compute.metrics import metrics_named
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError

BatchNorm = Literal["recalibrated", "stored"]


def evaluate_curve(
    objective: Objective,
    curve: Curve,
    resolution: int = 25,
    metrics: str | Iterable[str] = ("loss",),
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    batchnorm: BatchNorm = "recalibrated",
    calibration: Objective | None = None,
    archive: Location | Archive | None = None,
    name: str = "curve",
    title: str = "",
    progress: bool | None = None,
) -> xr.Dataset:
    """Metrics at equal steps of t along a curve, with its barrier.

    ``B = max over t of f(t) - ((1 - t) f(0) + t f(1))`` (Frankle et al. 2020, arXiv 1912.05671). The loss barrier scales
    with the loss; the error barrier, from ``metrics=("loss", "accuracy")``, does not.

    Args:
        objective: what to measure, training or test data.
        curve: `Curve.polygonal(a, b)` for the straight line, or a fitted curve.
        resolution: points, ends included.
        metrics: any of "loss", "accuracy".
        bounds: of t; the barrier is that of the points between 0 and 1, which must be among them.
        batchnorm: "recalibrated" re-estimates BatchNorm statistics at every point; "stored" uses the model's own, which
            belong to one point only. Without BatchNorm both are the same.
        calibration: the objective whose data the statistics come from: the training data when `objective` has test data.
        archive: where to store the line, under `name`.
        name: of the surface within the archive.
        title: a line for figures.
        progress: show a bar; None shows it on a terminal.

    Returns:
        A line over ``("alpha",)``, where alpha is t. ``attrs["barrier"]``: `loss`, `loss_at`, and `error`, `error_at`
        where accuracy was measured.

    Example:
        >>> import torch
        >>> from lossatlas.compute.connectivity import Curve
        >>> ring = Objective(lambda p, batch: ((p["w"] ** 2).sum() - 1) ** 2, params={"w": torch.zeros(2)})
        >>> a, c, b = ({"w": torch.tensor(w)} for w in ([-1.0, 0.0], [0.0, 2.0], [1.0, 0.0]))
        >>> [evaluate_curve(ring, curve, 3).attrs["barrier"]["loss"] for curve in (Curve.polygonal(a, b), Curve.bezier(a, c, b))]
        (1.0, 0.0)
    """
    if batchnorm not in ("recalibrated", "stored"):
        raise InputError("batchnorm", batchnorm, '"recalibrated" or "stored"')
    chosen = metrics_named(metrics)
    (axis,) = Grid.make(bounds, resolution, 1).axes
    source = statistics_source(calibration or objective) if batchnorm == "recalibrated" else None
    rows = []
    with progress_bar(title or name, len(axis), 0, progress) as advance:
        for t in axis.tolist():
            rows.append(evaluate_point(objective, with_recalibrated_statistics(source, curve.point(t)), tuple(m.name for m in chosen)))
            advance(1)
    line = _dataset(objective, curve, axis, rows, chosen, title, batchnorm if source is not None else None)
    if archive is not None:
        _store(archive, name, line)
    return line


def project_curve(objective: Objective, curve: Curve, plane: Plane, resolution: int = 51, label: str = "") -> xr.Dataset:
    """The curve as a path on a plane, to be drawn over its contours: coordinates, its own loss and its distance from the plane."""
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
    own = curve.buffers[int(t)] if t in (0.0, 1.0) and objective.automatic else {}
    point = dict(curve.point(t))
    return {**point, **{n: b for n, b in own.items() if n in objective.state}} if own else with_recalibrated_statistics(source, point)


def _dataset(
    objective: Objective,
    curve: Curve,
    axis: NDArray[np.float64],
    rows: list[dict[str, float]],
    metrics: tuple[Any, ...],
    title: str,
    batchnorm: str | None,
) -> xr.Dataset:
    line = xr.Dataset(coords={"alpha": ("alpha", axis, {**schema.variable("alpha").attrs, "long_name": "t"})})
    for metric in metrics:
        line[metric.name] = ("alpha", np.array([row[metric.name] for row in rows]), dict(metric.variable.attrs))
    if "loss" in line:
        line.loss.attrs["units"] = str(objective.description["units"]) or "1"
    line["done"] = ("alpha", np.ones(len(axis), bool), schema.variable("done").attrs)
    where: Any = curve  # a curve describes itself as a plane does
    line.attrs = provenance(objective, where, Grid((axis,)), metrics, title)
    if batchnorm is not None:
        line.attrs["objective"]["mode"] = batchnorm
    line.attrs["barrier"] = _barriers(line)
    return line


def _barriers(line: xr.Dataset) -> dict[str, float]:
    """Of the points from 0 to 1; none is told where the ends are not among them."""
    inside = line.sel(alpha=slice(-1e-12, 1 + 1e-12))
    t = inside.alpha.values
    if len(t) < 2 or abs(t[0]) > 1e-9 or abs(t[-1] - 1) > 1e-9:
        return {}
    heights: dict[str, float] = {}
    for word, values in (("loss", inside.get("loss")), ("error", 1 - inside.accuracy if "accuracy" in inside else None)):
        if values is None:
            continue
        heights[word], heights[f"{word}_at"] = barrier_height(t, values.values)
    return heights


def _store(archive: Location | Archive, name: str, line: xr.Dataset) -> None:
    store = as_archive(archive)
    variables = [_declared(str(n), line[n].attrs) for n in line.data_vars if n != "done"]
    store.create_surface(name, {"alpha": line.alpha.values}, variables, line.attrs)
    store.write_cells(name, np.arange(line.sizes["alpha"]), {v.name: line[v.name].values for v in variables})


def _declared(name: str, attrs: Mapping[str, Any]) -> schema.Variable:
    known = schema.variable(name)
    return schema.Variable(known.name, known.dims, known.dtype, str(attrs.get("units", known.units)), known.long_name)
