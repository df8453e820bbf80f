"""Nothing is ever lost: stopped and killed runs continue, and give bit for bit what one go gives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from torch.nn import functional as F

import lossatlas as la
from oracles import classifier

SCRIPT = """
import sys, time, torch
torch.set_num_threads(1)
import torch.nn.functional as F
import lossatlas as la
sys.path.insert(0, sys.argv[2])
from oracles import classifier
model, x, y = classifier(samples=40)
objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=16)
slow = lambda *_: time.sleep(0.004)
print("ready", flush=True)
plane, engine = la.random_plane(objective, seed=3), la.Engine(tile=3, executor="serial")
la.evaluate(objective, plane, resolution=(13, 9), archive=sys.argv[1], engine=engine, on_tile=slow)
print("finished", flush=True)
"""


def problem() -> tuple[la.Objective, la.Plane]:
    model, x, y = classifier(samples=40)
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=16)
    return objective, la.random_plane(objective, seed=3)


@pytest.mark.slow
def test_interrupt_then_continue_equals_one_go(tmp_path: Path) -> None:
    objective, plane = problem()
    whole = la.evaluate(objective, plane, resolution=(13, 9), engine=la.Engine(executor="serial"))
    seen = 0

    def stop(cells: np.ndarray, _: object) -> None:
        nonlocal seen
        seen += len(cells)
        if seen > 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        la.evaluate(
            objective, plane, resolution=(13, 9), archive=tmp_path / "a.zarr", engine=la.Engine(tile=4, executor="serial"), on_tile=stop
        )
    half = la.open_archive(tmp_path / "a.zarr").surface()
    assert int(half.done.sum()) == seen
    assert np.isnan(half.loss.values[~half.done.values]).all()
    rest = la.evaluate(objective, plane, resolution=(13, 9), archive=tmp_path / "a.zarr", engine=la.Engine(tile=7, executor="serial"))
    np.testing.assert_array_equal(whole.loss, rest.loss)
    np.testing.assert_array_equal(whole.loss_standard_error, rest.loss_standard_error)
    assert rest.done.all()


@pytest.mark.slow
def test_killed_without_grace_at_random_moments_then_equal(tmp_path: Path) -> None:
    objective, plane = problem()
    whole = la.evaluate(objective, plane, resolution=(13, 9), engine=la.Engine(executor="serial"))
    archive, chance = tmp_path / "killed.zarr", random.Random(5)
    kills, counts = 0, []
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(archive), str(Path(__file__).parents[2])], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        time.sleep(chance.uniform(0.0, 0.12))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        finished = "finished" in process.stdout.read()
        process.wait()
        process.stdout.close()
        if archive.exists() and (archive / "surfaces").exists():
            counts.append(int(la.open_archive(archive).surface().done.sum()))
        if finished:
            break
    assert kills >= 2
    assert counts == sorted(counts)
    rest = la.evaluate(objective, plane, resolution=(13, 9), archive=archive, engine=la.Engine(executor="serial"))
    np.testing.assert_array_equal(whole.loss, rest.loss)
    np.testing.assert_array_equal(whole.loss_standard_error, rest.loss_standard_error)


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", ["loop", "vmap", "affine"])
def test_a_continued_run_measures_as_the_interrupted_one_did(tmp_path: Path, evaluator: str) -> None:
    """Evaluators differ in rounding; a run that began with one goes on with it, and so repeats bit for bit."""
    model, x, y = classifier(samples=40)
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=16)
    plane = la.random_plane(objective, seed=3, params="4")
    whole = la.evaluate(objective, plane, resolution=(9, 7), engine=la.Engine(evaluator=evaluator))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        la.evaluate(
            objective, plane, resolution=(9, 7), archive=tmp_path / "a.zarr", engine=la.Engine(tile=20, evaluator=evaluator), on_tile=stop
        )
    rest = la.evaluate(objective, plane, resolution=(9, 7), archive=tmp_path / "a.zarr", engine=la.Engine(tile=7))
    assert rest.attrs["engine"]["evaluator"] == evaluator
    np.testing.assert_array_equal(whole.loss, rest.loss)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["seed", "data", "resolution", "bounds", "metrics"])
def test_another_surface_is_not_overwritten_unasked(tmp_path: Path, change: str) -> None:
    objective, plane = problem()
    first = la.evaluate(objective, plane, resolution=3, archive=tmp_path / "a.zarr")
    other, given = objective, {"resolution": 3}
    if change == "seed":
        plane = la.random_plane(objective, seed=4)
    elif change == "data":
        model, x, y = classifier(samples=40)
        other = la.Objective(model, F.cross_entropy, (x + 1, y), batch_size=16)
    else:
        given |= {"resolution": {"resolution": 4}, "bounds": {"bounds": (-2, 2)}, "metrics": {"metrics": ("loss", "accuracy")}}[change]
    with pytest.raises(la.ArchiveError, match="another one"):
        la.evaluate(other, plane, archive=tmp_path / "a.zarr", **given)
    np.testing.assert_array_equal(la.open_archive(tmp_path / "a.zarr").surface().loss, first.loss)
    replaced = la.evaluate(other, plane, archive=tmp_path / "a.zarr", overwrite=True, **given)
    assert replaced.done.all()


def test_several_surfaces_share_an_archive(tmp_path: Path) -> None:
    objective, plane = problem()
    la.evaluate(objective, plane, resolution=3, archive=tmp_path / "a.zarr", name="one")
    la.evaluate(objective, plane, resolution=(2, 5), archive=tmp_path / "a.zarr", name="two")
    archive = la.open_archive(tmp_path / "a.zarr")
    assert archive.surfaces == ("one", "two")
    assert archive.surface("two").sizes == {"alpha": 2, "beta": 5}
    with pytest.raises(la.InputError, match="one of one, two"):
        archive.surface()


@pytest.mark.slow
def test_a_full_disk_or_read_only_store_keeps_what_was_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objective, plane = problem()
    store = la.open_archive(tmp_path / "a.zarr", "a")
    real, count = la.Archive.write_cells, 0

    def full(self, *arguments) -> None:
        nonlocal count
        count += 1
        if count > 2:
            raise OSError(28, "No space left on device")
        real(self, *arguments)

    monkeypatch.setattr(la.Archive, "write_cells", full)
    with pytest.raises(la.ArchiveError, match="No space left"):
        la.evaluate(objective, plane, resolution=5, archive=store, engine=la.Engine(tile=4))
    monkeypatch.undo()
    assert int(store.surface().done.sum()) == 8
    assert la.evaluate(objective, plane, resolution=5, archive=store).done.all()


@pytest.mark.parametrize("arrays", range(5))
def test_a_disk_that_fills_up_while_the_surface_is_laid_out_bricks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: int
) -> None:
    objective, plane = problem()
    place, real, made = tmp_path / "a.zarr", zarr.Group.create_array, 0

    def full(self: zarr.Group, *arguments: Any, **options: Any) -> Any:
        nonlocal made
        made += 1
        if made > arrays:
            raise OSError(28, "No space left on device")
        return real(self, *arguments, **options)

    monkeypatch.setattr(zarr.Group, "create_array", full)
    with pytest.raises(la.ArchiveError, match=r"No space left.*run the same call"):
        la.evaluate(objective, plane, resolution=(3, 2), archive=place)
    monkeypatch.undo()
    assert la.open_archive(place).surfaces == ()
    assert la.evaluate(objective, plane, resolution=(3, 2), archive=place).done.all()


@pytest.mark.slow
def test_torch_is_loaded_by_computing_only() -> None:
    code = "import sys, lossatlas as la; la.open_archive(None, 'a'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "torch" in sys.modules
    assert torch.get_num_threads() == 1
