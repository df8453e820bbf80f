"""Protocol of executors: a job and cells go in, finished tiles come out in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lossatlas.analysis.grid import Grid, tiles
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec, TileValues

Cells = NDArray[np.int64]
Tile = tuple[Cells, TileValues]
Work = Callable[[Cells], TileValues]

TILE_SECONDS = 1.0
"""Aim of an automatic tile: a killed run loses about this much work."""
TILE_CELLS = 4096
TILE_BYTES = 32 * 2**20
"""Where every sample's value is kept, a tile holds at most so many bytes of them."""


@dataclass(frozen=True, eq=False)
class WorkerJob:
    """All that a worker needs. It can be pickled (cloudpickle), and a worker calls `work` once.

    Attributes:
        task: objective, plane and metrics.
        grid: cells to coordinates.
        choice: which evaluator.
        tile: cells a tile; None aims at a second.
        workers: how many; None leaves it to the executor.
        retries: how often a tile may fail in another process before the run ends.
        timeout: seconds after which a tile in another process counts as lost.
        device: where a detached job computes.
    """

    task: EvaluationProblem
    grid: Grid
    choice: EvaluatorSpec
    tile: int | None = None
    workers: int | None = None
    retries: int = 2
    timeout: float | None = None
    device: str | None = None

    def detached(self) -> WorkerJob:
        """The same job on the CPU, to be sent elsewhere; `work` moves it to its device again."""
        return replace(self, task=self.task.to("cpu"), device=str(self.task.device))

    def work(self, own_module: bool = True) -> Work:
        """Cells to values, on a module of the worker's own."""
        task = self.task.to(self.device) if self.device is not None else self.task
        evaluator = self.choice.create(task.thread_copy() if own_module else task)
        return lambda cells: evaluator(self.grid.points(cells))

    def tile_cells(self, workers: int = 1) -> int:
        """Cells of an automatic tile: about a second of work, whole chunks."""
        if self.tile is not None:
            return self.tile
        seconds, chunk = self.choice.seconds, self.choice.chunk or 1
        fit = int(np.clip(TILE_SECONDS / seconds, 1, self.most_cells)) if seconds else 1
        return max(chunk, fit // chunk * chunk)

    @property
    def most_cells(self) -> int:
        """Of an automatic tile."""
        return max(1, min(TILE_CELLS, TILE_BYTES // max(self.task.cell_bytes, 1)))

    def tiles(self, cells: Cells, workers: int) -> list[Cells]:
        """Tiles for several workers: no larger than an equal share."""
        share = -(-len(cells) // max(workers, 1))
        return list(tiles(cells, max(1, min(self.tile_cells(), share))))


class Executor(Protocol):
    """Yields ``(cells, measured)`` for all of `cells`, in any order and any grouping."""

    def __call__(self, job: WorkerJob, cells: Cells) -> Iterator[Tile]: ...
