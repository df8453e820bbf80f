"""What is asked of a resumed recording, and what the very last row holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.archive import open_archive
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.recording.integrations.continuation import open_for_training
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError


@pytest.fixture
def recorded(training, tmp_path: Path):
    """A recording of ten steps with an objective, and the model it ended with."""
    _, model, _ = training.record(tmp_path / "a.zarr", 10, every=2, objective=training.objective(training.model()))
    return tmp_path / "a.zarr", model


def resume(path: Path, model: torch.nn.Module, objective: Objective | None, **options) -> Recorder:
    return Recorder(path, model, every=2, resume=True, objective=objective, **options)


def test_another_precision_is_refused_where_it_would_be_rounded(training, recorded) -> None:
    path, model = recorded
    with pytest.raises(InputError, match=r"0\.weight in float64; expected float32"):
        resume(path, model.double(), training.objective(training.model()))
    changing = training.model()
    recorder = Recorder(None, changing, every=1)
    recorder.step()
    changing.half()
    recorder.step()  # float32 holds every float16
    changing.double()
    with pytest.raises(InputError, match=r"step 3 has 0\.weight in float64"):
        recorder.step()
    assert recorder.trajectory.steps.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float16"}, "dtype: got float16; expected float32, as in the first part"),
        ({"delta": True}, "delta: got True; expected False"),
        ({"step": -4}, "step: got -4; expected the number of updates"),
        ({"step": 2.5}, "step: got 2.5"),
        ({"overwrite": True}, "one of the two"),
        ({"sharpness": True}, "a recording without sharpness, stability_limit"),
    ],
)
def test_options_that_contradict_the_first_part_are_refused(training, recorded, options, words: str) -> None:
    path, model = recorded
    with pytest.raises(InputError, match=words):
        resume(path, model, training.objective(training.model()), **options)
    assert Trajectory.open(path).steps.tolist() == [0, 2, 4, 6, 8, 10]


def test_a_model_whose_checkpoint_was_not_loaded_is_refused(training, recorded) -> None:
    path, model = recorded
    objective = training.objective(training.model())
    for step in (None, 10, 4):
        with pytest.raises(InputError, match=f"weights are not those recorded at step {step or 10}.*Load the checkpoint"):
            resume(path, training.model() if step != 4 else model, objective, step=step)
    resume(path, model, objective)
    resume(path, model, objective, step=10)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"dtype": "float16"}, {"dtype": "float16", "delta": True}, {"dtype": "float64"}])
def test_the_right_model_is_known_also_where_its_weights_are_stored_rounded(training, tmp_path: Path, options) -> None:
    _, model, _ = training.record(tmp_path / "a.zarr", 4, every=2, **options)
    Recorder(tmp_path / "a.zarr", model, every=2, resume=True, **options)
    with pytest.raises(InputError, match="not those recorded"):
        Recorder(tmp_path / "a.zarr", training.model(), every=2, resume=True, **options)


def test_a_step_far_ahead_is_a_gap(training, recorded) -> None:
    path, model = recorded
    with pytest.warns(UserWarning, match="lacks 44 due rows, steps 12 to 98: it continues at step 100"):
        resume(path, model, training.objective(training.model()), step=100)


def test_an_objective_that_is_missing_or_of_other_data_is_told(training, recorded) -> None:
    path, model = recorded
    with pytest.raises(InputError, match=r"nothing that measures path_accuracy, path_loss.*Pass objective="):
        resume(path, model, None)
    with pytest.warns(UserWarning, match="differs from that of the first part in its data_hash"):
        resume(path, model, Objective(training.model(), F.cross_entropy, (training.x[:9], training.y[:9])))


def test_the_last_row_holds_its_own_loss_epoch_and_gradient(training) -> None:
    every, _, losses = training.record(None, 7, every=1, steps_per_epoch=4)
    sparse, *_ = training.record(None, 7, every=5, steps_per_epoch=4)
    dense, few = (r.trajectory.dataset.isel(step=-1) for r in (every, sparse))
    for name in ("batch_loss", "epoch", "gradient_norm", "learning_rate"):
        assert float(few[name]) == float(dense[name]), name
    assert float(few.batch_loss) == losses[-1]
    recorder = Recorder(None, training.model(), every=5)
    recorder.step(loss=torch.tensor(2.0, requires_grad=True), epoch=0.25)
    recorder.close()
    assert recorder.trajectory.dataset.epoch.values[-1] == 0.25 and recorder.trajectory.dataset.batch_loss.values[-1] == 2.0


def test_a_loss_that_waits_does_not_keep_its_graph(training) -> None:
    model = training.model()
    recorder = Recorder(None, model, every=100)
    loss = F.cross_entropy(model(training.x), training.y)
    recorder.step(loss=loss)
    kept = recorder._loss
    assert isinstance(kept, torch.Tensor) and kept.grad_fn is None


def test_a_loss_known_only_after_the_step_reaches_its_row_stored_or_not(training) -> None:
    for seconds in (0, 1000):
        recorder = Recorder(None, training.model(), every=1, flush_seconds=seconds)
        recorder.step()
        recorder.note_loss(0.5)
        recorder.step()
        np.testing.assert_array_equal(recorder.trajectory.dataset.batch_loss, [np.nan, 0.5, np.nan])


def with_gradients(training):
    """Model, optimizer and recorder, just before the first update."""
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(None, model, optimizer, every=1)
    F.cross_entropy(model(training.x), training.y).backward()
    return model, optimizer, recorder


def test_gradients_zeroed_before_the_step_are_none_not_flat(training) -> None:
    _, optimizer, recorder = with_gradients(training)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    recorder.step()
    assert np.isnan(recorder.trajectory.dataset.gradient_norm.values[-1])


def test_the_gradient_is_recorded_as_clipped(training) -> None:
    model, optimizer, recorder = with_gradients(training)
    recorder.before_update()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    optimizer.step()
    recorder.step()
    assert recorder.trajectory.dataset.gradient_norm.values[-1] == pytest.approx(0.01, rel=1e-3)


def test_the_rate_noted_before_the_update_is_that_of_the_update(training) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    recorder = Recorder(None, model, optimizer, every=1)
    for noted in (True, False):
        if noted:
            recorder.before_update()
        optimizer.step()
        scheduler.step()
        recorder.step()
    assert recorder.trajectory.dataset.learning_rate.values.tolist() == [0.2, 0.2, 0.05]


def test_groups_of_different_rates_have_no_one_limit_and_show_the_largest_rate(training) -> None:
    model = training.model(batchnorm=False)
    groups = [{"params": model[0].parameters(), "lr": 1e-3}, {"params": model[2].parameters(), "lr": 1.0}]
    objective = training.objective(model)
    recorder = Recorder(None, model, torch.optim.SGD(groups), every=1, objective=objective, sharpness=True)
    found = recorder.trajectory.dataset
    assert found.learning_rate.values.tolist() == [1.0] and np.isnan(found.stability_limit.values).all()
    assert found.attrs["learning_rate"] == 1.0 and found.attrs["learning_rates"] == [1e-3, 1.0]


def test_attach_and_step_together_are_refused_not_counted_twice(training) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(None, model, every=1)
    handle = recorder.attach(optimizer)
    with pytest.raises(InputError, match="beside attach"):
        training.steps(model, optimizer, 5, recorder.step)
    with pytest.raises(InputError, match="beside attach"):
        recorder.attach(optimizer)
    handle.remove()
    recorder.step()
    assert recorder.trajectory.steps.tolist() == [0, 1, 2]


def test_a_part_of_the_model_is_measured_with_the_rest_as_it_is(training) -> None:
    whole, *_ = training.record(None, 4, every=1, objective=training.objective(training.model()))
    part, *_ = training.record(None, 4, every=1, objective=training.objective(training.model()), params="3")
    np.testing.assert_array_equal(part.trajectory.dataset.path_loss, whole.trajectory.dataset.path_loss)


def test_keeping_a_projection_in_an_archive_open_for_reading_says_how(recorded) -> None:
    path, _ = recorded
    trajectory = Trajectory.open(path)
    with pytest.raises(InputError, match=r"open for reading.*open_archive"):
        project_trajectory(trajectory, pca_plane(trajectory), archive=open_archive(path))


def test_a_loss_is_not_carried_over_to_updates_that_attach_counts(training) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    recorder = Recorder(None, model, every=100)
    recorder.step(loss=0.5, epoch=1.0)
    recorder.attach(optimizer)
    training.steps(model, optimizer, 2)
    recorder.close()
    assert recorder.trajectory.steps.tolist() == [0, 3]
    assert np.isnan(recorder.trajectory.dataset.batch_loss.values).all() and np.isnan(recorder.trajectory.dataset.epoch.values).all()


@pytest.mark.parametrize(
    ("resume", "step", "options", "continues"),
    [
        (None, 10, {}, True),
        (None, 10, {"name": "other"}, False),
        (None, 10, {"overwrite": True}, False),
        (None, 0, {"overwrite": True}, False),
        (True, 0, {}, True),
        (False, 10, {}, False),
    ],
)
def test_the_recording_of_a_framework_continues_where_its_training_does(recorded, resume, step: int, options, continues: bool) -> None:
    archive, found = open_for_training(recorded[0], resume, step, options, "call fit")
    assert archive.trajectories == ("run",) and found is continues


def test_a_second_training_of_a_framework_says_what_is_there_and_how_to_go_on(recorded) -> None:
    words = r"'run' holds a recording of 10 steps; expected .* starts at step 0\. Pass overwrite=True .* name= .*, call fit"
    for resume in (None, False):
        with pytest.raises(InputError, match=words):
            open_for_training(recorded[0], resume, 0, {}, "call fit")
    assert open_for_training(None, None, 0, {}, "")[1] is False
