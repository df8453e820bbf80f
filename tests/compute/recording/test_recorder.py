"""The recorder against the loop it records: same losses, same weights, same rows after a stop, a kill or a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import zarr

from lossatlas.archive import open_archive
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.recording.measurements import Histogram, LayerGroups
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.storage.weight_store import COLUMNS
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import ArchiveError, InputError


@pytest.mark.slow
def test_step_zero_and_the_very_last_step_are_recorded(training, tmp_path: Path) -> None:
    recorder, model, _ = training.record(tmp_path / "a.zarr", 23, every=10, steps_per_epoch=4)
    trajectory = Trajectory.open(tmp_path / "a.zarr")
    assert trajectory.steps.tolist() == recorder.trajectory.steps.tolist() == [0, 10, 20, 23]
    assert trajectory.dataset.epoch.values.tolist() == [0.0, 2.5, 5.0, 5.75]
    for name, value in training.model().named_parameters():
        assert torch.equal(trajectory.params(0)[name], value)
    for name, value in model.state_dict().items():
        assert torch.equal(trajectory.state(-1)[name], value), name


def test_losses_are_those_of_the_loop_at_the_step_they_belong_to(training) -> None:
    model = training.model(batchnorm=False)
    objective = training.objective(model)
    test = Objective(model, F.cross_entropy, (training.x[:9], training.y[:9]))
    recorder, model, losses = training.record(None, 7, batchnorm=False, every=1, objective=objective, test_objective=test)
    found = recorder.trajectory.dataset
    # The loop's loss k is taken before update k, so it is the loss of the iterate k and the batch loss of row k + 1.
    np.testing.assert_allclose(found.path_loss.values[:-1], losses, rtol=1e-6)
    np.testing.assert_array_equal(found.batch_loss.values[1:], losses)
    assert np.isnan(found.batch_loss.values[0])
    with torch.no_grad():
        assert found.path_loss.values[-1] == pytest.approx(float(F.cross_entropy(model(training.x), training.y)), rel=1e-6)
        assert found.path_accuracy.values[-1] == pytest.approx(float((model(training.x).argmax(1) == training.y).float().mean()))
        assert found.test_loss.values[-1] == pytest.approx(float(F.cross_entropy(model(training.x[:9]), training.y[:9])), rel=1e-6)
    assert found.path_loss.attrs["units"] == "nats"


def test_true_losses_use_each_steps_own_batchnorm_statistics(training) -> None:
    model = training.model()
    recorder, model, _ = training.record(None, 5, every=5, objective=training.objective(model))
    model.eval()
    with torch.no_grad():
        last = float(F.cross_entropy(model(training.x), training.y))
    assert recorder.trajectory.dataset.path_loss.values[-1] == pytest.approx(last, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_histogram_counts_ends_and_what_lies_beyond_in_its_end_bins_and_nan_nowhere(dtype: torch.dtype) -> None:
    histogram = Histogram(0.5, ("w",))
    weights = torch.tensor([[-9.0, -0.5, 0.5, float("inf")], [float("nan"), 0.0, 0.5 - 1e-9, -float("inf")]], dtype=dtype)
    counts = histogram.count({"w": weights}, LayerGroups.of({"w": weights}))
    assert counts.shape == (1, len(histogram.centers)) and counts.sum() == 7
    assert [counts[0, 0], counts[0, 100], counts[0, -1]] == [3, 1, 3]
    many = torch.randn(300, 40, generator=torch.Generator().manual_seed(0)).mul(0.2).to(dtype)
    found = histogram.count({"w": many}, LayerGroups.of({"w": many}))[0]
    width = histogram.centers[1] - histogram.centers[0]
    edges = np.append(histogram.centers - width / 2, histogram.centers[-1] + width / 2)
    expected, _ = np.histogram(many.double().numpy().clip(edges[0], edges[-1]), edges)
    assert np.abs(found - expected).sum() <= 4, "a weight at an edge may round to either side"


def test_norms_histogram_and_gradient_are_those_of_the_model(training) -> None:
    recorder, model, _ = training.record(None, 4, every=4)
    found = recorder.trajectory.dataset
    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).double()
    assert found.weight_norm.values[-1] == pytest.approx(float(flat.norm()))
    assert found.attrs["layers"] == ["0", "1", "3"]
    last = model[3]
    both = torch.cat([last.weight.detach().reshape(-1), last.bias.detach()]).double()
    assert found.layer_norm.values[-1, 2] == pytest.approx(float(both.norm()))
    matrices = torch.cat([model[0].weight.detach().reshape(-1), last.weight.detach().reshape(-1)]).numpy()
    width = found.bin.values[1] - found.bin.values[0]
    edges = np.append(found.bin.values - width / 2, found.bin.values[-1] + width / 2)
    expected, _ = np.histogram(matrices.clip(edges[0], edges[-1]), edges)
    assert found.weight_histogram.values[-1].sum() == matrices.size
    assert np.abs(found.weight_histogram.values[-1] - expected).sum() <= 2
    layers = found.layer_histogram.values[-1]
    assert layers.sum(1).tolist() == [model[0].weight.numel(), 0, last.weight.numel()], "BatchNorm has no tensor of two dims"
    np.testing.assert_array_equal(layers.sum(0), found.weight_histogram.values[-1])
    alone, _ = np.histogram(last.weight.detach().numpy().clip(edges[0], edges[-1]), edges)
    assert np.abs(layers[2] - alone).sum() <= 2
    gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters()]).double()
    assert found.gradient_norm.values[-1] == pytest.approx(float(gradient.norm()))
    assert found.learning_rate.values.tolist() == [0.2, 0.2]
    assert found.attrs["optimizer"] == "SGD" and found.attrs["options"]["momentum"] == 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "dtype"), [(7, None), (10, None), (12, "float16")])
def test_a_resumed_recording_equals_an_uninterrupted_one(training, tmp_path: Path, stop: int, dtype: str | None) -> None:
    options = {"every": 5, "dtype": dtype, "delta": dtype is not None}
    whole, *_ = training.record(None, 18, **options, objective=training.objective(training.model()))
    model = training.model()
    optimizer = training.optimizer(model)
    for count, start in ((stop, 0), (18 - stop, stop)):
        objective = training.objective(training.model())
        with Recorder(tmp_path / "b.zarr", model, optimizer, **options, objective=objective, resume=start > 0, step=start) as recorder:
            training.steps(model, optimizer, count, recorder.step)
    resumed = Trajectory.open(tmp_path / "b.zarr")
    assert resumed.steps.tolist() == whole.trajectory.steps.tolist() == [0, 5, 10, 15, 18]
    for name, values in whole.trajectory.dataset.data_vars.items():
        np.testing.assert_array_equal(resumed.dataset[name], values, err_msg=str(name))
    for row in range(5):
        np.testing.assert_array_equal(resumed.vector(row), whole.trajectory.vector(row))


def test_delta_in_half_precision_is_a_hundred_times_closer_than_half_precision(training) -> None:
    exact, *_ = training.record(None, 6, every=1)
    half, *_ = training.record(None, 6, every=1, dtype="float16")
    delta, *_ = training.record(None, 6, every=1, dtype="float16", delta=True)
    truth = exact.trajectory.vector(1)
    errors = [np.abs(r.trajectory.vector(1).astype(float) - truth).max() for r in (half, delta)]
    assert exact.trajectory.store.is_lossless and not delta.trajectory.store.is_lossless
    assert errors[1] < errors[0] / 10
    assert delta.trajectory.store.group["weights/theta"].dtype == np.float16
    np.testing.assert_array_equal(delta.trajectory.vector(0), exact.trajectory.vector(0))


def test_only_named_parameters_are_recorded(training) -> None:
    recorder, model, _ = training.record(None, 2, every=1, params="3")
    assert set(recorder.trajectory.params(-1)) == {"3.weight", "3.bias"}
    assert torch.equal(recorder.trajectory.params(-1)["3.bias"], model[3].bias)


def test_an_optimizer_hook_counts_the_steps_by_itself(training) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(None, model, every=2)
    handle = recorder.attach(optimizer)
    training.steps(model, optimizer, 4)
    handle.remove()
    training.steps(model, optimizer, 2)
    assert recorder.trajectory.steps.tolist() == [0, 2, 4]
    assert np.isfinite(recorder.trajectory.dataset.gradient_norm.values[1:]).all()


def test_gradients_that_are_cleared_at_once_can_be_noted_before_the_update(training) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(None, model, optimizer, every=1)
    F.cross_entropy(model(training.x), training.y).backward()
    expected = float(torch.cat([p.grad.reshape(-1) for p in model.parameters()]).double().norm())
    recorder.before_update()
    optimizer.step()
    optimizer.zero_grad()
    recorder.step()
    assert recorder.trajectory.dataset.gradient_norm.values[1] == pytest.approx(expected)


def test_recording_leaves_the_training_as_it_was(training) -> None:
    _, recorded, with_recorder = training.record(None, 6, every=1, objective=training.objective(training.model()), sharpness=True)
    model = training.model()
    without = training.steps(model, training.optimizer(model), 6)
    assert with_recorder == without
    for name, value in model.state_dict().items():
        assert torch.equal(value, recorded.state_dict()[name])


@pytest.mark.slow
def test_a_killed_training_leaves_a_readable_trajectory(tmp_path: Path) -> None:
    script = f"""
        import torch
        from lossatlas.compute.recording.recorder import Recorder
        torch.set_num_threads(1)
        model = torch.nn.Linear(300, 250)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        recorder = Recorder({str(tmp_path / "killed.zarr")!r}, model, optimizer, every=1, flush_seconds=0)
        for k in range(100_000):
            optimizer.zero_grad()
            model(torch.ones(1, 300)).square().mean().backward()
            optimizer.step()
            recorder.step()
            if k == 5:
                print("running", flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, env={**os.environ})
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    dataset = open_archive(tmp_path / "killed.zarr").trajectory()
    steps = dataset.step.values
    assert len(steps) >= 6 and (steps == np.arange(len(steps))).all()
    assert "killed" in dataset.attrs["ended"]
    assert np.isfinite(dataset.weight_norm.values).all()
    trajectory = Trajectory.open(tmp_path / "killed.zarr")
    norms = [np.linalg.norm(trajectory.vector(row).astype(float)) for row in (0, len(steps) - 1)]
    assert norms == pytest.approx(dataset.weight_norm.values[[0, -1]])


