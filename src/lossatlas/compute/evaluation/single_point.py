"""Evaluation of metrics at single points of weight space, outside any plane."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from torch import Tensor

from lossatlas._util.out_of_memory import out_of_memory
from lossatlas.compute.evaluation.evaluators.accumulators import accumulator_of
from lossatlas.compute.evaluation.evaluators.reference_outputs import ReferenceOutputs
from lossatlas.compute.evaluation.metric_probe import check_batch_metrics, measured_twice
from lossatlas.compute.metrics import METRICS, Metric, adapt_metrics, metrics_named
from lossatlas.compute.metrics.model_measurement import ModelMeasurement
from lossatlas.compute.objective.module.batchnorm import batchnorm_layers
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.batchnorm_statistics import drop_running_stats
from lossatlas.errors import InputError


class PointEvaluator:
    """Measures metrics at one point of weight space after the other, those of the whole model too.

    Args:
        objective: what to measure.
        metrics: names or metrics of your own, as for `evaluate`.
        origin: parameters and buffers of the model that relative metrics compare with; None is the objective's own.

    Attributes:
        metrics: as the objective gives them; after `probe` with what it told of them.
        failures: reasons why metrics of the whole model have no value at the last point, where they raised.
    """

    def __init__(
        self, objective: Objective, metrics: str | Metric | Iterable[str | Metric], origin: Mapping[str, Tensor] | None = None
    ) -> None:
        self.objective = objective
        self.metrics = adapt_metrics(metrics_named(metrics), objective)
        self._origin = None if origin is None else dict(origin)
        self._references = ReferenceOutputs(objective, lambda: self._placed(self._origin))
        self._measurement = ModelMeasurement.of(objective) if any(m.of == "model" for m in self.metrics) else None
        self.failures: list[str] = []

    def probe(self, tensors: Mapping[str, Tensor] | None = None) -> PointEvaluator:
        """This evaluator, once metrics of one's own were measured at a point, those of the whole model twice.

        Raises:
            InputError: one raises there, or its values differ.
        """
        if all(metric.is_builtin for metric in self.metrics):
            return self
        with self.objective.no_autograd():
            placed = self._placed(tensors)
        check_batch_metrics(self.metrics, self.objective, placed)
        measurement = self._measurement
        self.metrics = tuple(m if measurement is None or m.of == "batch" else measured_twice(m, measurement, placed) for m in self.metrics)
        return self

    def __call__(self, tensors: Mapping[str, Tensor] | None = None) -> dict[str, float]:
        """Every metric with its error at one point, by name of the array.

        Args:
            tensors: parameters, and buffers such as BatchNorm statistics, that replace the objective's own.
        """
        with self.objective.no_autograd():
            placed = self._placed(tensors)
            values = self._of_batches(placed)
        self.failures.clear()
        for metric in (metric for metric in self.metrics if metric.of == "model"):
            values |= self._of_model(metric, placed)
        return values

    def _of_model(self, metric: Metric, placed: Params) -> dict[str, float]:
        """NaN where the metric raises, and the reason; what concerns every point is raised again."""
        assert self._measurement is not None
        try:
            return self._measurement.values(metric, placed)
        except Exception as error:
            if isinstance(error, InputError) or out_of_memory(error):
                raise
            self.failures.append(f"{metric.name}: {type(error).__name__}: {error}")
            return {declared.name: math.nan for declared in (metric.variable, *metric.variable.errors())}

    def _of_batches(self, placed: Params) -> dict[str, float]:
        batched = [metric for metric in self.metrics if metric.of == "batch"]
        if not batched:
            return {}
        device = next(iter(self.objective.params.values())).device
        sums = {metric.name: accumulator_of(metric, 1, device, self.objective.data.population) for metric in batched}
        for batch, weight in self.objective.weighted_batches():
            scores = self.objective.score(placed, batch)
            for metric in batched:
                sums[metric.name].add(0, self._references.measure(metric, scores, batch), weight)
        samples = self.objective.samples
        return {key: float(value[0]) for name, total in sums.items() for key, value in total.values(name, samples).items()}

    def _placed(self, tensors: Mapping[str, Tensor] | None) -> Params:
        objective = self.objective
        point = dict(objective.params) if tensors is None else drop_running_stats(objective, tensors)
        return objective.with_batchnorm_statistics(cast_like(point, objective.state))


def evaluate_point(
    objective: Objective, tensors: Mapping[str, Tensor] | None = None, metrics: str | Metric | Iterable[str | Metric] = ("loss",)
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
    values = PointEvaluator(objective, metrics)(tensors)
    return {metric.name: values[metric.name] for metric in metrics_named(metrics)}


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
