"""Callback that records a Hugging Face Trainer's training; transformers is imported here and nowhere else."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

from lossatlas.archive import Archive, Location
from lossatlas.compute.recording.integrations.continuation import open_for_training
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from transformers import TrainerCallback
else:
    try:
        TrainerCallback = importlib.import_module("transformers.trainer_callback").TrainerCallback
    except ImportError:
        TrainerCallback = object


class TransformersRecorder(TrainerCallback):
    """``Trainer(..., callbacks=[TransformersRecorder("run.zarr")])``: record every step, thinned as `Recorder` says, or as `every` says.

    Step k is the model after k optimizer steps, also with gradient accumulation. In a distributed run the first
    process records. Rows are stored when the Trainer saves a checkpoint. The Trainer tells callbacks losses only where it
    logs, as means since the log before: `batch_loss` is there at steps whose log covers that one step
    (``logging_steps=1``), and NaN elsewhere.

    Args:
        archive: as for `Recorder`.
        resume: continue the recording that is there; None does so where the training continues from a checkpoint
            (``trainer.train(resume_from_checkpoint=True)``).
        **options: further options of `Recorder`.
    """

    archive: Location | Archive | None
    resume: bool | None
    options: dict[str, Any]

    def __init__(self, archive: Location | Archive | None, *, resume: bool | None = None, **options: Any) -> None:
        if TrainerCallback is object:
            raise MissingDependencyError("TransformersRecorder", "transformers")
        self.archive, self.resume, self.options = archive, resume, options
        self.recorder: Recorder | None = None
        self._logged = 0

    @property
    def trajectory(self) -> Trajectory:
        if self.recorder is None:
            raise InputError("trajectory", "a training that has not begun", "a recorder whose training has started")
        return self.recorder.trajectory

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, train_dataloader: Any = None, **_: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        options = dict(self.options)
        if "steps_per_epoch" not in options:
            options["steps_per_epoch"] = _updates(train_dataloader, args.gradient_accumulation_steps)
        self._logged = int(state.global_step)
        inner = getattr(optimizer, "optimizer", optimizer)
        self.recorder = None  # one that an exception left open gives its lock back
        archive, resume = open_for_training(
            self.archive, self.resume, self._logged, options, "call trainer.train(resume_from_checkpoint=True)"
        )
        self.recorder = Recorder(archive, model, inner, resume=resume, step=self._logged, **options)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.recorder is not None:
            self.recorder.before_update(last=state.global_step + 1 >= state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.recorder is not None:
            self.recorder.step(epoch=state.epoch)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.recorder is not None:
            self.recorder.close()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.recorder is not None:
            self.recorder.flush()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if self.recorder is None or not logs or "loss" not in logs:
            return
        covers, self._logged = int(state.global_step) - self._logged, int(state.global_step)
        # The Trainer logs a loss that is not finite as 0 unless it is told otherwise.
        if covers == 1 and (logs["loss"] or not args.logging_nan_inf_filter):
            self.recorder.note_loss(float(logs["loss"]))


def _updates(loader: Any, accumulate: int) -> int | None:
    """Updates an epoch; None where the length of the data is unknown."""
    try:
        return max(1, math.ceil(len(loader) / accumulate))
    except TypeError:
        return None