@pytest.mark.slow
def test_a_kill_between_two_arrays_loses_only_the_row_under_way(training, tmp_path: Path) -> None:
    training.record(tmp_path / "c.zarr", 4, every=1)
    before = open_archive(tmp_path / "c.zarr").trajectory()
    group = zarr.open_group(tmp_path / "c.zarr")["trajectories/run"]
    group["weight_norm"].resize((9,))
    group["epoch"].resize((7,))
    after = open_archive(tmp_path / "c.zarr").trajectory()
    assert after.identical(before)


class FullDisk(zarr.storage.MemoryStore):
    room = 10**9

    async def set(self, key, value, byte_range=None):
        if "/c/" in key:
            self.room -= len(value)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        await super().set(key, value, byte_range)


@pytest.mark.slow
def test_a_full_disk_is_an_error_in_words_and_keeps_what_was_stored(training) -> None:
    store = FullDisk()
    archive = open_archive(store, "a")
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(archive, model, optimizer, every=1, flush_seconds=0)
    training.steps(model, optimizer, 3, recorder.step)
    store.room = 1500
    with pytest.raises(ArchiveError, match=r"No space left.*resume=True"):
        training.steps(model, optimizer, 50, recorder.step)
    steps = archive.trajectory("run").step.values
    assert len(steps) >= 4 and (steps == np.arange(len(steps))).all()
    store.room = 10**9
    recorder.flush()
    last = int(archive.trajectory("run").step.values[-1])
    resumed = Recorder(archive, model, optimizer, every=1, resume=True)
    training.steps(model, optimizer, 2, resumed.step)
    resumed.close()
    assert last >= steps[-1] and resumed.trajectory.steps.tolist() == list(range(last + 3))


