"""Agreement of a fast evaluator with the loop, within a tolerance by dtype."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.compute.evaluation.evaluators.accumulators import TileValues, Values
from lossatlas.compute.evaluation.evaluators.loop import Loop
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.errors import InputError

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}
LOW_PRECISION = 3e-2
CELLS_A_CHECK = 16
"""Of so many compiled cells one is measured by the loop as well: a sixteenth of the loop's time, where compiling gained a factor of 3.9."""
ACCURACY_SLACK = 0.01
"""Rounding may decide which of two equal outputs is the largest."""


def tolerance_of(task: EvaluationProblem) -> float:
    """Largest deviation of an evaluator from the loop that rounding may cause, relative to the value."""
    dtype = next(iter(task.objective.params.values())).dtype
    return LOW_PRECISION if task.objective.precision == "bf16" else TOLERANCES.get(dtype, LOW_PRECISION)


def disagreement(measured: Values, expected: Values, tolerance: float, accuracy_slack: float = 0.0) -> str | None:
    """In words, the first metric in which the leading points of `measured` are not `expected`; None where all agree."""
    for name, values in expected.items():
        here, slack = measured[name][: len(values)], accuracy_slack if name == "accuracy" else 0.0
        if not name.endswith(schema.SUFFIXES) and not np.allclose(here, values, rtol=tolerance, atol=slack + tolerance**2, equal_nan=True):
            return f"its {name} {here.tolist()} is not the loop's {values.tolist()}"
    return None


@dataclass(eq=False)
class SpotCheck:
    """Compares compiled values with the loop's all through a run: what a compiler gets wrong may show only at some cells.

    Every value that is not finite is compared, and of all others one cell in sixteen: the outermost of a tile first, where
    activations overflow, then cells spread evenly over it.

    Attributes:
        loop: the reference.
        unchecked: cells since the last comparison; a run begins with one.
    """

    loop: Loop
    unchecked: int = field(default=CELLS_A_CHECK)

    def __call__(self, points: NDArray[np.float64], measured: TileValues) -> None:
        """Compare.

        Raises:
            InputError: a compiled value is not the loop's.
        """
        chosen = np.union1d(_not_finite(measured), self._due(points)).astype(np.int64)
        if not len(chosen):
            return
        expected = self.loop(points[chosen]).values
        for row, cell in enumerate(chosen):
            here, there = ({n: v[i : i + 1] for n, v in values.items()} for i, values in ((cell, measured.values), (row, expected)))
            if reason := disagreement(here, there, tolerance_of(self.loop.task), ACCURACY_SLACK):
                raise _wrong(reason, points[cell])

    def _due(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        self.unchecked += len(points)
        count = min(self.unchecked // CELLS_A_CHECK, len(points))
        if not count:
            return np.empty(0, np.int64)
        self.unchecked %= CELLS_A_CHECK
        origin = self.loop.task.plane.origin
        far = np.linalg.norm(points - (0.0 if origin is None else np.asarray(origin)), axis=1).argmax()
        spread = np.linspace(0, len(points), count - 1, endpoint=False) + len(points) / (2 * max(count - 1, 1))
        return np.array([far, *spread.astype(np.int64)])


def _not_finite(measured: TileValues) -> NDArray[np.int64]:
    odd = [~np.isfinite(v).reshape(len(v), -1).all(1) for n, v in measured.values.items() if not n.endswith(schema.SUFFIXES)]
    return np.flatnonzero(np.logical_or.reduce(odd))


def _wrong(reason: str, point: NDArray[Any]) -> InputError:
    place = ", ".join(f"{coordinate:.4g}" for coordinate in point)
    return InputError(
        "compile",
        f"True, and at ({place}) {reason}",
        "False for this model on this processor",
        "Cells of this surface that were stored before may be wrong too: pass overwrite=True as well",
    )
