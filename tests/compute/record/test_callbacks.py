"""Real Lightning and transformers trainings, recorded, against the same training done by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.compute.objective import Objective
from lossatlas.compute.record.trajectory import open_trajectory

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
    trajectory = open_trajectory(tmp_path / "run.zarr")
    per_epoch = 4 // accumulate
    assert trajectory.steps.tolist() == [0, per_epoch, 2 * per_epoch, 3 * per_epoch]
    assert trajectory.dataset.epoch.values.tolist() == [0.0, 1.0, 2.0, 3.0]
    expected = by_hand(3 * per_epoch, 10, accumulate)
    for row, step in enumerate(trajectory.steps):
        np.testing.assert_allclose(trajectory.vector(row), expected[step], atol=1e-6)
    found = trajectory.dataset
    assert found.path_loss.values[-1] == pytest.approx(float(F.cross_entropy(module.net(data()[0]), data()[1]).detach()), rel=1e-6)
    assert np.isfinite(found.batch_loss.values[1:]).all() and np.isfinite(found.gradient_norm.values[1:]).all()
    assert found.learning_rate.values[-1] == 0.1 and found.attrs["optimizer"] == "SGD" and found.attrs["ended"] == "closed"


@needs_transformers
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_transformers_trainer_is_recorded(tmp_path: Path, accumulate: int) -> None:
    from transformers import Trainer, TrainingArguments

    from lossatlas import TransformersRecorder

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x, labels):
            logits = self.net(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    x, y = data()
    dataset = [{"x": row, "labels": label} for row, label in zip(x, y, strict=True)]
    model = Classifier()
    recorder = TransformersRecorder(tmp_path / "run.zarr", every=1)

    class InOrder(Trainer):
        def _get_train_sampler(self, *args, **kwargs):
            return torch.utils.data.SequentialSampler(dataset)

    trainer = InOrder(
        model,
        TrainingArguments(
            str(tmp_path / "hf"),
            num_train_epochs=2,
            per_device_train_batch_size=10,
            gradient_accumulation_steps=accumulate,
            learning_rate=0.1,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
            remove_unused_columns=False,
        ),
        train_dataset=dataset,
        callbacks=[recorder],
        optimizers=(torch.optim.SGD(model.parameters(), lr=0.1), None),
    )
    trainer.train()
    trajectory = open_trajectory(tmp_path / "run.zarr")
    steps = 8 // accumulate
    assert trajectory.steps.tolist() == list(range(steps + 1))
    expected = by_hand(steps, 10, accumulate)
    for row in range(steps + 1):
        np.testing.assert_allclose(trajectory.vector(row), expected[row], atol=1e-6)
    found = trajectory.dataset
    assert found.epoch.values[-1] == 2.0
    assert np.isfinite(found.gradient_norm.values[1:]).all()
    assert found.learning_rate.values[-1] == 0.1 and found.attrs["ended"] == "closed"


def test_without_the_library_the_callback_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossatlas.compute.record import lightning, transformers
    from lossatlas.errors import MissingDependencyError

    monkeypatch.setattr(lightning, "Callback", object)
    monkeypatch.setattr(transformers, "TrainerCallback", object)
    with pytest.raises(MissingDependencyError, match=r"lossatlas\[lightning\]"):
        lightning.LightningRecorder(None)
    with pytest.raises(MissingDependencyError, match=r"lossatlas\[transformers\]"):
        transformers.TransformersRecorder(None)
