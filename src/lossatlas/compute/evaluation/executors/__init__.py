"""Executors of tiles: serial, threads, processes, Ray; the driver alone writes the archive."""

from __future__ import annotations

from lossatlas.compute.evaluation.executors.base import Cells, Executor, Tile, WorkerJob
from lossatlas.compute.evaluation.executors.processes import processes
from lossatlas.compute.evaluation.executors.ray import ray_executor
from lossatlas.compute.evaluation.executors.serial import serial
from lossatlas.compute.evaluation.executors.thread_safety import thread_hazard
from lossatlas.compute.evaluation.executors.threads import threads
from lossatlas.errors import InputError

EXECUTORS: dict[str, Executor] = {"serial": serial, "threads": threads, "processes": processes, "ray": ray_executor()}

__all__ = ["EXECUTORS", "Cells", "Executor", "Tile", "WorkerJob", "executor_named", "thread_hazard"]


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
