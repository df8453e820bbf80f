"""`Recorder`: three lines in any training loop keep the run's way through weight space."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lossatlas
from lossatlas import schema
from lossatlas.archive import Archive, Location, create_archive
from lossatlas.compute.objective import Objective
from lossatlas.compute.params import select
from lossatlas.compute.record.layout import Layout
from lossatlas.compute.record.measures import Histogram, Layers, Watch, gradient_norm, settings, with_units
from lossatlas.compute.record.schedule import Schedule
from lossatlas.compute.record.store import Row, WeightStore
from lossatlas.compute.record.trajectory import Trajectory
from lossatlas.compute.sharpness import largest_eigenvalue, stability_limit
from lossatlas.errors import ArchiveError, InputError

FLUSH_BYTES = 64 * 2**20
PATIENCE = 100
"""Storing waits for so many times what it took the last time, and so costs about a percent of a training's time."""


class Recorder:
    """Record a training run: weights and curves at step 0, at chosen steps and at the very last one.

    Step k is the model after k updates. Rows are kept in memory for about `flush_seconds` (at most 64 MB) and then
    stored, complete rows only: a killed training leaves a trajectory that reads and continues.

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
        sharpness: an Objective on a small fixed subset (or True for `objective`) whose largest Hessian eigenvalue is
            followed, with the optimizer's stability limit beside it (the edge of stability).
        params: record these parameters only (names, modules or globs); buffers are left out then.
        dtype: of stored weights: "float16", "float32", "float64"; None keeps them bit for bit.
        delta: store differences to the first recorded step, which float16 holds far more exactly.
        resume: continue the trajectory of that name; rows after `step` are recorded anew.
        step: updates made so far, when resuming; the last stored step where None.
        overwrite: replace a trajectory of that name.
        flush_seconds: how long recorded rows wait in memory, longer where storing is slow; 0 stores each at once.
        attrs: further provenance.

    Raises:
        InputError: an argument is not what is needed; the trajectory exists and neither `resume` nor `overwrite` is set.
        ArchiveError: the disk is full or not writable; what was stored is kept.

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
        flush_seconds: float = 10.0,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self._model, self._optimizer = _bare(model), optimizer
        self._schedule = Schedule.make(every, every_epochs, at, steps_per_epoch)
        self._steps_per_epoch, self._flush_seconds = steps_per_epoch, flush_seconds
        self._names = None if params is None else select(dict(self._model.named_parameters()), params)
        self._layers, self._histogram = Layers.of(self._params()), Histogram.of(self._params())
        self._layout, self._buffer_layout = Layout.of(self._params()), Layout.of(self._buffers())
        self._watch = Watch(objective, test_objective)
        self._columns = self._watch.columns
        self._bend = _sharpness_objective(sharpness, objective)
        self._eigenvector: np.ndarray | None = None
        self._check_objectives()
        self._waiting: list[Row] = []
        self._flushed, self._storing, self._closed = time.monotonic(), 0.0, False
        self._gradient = float("nan")
        store = archive if isinstance(archive, Archive) else create_archive(archive)
        if resume and name in store.trajectories:
            self._store, self._step = self._resume(store, name, step)
        else:
            _refuse_existing(store, name, overwrite)
            self._store, self._step = self._create(store, name, label, dtype, delta, dict(attrs or {})), step or 0
        if self._last_row() != self._step and (self._schedule.due(self._step) or not self._store.rows):
            self.record()

    # -- the loop --------------------------------------------------------------------------------------------

    def before_update(self) -> None:
        """Optional, between backward and update: keeps the gradient's norm where gradients are cleared before `step`."""
        if self._schedule.due(self._step + 1):
            self._gradient = gradient_norm(self._params())

    def step(self, loss: Tensor | float | None = None, epoch: float | None = None) -> None:
        """Count one update and record it when it is due.

        Args:
            loss: of the batch from which this update was made, that is at the weights before it (`batch_loss`).
            epoch: passes over the data so far; taken from `steps_per_epoch` otherwise.
        """
        self._step += 1
        if self._schedule.due(self._step):
            self.record(loss, epoch)

    def record(self, loss: Tensor | float | None = None, epoch: float | None = None) -> None:
        """Record the model as it is now, whatever the schedule says; a step is recorded once."""
        if self._closed:
            raise InputError("recorder", "a closed recorder", "an open one", "Call step and record before close")
        if self._last_row() == self._step:
            return
        self._waiting.append(self._row(loss, epoch))
        self._gradient = float("nan")
        late = time.monotonic() - self._flushed > max(self._flush_seconds, PATIENCE * self._storing if self._flush_seconds else 0.0)
        if late or sum(row.nbytes for row in self._waiting) >= FLUSH_BYTES:
            self.flush()

    def attach(self, optimizer: torch.optim.Optimizer) -> torch.utils.hooks.RemovableHandle:
        """Count every ``optimizer.step()`` by itself; the returned handle's ``remove()`` ends that."""
        self._optimizer = self._optimizer or optimizer
        return optimizer.register_step_post_hook(lambda *_: self.step())

    def flush(self) -> None:
        """Store what waits in memory."""
        waiting, self._waiting = self._waiting, []
        began = time.monotonic()
        self._store.append(waiting)
        self._flushed = time.monotonic()
        self._storing = self._flushed - began

    def close(self) -> None:
        """Record the very last step and store everything. Leaving a `with` block does it."""
        if self._closed:
            return
        self.record()
        self.flush()
        self._closed = True
        self._store.update_attrs({"ended": "closed", "steps": self._step})

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, ArchiveError):
            return
        self.close()

    @property
    def trajectory(self) -> Trajectory:
        """What is recorded so far."""
        self.flush()
        return Trajectory.of_store(self._store)

    # -- inside ----------------------------------------------------------------------------------------------

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
        values = {"epoch": self._epoch(epoch), "batch_loss": _number(loss), **self._measure(params, buffers)}
        theta = self._layout.flatten(params, self._layout.widest)
        return Row(self._step, values, theta, self._buffer_layout.flatten(buffers, self._buffer_layout.widest))

    def _measure(self, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> dict[str, Any]:
        norms, counts = self._layers.norms(params), self._histogram.count(params, self._layers)
        gradient = self._gradient if np.isfinite(self._gradient) else (gradient_norm(params) if self._step else float("nan"))
        values = {
            "layer_norm": norms,
            "weight_norm": float(np.sqrt((norms**2).sum())),
            "weight_histogram": counts.sum(0),
            "layer_histogram": counts,
            "gradient_norm": gradient,
            "learning_rate": float("nan") if self._optimizer is None else float(self._optimizer.param_groups[0]["lr"]),
        }
        point = {n: t.detach() for n, t in {**params, **buffers}.items()}
        values |= self._watch.measure(self._columns, point)
        return values if self._bend is None else {**values, **self._sharpness(self._bend, point)}

    def _sharpness(self, objective: Objective, point: Mapping[str, Tensor]) -> dict[str, float]:
        found = largest_eigenvalue(objective, dict(point), start=self._eigenvector)
        self._eigenvector = found.vector
        limit = float("nan") if self._optimizer is None else stability_limit(self._optimizer)
        return {"sharpness": found.value, "stability_limit": limit}

    def _epoch(self, given: float | None) -> float:
        if given is not None:
            return float(given)
        return self._step / self._steps_per_epoch if self._steps_per_epoch else float("nan")

    def _last_row(self) -> int | None:
        if self._waiting:
            return self._waiting[-1].step
        return int(self._store.steps[-1]) if self._store.rows else None

    def _create(self, archive: Archive, name: str, label: str, dtype: str | None, delta: bool, attrs: dict[str, Any]) -> WeightStore:
        lengths = {"layer": len(self._layers.names), "bin": len(self._histogram.centers)}
        described = {**self._described(label or name), **attrs}
        kept = WeightStore.create(
            archive, name, self._layout, self._buffer_layout, self._variables(), lengths, described, dtype=dtype, delta=delta
        )
        kept.write("bin", self._histogram.centers)
        return kept

    def _variables(self) -> list[schema.Variable]:
        always = ["step", "epoch", "batch_loss", "learning_rate", "weight_norm", "layer_norm", "gradient_norm"]
        always += ["bin", "weight_histogram", "layer_histogram"]
        bend = ["sharpness", "stability_limit"] if self._bend is not None else []
        measured = [
            with_units(schema.variable(n), o.description["units"] if metric == "loss" else None) for n, (o, metric) in self._columns.items()
        ]
        return [*(schema.variable(n) for n in (*always, *bend)), *measured]

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
            "sharpness_objective": None if self._bend is None else dict(self._bend.description),
            "steps_per_epoch": self._steps_per_epoch,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "lossatlas_version": lossatlas.__version__,
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
            "ended": "not closed: still running, or killed",
        }

    def _resume(self, archive: Archive, name: str, step: int | None) -> tuple[WeightStore, int]:
        """Keep the rows up to `step` that the schedule wants; a row that only marked the end of the first part goes."""
        store = WeightStore.open(archive, name)
        store.layout.check(self._params(), f"the model that resumes {name!r}")
        store.buffer_layout.check(self._buffers(), f"the model that resumes {name!r}")
        self._histogram = Histogram(float(store.attrs["histogram"]["reach"]), tuple(store.attrs["histogram"]["tensors"]))
        if missing := [v.name for v in self._variables() if v.name not in store.group]:
            raise InputError("resume", f"a recording without {', '.join(missing)}", "the same objectives as in the first part")
        steps = store.steps
        now = int(steps[-1]) if step is None and len(steps) else step or 0
        kept = int((steps <= now).sum())
        while kept and not self._schedule.due(int(steps[kept - 1])):
            kept -= 1
        store.truncate(kept)
        return store, now

    def _check_objectives(self) -> None:
        for objective in (self._watch.train, self._watch.test, self._bend):
            if objective is not None and (unknown := sorted(set(self._params()) - set(objective.params))):
                raise InputError(
                    "objective",
                    f"an objective without {', '.join(unknown[:4])}",
                    "an objective made of the recorded model",
                    "Build it as la.Objective(model, loss, data)",
                )


def _bare(model: torch.nn.Module) -> torch.nn.Module:
    """The module inside `torch.compile` or data-parallel wrappers, whose parameter names an Objective knows."""
    inner = getattr(model, "_orig_mod", model)
    wrappers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    return _bare(inner.module) if isinstance(inner, wrappers) else inner


def _sharpness_objective(sharpness: Objective | bool, objective: Objective | None) -> Objective | None:
    if isinstance(sharpness, Objective):
        return sharpness
    if sharpness and objective is None:
        raise InputError("sharpness", "True", "an Objective, or objective= beside it")
    return objective if sharpness else None


def _refuse_existing(archive: Archive, name: str, overwrite: bool) -> None:
    if name in archive.trajectories and not overwrite:
        raise InputError("name", name, "a name that is not taken", "Choose another name, or pass resume=True or overwrite=True")


def _number(loss: Tensor | float | None) -> float:
    if loss is None:
        return float("nan")
    return float(loss.detach()) if isinstance(loss, Tensor) else float(loss)
