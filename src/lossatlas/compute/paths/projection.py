"""Projection of a trajectory onto a plane, with each iterate's distance from it and its own loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.argument_checks import check_name
from lossatlas._util.caller import caller_level
from lossatlas._util.progress import progress_bar
from lossatlas._util.text import to_json_value
from lossatlas.archive import Archive, Location, as_archive, same_place
from lossatlas.archive.arrays import exists
from lossatlas.compute.evaluation.evaluators.loop import Loop
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.evaluation.model_losses import ANOTHER, LAG, differ, loss_with_error, warn_of_difference
from lossatlas.compute.metrics import Metric, metrics_named
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.params.arithmetic import dot
from lossatlas.compute.params.checks import check_same_layout, check_subset
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.paths.weight_blocks import Recording, as_trajectory
from lossatlas.compute.planes.batchnorm_statistics import uses_running_stats
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.recording.metric_probe import curves_of, point_evaluator, stored
from lossatlas.compute.recording.storage.weight_store import WeightStore
from lossatlas.compute.recording.trajectory import MEMORY, Trajectory
from lossatlas.errors import InputError, InputTypeError

Array = NDArray[np.float64]
AT_MODEL_RTOL = 1e-6
"""Points this close to the model, relative to the farthest, are the model: single precision cannot tell them apart."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A path's projection on a plane.

    Shares are taken about the model on the plane (`Plane.origin`): the end of the run for principal and start-end planes,
    which are thereby comparable, and the common start for a shared plane.

    Attributes:
        coordinates: least-squares coordinates, ``(points, ndim)``.
        residual: distance of each point from the plane, ``(points,)``.
        relative_residual: that distance over the distance from the model; 0 at the model itself.
        explained_variance: share of the squared motion, from the model, that the plane shows; NaN for a path that stands still.
        shares: what each axis alone shows, ``(ndim,)``; of orthogonal axes they add up to `explained_variance`.
    """

    coordinates: Array
    residual: Array
    relative_residual: Array
    explained_variance: float
    shares: tuple[float, ...]


def project_points(trajectory: Recording, plane: Plane, memory: int = MEMORY) -> Projection:
    """Project every recorded point on a plane, exact also for axes that are neither unit nor orthogonal.

    Streamed over blocks of weights. Rows with NaN keep NaN coordinates.

    Raises:
        InputError: the plane belongs to another model.

    Example:
        >>> import torch
        >>> from lossatlas.compute.planes.plane import Plane
        >>> from lossatlas.compute.recording.trajectory import Trajectory
        >>> path = Trajectory.from_checkpoints([{"w": torch.tensor([3.0, 2.0, 1.0])}, {"w": torch.zeros(3)}])
        >>> oblique = Plane.from_directions({"w": torch.zeros(3)}, {"w": torch.tensor([1.0, 0, 0])}, {"w": torch.tensor([1.0, 1.0, 0])})
        >>> result = project_points(path, oblique)
        >>> result.coordinates.tolist(), result.residual.tolist()
        ([[1.0, 2.0], [0.0, 0.0]], [1.0, 0.0])
    """
    trajectory = as_trajectory(trajectory)
    if not isinstance(plane, Plane):
        raise InputTypeError("plane", type(plane).__name__, "a Plane", "Make one with la.pca_plane(trajectory) or la.random_plane(model)")
    trajectory = trajectory.renamed_like(plane.center)
    check_same_layout(plane.center, trajectory.params(0), "plane and trajectory")
    center, axes = _flat(trajectory, plane)
    origin = np.zeros(plane.ndim) if plane.origin is None else np.asarray(plane.origin)
    gram = np.array([[dot(a.params, b.params) for b in plane.directions] for a in plane.directions])
    products, _ = _pass(trajectory, plane, center, axes, np.zeros((len(trajectory), plane.ndim)), memory)
    coordinates: Array = np.asarray(np.linalg.solve(gram, products.T).T, dtype=np.float64)
    # The second pass corrects the first: what is left is small where the first one's was the whole offset.
    products, squares = _pass(trajectory, plane, center, axes, coordinates, memory)
    coordinates = coordinates + np.linalg.solve(gram, products.T).T
    inside = coordinates - origin
    # Off the plane and within it are at right angles, so the distance from the model needs no pass of its own.
    along = np.einsum("ij,jk,ik->i", inside, gram, inside)
    residual, distance = np.sqrt(squares), np.sqrt(squares + along)
    with np.errstate(invalid="ignore", divide="ignore"):
        here = distance <= AT_MODEL_RTOL * np.nanmax(distance, initial=0.0)
        relative = np.where(here, 0.0, residual / distance)
        total, off = np.nansum(squares + along), np.nansum(squares)
        captured = float(1 - off / total) if total > 0 else float("nan")
        shares = np.nansum((inside @ gram) ** 2, 0) / np.diag(gram) / total
    return Projection(coordinates, residual, relative, captured, tuple(float(share) for share in shares))


def project_trajectory(
    trajectory: Recording,
    plane: Plane,
    objective: Objective | None = None,
    archive: Location | Archive | None = None,
    *,
    name: str | None = None,
    label: str | None = None,
    surface: str | None = None,
    memory: int = MEMORY,
    progress: bool | None = None,
    metrics: str | Metric | Iterable[str | Metric] | None = None,
) -> xr.Dataset:
    """The path of a recorded run over a plane, with its distance from the plane, its own loss and the random-walk null.

    Args:
        trajectory: recorded weights: a `Trajectory`, or the path of an archive that holds one.
        plane: where to draw it.
        objective: measures the true loss (and accuracy) of every iterate, with the buffers (BatchNorm statistics) recorded
            with it, and the loss of the plane below it, with those of the plane's own model: where an iterate lies on the
            plane and is that model, the two are one number. The recorder's own objective will do. Without an objective,
            `path_loss` is what the recorder measured, if it did.
        archive: where to store the path: in the recording's own archive beside the recorded curves, in the same trajectory;
            elsewhere, or under another name, as a trajectory without weights. None stores nothing.
        name: of the stored trajectory; the recording's own where None.
        label: words for legends; the recording's own where None.
        surface: name of the stored surface that the path belongs to; None lets figures find it by the plane's directions.
        memory: bytes that a block of weights may take.
        metrics: measured at every iterate beside the loss, by name or of your own, with their errors: ``path_NAME``. Those relative to a
            model compare with the one at the plane's origin.
        progress: of measuring the iterates, as for `evaluate`.

    Returns:
        The recorded curves and, over ``(step,)``: `path_alpha`, `path_beta`, `path_residual` (distance from the
        plane), `path_relative_residual`, `path_loss`, `path_accuracy`, `path_plane_loss`. `attrs` hold
        `captured_share`, `residual_norm` (mean and largest relative residual), `explained_variance_ratio` (the shares of
        this run's own motion that the axes show) and, of a plane made from this run, the `random_walk_null` to hold
        against it and the `walk_correlation`. Of a shared plane also `joint_explained_variance_ratio` and
        `joint_random_walk_null`, of all its runs together.

    Raises:
        InputError: the plane or the objective belongs to another model, or `name` is that of another recording.
    """
    trajectory = as_trajectory(trajectory)
    if isinstance(objective, Objective) and isinstance(plane, Plane):
        plane = plane.renamed_like(objective.state)
        trajectory = trajectory.renamed_like(objective.state)
    write = None if archive is None else _path_writer(trajectory, as_archive(archive), trajectory.name if name is None else name)
    further = () if metrics is None else metrics_named(metrics)
    if further and objective is None:
        raise InputError("metrics", ", ".join(m.name for m in further), "an objective to measure them on", "Pass objective= beside them")
    task = None if objective is None else _task(objective, trajectory, plane)
    cast = project_points(trajectory, plane, memory)
    path = trajectory.dataset.copy()
    columns = _columns(cast)
    for variable, values in columns.items():
        path[variable] = ("step", values, dict(schema.variable(variable).attrs))
    if objective is not None and task is not None:
        for declared, values in _scores(trajectory, task, objective, cast, further, progress):
            path[declared.name] = ("step", values, dict(declared.attrs))
            columns[declared.name] = values
    added = {**_attrs(cast, plane, None if task is None else task.objective, surface), **_explained(cast, plane, trajectory)}
    if objective is not None and task is not None:
        added |= _differences(trajectory, task, objective, cast, columns["path_plane_loss"])
    path.attrs = {**path.attrs, **added, "label": label or trajectory.label}
    if write is not None:
        write(path, added)
    return path


def _path_writer(trajectory: Trajectory, archive: Archive, name: str) -> Callable[[xr.Dataset, Mapping[str, Any]], None]:
    """Writer of the projected path: beside the recording it belongs to, or as a trajectory of its own."""
    check_name("name", name)
    if name == trajectory.name and same_place(archive, trajectory.store.archive):
        store = WeightStore.open(archive, name) if trajectory.store.group.read_only else trajectory.store
        store.check_extendable(len(trajectory))
        return store.add
    if exists(archive.root, f"trajectories/{name}/weights"):
        raise InputError("name", name, f"no recording with weights in {archive.location}", "Choose another name= for the projected path")
    return lambda path, _: archive.write_trajectory(name, path)


def bounds_around(*paths: xr.Dataset, margin: float = 0.2, flattest: float = 0.7) -> list[list[float]]:
    """Bounds that hold projected paths with a margin on every side; the narrower side is at least `flattest` of the wider one.

    >>> path = xr.Dataset({"path_alpha": ("step", [-4.0, 0.0]), "path_beta": ("step", [0.0, 3.0])})
    >>> bounds_around(path, margin=0.25)
    [[-5.0, 1.0], [-0.75, 3.75]]
    """
    spans = []
    for name in ("path_alpha", "path_beta"):
        values = np.concatenate([path[name].values for path in paths])
        spans.append((float(np.nanmin(values)), float(np.nanmax(values))))
    widest = max(high - low for low, high in spans) or 1.0
    bounds = []
    for low, high in spans:
        half = (0.5 + margin) * max(high - low, flattest * widest)
        bounds.append([(low + high) / 2 - half, (low + high) / 2 + half])
    return bounds


def chance_explained_variance(plane: Plane, trajectory: Trajectory) -> float:
    """Share of the squared motion that random directions would show: one over the parameters, for each of them."""
    return plane.ndim / trajectory.layout.size


def _columns(cast: Projection) -> dict[str, Array]:
    places = dict(zip(("path_alpha", "path_beta"), cast.coordinates.T, strict=False))
    return {**places, "path_residual": cast.residual, "path_relative_residual": cast.relative_residual}


def _task(objective: Objective, trajectory: Trajectory, plane: Plane) -> EvaluationProblem:
    """The objective, found to be of the recorded model, on the plane as `evaluate` takes it; what a recording leaves out, it says."""
    check_objective(objective)
    weights = trajectory.params(0)
    check_subset(objective.params, weights, "objective")
    if left_out := [n for n, p in objective.params.items() if n not in weights and p.is_floating_point()]:
        _warn(
            f"The recording lacks {', '.join(left_out[:4])}{' and more' if len(left_out) > 4 else ''}: every iterate is measured with "
            "the objective's own. Record all parameters, or build the objective when those have their final values."
        )
    if uses_running_stats(objective) and not trajectory.store.buffer_layout.size:
        _warn(
            "The recording holds no BatchNorm statistics: every iterate is measured with the objective's own, which are right for "
            'one model only. Record with la.Recorder, which keeps them, or pass objective.with_mode("recalibrated").'
        )
    return EvaluationProblem.make(objective, plane, metrics_named("loss"))


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=caller_level())


def _scores(
    trajectory: Trajectory,
    task: EvaluationProblem,
    objective: Objective,
    cast: Projection,
    further: tuple[Metric, ...],
    progress: bool | None,
) -> Iterator[tuple[schema.Variable, Array]]:
    """Curves of every metric at the iterates themselves, and the plane's loss below them."""
    relative = task.plane.origin is not None and any(metric.reference is not None for metric in further)
    evaluator = point_evaluator(objective, further, task.point(task.plane.origin) if relative and task.plane.origin is not None else None)
    rows, below, loop = list[dict[str, float]](), np.full(len(trajectory), np.nan), Loop(task)
    with progress_bar(f"losses of {trajectory.label}", len(trajectory), 0, progress) as advance:
        for index, place in enumerate(cast.coordinates):
            rows.append(stored(evaluator(trajectory.state(index))))
            if np.isfinite(place).all():
                below[index] = loop(place[None]).values["loss"][0]
            advance(1)
    curves = curves_of(evaluator, "path")
    for declared in curves:
        yield declared, np.array([row[declared.name.removeprefix("path_")] for row in rows])
    yield replace(schema.variable("path_plane_loss"), units=curves[0].units), below


def _differences(trajectory: Trajectory, task: EvaluationProblem, objective: Objective, cast: Projection, below: Array) -> dict[str, Any]:
    """Ends of the path whose loss differs from that of the plane below them because of statistics, not of their distance from it.

    With one model's statistics everywhere, what the distance explains is the plane's loss there with statistics estimated anew.
    With those, it is what is left between the end and the plane when the end's are estimated anew too.
    """
    anchored = task.anchors is not None
    if not (anchored or uses_running_stats(task.objective)) or len(task.plane.models) < 2:
        return {}
    rows, anew = [], objective.with_mode("recalibrated")
    for row in (-1,) if anchored else (0, -1):  # averages of an untrained network have not begun to follow its weights
        if not np.isfinite(cast.coordinates[row]).all():
            continue
        model_loss, error = loss_with_error(objective, trajectory.state(row))
        place = tuple(cast.coordinates[row].tolist())
        unexplained = (
            (anew.loss(trajectory.params(row)), model_loss) if anchored else (anew.loss(task.plane.point(*place)), float(below[row]))
        )
        if differ(model_loss, below[row], error) and differ(*unexplained, error):
            why = LAG if anchored else ANOTHER
            rows.append(
                {"step": int(trajectory.steps[row]), "loss": to_json_value(model_loss), "plane_loss": to_json_value(below[row]), "why": why}
            )
            label = f"the {'start' if row == 0 else 'end'} of {trajectory.label}"
            warn_of_difference(label, to_json_value(model_loss), to_json_value(below[row]), why)
    return {"statistics_differ": rows} if rows else {}


def _attrs(cast: Projection, plane: Plane, objective: Objective | None, surface: str | None) -> dict[str, Any]:
    seen = cast.relative_residual[np.isfinite(cast.relative_residual)]
    bad = np.flatnonzero(~np.isfinite(cast.residual))
    return {
        "kind": "trajectory",
        "surface": surface,
        "plane": plane.describe(),
        "start": [to_json_value(c) for c in cast.coordinates[0]],
        "captured_share": to_json_value(cast.explained_variance),
        "residual_norm": {
            "mean": to_json_value(seen.mean() if len(seen) else np.nan),
            "largest": to_json_value(seen.max() if len(seen) else np.nan),
        },
        "not_finite": [int(row) for row in bad],
        **({} if objective is None else {"objective": dict(objective.description), "center_hash": hash_tensors(plane.center)}),
    }


def _explained(cast: Projection, plane: Plane, trajectory: Trajectory) -> dict[str, Any]:
    """Share of this run that the axes show, and the null for it where the plane was made from it."""
    recipe, end = plane.construction, hash_tensors(trajectory.params(-1))
    shares = [to_json_value(share) for share in cast.shares]
    index = next((k for k, known in enumerate(recipe.get("ends", ())) if known == end), None)
    if plane.kind == "shared":
        nulls = recipe.get("random_walk_nulls")
        return {
            "explained_variance_ratio": shares,
            "random_walk_null": None if index is None or nulls is None else nulls[index],
            "walk_correlation": None,
            "joint_explained_variance_ratio": recipe["explained_variance_ratio"],
            "joint_random_walk_null": recipe.get("random_walk_null"),
        }
    if index is None:
        return {"explained_variance_ratio": shares, "random_walk_null": None, "walk_correlation": None}
    return {key: recipe.get(key) for key in ("explained_variance_ratio", "random_walk_null", "walk_correlation")}


def _flat(trajectory: Trajectory, plane: Plane) -> tuple[Array, Array]:
    layout = trajectory.layout
    axes = np.stack([layout.flatten(d.params, partial=True) for d in plane.directions])
    return layout.flatten(plane.center), axes


def _pass(trajectory: Trajectory, plane: Plane, center: Array, axes: Array, coordinates: Array, memory: int) -> tuple[Array, Array]:
    """Products of what is left with the axes ``(points, ndim)``, and its squared norm ``(points,)``."""
    products, squares = np.zeros_like(coordinates), np.zeros(len(trajectory))
    for columns, block in trajectory.blocks(memory):
        left = block - center[columns] - coordinates @ axes[:, columns]
        products += left @ axes[:, columns].T
        squares += np.einsum("ij,ij->i", left, left)
    for offset, steps in _frozen_columns(trajectory, plane, max(1, memory // (16 * max(len(trajectory), 1)))):
        left = offset - coordinates @ steps
        products += left @ steps.T
        squares += np.einsum("ij,ij->i", left, left)
    return products, squares


def _frozen_columns(trajectory: Trajectory, plane: Plane, width: int) -> Iterator[tuple[Array, Array]]:
    """Of parameters that did not train: offsets from the center ``(columns,)`` and the plane's axes ``(ndim, columns)``."""
    for name, value in trajectory.store.frozen.items():
        offset = (value.double() - plane.center[name].double().cpu()).reshape(-1).numpy()
        flat = [d.params[name].double().cpu().reshape(-1).numpy() if name in d.params else np.zeros(len(offset)) for d in plane.directions]
        axes = np.stack(flat)
        if offset.any() or axes.any():
            for start in range(0, len(offset), width):
                yield offset[start : start + width], axes[:, start : start + width]
