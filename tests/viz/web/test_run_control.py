"""A live page steers an evaluation: what it asks for happens, and no value changes by it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.errors import InputError
from lossatlas.live import refine_region
from lossatlas.viz.web.run_control import RegionRequested, RunControl, region_grid

NA, NB = 7, 9
NONSENSE = [
    {},
    {"do": "explode"},
    {"do": "refine"},
    {"do": "refine", "alpha": [1, 1], "beta": [0, 1]},
    {"do": "refine", "alpha": ["x", 1], "beta": [0, 1]},
    {"do": "refine", "alpha": [float("nan"), 1], "beta": [0, 1]},
]


def problem() -> tuple[Any, Any]:
    objective = la.Objective(lambda p, batch: (p["w"] ** 4).sum() + p["w"].prod(), params={"w": torch.tensor([0.3, -0.2])})
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


@pytest.mark.slow
def test_a_stopped_run_continues_from_its_archive(tmp_path: Path) -> None:
    objective, plane = problem()
    options: dict[str, Any] = {"resolution": (NA, NB), "engine": la.Engine(tile=5, executor="serial"), "progress": False}
    steering = RunControl()
    tiles: list[int] = []

    def watch(cells: Any, _: Any) -> None:
        tiles.append(len(cells))
        if len(tiles) == 3:
            steering.request({"do": "stop"})
        steering.checkpoint()

    with pytest.raises(KeyboardInterrupt):
        la.evaluate(objective, plane, archive=tmp_path / "a.zarr", on_tile=watch, **options)
    assert int(la.open_archive(tmp_path / "a.zarr").surface().done.sum()) == 15
    continued = la.evaluate(objective, plane, archive=tmp_path / "a.zarr", **options)
    np.testing.assert_array_equal(continued.loss, la.evaluate(objective, plane, **options).loss)


@pytest.mark.slow
def test_a_closer_look_is_a_finer_surface_that_agrees_on_shared_cells(tmp_path: Path) -> None:
    objective, plane = problem()
    options: dict[str, Any] = {
        "bounds": (-1, 1), "resolution": (NA, NB), "metrics": "loss",
        "engine": la.Engine(tile=5, executor="serial"), "progress": False, "archive": tmp_path / "a.zarr",
    }  # fmt: skip
    steering = RunControl()
    steering.request({"do": "refine", "alpha": [0.5, -0.4], "beta": [0.1, 0.3]})
    watched: list[bool] = []

    def watch(*_: Any, turning: bool = True) -> None:
        watched.append(turning)
        steering.checkpoint(turning)

    run = lambda: la.evaluate(objective, plane, name="s", on_tile=watch, **options)  # noqa: E731
    whole = steering.run(run, refine_region(objective, plane, "s", {**options, "on_tile": watch, "tol_scale": "linear"}))
    assert bool(whole.done.all()) and watched[0] and False in watched
    (name,) = [name for name in la.open_archive(tmp_path / "a.zarr").surfaces if name != "s"]
    finer = la.open_archive(tmp_path / "a.zarr").surface(name)
    assert len(finer.alpha) >= 9 and bool(finer.done.all())
    shared = finer.sel(alpha=whole.alpha[2:5], beta=whole.beta[4:6], method="nearest")
    np.testing.assert_allclose(shared.alpha, whole.alpha[2:5], atol=1e-12)
    np.testing.assert_allclose(shared.loss, whole.loss[2:5, 4:6], rtol=1e-6)


def test_pausing_waits_and_resuming_goes_on() -> None:
    steering = RunControl()
    steering.request({"do": "pause"})
    assert steering.state == "paused"
    passed = threading.Event()
    waiting = threading.Thread(target=lambda: (steering.checkpoint(), passed.set()), daemon=True)
    waiting.start()
    assert not passed.wait(0.05)
    steering.request({"do": "resume"})
    assert passed.wait(10)


def test_a_wish_for_a_closer_look_turns_a_run_that_can() -> None:
    steering = RunControl()
    steering.request({"do": "refine", "alpha": [0, 1], "beta": [1, 0]})
    with pytest.raises(RegionRequested):
        steering.checkpoint()
    steering.checkpoint(turning=False)
    with pytest.raises(InputError):
        RunControl(can_refine=False).request({"do": "refine", "alpha": [0, 1], "beta": [1, 0]})


@pytest.mark.parametrize("wish", NONSENSE)
def test_nonsense_changes_nothing(wish: dict[str, Any]) -> None:
    steering = RunControl()
    with pytest.raises(InputError):
        steering.request(wish)
    assert steering.describe() == {"state": "running", "refine": True, "waiting": 0}


def test_a_region_beside_the_surface_is_refused() -> None:
    with pytest.raises(InputError, match="rectangle"):
        region_grid(((2.0, 3.0), (0.0, 1.0)), ((-1, 1), (-1, 1)), (NA, NB))
