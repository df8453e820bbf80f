"""Cost estimate: measure a few points, then say what a run will take and show before it is started."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.text import format_bytes, format_duration, format_rough_percent
from lossatlas.analysis.grid import Bounds, Grid
from lossatlas.compute.evaluation.engine import Engine, check_engine
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec, Loop, select_evaluator
from lossatlas.compute.evaluation.metric_probe import probe_metrics
from lossatlas.compute.metrics import Metric, metrics_named
from lossatlas.compute.objective.module.batchnorm import batchnorm_layers
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.planes.windows import Window, bounds_or_window

FRACTIONS = (0.125, 0.25, 0.5)
LATTICE = 7
"""Cells along each axis that are probed, ends included: corners and edges are where a plane is highest."""
LINE = 25
"""The same on a line."""
LOG_RATIO = 30.0
"""A surface whose largest value exceeds its median that often is read on a log scale."""
MOST_HIDDEN = 0.05
"""Share of the probed cells that an advised clip may hide."""
COARSE_SHARE = 0.1
"""Share of cells that coarse to fine at 1 % usually computes (7-8 % measured on a linear scale)."""


@dataclass(frozen=True)
class CostEstimate:
    """Estimate of the work and the cost of `evaluate`.

    Attributes:
        cells: of the grid.
        passes: forward passes over all of the data, for the full grid.
        seconds: expected time of the full grid, one worker.
        seconds_coarse: the same with ``tol=0.01``.
        memory_bytes: weights, directions, data and the largest activations.
        disk_bytes: of the archive.
        evaluator: chosen by the probe.
        bounds: of every axis, within which the surface stays readable; `evaluate` takes them as they are.
        clip: a level above which to cut the picture, or None; at most a twentieth of the cells of the lattice lies higher.
        hidden: the share of the lattice's cells that the clip hides.
        scale: "linear" or "log".
        mode: what BatchNorm will do, in words.
        values: the losses probed, and where.
    """

    cells: int
    passes: int
    seconds: float
    seconds_coarse: float
    memory_bytes: int
    disk_bytes: int
    evaluator: str
    bounds: Window
    clip: float | None
    hidden: float
    scale: str
    mode: str
    values: tuple[tuple[tuple[float, ...], float], ...]

    def __str__(self) -> str:
        finite = [v for _, v in self.values if np.isfinite(v)] or [float("nan")]
        low, high, lost = min(finite), max(finite), len(self.values) - len(finite)
        broken = f" ({lost} of {len(self.values)} not finite)" if lost and lost < len(self.values) else ""
        hides = (
            f"clip the picture at {self.clip:.3g}, which hides {format_rough_percent(self.hidden)} of the cells probed" if self.clip else ""
        )
        return "\n".join(
            (
                f"{self.cells:,} cells, {self.passes:,} passes over the data by the {self.evaluator} evaluator",
                f"about {format_duration(self.seconds)} for the full grid; about {format_duration(self.seconds_coarse)} with tol=0.01",
                f"about {format_bytes(self.memory_bytes)} of memory, {format_bytes(self.disk_bytes)} on disk",
                f"{len(self.values)} losses probed, from {low:.4g} to {high:.4g}{broken}: "
                f"bounds={_format_bounds(self.bounds)}, {self.scale} scale, {hides or 'no clipping needed'}",
                f"BatchNorm and dropout: {self.mode}",
            )
        )


def estimate_cost(
    objective: Objective,
    plane: Plane,
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] = 51,
    metrics: str | Iterable[str | Metric] = ("loss",),
    *,
    engine: Engine = Engine(),
) -> CostEstimate:
    """Probe a few points on the first batch and predict time, memory, range and scale. Nothing is written.

    Args:
        objective: as for `evaluate`.
        plane: as for `evaluate`.
        bounds: as for `evaluate`; probed on a coarse lattice of cells with all corners and edges, and closer to the model at one
            eighth, a quarter and a half of the way to every end.
        resolution: as for `evaluate`.
        metrics: as for `evaluate`.
        engine: as for `evaluate`; the time is that of one worker.

    Example:
        >>> import torch
        >>> objective = Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.zeros(2, dtype=torch.float64)})
        >>> from lossatlas.compute.planes.constructors import weight_plane
        >>> result = estimate_cost(objective, weight_plane(objective, ("w", 0), ("w", 1)), bounds=(-2, 2), resolution=(5, 7))
        >>> result.cells, result.scale, max(value for _, value in result.values)
        (35, 'linear', 8.0)
    """
    check_objective(objective)
    check_engine(engine)
    objective = objective.with_precision(engine.precision) if engine.precision != "full" else objective
    plane = plane.renamed_like(objective.state)
    grid = Grid.make(bounds_or_window(bounds, plane), resolution, plane.ndim)
    task = EvaluationProblem.make(objective, plane, metrics_named(metrics))
    _, model_seconds = probe_metrics(task)
    if not task.batch_metrics:
        task = replace(task, metrics=(*metrics_named("loss"), *task.metrics))
    probes = grid.points(np.array([0, grid.size * 2 // 3]))
    choice = select_evaluator(task, probes, grid.size, engine.evaluator, engine.chunk, engine.compile)
    near, lattice = _near(grid, plane), grid.points(_lattice(grid))
    points = np.concatenate([near, lattice])
    losses = Loop(task.first_batch_problem())(points).values[task.batch_metrics[0].name]
    seconds = (choice.seconds or _seconds(task, points)) * grid.size + model_seconds * grid.size
    clip, hidden, scale = _suggest_scale(losses[len(near) :], losses)
    return CostEstimate(
        cells=grid.size,
        passes=grid.size,
        seconds=seconds,
        seconds_coarse=seconds * min(1.0, max(COARSE_SHARE, 170 / grid.size)),
        memory_bytes=_memory(task, choice),
        disk_bytes=grid.size * (1 + 16 * len(task.metrics)),
        evaluator=choice.evaluator,
        bounds=_suggest_bounds(grid, points, losses),
        clip=clip,
        hidden=hidden,
        scale=scale,
        mode=_mode(task.objective),
        values=tuple((tuple(float(c) for c in point), float(value)) for point, value in zip(points, losses, strict=True)),
    )


def _seconds(task: EvaluationProblem, points: NDArray[np.float64]) -> float:
    began = perf_counter()
    Loop(task.first_batch_problem())(points[:2])
    return (perf_counter() - began) / 2 * task.objective.samples / task.first_batch_problem().objective.samples


def _near(grid: Grid, plane: Plane) -> NDArray[np.float64]:
    """The model's own place, or the middle, and steps from there toward every end of every axis."""
    center = np.array(plane.origin if plane.origin is not None else [(a[0] + a[-1]) / 2 for a in grid.axes])
    rows = [center]
    for axis, values in enumerate(grid.axes):
        for end in (values[0], values[-1]):
            for fraction in FRACTIONS:
                row = center.copy()
                row[axis] += fraction * (end - center[axis])
                rows.append(row)
    return np.stack(rows)


