"""One writer a surface: a second one is refused while the first lives, and no lock outlives its process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from torch.nn import functional as F

import lossatlas as la
from lossatlas import schema
from lossatlas.archive.lock import PREFIX
from oracles import classifier

HOLD = """
import sys, lossatlas as la
with la.open_archive(sys.argv[1], "a").lock_for_writing(sys.argv[2]):
    print("holding", flush=True)
    sys.stdin.read()
"""

TRY = """
import sys, lossatlas as la
try:
    with la.open_archive(sys.argv[1], "a").lock_for_writing(sys.argv[2]):
        print("free")
except la.ArchiveError as error:
    print(error)
"""

EVALUATE = """
import sys, time, torch
torch.set_num_threads(1)
import torch.nn.functional as F
import lossatlas as la
sys.path.insert(0, sys.argv[2])
from oracles import classifier
model, x, y = classifier(samples=40)
objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=16)
plane = la.random_plane(objective, seed=3)
slow = lambda *_: time.sleep(0.004)
print("ready", flush=True)
sys.stdin.readline()
try:
    la.evaluate(objective, plane, resolution=(13, 9), archive=sys.argv[1], engine=la.Engine(tile=1, evaluator="loop"), on_tile=slow)
    print("finished")
except la.ArchiveError as error:
    print(error)
