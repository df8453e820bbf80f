"""`train`: recorded training of a network, resumable after any stop."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from lossatlas._util.files import write_file
from lossatlas._util.progress import progress_bar
from lossatlas._util.text import to_json_value
from lossatlas._util.version import __version__
from lossatlas.archive import open_archive
from lossatlas.compute.evaluation.executors.allocator import keep_freed_memory
from lossatlas.compute.evaluation.single_point import evaluate_point
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.errors import ArchiveError, InputError, output_errors
from lossatlas.zoo.networks import network
from lossatlas.zoo.training.batches import TrainingImages, batch_bounds, batches, load_training_images
from lossatlas.zoo.training.checkpoint import Checkpoint, read_training_checkpoint
from lossatlas.zoo.training.figure import draw_training
from lossatlas.zoo.training.settings import Training

CHECKPOINT, WEIGHTS, SUMMARY = "checkpoint.pt", "weights.safetensors", "summary.json"
ARCHIVE, FIGURE = "archive.zarr", "training.png"
MEASURED_IMAGES = 1000
"""Pictures of each split on which recorded rows are measured; the last row's test error is over the whole test set."""
MEASURE_BATCH_SIZE = 50
"""Small, for an objective tries its first batch several times before it measures."""


def train(
    training: Training,
    out: Path,
    data: Path | None = None,
    *,
    device: str | None = None,
    overwrite: bool = False,
    checkpoint_seconds: float = 30.0,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Train a network; the same call continues a stopped or killed training as if nothing had happened.

    On a CPU a continued training ends with the same bits as an uninterrupted one of the same number of threads; on a
    GPU with those that its kernels allow. `out` then holds ``archive.zarr`` (the trajectory, named after the network),
    ``checkpoint.pt``, ``weights.safetensors``, ``training.png`` and ``summary.json``.

    Args:
        training: what to train and how.
        out: folder of the results.
        data: folder with CIFAR-10 or MNIST; None is the data root.
        device: such as "cuda"; None takes a GPU where there is one.
        overwrite: start anew instead of continuing what `out` holds.
        checkpoint_seconds: at most so much work is lost when the process is killed.
        progress: show progress; None shows it once it takes longer than two seconds, False never.

    Returns:
        the numbers of ``summary.json``: losses in nats, `test_error` and `test_accuracy` as fractions.

    Raises:
        InputError: data missing, `out` of another training, or a loss that is no longer finite.
        ArchiveError: `out` cannot be written.
    """
    keep_freed_memory()  # a fifth of the time of large batches goes into pages that the system takes back and zeroes
    pictures, test = load_training_images(training, data)
    run = _Run(training, _folder(out, overwrite), pictures, test, _device(device), checkpoint_seconds)
    run.finish(progress)
    summary = _summarize(run)
    draw_training(open_archive(out / ARCHIVE).trajectory(training.network), summary, out / FIGURE)
    return summary


class _Run:
    """A training under way: the network, its optimizer and how many updates were made."""

    def __init__(
        self, training: Training, out: Path, pictures: TrainingImages, test: TrainingImages, device: str, checkpoint_seconds: float
    ) -> None:
        self.training, self.out, self.pictures, self.test, self.device = training, out, pictures, test, device
        self.checkpoint_seconds, self.saved = checkpoint_seconds, time.monotonic()
        self.per_epoch = len(batch_bounds(len(pictures), training.batch_size))
        self.steps = self.per_epoch * training.epochs
        self.model = network(training.network, training.seed).to(device).train()
        if training.channels_last:
            cast(Any, self.model).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(self.model, training)
        self.step, self.seconds = 0, 0.0
        checkpoint = read_training_checkpoint(out / CHECKPOINT, training, len(pictures))
        if checkpoint is None:
            torch.manual_seed(training.seed)
        else:
            self._restore(checkpoint)

    def finish(self, progress: bool | None) -> None:
        """Make the updates that are left, then store the weights."""
        if self.step < self.steps:
            title = f"{self.training.network}, {self.training.epochs} epochs"
            with self._recorder() as recorder, progress_bar(title, self.steps, self.step, progress) as advance:
                for epoch in range(self.step // self.per_epoch, self.training.epochs):
                    for x, y in batches(self.pictures, self.training, epoch, self.step % self.per_epoch, self.device):
                        set_rate(self.optimizer, self.training.rate((self.step + 0.5) / self.per_epoch))
                        self._update(x, y, recorder)
                        advance(1)
                recorder.record()
                self._save(recorder)

    def objective(self, split: str, count: int | None) -> Objective:
        """Fixed pictures without augmentation, in eval mode."""
        pictures = self.pictures if split == "train" else self.test
        tensors = pictures.tensors(count, self.device)
        return Objective(self.model, F.cross_entropy, tensors, batch_size=MEASURE_BATCH_SIZE, split=split)

    def _update(self, x: torch.Tensor, y: torch.Tensor, recorder: Recorder) -> None:
        started = time.monotonic()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.training.precision == "bfloat16"):
            output = self.model(x)
        loss = F.cross_entropy(output.float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise _diverged(self.training, self.step, value)
        self.optimizer.step()
        self.step += 1
        recorder.step(loss=value)
        self.seconds += time.monotonic() - started
        if time.monotonic() - self.saved >= self.checkpoint_seconds:
            self._save(recorder)

    def _recorder(self) -> Recorder:
        """Rows at the start, every few epochs, after the first epoch and at each drop of the learning rate, as in the paper."""
        at = [self.per_epoch * epoch for epoch in (1, *self.training.drops)]
        return Recorder(
            open_archive(self.out / ARCHIVE, "a"),
            self.model,
            self.optimizer,
            name=self.training.network,
            label=self.training.network,
            every_epochs=self.training.recorded_every,
            at=at,
            steps_per_epoch=self.per_epoch,
            objective=self.objective("train", MEASURED_IMAGES),
            test_objective=self.objective("test", MEASURED_IMAGES),
            resume=self.step > 0,
            step=self.step,
            overwrite=self.step == 0,
            attrs={"training": {**self.training.as_dict(), "samples": len(self.pictures)}},
        )

    def _save(self, recorder: Recorder) -> None:
        """First the rows, then the checkpoint: a continued recording never lacks one."""
        recorder.flush()
        settings = {**self.training.as_dict(), "samples": len(self.pictures)}
        states = self.model.state_dict(), self.optimizer.state_dict()
        Checkpoint(self.step, settings, *states, torch.get_rng_state(), self.seconds).write(self.out / CHECKPOINT)
        self.saved = time.monotonic()

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        torch.set_rng_state(checkpoint.generator)
        self.step, self.seconds = checkpoint.step, checkpoint.seconds


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum 0.9, or Adam; weight decay on all parameters, as in the paper's code."""
    assert training.learning_rate is not None
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    return torch.optim.SGD(model.parameters(), lr=training.learning_rate, momentum=0.9, nesterov=True, weight_decay=training.weight_decay)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _summarize(run: _Run) -> dict[str, Any]:
    """Measure the trained network on the whole test set, store its weights, and write the numbers."""
    from safetensors.torch import save

    test = evaluate_point(run.objective("test", None), metrics=("loss", "accuracy"))
    measured = evaluate_point(run.objective("train", MEASURED_IMAGES), metrics=("loss", "accuracy"))
    summary = {
        "version": __version__,
        **{k: v for k, v in run.training.as_dict().items() if k != "record_every"},
        "dataset": run.training.dataset,
        "samples": len(run.pictures),
        "test_samples": len(run.test),
        "drops": list(run.training.drops),
        "steps": run.step,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "test_error": 1 - test["accuracy"],
        "test_accuracy": test["accuracy"],
        "test_loss": test["loss"],
        "train_accuracy": measured["accuracy"],
        "train_loss": measured["loss"],
        "train_measured_on": min(MEASURED_IMAGES, len(run.pictures)),
        "seconds": round(run.seconds, 1),
        "device": run.device,
    }
    plain = to_json_value(summary)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in run.model.state_dict().items()}
    text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
    for file, data in ((run.out / WEIGHTS, save(tensors, {"summary": json.dumps(plain)})), (run.out / SUMMARY, text)):
        with output_errors(file):
            write_file(file, data)
    return plain


def _folder(out: Path, overwrite: bool) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite:
            (out / CHECKPOINT).unlink(missing_ok=True)
    except OSError as error:
        raise ArchiveError(f"Cannot write to {out}: {error}. Choose another folder with --out.") from error
    return out


def _device(name: str | None) -> str:
    chosen = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError("device", chosen, "cpu, or a device that this machine has, such as cuda") from error
    return chosen


def _diverged(training: Training, step: int, value: float) -> InputError:
    return InputError(
        "learning_rate",
        f"{training.learning_rate}: the loss became {value} at step {step}",
        "a rate at which it stays finite",
        "Lower --learning-rate",
    )