def test_weights_that_become_nan_are_recorded_as_they_are(training) -> None:
    model = training.model(batchnorm=False)
    recorder = Recorder(None, model, every=1, objective=training.objective(model), sharpness=True)
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    recorder.step()
    recorder.close()
    found = recorder.trajectory.dataset
    assert np.isnan(found.path_loss.values[1]) and np.isnan(found.weight_norm.values[1]) and np.isnan(found.sharpness.values[1])
    assert np.isnan(recorder.trajectory.vector(1)).sum() == 1


def test_bad_input_is_refused_in_words(training, tmp_path: Path) -> None:
    model = training.model()
    for options, words in (
        ({"every": 0}, "positive number of steps"),
        ({"every": 5, "every_epochs": 1}, "one of the two"),
        ({"every_epochs": 1}, "steps_per_epoch"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"every_epochs": 0.01, "steps_per_epoch": 10}, "at least one step"),
        ({"dtype": "int8"}, "float16"),
        ({"sharpness": True}, "an Objective"),
        ({"params": "nothing"}, "a name, a module or a glob"),
        ({"objective": training.objective(torch.nn.Linear(2, 3))}, "an objective made of the recorded model"),
        ({"name": "a/b"}, "without slashes"),
    ):
        with pytest.raises(InputError, match=words):
            Recorder(None, model, **options)
    Recorder(tmp_path / "d.zarr", model).close()
    with pytest.raises(InputError, match="resume=True or overwrite=True"):
        Recorder(tmp_path / "d.zarr", model)
    closed = Recorder(tmp_path / "d.zarr", model, overwrite=True, every=1)
    closed.close()
    with pytest.raises(InputError, match="closed recorder"):
        closed.step()


