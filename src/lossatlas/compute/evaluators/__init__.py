"""Measuring points of a plane: the loop is the reference, vmap and the affine shortcut are faster where they fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lossatlas.compute.evaluators.choice import Choice, Evaluator
from lossatlas.compute.evaluators.choose import choose
from lossatlas.compute.evaluators.loop import Loop
from lossatlas.compute.evaluators.sums import Measured, Values
from lossatlas.compute.evaluators.task import Task, unlike_objective
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective import Objective
from lossatlas.compute.plane import Plane

__all__ = ["Choice", "Evaluator", "Loop", "Measured", "Task", "Values", "choose", "measure", "unlike_objective"]


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
    return Loop(Task.make(objective, plane, metrics))(points).values
