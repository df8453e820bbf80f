"""Vectorized evaluator: `torch.vmap` over the coordinates, for models whose calls cost more than their arithmetic.

Any refusal of vmap (control flow on values, LSTM, an in-place write, randomness) is an `UnsupportedModel`, and the loop
does the work instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas._util.out_of_memory import out_of_memory
from lossatlas.compute.evaluation.evaluators.accumulators import MeanAccumulator, TileValues, values_of
from lossatlas.compute.evaluation.evaluators.base import UnsupportedModel, chunks
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError


@dataclass(frozen=True, eq=False)
class Vmap:
    """Measures `chunk` points together; the last chunk is filled up, so that every chunk has one shape."""

    task: EvaluationProblem
    chunk: int
    compiled: bool = False

    def __call__(self, points: NDArray[np.float64]) -> TileValues:
        task, count = self.task, len(points)
        coordinates = chunks(points, self.chunk).to(task.device)
        sums = task.sums(coordinates.shape[0] * self.chunk)
        with task.objective.no_autograd(), translate_vmap_errors():
            task.compute_references()
            score = self._scorer()
            for batch, weight in zip(task.objective.data.batches, task.objective.weights, strict=True):
                for index, block in enumerate(coordinates):
                    add(sums, slice(index * self.chunk, (index + 1) * self.chunk), score(block, batch), weight)
        return TileValues({n: v[:count] for n, v in values_of(sums, task.objective.samples).items()})

    def _scorer(self) -> Callable[[Tensor, Any], dict[str, Tensor]]:
        batched = torch.vmap(lambda place, batch: self.task.scores(self._point(place), batch), in_dims=(0, None))
        return self.task.cached("vmap", lambda: torch.compile(batched, dynamic=False)) if self.compiled else batched

    def _point(self, place: Tensor) -> Params:
        return {**self.task.static_params, **self.task.plane.moving_params(*place.unbind())}


def add(sums: dict[str, MeanAccumulator], where: slice, scores: dict[str, Tensor], weight: float) -> None:
    for name, values in scores.items():
        sums[name].add(where, values, weight)


@contextmanager
def translate_vmap_errors() -> Iterator[None]:
    """Turn what vmap refuses into `UnsupportedModel`; running out of memory stays what it is."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, UserWarning) as error:
        if isinstance(error, InputError) or out_of_memory(error):
            raise
        raise UnsupportedModel(_first_sentence(error)) from error


@contextmanager
def forbid_vmap_fallback() -> Iterator[None]:
    """Refuse operations that vmap would do sample by sample. Changes the process's warning filters: for probes only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*performance drop.*")
        yield


def _first_sentence(error: Any) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:140]}"