"""


@contextmanager
def another_process_writes(archive: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLD, str(archive), name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        try:
            yield process
        finally:
            process.kill()


def locks(archive: Path) -> list[Path]:
    return [path for path in archive.iterdir() if path.name.startswith(PREFIX)]


def laid_out(place: Path) -> la.Archive:
    archive = la.open_archive(place, "a")
    archive.create_surface("s", {"alpha": np.arange(2.0), "beta": np.arange(3.0)}, [schema.variable("loss")], {})
    return archive


@pytest.mark.slow
def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    archive = laid_out(place)
    with another_process_writes(place, "s") as other:
        with pytest.raises(la.ArchiveError, match=rf"process {other.pid} on .* is writing 's'.*another name="):
            archive.write_cells("s", np.array([0]), {"loss": np.array([1.0])})
        assert la.open_archive(place).surface().loss.shape == (2, 3)
        archive.create_surface("t", {"alpha": np.arange(2.0)}, [schema.variable("loss")], {})
        assert archive.surfaces == ("s", "t")


@pytest.mark.slow
def test_a_killed_writer_leaves_nothing_to_clean_up(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    archive = laid_out(place)
    with another_process_writes(place, "s") as other:
        other.kill()
        other.wait()
        assert locks(place)
        archive.write_cells("s", np.array([0]), {"loss": np.array([1.0])})
    assert not locks(place)


@pytest.mark.slow
def test_this_process_writes_on_and_other_processes_see_it(tmp_path: Path) -> None:
    place, words = tmp_path / "a.zarr", [sys.executable, "-c", TRY, str(tmp_path / "a.zarr"), "s"]
    archive = laid_out(place)
    with archive.lock_for_writing("s"):
        with la.open_archive(place, "a").lock_for_writing("s"):
            archive.write_cells("s", np.array([0]), {"loss": np.array([1.0])})
        assert "is writing 's'" in subprocess.run(words, capture_output=True, text=True, check=True).stdout
        with archive.lock_for_writing("s", "trajectories"):
            pass
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "free\n"
    assert not locks(place)


def test_another_thread_is_refused(tmp_path: Path) -> None:
    archive, told = laid_out(tmp_path / "a.zarr"), []

    def write() -> None:
        try:
            archive.write_cells("s", np.array([0]), {"loss": np.array([1.0])})
        except la.ArchiveError as error:
            told.append(str(error))

    with archive.lock_for_writing("s"):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(told) == 1 and told[0].startswith("Another thread")
    write()
    assert len(told) == 1


def test_memory_has_no_lock() -> None:
    archive = la.open_archive(None, "a")
    with archive.lock_for_writing("s"):
        threading.Thread(target=lambda: archive.lock_for_writing("s").__enter__()).start()


def test_a_recording_and_a_surface_share_an_archive(tmp_path: Path) -> None:
    model, x, y = classifier(samples=8)
    objective = la.Objective(model, F.cross_entropy, (x, y))
    place = tmp_path / "a.zarr"
    with la.Recorder(place, model, every=1) as recorder:
        la.evaluate(objective, la.random_plane(objective), resolution=(2, 3), archive=place, on_tile=lambda *_: recorder.step())
    archive = la.open_archive(place)
    assert archive.surfaces == ("surface",) and archive.trajectories == ("run",)


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_lock_is_not_taken_through_a_link(tmp_path: Path, kind: str) -> None:
    """An archive from a stranger could else make us write into any file of its reader."""
    archive, mine = laid_out(tmp_path / "a.zarr"), tmp_path / "mine.txt"
    mine.write_text("my own words")
    with archive.lock_for_writing("s"):
        (lock,) = locks(tmp_path / "a.zarr")
    lock.symlink_to(mine) if kind == "symbolic" else lock.hardlink_to(mine)
    with pytest.raises(la.ArchiveError, match=r"\.lock-.*is a link.*remove it"):
        archive.write_cells("s", np.array([0]), {"loss": np.array([1.0])})
    assert mine.read_text() == "my own words"
    lock.unlink()
    archive.write_cells("s", np.array([0]), {"loss": np.array([1.0])})
    assert not locks(tmp_path / "a.zarr")


def test_a_dangling_link_makes_no_file(tmp_path: Path) -> None:
    archive = laid_out(tmp_path / "a.zarr")
    with archive.lock_for_writing("s"):
        (lock,) = locks(tmp_path / "a.zarr")
    lock.symlink_to(tmp_path / "new")
    with pytest.raises(la.ArchiveError, match="is a link"), archive.lock_for_writing("s"):
        pass
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_two_processes_on_one_surface_leave_it_whole(tmp_path: Path) -> None:
    """Started on the same line, one is refused and the other loses nothing."""
    place, tests = tmp_path / "a.zarr", Path(__file__).parents[1]
    words = [sys.executable, "-c", EVALUATE, str(place), str(tests)]
    both = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=120)[0] for process in both)
    assert "is writing 'surface'" in said[0] and said[1] == "finished\n"
    surface = la.open_archive(place).surface()
    assert surface.done.all() and not np.isnan(surface.loss).any()


@pytest.mark.slow
def test_cells_that_two_writers_lost_are_measured_again(tmp_path: Path) -> None:
    model, x, y = classifier(samples=40)
    objective = la.Objective(model, F.cross_entropy, (x, y))
    plane, place = la.random_plane(objective, seed=3), tmp_path / "a.zarr"
    whole = la.evaluate(objective, plane, resolution=(4, 3), archive=place)
    zarr.open_array(place / "surfaces/surface/loss", mode="r+")[1, 2] = np.nan
    zarr.open_array(place / "surfaces/surface/loss_standard_error", mode="r+")[3, 0] = np.nan
    mended = la.evaluate(objective, plane, resolution=(4, 3), archive=place)
    np.testing.assert_array_equal(mended.loss, whole.loss)
    np.testing.assert_array_equal(mended.loss_standard_error, whole.loss_standard_error)


def test_the_models_own_nan_is_measured_once(tmp_path: Path) -> None:
    """NaN is a value: a complete surface is not gone over again, a killed one tries its NaN cells once more."""
    calls = []

    def root(params: dict, _: object) -> torch.Tensor:
        calls.append(1)
        return params["w"].sqrt().sum()

    objective = la.Objective(root, params={"w": torch.tensor([-0.5])})
    line = la.Plane.from_directions(objective, {"w": torch.tensor([1.0])})
    first = la.evaluate(objective, line, resolution=5, archive=tmp_path / "a.zarr", engine=la.Engine(evaluator="loop"))
    assert np.isnan(first.loss).sum() == 3 and first.attrs["nan_cells"] == 3
    before = len(calls)
    again = la.evaluate(objective, line, resolution=5, archive=tmp_path / "a.zarr", engine=la.Engine(evaluator="loop"))
    assert len(calls) == before + 2, "the cells that hold a value are compared, NaN is not tried again"
    np.testing.assert_array_equal(again.loss, first.loss)
    la.open_archive(tmp_path / "a.zarr", "a").root["surfaces/surface"].attrs["nan_cells"] = 0
    assert (
        la.evaluate(objective, line, resolution=5, archive=tmp_path / "a.zarr", engine=la.Engine(evaluator="loop")).attrs["nan_cells"] == 3
    )
    assert len(calls) > before
