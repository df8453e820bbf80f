"""Storage of recorded weights in an archive, appended so that a kill at any moment leaves it readable.

`trajectories/<name>` holds one array a quantity over `step`; its attribute `rows` counts complete steps and is
written last. Where rows were thinned, the attribute `slots` lists which entries hold the steps that stay, in order: freed
entries are written again, and no row is ever copied. The subgroup `weights` holds `theta`, one flat vector a step, in chunks
that can be read by columns (a principal component analysis never needs all of it at once), `buffers` likewise, `frozen`,
the parameters that did not train, once, and how tensors lie in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from torch import Tensor
from zarr.core.sync import sync

from lossatlas import schema
from lossatlas.archive import Archive
from lossatlas.archive.arrays import AGAIN, array_at, arrays_at, create_array, exists, group_at, read_array
from lossatlas.archive.reading import stored_slots
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.compute.params.params import Params
from lossatlas.compute.recording.storage.stored_arrays import (
    COLUMNS,
    GROWTH,
    cannot_write,
    create_matrix,
    create_variable,
    lies_over_steps,
    wait_for_pending_writes,
    write_rows,
)
from lossatlas.compute.recording.storage.stored_projection import drop_projection, projection_of, write_projection
from lossatlas.errors import ArchiveError, InputError

DTYPES = ("float16", "float32", "float64")


def recorded_names(archive: Archive) -> tuple[str, ...]:
    """Names of the trajectories that hold weights; projected paths hold none."""
    return tuple(name for name in archive.trajectories if exists(group_at(archive.root, f"trajectories/{name}"), "weights"))


@dataclass(frozen=True)
class Row:
    """One recorded step.

    Attributes:
        step: updates made before it.
        values: by variable of `schema`.
        theta: flat weights, ``(parameters,)``.
        buffers: flat buffers, ``(entries,)``; empty where the model has none.
    """

    step: int
    values: Mapping[str, Any]
    theta: NDArray[Any]
    buffers: NDArray[Any] = field(default_factory=lambda: np.empty(0))

    @property
    def nbytes(self) -> int:
        return self.theta.nbytes + self.buffers.nbytes


@dataclass(frozen=True)
class WeightStore:
    """The stored rows of one recording; `create` and `open` make one.

    Attributes:
        archive: where it lies.
        name: of the trajectory.
        group: of its arrays.
        layout: of the weights that every row holds.
        buffer_layout: of the buffers.
        names: names to read parameters and buffers under, by stored name; those not among them keep theirs.
    """

    archive: Archive
    name: str
    group: zarr.Group
    layout: ParamLayout
    buffer_layout: ParamLayout
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        archive: Archive,
        name: str,
        layout: ParamLayout,
        buffer_layout: ParamLayout,
        variables: Iterable[schema.Variable],
        lengths: Mapping[str, int],
        attrs: Mapping[str, Any],
        *,
        dtype: str | None = None,
        delta: bool = False,
        frozen: Mapping[str, Tensor] | None = None,
        order: Sequence[str] = (),
    ) -> WeightStore:
        """Lay out an empty recording.

        Args:
            archive: where.
            name: of the trajectory.
            layout: of the weights.
            buffer_layout: of the buffers.
            variables: curves to keep, over ``step`` and possibly one more dim.
            lengths: of those further dims.
            attrs: provenance.
            dtype: of stored weights; None keeps float32 or float64 as the model has it.
            delta: store the difference to the first row, which float16 holds far more exactly than the weights.
            frozen: parameters that do not train, stored once.
            order: names of all parameters, as the model has them.
        """
        if dtype is not None and dtype not in DTYPES:
            raise InputError("dtype", dtype, "one of " + ", ".join(DTYPES) + " or None")
        stored = dtype or layout.widest
        with cannot_write(archive):
            group = archive._replace_group("trajectories", name, {**attrs, "kind": "trajectory", "rows": 0})
            for variable in variables:
                create_variable(group, variable, {"step": GROWTH, **lengths})
            described = {**layout.attrs, "buffers": buffer_layout.attrs, "delta": delta}
            if frozen:
                described["frozen"] = {**ParamLayout.of(frozen).attrs, "order": list(order)}
            weights = group.create_group("weights", attributes=described)
            create_matrix(weights, "theta", layout.size, stored)
            create_matrix(weights, "buffers", buffer_layout.size, buffer_layout.widest)
            length = layout.size if delta else 0
            create_array(weights, "start", shape=(length,), chunks=(COLUMNS,), dtype=layout.widest, dims=None)
            if frozen:
                once = ParamLayout.of(frozen)
                flat = once.flatten(frozen, once.widest)
                create_array(weights, "frozen", shape=flat.shape, chunks=(COLUMNS,), dtype=once.widest, dims=None)[...] = flat
        return cls(archive, name, group, layout, buffer_layout)

    @classmethod
    def open(cls, archive: Archive, name: str) -> WeightStore:
        """Raises InputError where the trajectory is not there or holds no weights."""
        if name not in archive.trajectories:
            archive.trajectory(name)
        group = group_at(archive.root, f"trajectories/{name}")
        if not exists(group, "weights"):
            raise InputError("trajectory", name, "a trajectory that holds weights", "Record one with la.Recorder")
        attrs = group_at(group, "weights").attrs
        return cls(archive, name, group, ParamLayout.from_attrs(attrs), ParamLayout.from_attrs(attrs["buffers"]))

    @property
    def rows(self) -> int:
        return int(self.group.attrs["rows"])  # type: ignore[arg-type]

    @property
    def slots(self) -> NDArray[np.int64]:
        """Entries of the arrays that hold the complete rows, in the order of their steps, ``(rows,)``."""
        return stored_slots(self.group.attrs)

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps of the complete rows, ``(rows,)``."""
        slots = self.slots
        steps = read_array(self._array("step"), slice(int(slots.max(initial=-1)) + 1)).astype(np.int64)[slots]
        if (np.diff(steps) <= 0).any():
            lost = f"The steps of {self.name!r} in {self.archive.location} are lost or damaged."
            raise ArchiveError(f"{lost} Restore {self.group.path}/step from a copy; without one, {AGAIN['trajectories']}.")
        return steps

    @property
    def attrs(self) -> dict[str, Any]:
        return dict(self.group.attrs)

    @property
    def delta(self) -> bool:
        return bool(group_at(self.group, "weights").attrs["delta"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stored weights."""
        return self._theta.dtype

    @cached_property
    def frozen(self) -> Params:
        """Parameters that did not train, by name; empty where every row holds all."""
        attrs: Any = group_at(self.group, "weights").attrs.get("frozen")
        if attrs is None:
            return {}
        stored = ParamLayout.from_attrs(attrs).unflatten(read_array(self._array("weights/frozen")))
        stored = {self.names.get(name, name): value for name, value in stored.items()}
        return {name: value for name, value in stored.items() if name not in self.layout.names}

    def complete(self, params: Params) -> Params:
        """Parameters of a row, those that did not train among them, in the model's order; they share no memory."""
        if not self.frozen:
            return params
        attrs: Any = group_at(self.group, "weights").attrs["frozen"]
        order = [self.names.get(name, name) for name in attrs["order"]]
        return {name: params[name] if name in params else self.frozen[name].clone() for name in order}

    def renamed(self, names: Mapping[str, str]) -> WeightStore:
        """The same recording with its parameters and buffers read under other names."""

        def renamed(layout: ParamLayout) -> ParamLayout:
            return replace(layout, names=tuple(names.get(name, name) for name in layout.names))

        return replace(self, layout=renamed(self.layout), buffer_layout=renamed(self.buffer_layout), names={**self.names, **names})

    @property
    def is_lossless(self) -> bool:
        """True where what is read back is bit for bit what was recorded."""
        return not self.delta and self.dtype == np.dtype(self.layout.widest)

    # -- writing ---------------------------------------------------------------------------------------------

    def append(self, rows: Sequence[Row], after: int | None = None) -> None:
        """Add complete rows; `rows` of the group changes last, so a kill before it loses these rows and nothing else.

        A projection that was kept covers only the rows before: it goes, with a warning, rather than pass as whole.

        Args:
            rows: what to add.
            after: so many rows are kept, later ones are replaced; all are kept where None.

        Raises:
            ArchiveError: the disk is full or not writable, or the archive is gone; what was stored before is kept.
        """
        if not rows:
            return
        self.archive.check_present(self.name, "trajectories")
        first = self.rows if after is None else after
        try:
            self._append(rows, first)
        except OSError as error:
            self._roll_back(first)
            stored = f"{first} rows, up to step {self.steps[-1]}, are" if first else "No row is"
            advice = "Free space, then call recorder.flush(), or record again with resume=True."
            raise ArchiveError(f"Cannot write {self.archive.location}: {error}. {stored} stored. {advice}") from error

    def _append(self, rows: Sequence[Row], first: int) -> None:
        if first < self.rows:
            self.group.attrs.update(_row_attrs(self.slots[:first]))
        drop_projection(self.group, self.name)
        used = self.slots
        free = np.setdiff1d(np.arange(len(used) + len(rows)), used)[: len(rows)]
        for name, array in self._arrays().items():
            if lies_over_steps(array):
                write_rows(array, free, np.stack([np.asarray(row.step if name == "step" else row.values[name]) for row in rows]))
        write_rows(self._theta, free, self.encode([row.theta for row in rows], first))
        write_rows(self._array("weights/buffers"), free, np.stack([row.buffers for row in rows]))
        self.group.attrs.update(_row_attrs(np.concatenate([used, free])))

    def thin(self, stays: NDArray[np.bool_], attrs: Mapping[str, Any]) -> None:
        """Forget the rows that do not stay, ``(rows,)``, and set `attrs`, in one write; the next rows take their place."""
        with cannot_write(self.archive):
            self.archive.check_present(self.name, "trajectories")
            drop_projection(self.group, self.name)
            self.group.attrs.update({**attrs, **_row_attrs(self.slots[stays])})

    def _roll_back(self, rows: int) -> None:
        """Free what a write that failed has left on a full disk."""
        sync(wait_for_pending_writes())
        slots = self.slots[:rows]
        # Zarr changes attributes in memory even where they cannot be written.
        self.group.metadata.attributes.update(_row_attrs(slots))
        for array in (self._theta, self._array("weights/buffers")):
            with suppress(OSError):
                array.resize((min(int(slots.max(initial=-1)) + 1, array.shape[0]), array.shape[1]))

    def update_last(self, name: str, value: float) -> None:
        """Correct one number of the last row."""
        with cannot_write(self.archive):
            self.archive.check_present(self.name, "trajectories")
            self._array(name)[int(self.slots[-1])] = value

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Store a whole array that does not depend on the step."""
        with cannot_write(self.archive):
            self._array(name)[...] = values

    def add(self, dataset: Any, attrs: Mapping[str, Any]) -> None:
        """Keep further curves over ``(step,)`` beside the recorded ones, such as a projection; all rows are needed.

        Args:
            dataset: an xarray Dataset of `rows` steps; what was recorded is left as it is, unless it is such a projection itself.
            attrs: provenance to add.
        """
        self.check_extendable(dataset.sizes["step"])
        with cannot_write(self.archive):
            write_projection(self.group, self.slots, dataset, attrs)

    def check_extendable(self, steps: int) -> None:
        """Make sure that `add` can store curves of so many steps.

        Raises:
            InputError: the archive is open for reading, or these are not all recorded steps.
        """
        if self.group.read_only:
            advice = "Pass the archive's path, or open it with la.open_archive(path, 'a')"
            raise InputError("archive", f"{self.archive.location}, which is open for reading", "an archive open for writing", advice)
        if steps != self.rows:
            advice = "Store the path of a part of a run under another name="
            raise InputError("path", f"{steps} steps", f"all {self.rows} recorded steps", advice)

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of what the recorder itself keeps over steps."""
        added = projection_of(self.group)["arrays"]
        return tuple(name for name, array in self._arrays().items() if lies_over_steps(array) and name not in added)

    def update_attrs(self, attrs: Mapping[str, Any]) -> None:
        with cannot_write(self.archive):
            self.archive.check_present(self.name, "trajectories")
            self.group.attrs.update(dict(attrs))

    def encode(self, thetas: list[NDArray[Any]], first: int) -> NDArray[Any]:
        """Weights as they are stored from row `first` on."""
        values = np.stack(thetas)
        if self.delta:
            start = self._start
            if first == 0:
                start[:] = values[0]
            values = values - read_array(start)
        with np.errstate(over="ignore"):
            stored = values.astype(self.dtype, copy=False)
        if stored is not values and (np.isinf(stored) & np.isfinite(values)).any():
            raise InputError("dtype", "weights beyond the range of float16", "weights below 65,504", "Record with dtype='float32'")
        return stored

    # -- reading ---------------------------------------------------------------------------------------------

    def theta(self, rows: slice, columns: slice = slice(None)) -> NDArray[Any]:
        """Weights in these entries of the arrays, ``(rows, columns)``, in the layout's own precision."""
        return self.decode(self.stored(rows, columns), columns)

    def stored(self, rows: slice, columns: slice) -> NDArray[Any]:
        """The same as it lies on disk."""
        return read_array(self._theta, (rows, columns))

    def decode(self, values: NDArray[Any], columns: slice) -> NDArray[Any]:
        """Stored values to weights."""
        return read_array(self._start, columns) + values if self.delta else values

    def buffers(self, row: int) -> NDArray[Any]:
        """Buffers in one entry of the arrays."""
        return read_array(self._array("weights/buffers"), row)

    def blocks(self, columns: int) -> Iterator[slice]:
        """Slices that cover all columns, at most `columns` wide, aligned with chunks where they can be."""
        chunk = self._theta.chunks[1]
        width = columns if columns < chunk else columns // chunk * chunk
        for start in range(0, self.layout.size, width):
            yield slice(start, min(start + width, self.layout.size))

    @property
    def _theta(self) -> zarr.Array[Any]:
        return self._array("weights/" + str(group_at(self.group, "weights").attrs.get("theta", "theta")))

    @property
    def _start(self) -> zarr.Array[Any]:
        return self._array("weights/" + str(group_at(self.group, "weights").attrs.get("start", "start")))

    def _array(self, path: str) -> zarr.Array[Any]:
        return array_at(self.group, path)

    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        return arrays_at(self.group, "")


def _row_attrs(slots: NDArray[np.int64]) -> dict[str, Any]:
    """Attributes that say which entries hold complete rows; `slots` only once it is needed."""
    return {"rows": len(slots), "slots": None if np.array_equal(slots, np.arange(len(slots))) else slots.tolist()}
