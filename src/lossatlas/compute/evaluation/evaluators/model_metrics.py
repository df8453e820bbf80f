"""Evaluator of metrics of the whole model, one point after the other, beside another that streams the data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.out_of_memory import out_of_memory
from lossatlas.compute.evaluation.evaluators.accumulators import TileValues, Values
from lossatlas.compute.evaluation.evaluators.base import Evaluator
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.metrics.model_measurement import ModelMeasurement
from lossatlas.compute.planes.plane import coordinates_of
from lossatlas.errors import InputError


@dataclass(eq=False)
class ModelMetrics:
    """The values of `batched`, and those of the metrics of the whole model.

    Attributes:
        task: all metrics.
        batched: measures those of batches; None where there are none.
    """

    task: EvaluationProblem
    batched: Evaluator | None
    measurement: ModelMeasurement = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.measurement = ModelMeasurement.of(self.task.objective)

    @property
    def chunk(self) -> int | None:
        return 1 if self.batched is None else self.batched.chunk

    def __call__(self, points: NDArray[np.float64]) -> TileValues:
        tile = TileValues({}, {}) if self.batched is None else self.batched(points)
        names = [variable.name for metric in self.task.model_metrics for variable in (metric.variable, *metric.variable.errors())]
        values: Values = {**tile.values, **{name: np.full(len(points), np.nan) for name in names}}
        failures = dict(tile.failures)
        for index, place in enumerate(coordinates_of(points, self.task.plane.ndim)):
            if (reason := self._measure(values, index, place)) is not None:
                failures.setdefault(index, reason)
        return TileValues(values, failures)

    def _measure(self, values: Values, index: int, place: tuple[float, ...]) -> str | None:
        """Fill in the values of a point; the reason why some of them stay NaN, where a metric raised."""
        reason = label = None
        try:
            tensors = self.task.point(place)
            for metric in self.task.model_metrics:
                label = metric.name
                try:
                    for name, value in self.measurement.values(metric, tensors).items():
                        values[name][index] = value
                except Exception as error:
                    reason = reason or _reason(error, label)
        except Exception as error:
            return _reason(error)
        return reason


def _reason(error: Exception, label: str = "") -> str:
    """A hole's reason; what concerns the whole run, such as a wrong result, is raised again."""
    if isinstance(error, InputError) or out_of_memory(error):
        raise error
    return f"{label}: {type(error).__name__}: {error}" if label else f"{type(error).__name__}: {error}"
