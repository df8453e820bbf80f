"""`Trajectory`: a recorded run read back, one step or one block of weights at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lossatlas import schema
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.compute.params.params import Params, params_of, unwrap_module
from lossatlas.compute.params.prefixes import rename_to_match, renaming, warn_of_renaming
from lossatlas.compute.recording.schedule import check_int
from lossatlas.compute.recording.weight_store import Row, WeightStore
from lossatlas.errors import InputError

MEMORY = 256 * 2**20
"""Bytes that the weights of all steps may take while they are streamed."""

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""A state dict does not say what is a buffer; these names, BatchNorm's, are."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A recorded run: what it measured, and its weights at every recorded step.

    Attributes:
        store: where it lies.
        rows: entries of the stored arrays that belong to it, in the order of their steps, ``(n,)``.
    """

    store: WeightStore
    rows: NDArray[np.int64]

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
        checkpoints: Iterable[torch.nn.Module | Mapping[str, Tensor]],
        steps: Sequence[int] | None = None,
        *,
        module: torch.nn.Module | None = None,
        archive: Location | Archive | None = None,
        name: str = "run",
        label: str = "",
    ) -> Trajectory:
        """A trajectory made of checkpoints: modules or dicts of tensors, read one at a time, in the order of training.

        Buffers, such as BatchNorm statistics, are kept beside the weights and are no coordinates of the path.

        Args:
            checkpoints: an iterable, so that files can be loaded one by one.
            steps: updates made before each; 0, 1, 2, … where None.
            module: says which names of a state dict are parameters and which are buffers. Without it, tensors that are not
                floating-point and BatchNorm's `running_mean`, `running_var` and `num_batches_tracked` are buffers.
            archive: where to keep it; None keeps it in memory.
            name: of the trajectory.
            label: words for legends.

        Raises:
            InputError: no checkpoint, no weights, other names, shapes or dtypes in one of them, steps that do not increase
                or are not one a checkpoint.
            ArchiveError: a recorder is writing the trajectory.

        Example:
            >>> trajectory = Trajectory.from_checkpoints({"w": torch.full((3,), float(k))} for k in range(4))
            >>> len(trajectory), trajectory.params(-1)["w"].tolist()
            (4, [3.0, 3.0, 3.0])
        """
        target = as_archive(archive)
        with target.lock_for_writing(name, "trajectories"):
            return cls.of_store(_stored(target, checkpoints, steps, module, name, label))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def label(self) -> str:
        return str(self.store.attrs.get("label", self.name))

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


def _stored(
    archive: Archive,
    checkpoints: Iterable[torch.nn.Module | Mapping[str, Tensor]],
    steps: Sequence[int] | None,
    module: torch.nn.Module | None,
    name: str,
    label: str,
) -> WeightStore:
    store: WeightStore | None = None
    times, count = _steps(steps), 0
    for count, checkpoint in enumerate(checkpoints, 1):
        params, buffers = _split_params_and_buffers(checkpoint, module)
        if store is not None:
            what = f"checkpoint {count - 1}"
            params = dict(rename_to_match(params, store.layout.names, what))
            buffers = dict(rename_to_match(buffers, store.buffer_layout.names, what))
        if store is None:
            layouts = ParamLayout.of(params), ParamLayout.of(buffers)
            attrs = {"label": label or name, "parameters": layouts[0].size}
            store = WeightStore.create(archive, name, *layouts, [schema.variable("step")], {}, attrs)
        layout, buffer_layout = store.layout, store.buffer_layout
        layout.check(params, f"checkpoint {count - 1}")
        buffer_layout.check(buffers, f"checkpoint {count - 1}")
        flat = layout.flatten(params, layout.widest), buffer_layout.flatten(buffers, buffer_layout.widest)
        store.append([Row(_time(times, count - 1), {}, *flat)])
    if store is None:
        raise InputError("checkpoints", "none", "at least one checkpoint")
    if times is not None and len(times) > count:
        raise InputError("steps", f"{len(times)} steps for {count} checkpoints", "one step a checkpoint")
    return store


def _split_params_and_buffers(checkpoint: torch.nn.Module | Mapping[str, Tensor], module: torch.nn.Module | None) -> tuple[Params, Params]:
    """Parameters and buffers of a checkpoint."""
    state = params_of(checkpoint)
    if isinstance(checkpoint, torch.nn.Module):
        return state, {n: b.detach() for n, b in unwrap_module(checkpoint).named_buffers()}
    if module is not None:
        names, buffers = tuple(params_of(module)), {n for n, _ in unwrap_module(module).named_buffers()}
        state = dict(rename_to_match(state, {*names, *buffers}, "checkpoint"))
        if missing := [n for n in names if n not in state]:
            raise InputError("module", f"a checkpoint without {', '.join(missing[:4])}", "checkpoints of this module")
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