def test_a_model_that_changes_shape_or_names_is_refused(training, tmp_path: Path) -> None:
    model = training.model()
    recorder = Recorder(tmp_path / "e.zarr", model, every=1)
    model[3] = torch.nn.Linear(6, 4)
    with pytest.raises(InputError, match=r"step 1 has 3.weight of shape \(4, 6\)"):
        recorder.step()
    with pytest.raises(InputError, match="shape"):
        recorder.close()
    with pytest.raises(InputError, match="shape"):
        Recorder(tmp_path / "e.zarr", model, resume=True)
    model[3] = torch.nn.Identity()
    with pytest.raises(InputError, match=r"lacks 3\."):
        Recorder(tmp_path / "e.zarr", model, resume=True)


def test_checkpoints_of_different_models_make_no_trajectory() -> None:
    with pytest.raises(InputError, match="checkpoint 1 has in addition b"):
        Trajectory.from_checkpoints([{"a": torch.ones(2)}, {"a": torch.ones(2), "b": torch.ones(1)}])
    with pytest.raises(InputError, match="checkpoint 1 lacks a and has in addition b"):
        Trajectory.from_checkpoints([{"a": torch.ones(2)}, {"b": torch.ones(1)}])
    with pytest.raises(InputError, match=r"objective: got cross_entropy.*la\.Objective"):
        Recorder(None, torch.nn.Linear(2, 2), objective=torch.nn.functional.cross_entropy)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"checkpoint 1 has a of shape \(3,\)"):
        Trajectory.from_checkpoints([{"a": torch.ones(2)}, {"a": torch.ones(3)}])
    with pytest.raises(InputError, match="increasing integers"):
        Trajectory.from_checkpoints([{"a": torch.ones(2)}] * 3, steps=[0, 2, 1])
    with pytest.raises(InputError, match="one step a checkpoint"):
        Trajectory.from_checkpoints([{"a": torch.ones(2)}] * 3, steps=[0, 2])
    with pytest.raises(InputError, match="at least one checkpoint"):
        Trajectory.from_checkpoints([])


def test_a_trajectory_without_weights_cannot_be_opened_with_them(training) -> None:
    archive = open_archive(None, "a")
    training.record(archive, 2, name="whole")
    archive.write_trajectory("curves", archive.trajectory("whole")[["step", "epoch"]])
    with pytest.raises(InputError, match="holds weights"):
        Trajectory.open(archive, "curves")
    with pytest.raises(InputError, match="curves, whole"):
        Trajectory.open(archive)
    assert len(Trajectory.open(archive, "whole").every(5)) == 2


@pytest.mark.slow
def test_weights_wider_than_a_chunk_come_back_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    points = [{"w": torch.randn(300, 300, generator=generator), "v": torch.randn(7, generator=generator)} for _ in range(3)]
    trajectory = Trajectory.from_checkpoints(points, steps=[3, 5, 9])
    for index, point in enumerate(points):
        assert all(torch.equal(trajectory.params(index)[name], value) for name, value in point.items())
    whole = np.concatenate([block for _, block in trajectory.blocks(memory=2**12)], axis=1)
    np.testing.assert_array_equal(whole[1], trajectory.vector(1))
    assert trajectory.until(5).steps.tolist() == [3, 5]


def test_the_format_page_names_every_array_a_recorder_writes_and_its_chunks(training) -> None:
    recorder, *_ = training.record(
        None, 1, objective=(objective := training.objective(training.model())), test_objective=objective, sharpness=True
    )
    page = (Path(__file__).parents[3] / "docs" / "format.md").read_text()
    group = recorder.trajectory.store.group
    assert [name for name in group if f"`{name}`" not in page and name != "weights"] == []
    assert f"chunked by columns of {COLUMNS:,}" in page
    assert [key for key in ("gaps", "ended", "rows") if f"`{key}`" not in page] == []


def test_a_recorder_prints_its_model_and_step() -> None:
    model = torch.nn.Linear(2, 1)
    with Recorder(None, model) as recorder:
        recorder.step(0.5)
        assert repr(recorder) == "<Recorder of Linear: step 1, open>"
    assert repr(recorder) == "<Recorder of Linear: step 1, closed>"
