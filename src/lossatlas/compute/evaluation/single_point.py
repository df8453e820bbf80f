"""Metrics of an objective at single points of weight space, outside any plane."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lossatlas.compute.evaluation.evaluators.accumulators import Sums
from lossatlas.compute.metrics import METRICS, metrics_named
from lossatlas.compute.objective.batchnorm import norms
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import typed
from lossatlas.compute.planes.batchnorm_statistics import without_statistics
from lossatlas.errors import InputError


def score(objective: Objective, tensors: Mapping[str, Tensor] | None = None, metrics: tuple[str, ...] = ("loss",)) -> dict[str, float]:
    """Means over the objective's data at one point, summed in float64.

    Args:
        objective: what to measure.
        tensors: parameters, and buffers such as BatchNorm statistics, that replace the objective's own.
        metrics: names, as for `evaluate`.

    Example:
        >>> import torch
        >>> square = Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0])})
        >>> score(square, {"w": torch.tensor([2.0])})
        {'loss': 4.0}
    """
    chosen = metrics_named(metrics)
    device = next(iter(objective.params.values())).device
    sums = {metric.name: Sums(1, device) for metric in chosen}
    point = dict(objective.params) if tensors is None else without_statistics(objective, tensors)
    with objective.quiet():
        placed = objective.placed(typed(point, objective.tensors))
        for batch, weight in objective.counted():
            scores = objective.score(placed, batch)
            for metric in chosen:
                sums[metric.name].add(0, metric.measure(scores), weight)
    return {name: float(found.mean(objective.samples)[0]) for name, found in sums.items()}


def statistics_source(objective: Objective) -> Objective | None:
    """The objective that re-estimates BatchNorm statistics at a point, or None where the model keeps none."""
    return objective.with_mode("recalibrated") if objective.module is not None and norms(objective.module) else None


def placed_by(source: Objective | None, point: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`point` with the statistics that `source` estimates there; as it is where there is no source."""
    return dict(point) if source is None else source.placed(dict(point))


def has_accuracy(objective: Objective) -> bool:
    """Whether the model classifies, told from its first batch."""
    with objective.quiet():
        try:
            METRICS["accuracy"].measure(objective.score(objective.params, objective.data.batches[0]))
        except (InputError, RuntimeError, ValueError, IndexError):
            return False
    return True
