"""Principal planes of training trajectories (PCA), and planes from start to end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossatlas._util.text import format_percent
from lossatlas.analysis.random_walk import joint_random_walk_null, random_walk_null, start_end_null
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.paths.weight_blocks import Array, CenteredWeights, Recording
from lossatlas.compute.planes.direction import Direction
from lossatlas.compute.planes.plane import Plane, PlaneModel
from lossatlas.compute.planes.windows import window_around
from lossatlas.compute.recording.trajectory import MEMORY, Trajectory
from lossatlas.errors import InputError

ON_PLANE = 1e-6
"""Weights this close to a plane, relative to their distance from its center, lie on it: single precision cannot tell."""


def pca_plane(trajectory: Recording, *, centered: bool = False, memory: int = MEMORY) -> Plane:
    """The two principal directions of a path, through its last point (Li et al. 2018, section 7.2).

    The matrix holds theta_i - theta_n. `centered` subtracts its mean too, which is what Li et al.'s code does by way
    of scikit-learn; the plane passes through the last point either way, and axes are unit vectors. The path starts
    at negative coordinates. The eigenvectors come from the Gram matrix of the points, which is summed over blocks
    of weights, so memory does not grow with the model beyond a few vectors.

    Args:
        trajectory: recorded weights: a `Trajectory`, or the path of an archive that holds one.
        centered: principal components about the mean instead of the last point.
        memory: bytes that a block of weights may take.

    Returns:
        A plane of kind "pca" whose `construction` holds `explained_variance_ratio`, the `random_walk_null` to hold against
        it, and the `walk_correlation` of each component's scores with those of a random walk.

    Raises:
        InputError: fewer than two points, points that are all the same or lie on one line, NaN weights.

    Example:
        >>> import torch
        >>> from lossatlas.compute.recording.trajectory import Trajectory
        >>> path = Trajectory.from_checkpoints({"w": torch.tensor([x, x * x, 5.0])} for x in (-3.0, -2.0, -1.0, 0.0))
        >>> plane = pca_plane(path)
        >>> round(sum(plane.construction["explained_variance_ratio"]), 6), plane.labels[0]
        (1.0, 'PC1 (99.4 % of variance)')
    """
    rows = CenteredWeights.of(trajectory, -1, memory)
    gram, rounding = rows.gram()
    if centered:
        gram = _center(gram)
    values, scores = _leading_eigenvectors(gram, rounding)
    coefficients = scores.T / np.sqrt(values)[:, None]
    if centered:
        coefficients = coefficients - coefficients.mean(1, keepdims=True)
    ratio = values / np.trace(gram)
    (trajectory,) = rows.runs
    null = random_walk_null(trajectory.steps, centered)
    recipe = {
        "centered": centered,
        "points": len(rows),
        "explained_variance_ratio": [float(r) for r in ratio],
        "random_walk_null": list(null.ratio),
        "walk_correlation": list(null.correlation((scores * np.sqrt(values)).T)),
    }
    of_variance = "of variance" if not centered else "of centered variance"
    labels = tuple(f"PC{i + 1} ({format_percent(r)} {of_variance})" for i, r in enumerate(ratio))
    axes = _fix_signs(rows.linear_combinations(coefficients), scores)
    axes = _orthonormal(axes)
    return _plane((trajectory,), -1, axes, "pca", labels, recipe, (0.0, 0.0), rows.coordinates(axes))


def start_end_plane(trajectory: Recording, *, memory: int = MEMORY) -> Plane:
    """From the first point, at 0, to the last, at 1; across it, the direction of the largest motion off that line.

    Both axes have the length of the way from first to last point, so that shapes are true. A second axis drawn at
    random would show nothing.

    Args:
        trajectory: recorded weights: a `Trajectory`, or the path of an archive that holds one.
        memory: bytes that a block of weights may take.

    Returns:
        A plane of kind "start-end" whose `construction` holds `explained_variance_ratio`, the shares of the squared distances
        from the last point, as for `pca_plane`, and the `random_walk_null` to hold against it.

    Raises:
        InputError: the path ends where it began, or is a straight line; see `pca_plane` for the rest.

    Example:
        >>> import torch
        >>> from lossatlas.compute.recording.trajectory import Trajectory
        >>> path = Trajectory.from_checkpoints({"w": torch.tensor([x, x * (4 - x), 5.0])} for x in (0.0, 1.0, 4.0))
        >>> [round(c, 6) for c in start_end_plane(path).project(path.params(1)).coordinates]
        [0.25, 0.75]
    """
    rows = CenteredWeights.of(trajectory, 0, memory)
    (trajectory,) = rows.runs
    gram, rounding = rows.gram()
    length = float(np.sqrt(gram[-1, -1]))
    _check_nonzero_motion(gram, rounding)
    if gram[-1, -1] <= 2 * rounding:
        raise InputError("trajectory", "a path that ends where it began", "different first and last points", "Use la.pca_plane")
    along = gram[-1] / length
    values, vectors = np.linalg.eigh(gram - np.outer(along, along))
    value, vector = float(values[-1]), vectors[:, -1]
    if value <= max(2 * rounding, 1e-14 * np.trace(gram)):
        raise _collinear_error()
    across = vector / np.sqrt(value)
    across[-1] -= vector @ along / np.sqrt(value) / length
    unit = np.zeros(len(rows))
    unit[-1] = 1 / length
    axes = _orthonormal(rows.linear_combinations(np.stack([unit, across])))
    total = float(np.trace(gram) - 2 * gram[-1].sum() + len(rows) * gram[-1, -1])  # squared distances from the last point
    shares = np.array([(along - length) @ (along - length), value]) / total
    labels = (f"start → end ({format_percent(shares[0])} of motion)", f"off that line ({format_percent(shares[1])} of motion)")
    recipe = {
        "points": len(rows),
        "explained_variance_ratio": [float(s) for s in shares],
        "random_walk_null": list(start_end_null(trajectory.steps)),
    }
    places = rows.coordinates(axes) / length
    return _plane((trajectory,), 0, axes * length, "start-end", labels, recipe, (1.0, 0.0), places, model=-1)


def joint_pca_plane(trajectories: Sequence[Recording], *, memory: int = MEMORY) -> Plane:
    """One fixed plane for several runs, such as optimizers from the same start, so that their paths can be compared.

    The axes are the principal directions of all runs together, about the first point of the first run, where the
    plane's center stands. Each run's own principal plane would be another slice of the landscape.

    Args:
        trajectories: recorded weights of one model, as for `pca_plane`; a run of more points weighs more.
        memory: bytes that a block of weights may take.

    Returns:
        A plane of kind "shared" whose `construction` holds the joint `explained_variance_ratio` and, for runs from one start, what
        random walks as long as the runs would give: the joint `random_walk_null`, and `random_walk_nulls` of each run's
        own motion. Unrelated walks share no direction, so these are far below the null of a single walk.

    Raises:
        InputError: runs of different models; see `pca_plane` for the rest.

    Example:
        >>> import torch
        >>> from lossatlas.compute.recording.trajectory import Trajectory
        >>> ends = ([1.0, 2.0, 0.0], [2.0, 1.0, 0.0])
        >>> runs = [Trajectory.from_checkpoints({"w": torch.tensor(end) * k} for k in range(3)) for end in ends]
        >>> plane = joint_pca_plane(runs)
        >>> round(sum(plane.construction["explained_variance_ratio"]), 6), round(plane.project(runs[1].params(-1)).residual, 6)
        (1.0, 0.0)
    """
    rows = CenteredWeights.of(trajectories, 0, memory)
    gram, rounding = rows.gram()
    values, scores = _leading_eigenvectors(gram, rounding)
    ratio = values / np.trace(gram)
    axes = _fix_signs(rows.linear_combinations(scores.T / np.sqrt(values)[:, None]), scores)
    labels = tuple(f"joint PC{i + 1} ({format_percent(r)} of motion)" for i, r in enumerate(ratio))
    recipe = {
        "points": len(rows),
        "runs": [run.label for run in rows.runs],
        "explained_variance_ratio": [float(r) for r in ratio],
        **_null_attrs(rows, gram, rounding),
    }
    axes = _orthonormal(axes)
    return _plane(rows.runs, 0, axes, "shared", labels, recipe, (0.0, 0.0), rows.coordinates(axes))


def _null_attrs(rows: CenteredWeights, gram: Array, rounding: float) -> dict[str, Any]:
    """The nulls of a shared plane; none for runs that do not begin at one point, which is no walk's business."""
    ends = np.cumsum([0, *(len(run) for run in rows.runs)])
    far = np.diag(gram)
    if len(rows.runs) > 1 and far[ends[:-1]].max() > max(2 * rounding, 1e-12 * far.max()):
        return {}
    spreads = [float(far[a:b].sum()) for a, b in itertools.pairwise(ends)]
    null = joint_random_walk_null([run.steps for run in rows.runs], spreads, rows.size)
    return {"random_walk_null": list(null.ratio), "random_walk_nulls": [list(share) for share in null.shares]}


