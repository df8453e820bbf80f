"""Process executor, for models that hold the interpreter's lock; each worker has its own copy of model and data.

The pool is loky's, as in scikit-learn: it pickles lambdas, notices dead workers, and needs no `__main__` guard. One pool serves all
jobs of a call, for a worker takes seconds to start.
loky and cloudpickle are imported where a pool is made, for the other executors need neither.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import closing, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import torch

from lossatlas.compute.evaluation.evaluators import TileValues
from lossatlas.compute.evaluation.executors.allocator import keep_freed_memory
from lossatlas.compute.evaluation.executors.base import Cells, Tile, Work, WorkerJob
from lossatlas.compute.evaluation.executors.orphan_workers import end_with_parent
from lossatlas.compute.evaluation.executors.retries import Attempt, TileQueue

if TYPE_CHECKING:
    from loky.process_executor import ProcessPoolExecutor

_WORK: dict[str, Any] = {}
READY_SECONDS = 0.05
START_SECONDS = 300.0


class WorkerProcesses:
    """Executor whose worker processes start once and take one job after the other, until `close`.

    A job is packed into a file, which every worker reads once; loky's resource tracker removes it where the driver is killed.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._folder: Path | None = None

    def __call__(self, job: WorkerJob, cells: Cells) -> Iterator[Tile]:
        """Tiles by `job.workers` processes; a dead or hanging one costs only its tiles, be it that it dies while it starts."""
        workers = job.workers or torch.get_num_threads()
        queue, running = TileQueue(job.tiles(cells, workers), job.retries), dict[Future[TileValues], Attempt]()
        packed = self._pack(job)
        try:
            pool = self._ready(workers, packed)
            while queue or running:
                broken = _hand_out(pool, packed, workers, queue, running)
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
                    self._end_workers(wait_for_end=False)
                    for attempt in running.values():
                        queue.retry(attempt, f"no answer within {job.timeout} s" if late else "its worker died")
                    running = {}
                    pool = self._ready(workers, packed)
        finally:
            if queue or running:  # stopped in between: what still runs is wanted no more
                self._end_workers()
            packed.unlink(missing_ok=True)

    def close(self) -> None:
        """End the workers and remove what was packed for them."""
        self._end_workers()
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)
            resource_tracker().unregister(str(self._folder), "folder")
            self._folder = None

    def _pack(self, job: WorkerJob) -> Path:
        from cloudpickle import dump

        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="lossatlas-"))
            resource_tracker().register(str(self._folder), "folder")
        path = self._folder / uuid.uuid4().hex
        with path.open("wb") as file:
            dump(job.detached(), file)
        return path

    def _ready(self, workers: int, packed: Path) -> ProcessPoolExecutor:
        """The pool, with every worker that lives ready for the job; a new one where there is none."""
        if self._pool is None:
            self._pool = _pool(workers, packed)
        else:
            _wait_until_ready(self._pool, workers, packed)
        return self._pool

    def _end_workers(self, wait_for_end: bool = True) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=wait_for_end, kill_workers=True)
            self._pool = None


def processes(job: WorkerJob, cells: Cells) -> Iterator[Tile]:
    """Tiles of a single job by worker processes."""
    with closing(WorkerProcesses()) as workers:
        yield from workers(job, cells)


def resource_tracker() -> Any:
    from loky.backend import resource_tracker

    return resource_tracker


def _hand_out(pool: ProcessPoolExecutor, packed: Path, workers: int, queue: TileQueue, running: dict[Future[TileValues], Attempt]) -> bool:
    """Give every worker a tile; whether the pool was broken already, which costs a tile only where no other was at work."""
    while queue and len(running) < workers:
        attempt = queue.take()
        try:
            running[pool.submit(_run, packed, attempt.cells)] = attempt
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


def _pool(workers: int, packed: Path) -> ProcessPoolExecutor:
    """A pool whose workers stand ready: the time they take to start counts for no tile. One that dies meanwhile breaks the pool."""
    from loky.process_executor import ProcessPoolExecutor

    pool = ProcessPoolExecutor(workers, initializer=_start, initargs=(packed, os.getpid()))
    _wait_until_ready(pool, workers, packed)
    return pool


def _wait_until_ready(pool: ProcessPoolExecutor, workers: int, packed: Path) -> None:
    with suppress(BrokenExecutor):
        wait([pool.submit(_unpack, packed) for _ in range(workers)], timeout=START_SECONDS)


def _start(packed: Path, driver: int) -> None:
    end_with_parent(driver)
    keep_freed_memory()
    torch.set_num_threads(1)
    _unpack(packed, 0.0)


def _unpack(packed: Path, seconds: float = READY_SECONDS) -> None:
    """Unpack the job and leave the next call to another worker; what that raises comes again with the first tile, which tells the
    reason, for the pool would swallow it."""
    with suppress(Exception):
        _unpacked(packed)
    sleep(seconds)


def _unpacked(packed: Path) -> Work:
    if _WORK.get("packed") != packed:
        from cloudpickle import load

        _WORK.clear()
        with packed.open("rb") as file:
            _WORK.update(work=load(file).work(own_module=False), packed=packed)
    return _WORK["work"]


def _run(packed: Path, cells: Cells) -> TileValues:
    return _unpacked(packed)(cells)
