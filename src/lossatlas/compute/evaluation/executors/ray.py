"""Ray executor: tiles on one machine or a cluster.

The job is put into the object store once, so that every node receives it once. A lost worker or node costs its
tiles, which Ray runs elsewhere; a lost driver continues from the archive.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from time import monotonic
from typing import Any

import torch

from lossatlas.compute.evaluation.evaluators import TileValues
from lossatlas.compute.evaluation.executors.allocator import keep_freed_memory
from lossatlas.compute.evaluation.executors.base import Cells, Tile, WorkerJob
from lossatlas.compute.evaluation.executors.retries import Attempt, TileQueue
from lossatlas.errors import InputError, MissingDependencyError

_WORK: dict[str, Any] = {}
POLL_SECONDS = 1.0
START_SECONDS = 60.0
"""Allowed on top of a tile's timeout: its worker may first have to start and to fetch the job."""
SYSTEM_RETRIES = 4
"""How often Ray itself runs a tile again when its worker or node is lost."""


def ray_executor(address: str | None = None) -> Any:
    """An executor on the Ray cluster at `address`; None takes the running one, `RAY_ADDRESS`, or starts one here."""

    def run(job: WorkerJob, cells: Cells) -> Iterator[Tile]:
        from cloudpickle import dumps

        ray = _init_ray(address)
        handle, token = ray.put(dumps(job.detached())), uuid.uuid4().hex
        remote = ray.remote(num_cpus=1, num_gpus=1 if job.task.device.type == "cuda" else 0, max_retries=SYSTEM_RETRIES)(_measure)
        queue, running = TileQueue(job.tiles(cells, _parallel_tasks(ray, job)), job.retries), dict[Any, Attempt]()
        try:
            while queue or running:
                while queue and len(running) < _parallel_tasks(ray, job):
                    attempt = queue.take()
                    running[remote.remote([handle], token, attempt.cells)] = attempt
                done, _ = ray.wait(list(running), timeout=POLL_SECONDS)
                for reference in done:
                    yield from _collect(ray, reference, running.pop(reference), queue)
                _cancel_timed_out(ray, job, running, queue)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    return run


def _collect(ray: Any, reference: Any, attempt: Attempt, queue: TileQueue) -> Iterator[Tile]:
    try:
        yield attempt.cells, ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        queue.retry(attempt, error.cause if isinstance(error.cause, InputError) else error)
    except ray.exceptions.RayError as error:
        queue.retry(attempt, error)


def _cancel_timed_out(ray: Any, job: WorkerJob, running: dict[Any, Attempt], queue: TileQueue) -> None:
    if job.timeout is None:
        return
    late = [r for r, a in running.items() if monotonic() - a.started > job.timeout + START_SECONDS]
    for reference in late:
        ray.cancel(reference, force=True)
        queue.retry(running.pop(reference), f"no answer within {job.timeout} s")


def _parallel_tasks(ray: Any, job: WorkerJob) -> int:
    """Tiles that can run at once, asked again each time: nodes come and go."""
    kind = "GPU" if job.task.device.type == "cuda" else "CPU"
    return job.workers or max(1, int(ray.cluster_resources().get(kind, 1)))


def _init_ray(address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError('executor="ray"', "ray") from error
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False if address is None else None)
        except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
            raise InputError(
                "executor", f"{address or 'ray'} ({error})", '"ray" or the address of a running cluster', "Start it with: ray start --head"
            ) from error
    return ray


def _measure(handle: list[Any], token: str, cells: Cells) -> TileValues:
    """Runs on a worker, which unpacks a job once and keeps it."""
    if token not in _WORK:
        import ray
        from cloudpickle import loads

        torch.set_num_threads(1)
        keep_freed_memory()
        _WORK.clear()
        packed: Any = ray.get(handle[0])
        _WORK[token] = loads(packed).work(own_module=False)
    return _WORK[token](cells)
