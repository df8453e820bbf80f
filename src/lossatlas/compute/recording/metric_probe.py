"""Metrics of a recording: measured on fixed data at every recorded step, and the curves that they fill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from lossatlas import schema
from lossatlas.compute.evaluation.single_point import PointEvaluator, has_accuracy
from lossatlas.compute.metrics import Metric, metrics_named
from lossatlas.compute.objective.objective import Objective

PREFIXES = {"path": "{} of the iterate itself", "test": "{} on the test data"}
"""By prefix of the curve's name, its long name."""
FIRST = ("loss", "accuracy")
"""Metrics of every recording, whose errors are not kept."""


class MetricProbe:
    """Objectives that are measured at every recorded step.

    Args:
        train: fills ``path_NAME`` with the loss, with accuracy where the model classifies, and with `metrics`.
        test: the same for ``test_NAME``.
        metrics: further ones, by name or of your own; relative ones compare with the objective's own weights.

    Raises:
        InputError: a metric that `evaluate` would refuse too.
    """

    def __init__(
        self, train: Objective | None = None, test: Objective | None = None, metrics: str | Metric | Iterable[str | Metric] | None = None
    ) -> None:
        self.train, self.test = train, test
        further = () if metrics is None else metrics_named(metrics)
        owners = [(prefix, objective) for prefix, objective in (("path", train), ("test", test)) if objective is not None]
        self.evaluators = {prefix: point_evaluator(objective, further) for prefix, objective in owners}

    @property
    def variables(self) -> list[schema.Variable]:
        """Curves that are filled."""
        return [v for prefix, evaluator in self.evaluators.items() for v in curves_of(evaluator, prefix)]

    def measure(self, tensors: Mapping[str, Tensor]) -> dict[str, float]:
        """Every curve's value where `tensors` are the model's parameters and buffers."""
        return {
            f"{prefix}_{name}": value for prefix, evaluator in self.evaluators.items() for name, value in stored(evaluator(tensors)).items()
        }

    def identities(self) -> dict[str, Any]:
        """By name, what the metrics that are not the package's are."""
        metrics = [metric for evaluator in self.evaluators.values() for metric in evaluator.metrics]
        return {metric.name: metric.identity() for metric in metrics if metric.code}


def point_evaluator(objective: Objective, further: tuple[Metric, ...], origin: Mapping[str, Tensor] | None = None) -> PointEvaluator:
    """The loss, accuracy where the model classifies, and further metrics at single points; one's own are measured once first."""
    first = metrics_named(FIRST if has_accuracy(objective) else FIRST[:1])
    names = {metric.name for metric in first}
    return PointEvaluator(objective, (*first, *(m for m in further if m.name not in names)), origin).probe()


def curves_of(evaluator: PointEvaluator, prefix: str) -> list[schema.Variable]:
    """Variables over steps that an evaluator's values fill, in the units of the objective where they are those of the loss."""
    units = str(evaluator.objective.description["units"]) or "1"
    of_metrics = [replace(m.variable, units=units) if m.in_units_of_loss else m.variable for m in evaluator.metrics]
    measured = [v for known in of_metrics for v in ((known,) if known.name in FIRST else (known, *known.errors()))]
    return [_over_steps(variable, prefix) for variable in measured]


def stored(values: Mapping[str, float]) -> dict[str, float]:
    """Values without the errors of loss and accuracy, which recordings do not keep."""
    left_out = {f"{name}{suffix}" for name in FIRST for suffix in schema.SUFFIXES}
    return {name: value for name, value in values.items() if name not in left_out}


def _over_steps(measured: schema.Variable, prefix: str) -> schema.Variable:
    name = f"{prefix}_{measured.name}"
    if name in schema.VARIABLES:
        return replace(schema.VARIABLES[name], units=measured.units)
    long_name = PREFIXES[prefix].format(measured.long_name)
    return schema.Variable(name, ("step",), "float64", measured.units, long_name, measured.details)
