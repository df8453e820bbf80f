"""`Recorder`: records a run's weights and curves from any training loop in three lines."""

from __future__ import annotations

import datetime
import math
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas import schema
from lossatlas._util.version import __version__
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.curvature.sharpness import largest_eigenvalue, stability_limit
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.compute.params.params import select_param_names
from lossatlas.compute.recording.arguments import (
    check_optimizer,
    check_options,
    loss_to_float,
    module_of,
    refuse_existing,
    sharpness_objective,
)
from lossatlas.compute.recording.lock import locked_by
from lossatlas.compute.recording.measurements import (
    Histogram,
    LayerGroups,
    MetricProbe,
    gradient_norm,
    learning_rates,
    settings,
    with_units,
)
from lossatlas.compute.recording.resume import ResumePoint, check_same_curves, check_same_storage, check_same_weights, warn_of_other_data
from lossatlas.compute.recording.row_buffer import RowBuffer
from lossatlas.compute.recording.schedule import Schedule
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.compute.recording.weight_store import Row, WeightStore
from lossatlas.errors import InputError

RUNNING = "not closed: still running, or killed"


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
        every: record every so many steps. Without `every`, `every_epochs` and `at`: once an epoch where
            `steps_per_epoch` is known, else every 250 steps.
        every_epochs: record every so many epochs; needs `steps_per_epoch`.
        at: record at these steps.
        steps_per_epoch: turns steps into epochs.
        objective: fixed data on which each recorded iterate is measured: `path_loss`, `path_accuracy`.
        test_objective: the same on test data: `test_loss`, `test_accuracy`.
        sharpness: an Objective on a small fixed subset (or True for `objective`) whose largest Hessian eigenvalue over
            the trainable parameters is followed, with the optimizer's stability limit beside it (the edge of stability).
        params: record these parameters only (names, modules or globs); buffers are left out then.
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
    ) -> None:
        self._model, self._optimizer = module_of(model), check_optimizer(optimizer)
        self._schedule = Schedule.make(every, every_epochs, at, steps_per_epoch)
        self._steps_per_epoch = steps_per_epoch
        check_options(flush_seconds, step, resume, overwrite)
        self._names = None if params is None else select_param_names(dict(self._model.named_parameters()), params)
        self._layers, self._histogram = LayerGroups.of(self._params()), Histogram.of(self._params())
        self._layout, self._buffer_layout = ParamLayout.of(self._params()), ParamLayout.of(self._buffers())
        for argument, value in (("objective", objective), ("test_objective", test_objective), ("sharpness", sharpness)):
            if value is not None and not isinstance(value, bool):
                check_objective(value, argument)
        self._watch = MetricProbe(objective, test_objective)
        self._columns = self._watch.columns
        self._sharpness_objective = sharpness_objective(sharpness, objective)
        self._eigenvector: np.ndarray | None = None
        self._check_objectives()
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
            self._pre_step_values = (self._step + 1, gradient_norm(self._params()), max(learning_rates(self._optimizer)))

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
        row = self._row(self._loss if loss is None else loss, self._epoch if epoch is None else epoch)
        self._last = self._step
        self._buffer.add(row)

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

    def _params(self) -> dict[str, Tensor]:
        named: dict[str, Tensor] = dict(self._model.named_parameters())
        return named if self._names is None else {n: named[n] for n in self._names}

    def _buffers(self) -> dict[str, Tensor]:
        return {} if self._names is not None else dict(self._model.named_buffers())

    def _row(self, loss: Tensor | float | None, epoch: float | None) -> Row:
        params, buffers = self._params(), self._buffers()
        where = f"step {self._step}"
        self._layout.check(params, where)
        self._buffer_layout.check(buffers, where)
        values = {"epoch": self._epoch_of(epoch), "batch_loss": loss_to_float(loss), **self._measure(params)}
        theta = self._layout.flatten(params, self._layout.widest)
        return Row(self._step, values, theta, self._buffer_layout.flatten(buffers, self._buffer_layout.widest))

    def _measure(self, params: Mapping[str, Tensor]) -> dict[str, Any]:
        norms, counts = self._layers.norms(params), self._histogram.count(params, self._layers)
        gradient, rate = gradient_norm(params) if self._step else float("nan"), max(learning_rates(self._optimizer))
        if self._pre_step_values is not None and self._pre_step_values[0] == self._step:
            gradient, rate = gradient if math.isfinite(gradient) else self._pre_step_values[1], self._pre_step_values[2]
        values = {
            "layer_norm": norms,
            "weight_norm": float(np.sqrt((norms**2).sum())),
            "weight_histogram": counts.sum(0),
            "layer_histogram": counts,
            "gradient_norm": gradient,
            "learning_rate": rate,
        }
        if self._sharpness_objective is None and not self._columns:
            return values
        # The whole model, also where a part of it is recorded.
        point = {n: t.detach() for n, t in (*self._model.named_parameters(), *self._model.named_buffers())}
        values |= self._watch.measure(self._columns, point)
        return values if self._sharpness_objective is None else {**values, **self._sharpness(self._sharpness_objective, point)}

    def _sharpness(self, objective: Objective, point: Mapping[str, Tensor]) -> dict[str, float]:
        names = tuple(n for n, p in self._model.named_parameters() if p.requires_grad and n in objective.params)
        result = largest_eigenvalue(objective, dict(point), names=names, start=self._eigenvector)
        self._eigenvector = result.vector
        limit = float("nan") if self._optimizer is None else stability_limit(self._optimizer)
        return {"sharpness": result.value, "stability_limit": limit}

    def _epoch_of(self, epoch: float | None) -> float:
        if epoch is not None:
            return float(epoch)
        return self._step / self._steps_per_epoch if self._steps_per_epoch else float("nan")

    def _create(self, archive: Archive, name: str, label: str, dtype: str | None, delta: bool, attrs: dict[str, Any]) -> WeightStore:
        lengths = {"layer": len(self._layers.names), "bin": len(self._histogram.centers)}
        described = {**self._described(label or name), **attrs}
        weight_store = WeightStore.create(
            archive, name, self._layout, self._buffer_layout, self._variables(), lengths, described, dtype=dtype, delta=delta
        )
        weight_store.write("bin", self._histogram.centers)
        return weight_store

    def _variables(self) -> list[schema.Variable]:
        always = ["step", "epoch", "batch_loss", "learning_rate", "weight_norm", "layer_norm", "gradient_norm"]
        always += ["bin", "weight_histogram", "layer_histogram"]
        curvature = ["sharpness", "stability_limit"] if self._sharpness_objective is not None else []
        measured = [
            with_units(schema.variable(n), o.description["units"] if metric == "loss" else None) for n, (o, metric) in self._columns.items()
        ]
        return [*(schema.variable(n) for n in (*always, *curvature)), *measured]

    def _described(self, label: str) -> dict[str, Any]:
        return {
            "label": label,
            **settings(self._optimizer),
            "model": type(self._model).__name__,
            "parameters": self._layout.size,
            "layers": list(self._layers.names),
            "histogram": {"reach": self._histogram.reach, "tensors": list(self._histogram.names)},
            "objective": None if self._watch.train is None else dict(self._watch.train.description),
            "test_objective": None if self._watch.test is None else dict(self._watch.test.description),
            "sharpness_objective": None if self._sharpness_objective is None else dict(self._sharpness_objective.description),
            "steps_per_epoch": self._steps_per_epoch,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "lossatlas_version": __version__,
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
            "ended": RUNNING,
        }

    def _resume(self, archive: Archive, name: str, step: int | None, dtype: str | None, delta: bool) -> tuple[WeightStore, ResumePoint]:
        store = WeightStore.open(archive, name)
        store.layout.check(self._params(), f"the model that resumes {name!r}")
        store.buffer_layout.check(self._buffers(), f"the model that resumes {name!r}")
        self._layout, self._buffer_layout = store.layout, store.buffer_layout
        self._histogram = Histogram(float(store.attrs["histogram"]["reach"]), tuple(store.attrs["histogram"]["tensors"]))
        check_same_storage(store, dtype, delta)
        check_same_curves(store, [v.name for v in self._variables()])
        warn_of_other_data(store, self._described(name))
        resume_point = ResumePoint.at(store.steps, step, self._schedule)
        check_same_weights(store, resume_point, self._layout.flatten(self._params(), self._layout.widest))
        return store, resume_point

    def _check_objectives(self) -> None:
        for objective in (self._watch.train, self._watch.test, self._sharpness_objective):
            if objective is not None and (unknown := sorted(set(self._params()) - set(objective.params))):
                raise InputError(
                    "objective",
                    f"an objective without {', '.join(unknown[:4])}",
                    "an objective made of the recorded model",
                    "Build it as la.Objective(model, loss, data)",
                )
