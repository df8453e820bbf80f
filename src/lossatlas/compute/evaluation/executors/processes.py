"""Process executor, for models that hold the interpreter's lock; each worker has its own copy of model and data.

The pool is loky's, as in scikit-learn: it pickles lambdas, notices dead workers, and needs no `__main__` guard.
loky and cloudpickle are imported where a pool is made, for the other executors need neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import torch

from lossatlas.compute.evaluation.evaluators import TileValues
from lossatlas.compute.evaluation.executors.base import Cells, Tile, Work, WorkerJob
from lossatlas.compute.evaluation.executors.orphan_workers import end_with_parent
from lossatlas.compute.evaluation.executors.retries import Attempt, TileQueue

if TYPE_CHECKING:
    from loky.process_executor import ProcessPoolExecutor

_WORK: dict[str, Any] = {}
READY_SECONDS = 0.05
START_SECONDS = 300.0


def processes(job: WorkerJob, cells: Cells) -> Iterator[Tile]:
    """Tiles by `job.workers` processes; a dead or hanging one costs only its tiles, be it that it dies while it starts."""
    from cloudpickle import dumps

    workers = job.workers or torch.get_num_threads()
    queue, packed = TileQueue(job.tiles(cells, workers), job.retries), dumps(job.detached())
    pool, running = _pool(workers, packed), dict[Future[TileValues], Attempt]()
    try:
        while queue or running:
            broken = _hand_out(pool, workers, queue, running)
            done, _ = wait(running, timeout=_next_timeout(job, running), return_when=FIRST_COMPLETED)
            late = not done and bool(running)
            for future in done:
                attempt, error = running.pop(future), future.exception()
                if error is None:
                    yield attempt.cells, future.result()
                    continue
                broken = broken or isinstance(error, BrokenExecutor)
                queue.retry(attempt, error)
            if broken or late:
                pool.shutdown(wait=False, kill_workers=True)
                for attempt in running.values():
                    queue.retry(attempt, f"no answer within {job.timeout} s" if late else "its worker died")
                pool, running = _pool(workers, packed), {}
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _hand_out(pool: ProcessPoolExecutor, workers: int, queue: TileQueue, running: dict[Future[TileValues], Attempt]) -> bool:
    """Give every worker a tile; whether the pool was broken already, which costs a tile only where no other was at work."""
    while queue and len(running) < workers:
        attempt = queue.take()
        try:
            running[pool.submit(_run, attempt.cells)] = attempt
        except BrokenExecutor as error:
            if running:
                queue.put_back(attempt)
            else:
                queue.retry(attempt, error, first=True)
            return True
    return False


def _next_timeout(job: WorkerJob, running: dict[Future[TileValues], Attempt]) -> float | None:
    if job.timeout is None or not running:
        return None
    return max(0.0, min(a.started for a in running.values()) + job.timeout - monotonic())


def _pool(workers: int, packed: bytes) -> ProcessPoolExecutor:
    """A pool whose workers stand ready: the time they take to start counts for no tile. One that dies meanwhile breaks the pool."""
    from loky.process_executor import ProcessPoolExecutor

    pool = ProcessPoolExecutor(workers, initializer=_start, initargs=(packed, os.getpid()))
    with suppress(BrokenExecutor):
        wait([pool.submit(sleep, READY_SECONDS) for _ in range(workers)], timeout=START_SECONDS)
    return pool


def _start(packed: bytes, driver: int) -> None:
    """Unpack the job; what that raises comes again with the first tile, which tells the reason, for the pool would swallow it."""
    end_with_parent(driver)
    torch.set_num_threads(1)
    _WORK["packed"] = packed
    with suppress(Exception):
        _unpacked()


def _unpacked() -> Work:
    if "here" not in _WORK:
        from cloudpickle import loads

        _WORK["here"] = loads(_WORK["packed"]).work(own_module=False)
        del _WORK["packed"]
    return _WORK["here"]


def _run(cells: Cells) -> TileValues:
    return _unpacked()(cells)