def _leading_eigenvectors(gram: Array, rounding: float) -> tuple[Array, Array]:
    """The two largest eigenvalues, largest first, and unit eigenvectors ``(points, 2)``."""
    _check_nonzero_motion(gram, rounding)
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1][:2], vectors[:, ::-1][:, :2]
    if len(values) < 2 or values[1] <= max(2 * rounding, 1e-14 * np.trace(gram)):
        raise _collinear_error()
    return values, vectors


def _check_nonzero_motion(gram: Array, rounding: float) -> None:
    if np.trace(gram) <= 2 * rounding:
        raise InputError("trajectory", "points that are all the same", "a path that moves", "Check that the optimizer has these parameters")


def _collinear_error() -> InputError:
    return InputError(
        "trajectory", "points on one straight line", "a path that spans a plane", "Draw the line with la.plane_through(first, last) instead"
    )


def _center(gram: Array) -> Array:
    gram = gram - gram.mean(0, keepdims=True)
    return gram - gram.mean(1, keepdims=True)


def _fix_signs(axes: Array, scores: Array) -> Array:
    """Fix the signs: the path runs toward larger coordinates; where it comes back, its largest score is positive."""
    signs = np.ones(len(axes))
    for k, score in enumerate(scores.T):
        way = score[-1] - score[0]
        decisive = way if abs(way) > 1e-6 * np.abs(score).max() else score[np.argmax(np.abs(score))]
        signs[k] = 1.0 if decisive >= 0 else -1.0
    return axes * signs[:, None]


