"""Evaluation of metrics at single points of weight space, outside any plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from lossatlas.compute.evaluation.evaluators.accumulators import MeanAccumulator
from lossatlas.compute.metrics import METRICS, Metric, metrics_named
from lossatlas.compute.objective.batchnorm import batchnorm_layers
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.planes.batchnorm_statistics import drop_running_stats
from lossatlas.errors import InputError


def evaluate_point(
    objective: Objective, tensors: Mapping[str, Tensor] | None = None, metrics: str | Iterable[str | Metric] = ("loss",)
) -> dict[str, float]:
    """Means over the objective's data at one point, summed in float64.

    Args:
        objective: what to measure.
        tensors: parameters, and buffers such as BatchNorm statistics, that replace the objective's own.
        metrics: names or metrics of your own, as for `evaluate`.

    Example:
        >>> import torch
        >>> square = Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0])})
        >>> evaluate_point(square, {"w": torch.tensor([2.0])})
        {'loss': 4.0}
    """
    chosen = metrics_named(metrics)
    device = next(iter(objective.params.values())).device
    sums = {metric.name: MeanAccumulator(1, device) for metric in chosen}
    point = dict(objective.params) if tensors is None else drop_running_stats(objective, tensors)
    with objective.no_autograd():
        placed = objective.with_batchnorm_statistics(cast_like(point, objective.state))
        for batch, weight in objective.weighted_batches():
            scores = objective.score(placed, batch)
            for metric in chosen:
                sums[metric.name].add(0, metric.measure(scores), weight)
    return {name: float(accumulator.mean(objective.samples)[0]) for name, accumulator in sums.items()}


def statistics_source(objective: Objective) -> Objective | None:
    """The objective that re-estimates BatchNorm statistics at a point, or None where the model keeps none."""
    return objective.with_mode("recalibrated") if objective.module is not None and batchnorm_layers(objective.module) else None


def with_recalibrated_statistics(source: Objective | None, point: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`point` with the statistics that `source` estimates there; as it is where there is no source."""
    return dict(point) if source is None else source.with_batchnorm_statistics(dict(point))


def has_accuracy(objective: Objective) -> bool:
    """Whether the model classifies, told from its first batch."""
    with objective.no_autograd():
        try:
            METRICS["accuracy"].measure(objective.score(objective.params, objective.data.batches[0]))
        except (InputError, RuntimeError, ValueError, IndexError):
            return False
    return True