def _lattice(grid: Grid) -> NDArray[np.int64]:
    """Cells spread evenly over the grid, ends of every axis included."""
    most = LATTICE if len(grid.shape) > 1 else LINE
    along = [np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)) for n in grid.shape]
    return np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), grid.shape).ravel()


def _suggest_scale(lattice: NDArray[np.float64], losses: NDArray[np.float64]) -> tuple[float | None, float, str]:
    """Clip level, the share of the lattice above it, and the scale: log where a few values dwarf the rest and none is below zero.

    A clip is worth its loss where few cells take up most of the range.
    """
    finite, cells = losses[np.isfinite(losses)], lattice[np.isfinite(lattice)]
    if not cells.size:
        return None, 0.0, "linear"
    middle, top = float(np.median(cells)), float(finite.max())
    if finite.min() > 0 and top > LOG_RATIO * middle:
        return None, 0.0, "log"
    level = float(np.quantile(cells, 1 - MOST_HIDDEN, method="higher"))
    hidden = float(np.mean(lattice > level))
    return (level, hidden, "linear") if 0 < level < top / 2 and hidden else (None, 0.0, "linear")


def _suggest_bounds(grid: Grid, points: NDArray[np.float64], losses: NDArray[np.float64]) -> Window:
    """As far as the loss stays finite and below a hundred times its middle value; the whole range as a rule.

    Where it does not, every end moves toward the first point, the model: to a half, a quarter or an eighth of its distance.
    """
    ends, center = np.array([(axis[0], axis[-1]) for axis in grid.axes]), points[0]
    finite = losses[np.isfinite(losses)]
    limit = 100 * max(float(np.median(finite)) if finite.size else 0.0, 1e-12)
    good = np.isfinite(losses) & (losses <= limit)
    if good[0] and not good.all() and ((ends[:, 0] < center) & (center < ends[:, 1])).all():
        offsets = points - center
        reach = np.abs(offsets / np.where(offsets < 0, center - ends[:, 0], ends[:, 1] - center)).max(1)
        share = max([fraction for fraction in FRACTIONS if fraction < reach[~good].min()], default=FRACTIONS[0])
        ends = center[:, None] + share * (ends - center[:, None])
    return tuple((float(low), float(high)) for low, high in ends)


def _format_bounds(bounds: Window) -> str:
    """One pair where all axes have the same bounds, as `evaluate` takes them.

    >>> _format_bounds(((-1.0, 1.0), (-1.0, 1.0))), _format_bounds(((-1.0, 1.0), (-2.5, 4.0)))
    ('(-1, 1)', '((-1, 1), (-2.5, 4))')
    """
    pairs = [f"({low:g}, {high:g})" for low, high in bounds]
    return pairs[0] if len(set(pairs)) == 1 else f"({', '.join(pairs)})"


def _memory(task: EvaluationProblem, choice: EvaluatorSpec) -> int:
    tensors = [*task.objective.params.values(), *(v for d in task.plane.directions for v in d.params.values())]
    weights = sum(t.numel() * t.element_size() for t in tensors)
    moved = sum(task.plane.center[n].numel() * task.plane.center[n].element_size() for n in task.plane.moving_names)
    return weights + task.objective.data.bytes + moved * (choice.chunk or 1) + 8 * 2**21


def _mode(objective: Objective) -> str:
    layers = len(batchnorm_layers(objective.module)) if objective.module is not None else 0
    advice = {
        "eval": "stored statistics, no dropout, as in Li et al. 2018",
        "interpolated": "statistics interpolated between the models",
        "recalibrated": "statistics estimated anew at every point, which doubles the passes",
        "anchored": "statistics estimated anew at every point, at each model its own, which doubles the passes",
        "batch": "each batch's own statistics, no dropout",
        "train": "each batch's own statistics, and dropout with the same noise everywhere",
    }
    return f"{advice[objective.mode]} ({layers} BatchNorm layers)" if layers else "no BatchNorm layers with running statistics"
