"""No recorded row is lost: not by a kill, an error, a full disk, a forgotten close or a projection kept between two parts."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from lossatlas.archive import open_archive
from lossatlas.compute.paths.decision_regions import decision_regions
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import ArchiveError, InputError

SCRIPT = """
    import os, torch
    from lossatlas.compute.recording.recorder import Recorder
    torch.set_num_threads(1)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = Recorder({path!r}, model, optimizer, every=2, flush_seconds=1000)
    for k in range(5):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).square().mean().backward()
        optimizer.step()
        recorder.step()
"""


def run(script: str, path: Path, end: str = "") -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(script).format(path=str(path)) + end
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env={**os.environ}, check=False)


def interrupted(training, path: Path, checkpoint: int, killed: int, *, flush: bool, **options):
    """A training killed at step `killed`: what waited is gone, the weights at `checkpoint` are not."""
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(path, model, optimizer, **options)
    training.steps(model, optimizer, checkpoint, recorder.step)
    if flush:
        recorder.flush()
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    training.steps(model, optimizer, killed - checkpoint, recorder.step)
    recorder._buffer._rows.clear()
    return saved


@pytest.mark.slow
@pytest.mark.parametrize("scored", [True, False])
def test_a_projection_kept_between_two_parts_costs_no_row_and_does_not_pass_as_whole(training, tmp_path: Path, scored: bool) -> None:
    objective = training.objective(training.model())
    measured = {"objective": objective} if scored else {}
    whole, *_ = training.record(None, 9, every=1, **measured)
    first, model, _ = training.record(tmp_path / "a.zarr", 4, every=1, **measured)
    before = first.trajectory.dataset
    project_trajectory(first.trajectory, pca_plane(first.trajectory), objective, tmp_path / "a.zarr")
    decision_regions(model, first.trajectory, resolution=3, save=True, data=(training.x, training.y))
    with Recorder(tmp_path / "a.zarr", model, every=1, resume=True, **measured):
        pass
    assert "path_plane_loss" in open_archive(tmp_path / "a.zarr").trajectory(), "no new row, so the projection still covers all"
    optimizer = training.optimizer(model)
    with (
        pytest.warns(UserWarning, match="covers only the rows recorded before"),
        Recorder(tmp_path / "a.zarr", model, optimizer, every=1, resume=True, **measured) as recorder,
    ):
        training.steps(model, optimizer, 5, recorder.step)
    found = open_archive(tmp_path / "a.zarr").trajectory()
    assert set(found.variables) == set(whole.trajectory.dataset.variables) == set(before.variables)
    assert found.step.values.tolist() == list(range(10))
    assert all(found[name].sizes.get("step", 10) == 10 for name in found.variables)
    assert set(found.attrs) - {"gaps"} == set(before.attrs) - {"gaps"}, "no word of the projection is left"
    assert found.attrs["objective"] == before.attrs["objective"]
    again = project_trajectory(recorder.trajectory, pca_plane(recorder.trajectory), objective, tmp_path / "a.zarr")
    assert open_archive(tmp_path / "a.zarr").trajectory().path_alpha.values.tolist() == again.path_alpha.values.tolist()


def test_an_error_inside_with_keeps_every_waiting_row_and_says_how_it_ended(training, tmp_path: Path) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    with (
        pytest.raises(InputError, match=r"step 5 has 3\.weight of shape"),
        Recorder(tmp_path / "a.zarr", model, optimizer, every=1) as recorder,
    ):
        training.steps(model, optimizer, 4, recorder.step)
        model[3] = torch.nn.Linear(6, 4)
        recorder.step()
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == [0, 1, 2, 3, 4]
    assert found.store.attrs["ended"] == "interrupted: InputError"


def test_the_users_own_error_goes_through_and_is_named(training, tmp_path: Path) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    with pytest.raises(ZeroDivisionError), Recorder(tmp_path / "a.zarr", model, optimizer, every=3) as recorder:
        training.steps(model, optimizer, 4, recorder.step)
        _ = 1 / 0
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == [0, 3, 4]
    assert found.store.attrs["ended"] == "interrupted: ZeroDivisionError"


def test_a_last_row_that_cannot_be_made_leaves_the_others(training, tmp_path: Path) -> None:
    model = training.model()
    recorder = Recorder(tmp_path / "a.zarr", model, training.optimizer(model), every=1)
    recorder.step()
    model[3] = torch.nn.Identity()
    recorder._step += 1
    with pytest.raises(InputError, match="lacks 3"):
        recorder.close()
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0, 1]


class SmallDisk(zarr.storage.MemoryStore):
    """Holds `room` bytes, metadata included; what is replaced or deleted makes room again."""

    room = 10**9

    async def set(self, key, value, byte_range=None):
        others = sum(len(old) for name, old in self._store_dict.items() if name != key)
        if others + len(value) > self.room:
            raise OSError(28, "No space left on device")
        await super().set(key, value, byte_range)

    @property
    def used(self) -> int:
        return sum(len(value) for value in self._store_dict.values())


@pytest.mark.slow
def test_a_disk_that_fills_during_one_batch_keeps_the_rows_that_fit(capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    store, model = SmallDisk(), torch.nn.Linear(200, 100)
    archive = open_archive(store, "a")
    recorder = Recorder(archive, model, every=1)
    store.room = store.used + 20 * 4 * 20_100 // 2  # half of the rows
    truth = []
    for _ in range(20):
        with torch.no_grad():
            model.weight += 1
        truth.append(model.weight.detach().clone())
        recorder.step()
    with pytest.raises(ArchiveError, match=r"No space left.* rows, up to step \d+, are stored.*flush\(\)"):
        recorder.close()
    found = Trajectory.open(archive)
    assert len(found) > 5 and found.steps.tolist() == list(range(len(found)))
    assert all(torch.equal(found.params(row)["weight"], truth[row - 1]) for row in range(1, len(found)))
    store.room = 10**9
    recorder.flush()
    found = Trajectory.open(archive)
    assert found.steps.tolist() == list(range(21))
    assert all(torch.equal(found.params(row)["weight"], truth[row - 1]) for row in range(1, 21))
    gc.collect()
    assert "destroyed" not in capfd.readouterr().err


def test_rows_before_weights_that_float16_cannot_hold_are_stored() -> None:
    archive, model = open_archive(None, "a"), torch.nn.Linear(2, 2)
    recorder = Recorder(archive, model, every=1, dtype="float16")
    recorder.step()
    with torch.no_grad():
        model.weight.fill_(1e6)
    recorder.step()
    with pytest.raises(InputError, match="65,504"):
        recorder.close()
    assert Trajectory.open(archive).steps.tolist() == [0, 1]
    with pytest.warns(UserWarning, match="1 of them, are lost"):
        recorder._last_chance()


def test_step_zero_is_stored_before_the_first_update(training, tmp_path: Path) -> None:
    model = training.model()
    Recorder(tmp_path / "a.zarr", model)._buffer._rows.clear()
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0]


def test_a_given_flush_time_is_kept_however_slow_storing_is(training, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.zarr", training.model(), every=1, flush_seconds=5)
    waiting = recorder._buffer
    waiting._storing, waiting._flushed = 1.0, waiting._flushed - 6
    recorder.step()
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0, 1]


@pytest.mark.slow
def test_a_training_killed_after_a_flushed_checkpoint_continues_without_a_gap(training, tmp_path: Path) -> None:
    whole, *_ = training.record(None, 14, every=3)
    saved = interrupted(training, tmp_path / "a.zarr", 7, 10, flush=True, every=3)
    model = training.model()
    model.load_state_dict(saved)
    with Recorder(tmp_path / "a.zarr", model, every=3, resume=True, step=7) as recorder:
        training.steps(model, torch.optim.SGD(model.parameters(), lr=0.2), 7, recorder.step)
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == whole.trajectory.steps.tolist() == [0, 3, 6, 9, 12, 14]
    assert found.store.attrs["gaps"] == []


@pytest.mark.slow
def test_a_gap_is_warned_of_and_kept_until_it_is_filled(training, tmp_path: Path) -> None:
    saved = interrupted(training, tmp_path / "a.zarr", 8, 10, flush=False, every=2)
    model = training.model()
    early = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(saved)
    with (
        pytest.warns(UserWarning, match=r"lacks 3 due rows, steps 2 to 6.*continues at step 8.*flush\(\) before each checkpoint"),
        Recorder(tmp_path / "a.zarr", model, every=2, resume=True, step=8) as recorder,
    ):
        training.steps(model, torch.optim.SGD(model.parameters(), lr=0.2), 2, recorder.step)
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == [0, 8, 10]
    assert found.store.attrs["gaps"] == [{"after": 0, "before": 8, "rows": 3}]
    model.load_state_dict(early)
    with Recorder(tmp_path / "a.zarr", model, every=2, resume=True, step=0) as recorder:
        training.steps(model, torch.optim.SGD(model.parameters(), lr=0.2), 4, recorder.step)
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == [0, 2, 4] and found.store.attrs["gaps"] == []


def test_a_resumed_recording_that_is_not_there_is_a_gap_too(training, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="lacks 2 due rows, steps 0 to 5"):
        Recorder(tmp_path / "a.zarr", training.model(), every=5, resume=True, step=10)


@pytest.mark.slow
def test_rows_to_be_replaced_stay_until_their_replacement_is_stored(training, tmp_path: Path) -> None:
    recorder, *_ = training.record(tmp_path / "a.zarr", 7, every=2)
    model = training.model()
    model.load_state_dict(recorder.trajectory.state(1))
    resumed = Recorder(tmp_path / "a.zarr", model, every=2, resume=True, step=2)
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0, 2, 4, 6, 7]
    training.steps(model, torch.optim.SGD(model.parameters(), lr=0.1), 2, resumed.step)
    resumed.flush()
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0, 2, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    "end", ["", "\nraise SystemExit(0)", "\nrecorder.attach(optimizer); del recorder", "\nif os.fork() == 0: raise SystemExit\nos.wait()"]
)
def test_a_script_that_never_closes_stores_its_rows(tmp_path: Path, end: str) -> None:
    done = run(SCRIPT, tmp_path / "a.zarr", end)
    assert done.returncode == 0 and done.stderr == ""
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == [0, 2, 4]
    assert "not closed" in found.store.attrs["ended"]


def test_a_recorder_that_is_forgotten_stores_its_rows(training, tmp_path: Path) -> None:
    def train() -> None:
        model = training.model()
        optimizer = training.optimizer(model)
        recorder = Recorder(tmp_path / "a.zarr", model, optimizer, every=2)
        training.steps(model, optimizer, 5, recorder.step)

    train()
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0, 2, 4]


def test_closing_ends_the_counting_hook(training) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    with Recorder(None, model, every=2) as recorder:
        recorder.attach(optimizer)
        training.steps(model, optimizer, 3)
    training.steps(model, optimizer, 3)
    assert recorder.trajectory.steps.tolist() == [0, 2, 3]


@pytest.mark.slow
def test_a_closed_recorder_adds_no_row_to_a_finished_recording(training, tmp_path: Path) -> None:
    first, model, _ = training.record(tmp_path / "a.zarr", 7, every=2)
    before = first.trajectory.dataset
    with Recorder(tmp_path / "a.zarr", model, training.optimizer(model), every=2, resume=True):
        pass
    after = open_archive(tmp_path / "a.zarr").trajectory()
    for name in before.variables:
        np.testing.assert_array_equal(after[name], before[name])


def test_a_recorder_that_was_let_go_is_freed_at_once(training, tmp_path: Path) -> None:
    """By its last reference and not by the garbage collector, which comes when it likes: the lock would stay until then."""
    model = training.model()
    recorder = Recorder(tmp_path / "a.zarr", model, training.optimizer(model))
    alive = weakref.ref(recorder)
    gc.collect()
    gc.disable()
    try:
        recorder.close()
        del recorder
        assert alive() is None
    finally:
        gc.enable()
