"""Reference evaluator: one point after the other, one batch after the other.

Data outside, points inside: a batch is scored at a block of points whose moved weights fit a few megabytes, so the
weights are built once a point and the batch stays in cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.out_of_memory import out_of_memory
from lossatlas.compute.evaluation.evaluators.accumulators import BatchRows, MeanAccumulator, TileValues, values_of
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.plane import coordinates_of
from lossatlas.errors import InputError

BLOCK_BYTES = 8 * 2**20
"""Moved weights held at a time: never a copy of the model for every point of a grid."""


@dataclass(frozen=True, eq=False)
class Loop:
    """Measures point by point. Its values do not depend on how points are grouped, to the last bit."""

    task: EvaluationProblem
    compiled: bool = False
    chunk: int = 1

    def __call__(self, points: NDArray[np.float64]) -> TileValues:
        task, places = self.task, coordinates_of(points, self.task.plane.ndim)
        sums, holes = task.sums(len(places)), dict[int, str]()
        rows = {name: BatchRows(accumulator) for name, accumulator in sums.items()}
        data, block = task.objective.data, self._block()
        with task.objective.no_autograd():
            for start in range(0, len(places), block):
                here = range(start, min(start + block, len(places)))
                moved = {i: params for i in here if (params := self._moved(sums, holes, i, places[i])) is not None}
                for batch, weight in zip(data.batches, task.objective.weights, strict=True):
                    for index, params in moved.items():
                        self._add(sums, rows, holes, index, params, batch, weight)
                    for each in rows.values():
                        each.flush()
        if holes and len(holes) == len(places):
            self._check_center()
        return TileValues(values_of(sums, data.samples), holes)

    def _check_center(self) -> None:
        """A model that raises at its own weights too raises everywhere: not a hole in a surface, but no surface."""
        try:
            self.task.objective.loss()
        except Exception as error:
            if isinstance(error, InputError) or out_of_memory(error):
                raise
            allowed = "a model that runs on every batch at its own weights"
            step = "BatchNorm needs more than one sample a batch: choose another batch_size" if "per channel" in str(error) else ""
            raise InputError("model", f"{type(error).__name__}: {error}", allowed, step) from error

    def _moved(self, sums: dict[str, MeanAccumulator], holes: dict[int, str], index: int, place: tuple[float, ...]) -> Params | None:
        try:
            return self.task.point(place)
        except Exception as error:
            self._spoil(sums, holes, index, error)
            return None

    def _add(
        self,
        sums: dict[str, MeanAccumulator],
        rows: dict[str, BatchRows],
        holes: dict[int, str],
        index: int,
        params: Params,
        batch: Any,
        weight: float,
    ) -> None:
        """A point where the model or a metric raises becomes a hole with a reason; the other points go on."""
        try:
            scores = self.task.score_batch(params, batch, self.compiled)
        except Exception as error:
            self._spoil(sums, holes, index, error)
            return
        for metric in self.task.batch_metrics:
            try:
                rows[metric.name].add(index, self.task.references.measure(metric, scores, batch), weight)
            except InputError:
                raise
            except Exception as error:
                sums[metric.name].mark_failed(index)
                holes.setdefault(index, f"{metric.name}: {type(error).__name__}: {error}")

    def _spoil(self, sums: dict[str, MeanAccumulator], holes: dict[int, str], index: int, error: Exception) -> None:
        """No metric has a value there; what concerns the whole run, such as a wrong argument, is raised again."""
        if isinstance(error, InputError) or out_of_memory(error):
            raise error
        for accumulator in sums.values():
            accumulator.mark_failed(index)
        holes.setdefault(index, f"{type(error).__name__}: {error}")

    def _block(self) -> int:
        center = self.task.plane.center
        size = sum(center[n].numel() * center[n].element_size() for n in self.task.plane.moving_names)
        return max(1, BLOCK_BYTES // max(size, 1))
