"""Real Lightning and transformers trainings, recorded, against the same training done by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError

# Both libraries import torch.jit and other deprecated names of their own; their warnings are not ours.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
needs_lightning = pytest.mark.skipif(importlib.util.find_spec("lightning") is None, reason="lightning is not installed")
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None or importlib.util.find_spec("accelerate") is None,
    reason="transformers and accelerate are not installed",
)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(5))
    return x, (x[:, 0] > 0).long()


def net() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def by_hand(steps: int, batch: int, accumulate: int = 1) -> list[torch.Tensor]:
    """Flat weights after 0, 1, 2, … steps of plain descent, batches in order."""
    model, (x, y) = net(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    flat = [torch.cat([p.detach().reshape(-1) for p in model.parameters()])]
    for step in range(steps):
        optimizer.zero_grad()
        for part in range(accumulate):
            start = (step * accumulate + part) * batch % 40
            (F.cross_entropy(model(x[start : start + batch]), y[start : start + batch]) / accumulate).backward()
        optimizer.step()
        flat.append(torch.cat([p.detach().reshape(-1) for p in model.parameters()]))
    return flat


def losses_by_hand(steps: int, batch: int, accumulate: int = 1) -> list[float]:
    """Loss of the data from which each update was made, at the weights before it."""
    x, y = data()
    model, losses = net(), []
    for step, flat in enumerate(by_hand(steps, batch, accumulate)[:-1]):
        torch.nn.utils.vector_to_parameters(flat, model.parameters())
        start, size = step * batch * accumulate % 40, batch * accumulate
        losses.append(float(F.cross_entropy(model(x[start : start + size]), y[start : start + size]).detach()))
    return losses


@needs_lightning
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_lightning_training_is_recorded(tmp_path: Path, accumulate: int) -> None:
    import lightning.pytorch as pl

    from lossatlas import LightningRecorder

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def training_step(self, batch, index):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Module()
    objective = Objective(module.net, F.cross_entropy, data())
    recorder = LightningRecorder(tmp_path / "run.zarr", submodule="net", objective=objective)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=10)
    trainer = pl.Trainer(
        max_epochs=3,
        callbacks=[recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        accumulate_grad_batches=accumulate,
    )
    trainer.fit(module, loader)
    trajectory = Trajectory.open(tmp_path / "run.zarr")
    per_epoch = 4 // accumulate
    assert trajectory.steps.tolist() == list(range(3 * per_epoch + 1))
    assert trajectory.dataset.epoch.values[::per_epoch].tolist() == [0.0, 1.0, 2.0, 3.0]
    expected = by_hand(3 * per_epoch, 10, accumulate)
    for row, step in enumerate(trajectory.steps):
        np.testing.assert_allclose(trajectory.vector(row), expected[step], atol=1e-6)
    found = trajectory.dataset
    assert found.path_loss.values[-1] == pytest.approx(float(F.cross_entropy(module.net(data()[0]), data()[1]).detach()), rel=1e-6)
    assert np.isfinite(found.gradient_norm.values[1:]).all()
    by_step = losses_by_hand(3 * per_epoch, 10, accumulate)
    np.testing.assert_allclose(found.batch_loss.values[1:], [by_step[step - 1] for step in trajectory.steps[1:]], rtol=1e-5)
    assert found.learning_rate.values[-1] == 0.1 and found.attrs["optimizer"] == "SGD" and found.attrs["ended"] == "closed"


@needs_lightning
def test_lightning_checkpoints_store_rows_and_an_error_is_named(tmp_path: Path) -> None:
    import lightning.pytorch as pl

    from lossatlas import LightningRecorder

    class Module(pl.LightningModule):
        stored: list[int]

        def __init__(self, fails_at: int = -1) -> None:
            super().__init__()
            self.net, self.fails_at = net(), fails_at

        def training_step(self, batch, index):
            if self.global_step == self.fails_at:
                self.stored = Trajectory.open(tmp_path / "run.zarr").steps.tolist()
                raise ZeroDivisionError
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
            return [optimizer], [{"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5), "interval": "step"}]

    def fit(module: Module, recorder: LightningRecorder, start: str | None) -> None:
        saver = pl.callbacks.ModelCheckpoint(tmp_path, every_n_train_steps=3, save_top_k=-1, filename="{step}")
        trainer = pl.Trainer(
            max_epochs=3,
            callbacks=[recorder, saver],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            gradient_clip_val=0.01,
        )
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=10)
        trainer.fit(module, loader, ckpt_path=start)

    failing = Module(fails_at=8)
    with pytest.raises(ZeroDivisionError):
        fit(failing, LightningRecorder(tmp_path / "run.zarr", every=1, submodule="net"), None)
    assert failing.stored == list(range(7)), "what was recorded before the checkpoint of step 6"
    trajectory = Trajectory.open(tmp_path / "run.zarr")
    assert trajectory.store.attrs["ended"] == "interrupted: ZeroDivisionError" and trajectory.steps.tolist() == list(range(9))
    fit(Module(), LightningRecorder(tmp_path / "run.zarr", every=5, submodule="net"), str(tmp_path / "step=6.ckpt"))
    found = Trajectory.open(tmp_path / "run.zarr").dataset
    assert found.step.values.tolist() == [0, 1, 2, 3, 4, 5, 10, 12]
    np.testing.assert_allclose(found.gradient_norm.values[1:], 0.01, rtol=1e-3)
    np.testing.assert_allclose(found.learning_rate.values[1:], [0.5**step for step in found.step.values[1:]])


@needs_transformers
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_transformers_trainer_is_recorded(tmp_path: Path, accumulate: int) -> None:
    from lossatlas import TransformersRecorder

    model = Classifier()
    recorder = TransformersRecorder(tmp_path / "run.zarr", every=1)
    train_in_order(tmp_path, model, recorder, num_train_epochs=2, gradient_accumulation_steps=accumulate, logging_steps=1)
    trajectory = Trajectory.open(tmp_path / "run.zarr")
    steps = 8 // accumulate
    assert trajectory.steps.tolist() == list(range(steps + 1))
    expected = by_hand(steps, 10, accumulate)
    for row in range(steps + 1):
        np.testing.assert_allclose(trajectory.vector(row), expected[row], atol=1e-6)
    found = trajectory.dataset
    assert found.epoch.values[-1] == 2.0
    np.testing.assert_allclose(found.batch_loss.values[1:], losses_by_hand(steps, 10, accumulate), rtol=1e-5)
    assert np.isfinite(found.gradient_norm.values[1:]).all()
    assert found.learning_rate.values[-1] == 0.1 and found.attrs["ended"] == "closed"


@needs_transformers
def test_a_transformers_training_that_stops_within_an_epoch_is_recorded_to_its_end(tmp_path: Path) -> None:
    from lossatlas import TransformersRecorder

    options = {"max_steps": 6, "lr_scheduler_type": "linear", "logging_steps": 1}
    dense, sparse = TransformersRecorder(None), TransformersRecorder(None, every=4)
    for recorder in (dense, sparse):
        train_in_order(tmp_path, Classifier(), recorder, **options)
    every, few = dense.trajectory.dataset, sparse.trajectory.dataset
    assert few.step.values.tolist() == [0, 4, 6] and few.epoch.values.tolist() == [0.0, 1.0, 1.5]
    for name in ("epoch", "batch_loss", "gradient_norm", "learning_rate"):
        np.testing.assert_array_equal(few[name], every[name][[0, 4, 6]], err_msg=name)
    assert np.isfinite(few.batch_loss.values[1:]).all() and np.isfinite(few.gradient_norm.values[1:]).all()
    np.testing.assert_allclose(every.learning_rate, [0.1, *(0.1 * (6 - k) / 6 for k in range(6))])
    rare = TransformersRecorder(None, every=1)
    train_in_order(tmp_path, Classifier(), rare, max_steps=6, logging_steps=3)
    assert np.isnan(rare.trajectory.dataset.batch_loss).all(), "a mean over three steps is the loss of none"


@needs_transformers
def test_a_transformers_training_killed_after_a_checkpoint_continues_without_a_gap(tmp_path: Path) -> None:
    from transformers import TrainerCallback

    from lossatlas import TransformersRecorder

    class Killed(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 7:
                recorder.recorder._buffer._rows.clear()
                raise KeyboardInterrupt

    recorder = TransformersRecorder(tmp_path / "run.zarr", every=2)
    options = {"max_steps": 12, "save_strategy": "steps", "save_steps": 5}
    with pytest.raises(KeyboardInterrupt):
        train_in_order(tmp_path, Classifier(), recorder, extra=Killed(), **options)
    assert Trajectory.open(tmp_path / "run.zarr").steps.tolist() == [0, 2, 4]
    with pytest.raises(InputError, match=r"4 steps; .*overwrite=True.*resume_from_checkpoint=True"):
        train_in_order(tmp_path, Classifier(), TransformersRecorder(tmp_path / "run.zarr"), **options)
    recorder = TransformersRecorder(tmp_path / "run.zarr", every=2)
    train_in_order(tmp_path, Classifier(), recorder, start=True, **options)
    found = Trajectory.open(tmp_path / "run.zarr")
    assert found.steps.tolist() == [0, 2, 4, 6, 8, 10, 12] and found.store.attrs["gaps"] == []
    expected = by_hand(12, 10)
    for row, step in enumerate(found.steps):
        np.testing.assert_allclose(found.vector(row), expected[step], atol=1e-6)


class Classifier(torch.nn.Module):
    """`net` as the Trainer wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def train_in_order(
    folder: Path, model: torch.nn.Module, recorder: Any, *, extra: Any = None, start: bool | None = None, **options: Any
) -> None:
    """A Trainer that reads its data in order; plain descent at 0.1 unless `options` say otherwise."""
    from transformers import Trainer, TrainingArguments

    x, y = data()
    dataset = [{"x": row, "labels": label} for row, label in zip(x, y, strict=True)]

    class InOrder(Trainer):
        def _get_train_sampler(self, *args, **kwargs):
            return torch.utils.data.SequentialSampler(dataset)

    settings = {"lr_scheduler_type": "constant", "save_strategy": "no", "per_device_train_batch_size": 10, **options}
    fixed = {"learning_rate": 0.1, "max_grad_norm": 0.0, "report_to": [], "use_cpu": True, "disable_tqdm": True}
    arguments = TrainingArguments(str(folder / "hf"), remove_unused_columns=False, **fixed, **settings)
    optimizers = (torch.optim.SGD(model.parameters(), lr=0.1), None)
    callbacks = [recorder] if extra is None else [recorder, extra]
    InOrder(model, arguments, train_dataset=dataset, callbacks=callbacks, optimizers=optimizers).train(resume_from_checkpoint=start)


def test_without_the_library_the_callback_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossatlas.compute.recording.integrations import lightning, transformers
    from lossatlas.errors import MissingDependencyError

    monkeypatch.setattr(lightning, "Callback", object)
    monkeypatch.setattr(transformers, "TrainerCallback", object)
    with pytest.raises(MissingDependencyError, match=r"lossatlas\[lightning\]"):
        lightning.LightningRecorder(None)
    with pytest.raises(MissingDependencyError, match=r"lossatlas\[transformers\]"):
        transformers.TransformersRecorder(None)