def _orthonormal(axes: Array) -> Array:
    """Gram-Schmidt twice, so that rounding leaves the cosine at 1e-16."""
    first = axes[0] / np.linalg.norm(axes[0])
    second = axes[1]
    for _ in range(2):
        second = second - (second @ first) * first
        second = second / np.linalg.norm(second)
    return np.stack([first, second])


def _plane(
    runs: Sequence[Trajectory],
    center: int,
    axes: Array,
    kind: str,
    labels: tuple[str, ...],
    recipe: dict[str, Any],
    origin: tuple[float, float],
    places: Array,
    model: int | None = None,
) -> Plane:
    """The plane through row `center` of the first run, with the buffers of its row `model`, which stands at `origin`."""
    run = runs[0]
    layout = run.layout
    steps = [int(step) for step in (run.steps[0], run.steps[-1])]
    directions = tuple(
        Direction(layout.unflatten(axis, at_least_single=True), {"kind": kind, "index": index}) for index, axis in enumerate(axes)
    )
    point = run.store.complete(layout.unflatten(run.vector(center), at_least_single=True))
    buffers = run.buffers(center if model is None else model)
    ends = [hash_tensors(one.params(-1)) for one in runs]
    recipe = {"trajectory": run.name, "steps": steps, "ends": ends, **recipe}
    models = _models(runs, run.vector(center), axes)
    return Plane(point, directions, kind, labels, recipe, origin, (buffers,) if buffers else (), models, window_around(places))


def _models(runs: Sequence[Trajectory], center: Array, axes: Array) -> tuple[PlaneModel, ...]:
    """The first and last model of every run, where they stand; runs from one start have it once."""
    models: list[PlaneModel] = []
    squares = np.square(axes).sum(1)
    center = center.astype(np.float64)
    for run, row in [*((run, 0) for run in runs), *((run, -1) for run in runs)]:
        offset = run.vector(row).astype(np.float64) - center
        place = axes @ offset / squares
        residual = float(np.linalg.norm(offset - place @ axes))
        near = residual <= ON_PLANE * np.sqrt(max(float(offset @ offset), float(squares.max()) * ON_PLANE))
        of = "the run" if len(runs) == 1 else run.label
        model = PlaneModel(
            f"the {'end' if row else 'start'} of {of}", _snap_to_whole_numbers(place), 0.0 if near else residual, run.buffers(row)
        )
        if row == 0 and any(_same_start(model, other) for other in models):
            models[0] = replace(models[0], label="the common start")
        else:
            models.append(model)
    return tuple(models)


def _snap_to_whole_numbers(place: Array) -> tuple[float, ...]:
    """Coordinates within rounding of a whole number are that number: the model stands on a cell of the grid."""
    near = np.round(place)
    return tuple(
        float(n) if abs(p - n) <= ON_PLANE**2 * max(1.0, np.abs(place).max()) else float(p) for p, n in zip(place, near, strict=True)
    )


def _same_start(model: PlaneModel, other: PlaneModel) -> bool:
    same = np.allclose(model.place, other.place, rtol=ON_PLANE, atol=ON_PLANE) and model.lies_on_plane and other.lies_on_plane
    return same and all(n in other.buffers and bool((b == other.buffers[n]).all()) for n, b in model.buffers.items())
