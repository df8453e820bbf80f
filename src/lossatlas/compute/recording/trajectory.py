"""`Trajectory`: a recorded run read back, one step or one block of weights at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lossatlas import schema
from lossatlas._util.summary_table import html_table
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.params.checkpoint import fit_names, is_adapter, read_checkpoint
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.compute.params.params import Params, params_of, unwrap_module
from lossatlas.compute.params.prefixes import rename_to_match, renaming, warn_of_renaming
from lossatlas.compute.recording.schedule import check_int
from lossatlas.compute.recording.storage.checkpoint_files import checkpoint_files
from lossatlas.compute.recording.storage.weight_store import Row, WeightStore
from lossatlas.errors import InputError, InputTypeError

MEMORY = 256 * 2**20
"""Bytes that the weights of all steps may take while they are streamed."""

Checkpoint = torch.nn.Module | Mapping[str, Tensor] | str | os.PathLike[str]
Checkpoints = str | os.PathLike[str] | Iterable[Checkpoint]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""A state dict does not say what is a buffer; these names, BatchNorm's, are."""


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """A recorded run: what it measured, and its weights at every recorded step.

    Attributes:
        store: where it lies.
        rows: entries of the stored arrays that belong to it, in the order of their steps, ``(n,)``.
        legend: label in place of the stored one; see `with_label`.
    """

    store: WeightStore
    rows: NDArray[np.int64]
    legend: str = ""

    @classmethod
    def of_store(cls, store: WeightStore) -> Trajectory:
        return cls(store, store.slots)

    @classmethod
    def open(cls, archive: Location | Archive, name: str | None = None) -> Trajectory:
        """A stored recording with its weights; `archive.trajectory(name)` reads its curves without torch.

        Args:
            archive: a path, a store or an open archive.
            name: of the recording; the only one may go unnamed.

        Raises:
            InputError: no such trajectory, or one without weights.
        """
        store = as_archive(archive, "r")
        known = store.trajectories
        return cls.of_store(WeightStore.open(store, known[0] if name is None and len(known) == 1 else str(name)))

    @classmethod
    def from_checkpoints(
        cls,
        checkpoints: Checkpoints,
        steps: Sequence[int] | None = None,
        *,
        module: torch.nn.Module | None = None,
        archive: Location | Archive | None = None,
        name: str = "run",
        label: str = "",
    ) -> Trajectory:
        """A trajectory made of checkpoints: files, modules or dicts of tensors, read one at a time, in the order of training.

        Buffers, such as BatchNorm statistics, are kept beside the weights and are no coordinates of the path. Files are read
        without executing anything in them (``weights_only=True``).

        Args:
            checkpoints: a glob such as ``"ck/*.pt"``, a folder of checkpoints, or an iterable of paths, modules or dicts of
                tensors. A path is a torch file (``.ckpt`` of Lightning too), a ``.safetensors`` file or a folder that
                `save_pretrained` wrote, also of a PEFT adapter. The files of a glob or a folder are taken in the order of the
                steps in their names, 9 before 10.
            steps: updates made before each; None takes them from the files' names, else 0, 1, 2, ….
            module: says which names of a state dict are parameters and which are buffers. Without it, tensors that are not
                floating-point and BatchNorm's `running_mean`, `running_var` and `num_batches_tracked` are buffers. Names in files
                may carry the prefix of a wrapper, such as ``module.`` or a LightningModule's attribute.
            archive: where to keep it; None keeps it in memory.
            name: of the trajectory.
            label: words for legends.

        Raises:
            InputError: no checkpoint, a file that holds more than data, no weights, other names, shapes or dtypes in one of
                them, steps that do not increase or are not one a checkpoint.
            ArchiveError: a recorder is writing the trajectory.

        Example:
            >>> trajectory = Trajectory.from_checkpoints({"w": torch.full((3,), float(k))} for k in range(4))
            >>> len(trajectory), trajectory.params(-1)["w"].tolist()
            (4, [3.0, 3.0, 3.0])
        """
        listed, steps = _listed(checkpoints, steps)
        target = as_archive(archive)
        with target.lock_for_writing(name, "trajectories"):
            return cls.of_store(_stored(target, listed, steps, module, name, label))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        rows = self._summary()
        return f"<Trajectory {self.label!r}: {rows['rows']}, {rows['weights']}, in {rows['archive']}>"

    def _repr_html_(self) -> str:
        return html_table(f"Trajectory {self.label}", self._summary())

    def _summary(self) -> dict[str, str]:
        steps, frozen = self.steps, sum(t.numel() for t in self.store.frozen.values())
        between = f", steps {int(steps[0]):,} to {int(steps[-1]):,}" if len(steps) else ""
        return {
            "rows": f"{len(self):,} row{'s' * (len(self) != 1)}{between}",
            "weights": f"{self.layout.size:,} weights a row" + (f" and {frozen:,} frozen ones once" if frozen else ""),
            "optimizer": str(self.store.attrs.get("optimizer") or "not recorded"),
            "archive": self.store.archive.location,
        }

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def label(self) -> str:
        return self.legend or str(self.store.attrs.get("label", self.name))

    def with_label(self, label: str) -> Trajectory:
        """The same run under another label."""
        return replace(self, legend=label)

    @property
    def layout(self) -> ParamLayout:
        return self.store.layout

    @property
    def dataset(self) -> xr.Dataset:
        """The measured curves over ``(step,)``, without the weights."""
        whole = self.store.archive.trajectory(self.name)
        return whole.isel(step=np.searchsorted(whole["step"].values, self.steps))

    @property
    def steps(self) -> NDArray[np.int64]:
        """Updates made before each recorded row, ``(n,)``."""
        by_entry = dict(zip(self.store.slots.tolist(), self.store.steps.tolist(), strict=True))
        return np.array([by_entry[row] for row in self.rows.tolist()], dtype=np.int64)

    def vector(self, index: int) -> NDArray[Any]:
        """Flat weights of one row in the order of `layout`, ``(parameters,)``, without those that did not train; -1 is the last.

        Raises:
            InputError: there is no such row.
        """
        row = self._row(index)
        return self.store.theta(slice(row, row + 1))[0]

    def params(self, index: int) -> Params:
        """Weights of one row by name, those that did not train among them; -1 is the last."""
        return self.store.complete(self.layout.unflatten(self.vector(index)))

    def state(self, index: int) -> Params:
        """Weights and buffers (BatchNorm statistics) of one row, what `functional_call` needs."""
        return {**self.params(index), **self.buffers(index)}

    def buffers(self, index: int) -> Params:
        """Buffers (BatchNorm statistics) of one row."""
        return self.store.buffer_layout.unflatten(self.store.buffers(self._row(index)))

    def renamed_like(self, names: Iterable[str]) -> Trajectory:
        """The same run under the names of another model where only prefixes of wrappers differ, with a warning."""
        params, buffers = (*self.layout.names, *self.store.frozen), self.store.buffer_layout.names
        known = set(names)
        new = {} if known >= set(params) or set(params) >= known else renaming((*params, *buffers), known) or renaming(params, known)
        if not new:
            return self
        warn_of_renaming(new, f"trajectory {self.name!r}")
        return replace(self, store=self.store.renamed(new))

    def until(self, step: int) -> Trajectory:
        """Only the rows up to `step`, as before a run diverged."""
        return replace(self, rows=self.rows[self.steps <= step])

    def every(self, rows: int) -> Trajectory:
        """Every so many rows, and the last. Raises InputError for fewer than one."""
        check_int("rows", rows, 1, "a positive number of rows")
        return replace(self, rows=np.unique([*self.rows[::rows], *self.rows[-1:]]))

    def stored(self, columns: slice) -> NDArray[Any]:
        """Every row of some columns as it is stored, ``(n, columns)``; `decode` makes weights of it."""
        if not len(self):
            return np.empty((0, columns.stop - columns.start))
        first, last = int(self.rows.min()), int(self.rows.max()) + 1
        values = self.store.stored(slice(first, last), columns)
        return values if np.array_equal(self.rows, np.arange(first, last)) else values[self.rows - first]

    def decode(self, values: NDArray[Any], columns: slice) -> NDArray[np.float64]:
        return self.store.decode(values, columns).astype(np.float64, copy=False)

    def _row(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise InputError("index", index, f"one of {len(self)} recorded rows" if len(self) else "a trajectory with recorded rows")
        return int(self.rows[index])

    def blocks(self, memory: int = MEMORY) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Column slices and the weights of every row in them, ``(n, columns)`` float64, never all columns at once."""
        return blocks((self,), memory)


def blocks(runs: Sequence[Trajectory], memory: int = MEMORY) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Column slices and the weights of every row of all runs in them, ``(points, columns)`` float64.

    Chunks are read whole, as they are stored, and turned into float64 a quarter of `memory` at a time.

    Args:
        runs: of equal layout.
        memory: bytes to keep within, roughly; for very many points a chunk is read more than once.
    """
    points = max(sum(len(run) for run in runs), 1)
    narrow = max(1, memory // (32 * points))
    for wide in runs[0].store.blocks(max(1, memory // (4 * points))):
        stored = [run.stored(wide) for run in runs]
        for start in range(wide.start, wide.stop, narrow):
            columns = slice(start, min(start + narrow, wide.stop))
            inside = slice(columns.start - wide.start, columns.stop - wide.start)
            parts = [run.decode(values[:, inside], columns) for run, values in zip(runs, stored, strict=True)]
            yield columns, parts[0] if len(parts) == 1 else np.concatenate(parts)


def _listed(checkpoints: Checkpoints, steps: Sequence[int] | None) -> tuple[Iterable[Any], Sequence[int] | None]:
    """Checkpoints one by one, and the steps that are given or that files' names tell."""
    if isinstance(checkpoints, torch.nn.Module | Mapping):
        raise InputTypeError("checkpoints", type(checkpoints).__name__, "several checkpoints: a list, a glob or a folder")
    paths = isinstance(checkpoints, Sequence) and bool(checkpoints) and isinstance(checkpoints[0], str | os.PathLike)
    if isinstance(checkpoints, str | os.PathLike) or paths:
        files, from_names = checkpoint_files(cast(Any, checkpoints))
        return files, from_names if steps is None else steps
    if not isinstance(checkpoints, Iterable):
        raise InputTypeError("checkpoints", type(checkpoints).__name__, "a glob, a folder, or an iterable of checkpoints")
    return checkpoints, steps


def _stored(
    archive: Archive,
    checkpoints: Iterable[Any],
    steps: Sequence[int] | None,
    module: torch.nn.Module | None,
    name: str,
    label: str,
) -> WeightStore:
    store: WeightStore | None = None
    times, count = _steps(steps), 0
    for count, checkpoint in enumerate(checkpoints, 1):
        params, buffers = _split_params_and_buffers(checkpoint, module)
        where = str(checkpoint) if isinstance(checkpoint, str | os.PathLike) else f"checkpoint {count - 1}"
        if store is not None:
            params = dict(rename_to_match(params, store.layout.names, where))
            buffers = dict(rename_to_match(buffers, store.buffer_layout.names, where))
        if store is None:
            layouts = ParamLayout.of(params), ParamLayout.of(buffers)
            attrs = {"label": label or name, "parameters": layouts[0].size}
            whole = params_of(module) if module is not None and _is_adapter_file(checkpoint) else params
            frozen = {key: value for key, value in whole.items() if key not in params}
            store = WeightStore.create(archive, name, *layouts, [schema.variable("step")], {}, attrs, frozen=frozen, order=tuple(whole))
        layout, buffer_layout = store.layout, store.buffer_layout
        layout.check(params, where)
        buffer_layout.check(buffers, where)
        flat = layout.flatten(params, layout.widest), buffer_layout.flatten(buffers, buffer_layout.widest)
        store.append([Row(_time(times, count - 1), {}, *flat)])
    if store is None:
        raise InputError("checkpoints", "none", "at least one checkpoint")
    if times is not None and len(times) > count:
        raise InputError("steps", f"{len(times)} steps for {count} checkpoints", "one step a checkpoint")
    return store


def _is_adapter_file(checkpoint: Checkpoint) -> bool:
    return isinstance(checkpoint, str | os.PathLike) and is_adapter(checkpoint)


def _split_params_and_buffers(checkpoint: Checkpoint, module: torch.nn.Module | None) -> tuple[Params, Params]:
    """Parameters and buffers of a checkpoint."""
    if isinstance(checkpoint, torch.nn.Module):
        return params_of(checkpoint), {n: b.detach() for n, b in unwrap_module(checkpoint).named_buffers()}
    is_file = isinstance(checkpoint, str | os.PathLike)
    state = params_of(read_checkpoint(checkpoint) if is_file else checkpoint)
    if module is not None:
        names, buffers = tuple(params_of(module)), {n for n, _ in unwrap_module(module).named_buffers()}
        state = fit_names(state, names) if is_file else dict(rename_to_match(state, {*names, *buffers}, "checkpoint"))
        if _is_adapter_file(checkpoint):  # its other weights are those of the model that it adapts
            names = tuple(n for n in names if n in state)
        if missing := [n for n in names if n not in state]:
            have = f"a checkpoint without {', '.join(missing[:4])}" + (f", {checkpoint}" if is_file else "")
            raise InputError("module", have, "checkpoints of this module", f"The checkpoint holds {', '.join(list(state)[:4])}")
        return {n: state[n] for n in names}, {n: t for n, t in state.items() if n in buffers}
    params = {n: t for n, t in state.items() if t.is_floating_point() and n.rpartition(".")[2] not in STATISTICS}
    if not params:
        raise InputError("checkpoints", f"{', '.join(list(state)[:4])}, none of them weights", "floating-point tensors")
    return params, {n: t for n, t in state.items() if n not in params}


def _steps(steps: Sequence[int] | None) -> NDArray[np.int64] | None:
    if steps is None:
        return None
    times = np.asarray(steps, dtype=np.int64)
    if times.ndim != 1 or (np.diff(times) <= 0).any():
        raise InputError("steps", list(steps), "increasing integers, one a checkpoint")
    return times


def _time(times: NDArray[np.int64] | None, index: int) -> int:
    if times is None:
        return index
    if index >= len(times):
        raise InputError("steps", f"{len(times)} steps", "one step a checkpoint")
    return int(times[index])
