"""Evaluators of points on a plane: the loop is the reference; vmap, affine and layout shortcuts are checked against it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lossatlas.compute.evaluation.evaluators.accumulators import TileValues, Values
from lossatlas.compute.evaluation.evaluators.base import Evaluator
from lossatlas.compute.evaluation.evaluators.evaluator_spec import EvaluatorSpec
from lossatlas.compute.evaluation.evaluators.loop import Loop
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem, static_overrides
from lossatlas.compute.evaluation.evaluators.selection import select_evaluator
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane

__all__ = [
    "EvaluationProblem",
    "Evaluator",
    "EvaluatorSpec",
    "Loop",
    "TileValues",
    "Values",
    "measure",
    "select_evaluator",
    "static_overrides",
]


def measure(objective: Objective, plane: Plane, points: NDArray[np.float64], metrics: tuple[Metric, ...]) -> Values:
    """Every metric and its standard error at every point, by the loop.

    Args:
        objective: what to measure.
        plane: where.
        points: coordinates, ``(n, ndim)``.
        metrics: what to report.

    Returns:
        By variable name (`loss`, `loss_standard_error`, …), each ``(n,)`` float64.
    """
    return Loop(EvaluationProblem.make(objective, plane, metrics))(points).values
