"""`Recorder`: records a run's weights and curves from any training loop in three lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas._util.keywords import explain_keywords
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.params.prefixes import renaming
from lossatlas.compute.recording.arguments import (
    check_optimizer,
    check_options,
    loss_to_float,
    module_of,
    refuse_existing,
    sharpness_objective,
)
from lossatlas.compute.recording.description import RUNNING, describe_recording
from lossatlas.compute.recording.measurements import gradient_norm, learning_rates
from lossatlas.compute.recording.metric_probe import MetricProbe
from lossatlas.compute.recording.model_rows import ModelRows
from lossatlas.compute.recording.resume import ResumePoint, check_same_curves, check_same_storage, check_same_weights, warn_of_other_data
from lossatlas.compute.recording.schedule import Schedule
from lossatlas.compute.recording.storage.lock import locked_by
from lossatlas.compute.recording.storage.row_buffer import RowBuffer
from lossatlas.compute.recording.storage.thaw import store_in_every_row
from lossatlas.compute.recording.storage.weight_store import WeightStore
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError


class Recorder:
    """Record a training run: weights and curves at step 0, at chosen steps and at the very last one.

    Step k is the model after k updates. Step 0 is stored at once; later rows are kept in memory for about
    `flush_seconds` (at most 64 MB) and then stored, complete rows only: a killed training leaves a trajectory that reads
    and continues. Call `flush` before each checkpoint is saved, and a training continued from it lacks no row::

        recorder.flush()
        torch.save({"model": model.state_dict(), "step": step}, "checkpoint.pt")

    Row k holds `batch_loss` and `gradient_norm` of the update that led to it. The norm is that of the gradients as they
    lie in ``.grad`` when the row is recorded, so after clipping; of LBFGS it is that of the last evaluation inside the step.
    NaN where there is none any more, also where all are exactly zero, as `zero_grad(set_to_none=False)` leaves them: see
    `before_update`. `learning_rate` is the optimizer's at that moment: call `step` before the scheduler's, and it is the
    rate of that same update. Of parameter groups with different rates it is the largest.

    Args:
        archive: a path, a Zarr store or an open archive; None keeps the recording in memory.
        model: what is trained. It is only read.
        optimizer: gives learning rate, name and settings.
        name: of the trajectory in the archive.
        label: words for legends.
        every: record every so many steps. Without `every`, `every_epochs` and `at` every step is recorded, and of more than
            400 rows (100 where `objective`, `test_objective` or `sharpness` is measured at each, and fewer where they would hold more
            than 256 MiB of weights, but at least 16) every second, fourth, … stays.
        every_epochs: record every so many epochs; needs `steps_per_epoch`.
        at: record at these steps.
        steps_per_epoch: turns steps into epochs.
        objective: fixed data on which each recorded iterate is measured: `path_loss`, `path_accuracy`.
        test_objective: the same on test data: `test_loss`, `test_accuracy`.
        sharpness: an Objective on a small fixed subset (or True for `objective`) whose largest Hessian eigenvalue over
            the trainable parameters is followed, with the optimizer's stability limit beside it (the edge of stability).
        params: record these parameters only (names, modules or globs); buffers are left out then. None records all: those that
            train in every row, and beside these the frozen ones once.
        dtype: of stored weights: "float16", "float32", "float64"; None keeps them bit for bit.
        delta: store differences to the first recorded step, which float16 holds far more exactly.
        resume: continue the trajectory of that name; rows after `step` are recorded anew. Due rows that a kill kept from
            being stored leave a gap: it is warned of and kept in the attribute `gaps`. A projection kept with the
            first part is dropped when new rows are stored, for it is not one of the whole.
        step: updates made so far, when resuming; the last stored step where None.
        overwrite: replace a trajectory of that name.
        flush_seconds: how long recorded rows wait in memory; 0 stores each at once. None waits 10 seconds, longer where
            storing is slow.
        attrs: further provenance.
        metrics: measured on `objective` and `test_objective` beside the loss, by name or of your own, with their errors: ``path_NAME``
            and ``test_NAME``. Those relative to a model compare with the objective's own weights.

    Raises:
        InputError: an argument is not what is needed; the trajectory exists and neither `resume` nor `overwrite` is set;
            what resumes is not the model, the precision or the objectives of the first part.
        ArchiveError: another recorder is writing the trajectory, or the archive is gone; the disk is full or not writable: as many
            rows as fit are stored, the others wait in memory.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with Recorder(None, model, optimizer, every=2) as recorder:
        ...     for _ in range(5):
        ...         loss = model(torch.ones(3, 2)).square().mean()
        ...         optimizer.zero_grad(); loss.backward(); optimizer.step()
        ...         recorder.step(loss=loss)
        >>> recorder.trajectory.steps.tolist()
        [0, 2, 4, 5]
    """

    @explain_keywords
    def __init__(
        self,
        archive: Location | Archive | None,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        name: str = "run",
        label: str = "",
        every: int | None = None,
        every_epochs: float | None = None,
        at: Iterable[int] | None = None,
        steps_per_epoch: int | None = None,
        objective: Objective | None = None,
        test_objective: Objective | None = None,
        sharpness: Objective | bool = False,
        params: str | Iterable[str] | None = None,
        dtype: str | None = None,
        delta: bool = False,
        resume: bool = False,
        step: int | None = None,
        overwrite: bool = False,
        flush_seconds: float | None = None,
        attrs: Mapping[str, Any] | None = None,
        metrics: str | Metric | Iterable[str | Metric] | None = None,
    ) -> None:
        self._model, self._optimizer = module_of(model), check_optimizer(optimizer)
        self._schedule = Schedule.make(every, every_epochs, at, steps_per_epoch)
        self._has_schedule = self._schedule.limit is None
        self._steps_per_epoch = steps_per_epoch
        check_options(flush_seconds, step, resume, overwrite)
        for argument, value in (("objective", objective), ("test_objective", test_objective), ("sharpness", sharpness)):
            if value is not None and not isinstance(value, bool):
                check_objective(value, argument)
        probe = MetricProbe(objective, test_objective, metrics)
        self._rows = ModelRows(self._model, params, probe, sharpness_objective(sharpness, objective))
        self._closed, self._handle = False, None
        self._loss: Tensor | float | None = None
        self._epoch: float | None = None
        self._pre_step_values: tuple[int, float, float] | None = None
        store = as_archive(archive, repair=overwrite)
        with locked_by(self, store, name) as self._lock:
            self._begin(store, name, step, label, dtype, delta, resume, overwrite, flush_seconds, attrs)

    def _begin(
        self,
        store: Archive,
        name: str,
        step: int | None,
        label: str,
        dtype: str | None,
        delta: bool,
        resume: bool,
        overwrite: bool,
        flush_seconds: float | None,
        attrs: Mapping[str, Any] | None,
    ) -> None:
        continues = resume and name in store.trajectories
        if continues:
            weights, resume_point = self._resume(store, name, step, dtype, delta)
        else:
            refuse_existing(store, name, overwrite)
            weights = self._create(store, name, label, dtype, delta, dict(attrs or {}))
            resume_point = ResumePoint(step or 0, None, 0, self._schedule.missing(None, step or 0) if resume else ())
        self._step, self._last, self._store = resume_point.step, resume_point.last, weights
        self._buffer = RowBuffer(weights, flush_seconds, resume_point.rows_to_keep if continues else None)
        self._last_chance = self._buffer.flush_at_exit_of(self)
        weights.update_attrs({"ended": RUNNING, "gaps": resume_point.gaps(weights.attrs.get("gaps", ()), name)})
        if self._last != self._step and (self._schedule.due(self._step) or self._last is None):
            self.record()
        if not continues:
            self.flush()

    # -- the loop --------------------------------------------------------------------------------------------

    def before_update(self, *, last: bool = False) -> None:
        """Optional, between backward and update: keeps the gradient's norm where gradients are cleared before `step`.

        Also keeps this update's learning rate, whatever a scheduler does before `step`.

        Args:
            last: this update is the very last one, so its row is recorded though it is not due.
        """
        if last or self._schedule.due(self._step + 1):
            self._pre_step_values = (self._step + 1, gradient_norm(self._rows.params()), max(learning_rates(self._optimizer)))

    def step(self, loss: Tensor | float | None = None, epoch: float | None = None) -> None:
        """Count one update and record it when it is due.

        Args:
            loss: of the batch from which this update was made, that is at the weights before it (`batch_loss`).
            epoch: passes over the data so far; taken from `steps_per_epoch` otherwise.
        """
        if self._closed or self._handle is not None:
            self._check_counts()
        self._step += 1
        # Kept for the very last row, which may not be due: without its graph, and without waiting for the device.
        self._loss = loss.detach() if isinstance(loss, Tensor) else loss
        self._epoch = epoch
        if self._schedule.due(self._step):
            self.record()

    def note_loss(self, loss: Tensor | float) -> None:
        """The loss of the last update, where it becomes known only after `step`."""
        self._check_open()
        self._loss = loss
        if self._last == self._step:
            self._buffer.update_last("batch_loss", loss_to_float(loss))

    def record(self, loss: Tensor | float | None = None, epoch: float | None = None) -> None:
        """Record the model as it is now, whatever the schedule says; a step is recorded once."""
        self._check_open()
        if self._last == self._step:
            return
        self._store_thawed()
        noted = self._pre_step_values[1:] if self._pre_step_values is not None and self._pre_step_values[0] == self._step else None
        epoch = self._epoch_of(self._epoch if epoch is None else epoch)
        row = self._rows.row(self._step, self._loss if loss is None else loss, epoch, self._optimizer, noted)
        self._last = self._step
        self._buffer.add(row)
        self._thin()

    def attach(self, optimizer: torch.optim.Optimizer) -> torch.utils.hooks.RemovableHandle:
        """Count every ``optimizer.step()`` by itself; the returned handle's ``remove()`` ends that, as closing does."""
        self._check_counts()
        self._optimizer = self._optimizer or check_optimizer(optimizer)
        self._handle = optimizer.register_step_post_hook(lambda *_: self._count())
        return self._handle

    def flush(self) -> None:
        """Store what waits in memory, as before a checkpoint is saved."""
        self._buffer.flush()

    def close(self) -> None:
        """Record the very last step and store everything. Leaving a `with` block does it."""
        self.end("closed")

    def end(self, reason: str) -> None:
        """Close, and say in the attribute `ended` how the training ended."""
        if self._closed:
            return
        try:
            self.record()
        except Exception as error:
            reason = f"interrupted: {type(error).__name__}" if reason == "closed" else reason
            raise
        finally:
            if self._handle is not None:
                self._handle.remove()
            self.flush()
            self._closed = True
            self._last_chance.detach()
            self._store.update_attrs({"ended": reason, "steps": self._step})
            self._lock.release()

    def __repr__(self) -> str:
        return f"<Recorder of {type(self._model).__name__}: step {self._step:,}, {'closed' if self._closed else 'open'}>"

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        if kind is None or error is None:
            self.close()
            return
        try:
            self.end(f"interrupted: {kind.__name__}")
        except Exception as second:
            # The user's error goes on; ours is told beside it. What can be stored is stored by now.
            error.add_note(f"The recorder could not be closed either: {second}")

    @property
    def trajectory(self) -> Trajectory:
        """Trajectory recorded so far."""
        self.flush()
        return Trajectory.of_store(self._store)

    # -- inside ----------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("recorder", "a closed recorder", "an open one", "Call step, record and attach before close")

    def _check_counts(self) -> None:
        self._check_open()
        if self._handle is not None and self._handle.id in (self._handle.hooks_dict_ref() or ()):
            advice = "Leave out the call to step, or call remove() on what attach returned"
            raise InputError("recorder", "step or attach beside attach, which counts every update", "one way to count", advice)

    def _count(self) -> None:
        self._step += 1
        self._loss = self._epoch = None
        if self._schedule.due(self._step):
            self.record()

    def _epoch_of(self, epoch: float | None) -> float:
        if epoch is not None:
            return float(epoch)
        return self._step / self._steps_per_epoch if self._steps_per_epoch else float("nan")

    def _create(self, archive: Archive, name: str, label: str, dtype: str | None, delta: bool, attrs: dict[str, Any]) -> WeightStore:
        rows = self._rows
        lengths = {"layer": len(rows.layers.names), "bin": len(rows.histogram.centers)}
        self._schedule = self._schedule.limited_to(rows.layout.size * np.dtype(dtype or rows.layout.widest).itemsize, rows.is_measured)
        described = {**describe_recording(rows, self._optimizer, label or name, self._steps_per_epoch), "schedule": self._schedule.attrs}
        weight_store = WeightStore.create(
            archive,
            name,
            rows.layout,
            rows.buffer_layout,
            rows.variables(),
            lengths,
            {**described, **attrs},
            dtype=dtype,
            delta=delta,
            frozen=rows.frozen(),
            order=rows.names,
        )
        weight_store.write("bin", rows.histogram.centers)
        return weight_store

    def _resume(self, archive: Archive, name: str, step: int | None, dtype: str | None, delta: bool) -> tuple[WeightStore, ResumePoint]:
        store, rows = WeightStore.open(archive, name), self._rows
        store = store.renamed(renaming((*store.layout.names, *store.frozen, *store.buffer_layout.names), (*rows.names, *rows.buffers())))
        if begun := [n for n in rows.moving if n in store.frozen]:
            store = store_in_every_row(store, begun)
        rows.continue_from(store, f"the model that resumes {name!r}")
        check_same_storage(store, dtype, delta)
        check_same_curves(store, [v.name for v in rows.variables()], rows.probe.identities())
        warn_of_other_data(store, describe_recording(rows, self._optimizer, name, self._steps_per_epoch))
        if not self._has_schedule and store.attrs.get("schedule"):
            self._schedule = Schedule.of_attrs(store.attrs["schedule"])
        resume_point = ResumePoint.at(store.steps, step, self._schedule)
        check_same_weights(store, resume_point, rows.flat(), rows.frozen())
        return store, resume_point

    def _thin(self) -> None:
        """Keep every second row where there are more than the schedule allows."""
        while self._schedule.limit is not None and len(self._buffer) > self._schedule.limit:
            self._schedule = self._schedule.thinned()
            self._buffer.thin(self._schedule.due, {"schedule": self._schedule.attrs})

    def _store_thawed(self) -> None:
        """Parameters that begin to train are stored in every row from now on, and in those before."""
        if thawed := self._rows.thawed():
            self.flush()
            self._rows.store_in_every_row(thawed)
            self._store = self._buffer.store = store_in_every_row(self._store, thawed)
