"""A Ray cluster of several nodes that loses one without grace, and a driver that is killed: the result is complete and equal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch

import lossatlas as la
from cases import F64
from lossatlas.errors import InputError

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SHAPE = (9, 7)


def slow_bowl(p: dict[str, torch.Tensor], _: object) -> torch.Tensor:
    time.sleep(0.25)
    return p["w"].square().sum()


def problem() -> tuple[la.Objective, la.Plane]:
    objective = la.Objective(lambda p, batch: slow_bowl(p, batch), params={"w": torch.zeros(2, dtype=F64)})
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


def truth() -> np.ndarray:
    return np.linspace(-1, 1, SHAPE[0])[:, None] ** 2 + np.linspace(-1, 1, SHAPE[1])[None] ** 2


def _soon(true: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether it becomes true; Ray notices a silent node only after a while."""
    for _ in range(int(seconds)):
        if true():
            return True
        time.sleep(1.0)
    return False


def test_a_lost_node_costs_only_its_tiles() -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    doomed = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
        assert ray.cluster_resources()["CPU"] == 3
        objective, plane = problem()
        state = {"cells": 0, "lost": False}

        def lose(cells: np.ndarray, _: object) -> None:
            state["cells"] += len(cells)
            if state["cells"] > 12 and not state["lost"]:
                state["lost"] = True
                cluster.remove_node(doomed, allow_graceful=False)

        found = la.evaluate(objective, plane, resolution=SHAPE, engine=la.Engine(executor="ray", tile=2, evaluator="loop"), on_tile=lose)
        assert state["lost"]
        np.testing.assert_allclose(found.loss, truth(), atol=1e-15)
        assert found.done.all()
        assert _soon(lambda: sum(node["Alive"] for node in ray.nodes()) == 1), "the node was really lost"
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_an_unreachable_cluster_is_a_clear_error() -> None:
    pytest.importorskip("ray")
    objective, plane = problem()
    with pytest.raises(InputError, match="ray start"):
        la.evaluate(objective, plane, resolution=3, engine=la.Engine(executor="ray://127.0.0.1:1"))


SCRIPT = """
import sys, time, torch, ray
sys.path[:0] = sys.argv[2:]
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
import lossatlas as la
import cloudpickle, test_ray
cloudpickle.register_pickle_by_value(test_ray)
objective, plane = test_ray.problem()
said = lambda cells, _: print("tile", flush=True)
engine = la.Engine(executor="ray", tile=2, evaluator="loop")
la.evaluate(objective, plane, resolution=test_ray.SHAPE, archive=sys.argv[1], engine=engine, on_tile=said)
print("finished", flush=True)
"""


def test_a_killed_driver_continues(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    archive = tmp_path / "a.zarr"
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[3])]
    command = [sys.executable, "-c", SCRIPT, str(archive), *folders]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        assert process.stdout.readline().strip() == "tile"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    half = la.open_archive(archive).surface()
    assert 8 <= int(half.done.sum()) < half.done.size
    rest = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert "finished" in rest.stdout and rest.stdout.count("tile") < 32 - 4
    whole = la.open_archive(archive).surface()
    assert whole.done.all()
    np.testing.assert_allclose(whole.loss, truth(), atol=1e-15)
