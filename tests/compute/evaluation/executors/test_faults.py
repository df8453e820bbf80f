"""Workers that die, hang, raise or return NaN: the surface is complete and equal, or the run ends with a reason and nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch

import cases
import lossatlas as la
from cases import F64, case
from lossatlas.errors import LossatlasError

SHAPE = (5, 4)


def bowl(trouble: str, flag: Path) -> la.Objective:
    """A bowl that makes trouble once, at the first point whose first weight is above 0.4, unless `trouble` says always."""

    def function(p: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        if float(p["w"][0]) > 0.4 and not flag.exists() and os.getpid() != DRIVER:
            if trouble != "always":
                flag.touch()
            if trouble == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if trouble == "hang":
                time.sleep(600)
            if trouble in ("memory", "always"):
                raise MemoryError("no room")
        return p["w"].square().sum()

    return la.Objective(function, params={"w": torch.zeros(2, dtype=F64)})


DRIVER = os.getpid()


def truth() -> np.ndarray:
    a, b = np.linspace(-1, 1, SHAPE[0]), np.linspace(-1, 1, SHAPE[1])
    return a[:, None] ** 2 + b[None] ** 2


def run(executor: str, trouble: str, flag: Path, archive: object = None) -> object:
    objective = bowl(trouble, flag)
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    timeout = 8.0 if trouble == "hang" else None
    return la.evaluate(
        objective,
        plane,
        resolution=SHAPE,
        archive=archive,
        engine=la.Engine(executor=executor, evaluator="loop", workers=2, tile=3, timeout=timeout),
    )


EXECUTORS = ["processes", pytest.param("ray", marks=pytest.mark.ray)]


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("trouble", ["none", "die", "hang", "memory"])
@pytest.mark.filterwarnings("ignore")  # ray and loky warn of dead workers, which are the point here
def test_trouble_costs_only_its_tiles(
    executor: str, trouble: str, tmp_path: Path, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossatlas.compute.evaluation.executors.ray.START_SECONDS", 20.0)
    found = run(executor, trouble, tmp_path / "flag")
    np.testing.assert_allclose(found.loss, truth(), atol=1e-15)
    assert found.done.all() and (trouble == "none" or (tmp_path / "flag").exists())


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.filterwarnings("ignore")
def test_lasting_trouble_ends_the_run_and_keeps_what_is_done(executor: str, tmp_path: Path, local_ray: None) -> None:
    archive = la.open_archive(None, "a")
    with pytest.raises(LossatlasError, match="no room"):
        run(executor, "always", tmp_path / "flag", archive)
    done = archive.surface().done.values
    np.testing.assert_allclose(archive.surface().loss.values[done], truth()[done], atol=1e-15)
    assert 0 < done.sum() < done.size


class FailsToStart:
    """A bowl that makes trouble in the first `times` workers that unpack it."""

    def __init__(self, folder: Path, trouble: str, times: int) -> None:
        self.folder, self.trouble, self.times = folder, trouble, times

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        if os.getpid() == DRIVER or len(list(self.folder.iterdir())) >= self.times:
            return
        (self.folder / str(time.monotonic_ns())).touch()
        if self.trouble == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        raise MemoryError("no room to start")

    def __call__(self, p: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        return p["w"].square().sum()


def start_failing(folder: Path, trouble: str, times: int, **options: Any) -> object:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    objective = la.Objective(FailsToStart(folder, trouble, times), params={"w": torch.zeros(2, dtype=F64)})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    return la.evaluate(
        objective, plane, resolution=SHAPE, engine=la.Engine(executor="processes", evaluator="loop", workers=2, tile=3, **options)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("trouble", "times"), [("die", 1), ("die", 2), ("raise", 1)])
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_dies_while_it_starts_costs_its_tile(trouble: str, times: int, tmp_path: Path) -> None:
    found = start_failing(tmp_path, trouble, times, timeout=300.0)
    np.testing.assert_allclose(found.loss, truth(), atol=1e-15)
    assert len(list(tmp_path.iterdir())) == times


@pytest.mark.slow
@pytest.mark.parametrize(("trouble", "words"), [("die", "terminated"), ("raise", "no room to start")])
@pytest.mark.filterwarnings("ignore")
def test_workers_that_never_start_end_the_run_with_the_reason(trouble: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(LossatlasError, match=rf"(?s)3 cells failed 2 times.*{words}.*run the same call"):
        start_failing(tmp_path, trouble, 1000, retries=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_killed_before_their_first_tile_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they die: between being ready and the first tile the pool refuses it."""
    processes = sys.modules["lossatlas.compute.evaluation.executors.processes"]  # the package shows the function of that name
    real, pools = processes._pool, []

    def doomed(workers: int, packed: Path) -> object:
        pool = real(workers, packed)
        if not pools:
            for worker in list(pool._processes):
                os.kill(worker, signal.SIGKILL)
            assert soon(lambda: pool._flags.broken is not None)
        pools.append(pool)
        return pool

    monkeypatch.setattr(processes, "_pool", doomed)
    np.testing.assert_allclose(run("processes", "none", tmp_path / "flag").loss, truth(), atol=1e-15)
    assert len(pools) == 2


