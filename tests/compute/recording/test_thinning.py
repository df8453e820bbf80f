"""A recording without `every=`: every step, thinned by doubling the stride, whatever stops and continues it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.archive import open_archive
from lossatlas.archive.arrays import create_array
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.recording import schedule
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.schedule import Schedule
from lossatlas.compute.recording.storage.stored_arrays import write_rows
from lossatlas.compute.recording.trajectory import Trajectory


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> int:
    """At most eight rows."""
    monkeypatch.setattr(schedule, "MOST_ROWS", 8)
    return 8


def thinned_by_a_plain_loop(steps: int, most: int) -> list[int]:
    """Steps that stay, last one included."""
    rows, stride = [0], 1
    for step in range(1, steps + 1):
        if step % stride == 0:
            rows.append(step)
        if len(rows) > most:
            stride *= 2
            rows = [row for row in rows if row % stride == 0]
    return rows if rows[-1] == steps else [*rows, steps]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "seconds"), [(5, 1000), (8, 1000), (9, 1000), (17, 0), (40, 1000)])
def test_every_step_is_recorded_and_thinned_to_the_limit(training, tmp_path: Path, few_rows: int, count: int, seconds: int) -> None:
    whole, *_ = training.record(None, count, every=1)
    training.record(tmp_path / "a.zarr", count, flush_seconds=seconds)
    found, truth = Trajectory.open(tmp_path / "a.zarr"), whole.trajectory
    assert found.steps.tolist() == thinned_by_a_plain_loop(count, few_rows)
    np.testing.assert_array_equal(found.dataset.step, found.steps)
    for row, step in enumerate(found.steps.tolist()):
        np.testing.assert_array_equal(found.vector(row), truth.vector(step))
        assert all(torch.equal(found.state(row)[n], t) for n, t in truth.state(step).items())
    np.testing.assert_array_equal(found.dataset.weight_norm, truth.dataset.weight_norm.values[found.steps])
    np.testing.assert_array_equal(found.dataset.batch_loss, truth.dataset.batch_loss.values[found.steps])
    columns = np.concatenate([block for _, block in found.blocks(memory=2000)], axis=1)
    np.testing.assert_array_equal(columns, [truth.vector(step) for step in found.steps.tolist()])


def test_two_hundred_steps_keep_two_hundred_rows_and_an_explicit_period_is_respected(training) -> None:
    assert Schedule.make().limit == schedule.MOST_ROWS >= 201
    assert Schedule.make(every=1).limit is None and Schedule.make(at=[3]).limit is None
    model = training.model()
    recorder = Recorder(None, model, steps_per_epoch=50)
    for _ in range(200):
        recorder.step()
    assert recorder.trajectory.steps.tolist() == list(range(201))
    assert recorder.trajectory.dataset.epoch.values[[0, 50, 200]].tolist() == [0, 1, 4]


def test_rows_of_large_models_are_fewer() -> None:
    assert Schedule.make().limited_to(schedule.MOST_BYTES // 40).limit == 40
    assert Schedule.make().limited_to(2**40).limit == schedule.LEAST_ROWS
    assert Schedule.make().limited_to(4).limit == schedule.MOST_ROWS
    assert Schedule.make(every=3).limited_to(2**40).limit is None


@pytest.mark.slow
@pytest.mark.parametrize("stop", [6, 24])
def test_a_resumed_recording_keeps_the_stride(training, tmp_path: Path, few_rows: int, stop: int) -> None:
    whole, *_ = training.record(None, 40)
    model = training.model()
    optimizer = training.optimizer(model)
    for count, start in ((stop, 0), (40 - stop, stop)):
        with Recorder(tmp_path / "a.zarr", model, optimizer, resume=start > 0, step=start) as recorder:
            training.steps(model, optimizer, count, recorder.step)
    found = Trajectory.open(tmp_path / "a.zarr")
    assert found.steps.tolist() == whole.trajectory.steps.tolist()
    for name, values in whole.trajectory.dataset.data_vars.items():
        np.testing.assert_array_equal(found.dataset[name], values, err_msg=str(name))
    for row in range(len(found)):
        np.testing.assert_array_equal(found.vector(row), whole.trajectory.vector(row))


@pytest.mark.slow
def test_a_recording_with_a_period_resumes_with_it(training, tmp_path: Path) -> None:
    _, model, _ = training.record(tmp_path / "a.zarr", 6, every=3)
    with Recorder(tmp_path / "a.zarr", model, resume=True) as recorder:
        training.steps(model, training.optimizer(model), 5, recorder.step)
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0, 3, 6, 9, 11]


def test_a_kill_just_after_thinning_costs_only_rows_that_waited(training, tmp_path: Path, few_rows: int) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(tmp_path / "a.zarr", model, optimizer, flush_seconds=1000)
    training.steps(model, optimizer, 7, recorder.step)
    recorder.flush()
    training.steps(model, optimizer, 1, recorder.step)
    recorder._buffer._rows.clear()
    assert Trajectory.open(tmp_path / "a.zarr").steps.tolist() == [0, 2, 4, 6]
    del recorder
    assert open_archive(tmp_path / "a.zarr").trajectory().step.values.tolist() == [0, 2, 4, 6]


@pytest.mark.slow
def test_a_projection_kept_with_thinned_rows_lies_at_the_right_steps(training, tmp_path: Path, few_rows: int) -> None:
    training.record(tmp_path / "a.zarr", 30, flush_seconds=0)
    plane = pca_plane(tmp_path / "a.zarr")
    path = project_trajectory(tmp_path / "a.zarr", plane, archive=tmp_path / "a.zarr")
    stored = open_archive(tmp_path / "a.zarr").trajectory()
    np.testing.assert_array_equal(stored.path_alpha, path.path_alpha)
    trajectory = Trajectory.open(tmp_path / "a.zarr")
    expected = [plane.project(trajectory.params(row)).coordinates for row in range(len(trajectory))]
    np.testing.assert_allclose(np.stack([stored.path_alpha, stored.path_beta], 1), expected, atol=1e-5)


@pytest.mark.slow
def test_rows_that_are_thinned_while_they_are_read_are_read_again(training, tmp_path: Path, few_rows: int, monkeypatch) -> None:
    from lossatlas.archive import reading

    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(tmp_path / "a.zarr", model, optimizer, flush_seconds=1000)
    training.steps(model, optimizer, 7, recorder.step)
    recorder.flush()
    original, left = reading.arrays_at, [5]

    def arrays_at(root, path):
        if left:
            training.steps(model, optimizer, left.pop(), recorder.step)
            recorder.flush()
        return original(root, path)

    monkeypatch.setattr(reading, "arrays_at", arrays_at)
    found = open_archive(tmp_path / "a.zarr").trajectory()
    assert found.step.values.tolist() == [0, 2, 4, 6, 8, 10, 12]


def test_rows_that_measure_an_objective_are_fewer() -> None:
    """An objective may take longer than many steps; rows beyond a hundred are thinned, measurements with them."""
    model = torch.nn.Linear(3, 2)
    objective = la.Objective(model, torch.nn.functional.mse_loss, (torch.randn(4, 3), torch.randn(4, 2)))
    limits, kinds = [], list[dict[str, Any]]()
    kinds += [{}, {"objective": objective}, {"test_objective": objective}, {"sharpness": objective}, {"objective": objective, "every": 1}]
    for options in kinds:
        with la.Recorder(None, model, **options) as recorder:
            limits.append(recorder._schedule.limit)
    assert limits == [schedule.MOST_ROWS, *[schedule.MOST_MEASURED_ROWS] * 3, None]
    assert schedule.MOST_MEASURED_ROWS < schedule.MOST_ROWS


@pytest.mark.parametrize("slots", [[0, 1, 2], [3, 4], [1, 3, 5, 7], [0, 2, 3, 9]])
@pytest.mark.parametrize("height", [1, 2])
@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_are_written_where_they_belong(slots: list[int], on_disk: bool, height: int, tmp_path: Path) -> None:
    """Next to each other or in the gaps of others, which stay."""
    archive = la.open_archive(tmp_path / "a.zarr" if on_disk else None, "a")
    curve = create_array(archive.root, "c", shape=(6,), chunks=(4,), dtype="float64", dims=("step",))
    matrix = create_array(archive.root, "m", shape=(6, 5), chunks=(height, 3), dtype="float32", dims=("step", "entry"), compressed=False)
    curve[:], matrix[:] = 7.0, 7.0
    rows = np.arange(5.0 * len(slots), dtype=np.float32).reshape(-1, 5)
    for array, values in ((curve, rows[:, 0]), (matrix, rows)):
        write_rows(array, np.array(slots), values)
        expected = np.full((max(6, 64 if max(slots) > 5 else 0), *values.shape[1:]), 7.0)
        expected[6:] = 0.0
        expected[slots] = values
        np.testing.assert_array_equal(array[:], expected)
