"""Executors of tiles: serial, threads, processes, Ray; the driver alone writes the archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from lossatlas.compute.evaluation.executors.base import Cells, Executor, Tile, WorkerJob
from lossatlas.compute.evaluation.executors.processes import WorkerProcesses, processes
from lossatlas.compute.evaluation.executors.ray import ray_executor
from lossatlas.compute.evaluation.executors.serial import serial
from lossatlas.compute.evaluation.executors.thread_safety import thread_hazard
from lossatlas.compute.evaluation.executors.threads import threads
from lossatlas.errors import InputError

EXECUTORS: dict[str, Executor] = {"serial": serial, "threads": threads, "processes": processes, "ray": ray_executor()}

__all__ = ["EXECUTORS", "Cells", "Executor", "Tile", "WorkerJob", "executor_named", "open_executor", "thread_hazard"]


def executor_named(name: str) -> Executor:
    """The executor of that name.

    Raises:
        InputError: an unknown name.
    """
    if name.startswith("ray://"):
        return ray_executor(name)
    if name not in EXECUTORS:
        raise InputError("executor", name, "one of auto, " + ", ".join(EXECUTORS) + ", ray://host:port")
    return EXECUTORS[name]


@contextmanager
def open_executor(name: str) -> Iterator[Executor]:
    """The executor of that name for several jobs, one after the other: worker processes start once and end with the block.

    Raises:
        InputError: an unknown name.
    """
    if name != "processes":
        yield executor_named(name)
        return
    with closing(WorkerProcesses()) as workers:
        yield workers