DRIVER_SCRIPT = r"""
import ctypes, os, sys, time, torch
import lossatlas as la

def stuck(way):
    os.write(1, b"%d\n" % os.getpid())  # at once: two lines of print may mix
    if way == "holding the lock":
        ctypes.PyDLL(None).sleep(600)  # no Python thread runs meanwhile
    if way == "without the kernel":
        ctypes.CDLL(None).prctl(1, 0)
    time.sleep(600)

driver, way = os.getpid(), sys.argv[1]
objective = la.Objective(lambda p, _: p["w"].square().sum() if os.getpid() == driver else stuck(way), params={"w": torch.zeros(2)})
plane = la.weight_plane(objective, ("w", 0), ("w", 1))
la.evaluate(objective, plane, resolution=(3, 2), engine=la.Engine(executor="processes", evaluator="loop", workers=2, tile=1))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="uses prctl")
@pytest.mark.parametrize("way", ["sleeping", "holding the lock", "without the kernel"])
def test_workers_end_with_their_killed_driver(way: str) -> None:
    """The pipe they inherited ends when the last of them has; a pair lived on for thirty minutes."""
    with subprocess.Popen([sys.executable, "-c", DRIVER_SCRIPT, way], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        workers = {int(driver.stdout.readline()) for _ in range(2)}
        driver.kill()
        try:
            driver.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            raise


def soon(true: Callable[[], bool]) -> bool:
    """Whether it becomes true before a generous end."""
    end = time.monotonic() + 60.0
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.filterwarnings("ignore")
def test_models_travel_to_other_processes(executor: str, local_ray: None) -> None:
    cloudpickle.register_pickle_by_value(cases)  # Ray's workers do not know the folder of the tests
    for name in ("conv-batchnorm", "attention"):
        objective = case(name)
        plane = la.random_plane(objective, seed=2)
        one = la.evaluate(objective, plane, resolution=SHAPE, engine=la.Engine(evaluator="loop", executor="serial"))
        many = la.evaluate(objective, plane, resolution=SHAPE, engine=la.Engine(evaluator="loop", executor=executor, workers=2, tile=3))
        np.testing.assert_allclose(many.loss, one.loss, rtol=1e-14)


def test_points_that_raise_are_holes_with_a_reason() -> None:
    def picky(p: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        if float(p["w"][0]) == 1.0:
            raise ArithmeticError("not there")
        return p["w"].square().sum() if float(p["w"][1]) < 1 else torch.tensor(torch.nan, dtype=F64)

    objective = la.Objective(picky, params={"w": torch.zeros(2, dtype=F64)})
    for executor in ("serial", "threads"):
        found = la.evaluate(
            objective, la.weight_plane(objective, ("w", 0), ("w", 1)), resolution=SHAPE, engine=la.Engine(executor=executor)
        )
        assert found.done.all()
        np.testing.assert_array_equal(np.isnan(found.loss.values), (np.arange(5) == 4)[:, None] | (np.arange(4) == 3)[None])
        assert set(found.attrs["holes"]) == {"16", "17", "18", "19"}, "a NaN that was computed needs no reason"
        assert found.attrs["holes"]["16"] == "ArithmeticError: not there"


def test_a_metric_that_raises_leaves_the_others() -> None:
    def fickle(scores: object) -> torch.Tensor:
        if float(scores.losses.sum()) > 1.5:
            raise ValueError("too high")
        return scores.losses

    objective = la.Objective(lambda p, _: p["w"].square().sum(), params={"w": torch.zeros(2, dtype=F64)})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    found = la.evaluate(objective, plane, resolution=SHAPE, metrics=["loss", la.Metric("fickle", fickle)])
    np.testing.assert_allclose(found.loss, truth(), atol=1e-15)
    np.testing.assert_array_equal(np.isnan(found.fickle), truth() > 1.5)
    assert set(found.attrs["holes"].values()) == {"fickle: ValueError: too high"}
