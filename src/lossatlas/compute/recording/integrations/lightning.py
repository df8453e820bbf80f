"""Callback that records a Lightning training; Lightning is imported here and nowhere else."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import torch

from lossatlas.archive import Archive, Location
from lossatlas.compute.recording.integrations.continuation import open_for_training
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from lightning.pytorch import Callback
else:
    Callback = object
    for _name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            Callback = importlib.import_module(_name).Callback
            break
        except ImportError:
            continue


class LightningRecorder(Callback):
    """``Trainer(callbacks=[LightningRecorder("run.zarr")])``: record every step, thinned as `Recorder` says, or as `every` says.

    Step k is the model after k optimizer steps, also with gradient accumulation. In a distributed run the first
    process records. Rows are stored before Lightning saves a checkpoint. `gradient_norm` is taken after clipping, as in a
    loop of your own; `learning_rate` is that of the update, before schedulers step.

    Args:
        archive: as for `Recorder`.
        submodule: record this part of the module only, such as "model"; names then match an Objective made of it.
        resume: continue the recording that is there; None does so where the training continues from a checkpoint
            (``trainer.fit(..., ckpt_path=PATH)``).
        **options: further options of `Recorder`.
    """

    archive: Location | Archive | None
    submodule: str
    resume: bool | None
    options: dict[str, Any]

    def __init__(self, archive: Location | Archive | None, *, submodule: str = "", resume: bool | None = None, **options: Any) -> None:
        if Callback is object:
            raise MissingDependencyError("LightningRecorder", "lightning")
        super().__init__()
        self.archive, self.submodule, self.resume, self.options = archive, submodule, resume, options
        self.recorder: Recorder | None = None
        self._seen, self._final = 0, float("inf")
        self._losses: list[Any] = []

    @property
    def trajectory(self) -> Trajectory:
        if self.recorder is None:
            raise InputError("trajectory", "a training that has not begun", "a recorder whose training has started")
        return self.recorder.trajectory

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        self._seen = int(trainer.global_step)
        options = dict(self.options)
        batches = trainer.num_training_batches
        if "steps_per_epoch" not in options and batches != float("inf"):
            options["steps_per_epoch"] = max(1, -(-int(batches) // trainer.accumulate_grad_batches))
        optimizer = trainer.optimizers[0] if trainer.optimizers else None
        model = pl_module.get_submodule(self.submodule)
        self._final = trainer.estimated_stepping_batches
        self.recorder = None  # one that an exception left open gives its lock back
        archive, resume = open_for_training(self.archive, self.resume, self._seen, options, "call trainer.fit(..., ckpt_path=PATH)")
        self.recorder = Recorder(archive, model, optimizer, resume=resume, step=self._seen, **options)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if self.recorder is not None:
            self.recorder.before_update(last=trainer.global_step + 1 >= self._final)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.recorder is None:
            return
        self._losses.append(_loss(outputs))
        if trainer.global_step != self._seen:
            self._seen = int(trainer.global_step)
            # Lightning has divided each by the number of batches that are accumulated.
            losses, self._losses = self._losses, []
            self.recorder.step(loss=None if any(loss is None for loss in losses) else sum(losses))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self.recorder is not None:
            self.recorder.close()

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        if self.recorder is not None:
            self.recorder.flush()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        if self.recorder is None:
            return
        if trainer.global_step == self._seen:
            self.recorder.__exit__(type(exception), exception)
        else:  # an update is made and not yet counted: the weights are not those of the last step
            self.recorder.flush()


def _loss(outputs: Any) -> Any:
    loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
    return loss.detach() if isinstance(loss, torch.Tensor) else loss
