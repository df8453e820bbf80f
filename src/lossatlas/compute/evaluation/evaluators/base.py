"""Protocol and shared parts of evaluators: chunks of points, refusal of unsupported models, out-of-memory errors."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.compute.evaluation.evaluators.accumulators import TileValues
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem

MemoryLayout = Literal["given", "channels_last", "folded", "features_first"]


class Evaluator(Protocol):
    """Points ``(n, ndim)`` to their values."""

    @property
    def task(self) -> EvaluationProblem: ...
    @property
    def chunk(self) -> int | None: ...
    def __call__(self, points: NDArray[np.float64]) -> TileValues: ...


class UnsupportedModel(Exception):
    """This evaluator cannot do the task; the message says why, for the log line."""


def chunks(points: NDArray[np.float64], size: int) -> Tensor:
    """Coordinates as ``(chunks, size, ndim)``, the last chunk filled up with copies of the last point."""
    missing = -len(points) % size
    filled = np.concatenate([points, np.repeat(points[-1:], missing, axis=0)])
    return torch.from_numpy(np.ascontiguousarray(filled, dtype=np.float64)).reshape(-1, size, points.shape[1])
