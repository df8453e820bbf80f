"""Serial executor: one tile after the other in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from lossatlas.compute.evaluation.executors.base import TILE_SECONDS, Cells, Tile, WorkerJob


def serial(job: WorkerJob, cells: Cells) -> Iterator[Tile]:
    """Measure in order; automatic tiles follow the clock, so that each takes about a second."""
    work, size, start = job.work(own_module=False), job.tile_cells(), 0
    while start < len(cells):
        chosen = cells[start : start + size]
        began = time.perf_counter()
        measured = work(chosen)
        seconds = max(time.perf_counter() - began, 1e-6)
        yield chosen, measured
        start += len(chosen)
        if job.tile is None:
            chunk = job.choice.chunk or 1
            fit = int(np.clip(len(chosen) * TILE_SECONDS / seconds, 1, min(2 * size, job.most_cells)))
            size = max(chunk, fit // chunk * chunk)
