"""Storage of recorded weights in an archive, appended so that a kill at any moment leaves it readable.

`trajectories/<name>` holds one array a quantity over `step`; its attribute `rows` counts complete steps and is
written last. The subgroup `weights` holds `theta`, one flat vector a step, in chunks that can be read by columns
(a principal component analysis never needs all of it at once), `buffers` likewise, and how tensors lie in them.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.sync import sync

from lossatlas import schema
from lossatlas.archive import Archive
from lossatlas.archive.arrays import AGAIN, DAMAGE, array_at, arrays_at, create_array, damaged_array, dims_of, exists, group_at, read_array
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.errors import ArchiveError, InputError

COLUMNS = 131_072
"""Weights a chunk: 512 KB in float32, few files a step; 1,000 steps of one chunk fit in memory whatever the model's size."""
GROWTH = 64
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
    """The stored rows of one recording; `create` and `open` make one."""

    archive: Archive
    name: str
    group: zarr.Group
    layout: ParamLayout
    buffer_layout: ParamLayout

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
        """
        if dtype is not None and dtype not in DTYPES:
            raise InputError("dtype", dtype, "one of " + ", ".join(DTYPES) + " or None")
        stored = dtype or layout.widest
        with cannot_write(archive):
            group = archive._replace_group("trajectories", name, {**attrs, "kind": "trajectory", "rows": 0})
            for variable in variables:
                _create(group, variable, {"step": GROWTH, **lengths})
            weights = group.create_group("weights", attributes={**layout.attrs, "buffers": buffer_layout.attrs, "delta": delta})
            _matrix(weights, "theta", layout.size, stored)
            _matrix(weights, "buffers", buffer_layout.size, buffer_layout.widest)
            length = layout.size if delta else 0
            create_array(weights, "start", shape=(length,), chunks=(COLUMNS,), dtype=layout.widest, dims=None)
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
    def steps(self) -> NDArray[np.int64]:
        """Steps of the complete rows, ``(rows,)``."""
        steps = read_array(self._array("step"), slice(self.rows)).astype(np.int64)
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
        return self._array("weights/theta").dtype

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
            self.group.attrs["rows"] = first
        self._drop_projection()
        for name, array in self._arrays().items():
            if _over_steps(array):
                _write(array, first, np.stack([np.asarray(row.step if name == "step" else row.values[name]) for row in rows]))
        _write(self._array("weights/theta"), first, self.encode([row.theta for row in rows], first))
        _write(self._array("weights/buffers"), first, np.stack([row.buffers for row in rows]))
        self.group.attrs["rows"] = first + len(rows)

    def _roll_back(self, rows: int) -> None:
        """Free what a write that failed has left on a full disk."""
        sync(_wait_for_pending_writes())
        self.group.metadata.attributes["rows"] = rows  # zarr changes it in memory even where it cannot be written
        for name in ("theta", "buffers"):
            array = self._array(f"weights/{name}")
            with suppress(OSError):
                array.resize((min(rows, array.shape[0]), array.shape[1]))

    def update_last(self, name: str, value: float) -> None:
        """Correct one number of the last row."""
        with cannot_write(self.archive):
            self.archive.check_present(self.name, "trajectories")
            self._array(name)[self.rows - 1] = value

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
        before, kept_path = self.attrs, self.projection
        arrays = {*kept_path["arrays"], *(str(name) for name in dataset.variables if name not in self.group)}
        replaced = {key: before[key] for key in attrs if key in before and key not in kept_path["attrs"]} | kept_path["replaced"]
        projection = {"arrays": sorted(arrays), "attrs": sorted({*kept_path["attrs"], *attrs}), "replaced": replaced}
        with cannot_write(self.archive):
            for name, values in dataset.variables.items():
                if name not in self.group or str(name).startswith(("path_", "area_", "data_")):
                    _create(self.group, _like(str(name), values), dict(values.sizes))[...] = values.values
            self.group.attrs.update({**attrs, "projection": projection})

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
    def projection(self) -> dict[str, Any]:
        """Record of what `add` stored beside the recording: its `arrays`, its `attrs`, and the attributes that these `replaced`."""
        return dict(self.attrs.get("projection", {"arrays": [], "attrs": [], "replaced": {}}))

    def _drop_projection(self) -> None:
        path = self.projection
        if "projection" not in self.group.attrs:
            return
        for name in path["arrays"]:
            del self.group[name]
        gone = {"projection", *path["attrs"]}
        self.group.attrs.put({**{k: v for k, v in self.attrs.items() if k not in gone}, **path["replaced"]})
        warnings.warn(
            f"The projection kept with {self.name!r} covers only the rows recorded before it, so it is dropped. "
            "Keep it anew when the training has ended: la.project_trajectory(..., archive=archive).",
            stacklevel=2,
        )

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of what the recorder itself keeps over steps."""
        return tuple(name for name, array in self._arrays().items() if _over_steps(array) and name not in self.projection["arrays"])

    def update_attrs(self, attrs: Mapping[str, Any]) -> None:
        with cannot_write(self.archive):
            self.archive.check_present(self.name, "trajectories")
            self.group.attrs.update(dict(attrs))

    def encode(self, thetas: list[NDArray[Any]], first: int) -> NDArray[Any]:
        """Weights as they are stored from row `first` on."""
        values = np.stack(thetas)
        if self.delta:
            start = self._array("weights/start")
            if first == 0:
                start[:] = values[0]
            values = values - read_array(start)
        with np.errstate(over="ignore"):
            stored = values.astype(self._array("weights/theta").dtype, copy=False)
        if stored is not values and (np.isinf(stored) & np.isfinite(values)).any():
            raise InputError("dtype", "weights beyond the range of float16", "weights below 65,504", "Record with dtype='float32'")
        return stored

    # -- reading ---------------------------------------------------------------------------------------------

    def theta(self, rows: slice, columns: slice = slice(None)) -> NDArray[Any]:
        """Stored weights ``(rows, columns)`` in the layout's own precision."""
        return self.decode(self.stored(rows, columns), columns)

    def stored(self, rows: slice, columns: slice) -> NDArray[Any]:
        """The same as it lies on disk."""
        return read_array(self._array("weights/theta"), (rows, columns))

    def decode(self, values: NDArray[Any], columns: slice) -> NDArray[Any]:
        """Stored values to weights."""
        return read_array(self._array("weights/start"), columns) + values if self.delta else values

    def buffers(self, row: int) -> NDArray[Any]:
        return read_array(self._array("weights/buffers"), row)

    def blocks(self, columns: int) -> Iterator[slice]:
        """Slices that cover all columns, at most `columns` wide, aligned with chunks where they can be."""
        chunk = self._array("weights/theta").chunks[1]
        width = columns if columns < chunk else columns // chunk * chunk
        for start in range(0, self.layout.size, width):
            yield slice(start, min(start + width, self.layout.size))

    def _array(self, path: str) -> zarr.Array[Any]:
        return array_at(self.group, path)

    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        return arrays_at(self.group, "")


def _write(array: Any, first: int, rows: NDArray[Any]) -> None:
    needed = first + len(rows)
    if array.shape[0] < needed:
        # Longer than needed: growing by one row a time would list every chunk each time.
        array.resize((max(needed, 2 * array.shape[0], GROWTH), *array.shape[1:]))
    try:
        array[first:needed] = rows
    except DAMAGE as error:  # the rest of a chunk that is changed in part is read
        raise damaged_array(array, error) from error


def _over_steps(array: Any) -> bool:
    return dims_of(array)[:1] == ("step",)


def _like(name: str, values: Any) -> schema.Variable:
    declared = schema.variable(name)
    return schema.Variable(declared.name, declared.dims, declared.dtype, values.attrs.get("units", declared.units), declared.long_name)


def _create(group: zarr.Group, declared: schema.Variable, lengths: Mapping[str, int]) -> Any:
    shape = tuple(lengths[dim] for dim in declared.dims)
    chunks = tuple(1024 if dim == "step" and len(shape) == 1 else 64 if dim == "step" else max(lengths[dim], 1) for dim in declared.dims)
    form = {"dtype": declared.dtype, "fill_value": declared.fill_value, "attrs": declared.attrs}
    return create_array(group, declared.name, shape=shape, chunks=chunks, dims=declared.dims, **form)


def _matrix(group: zarr.Group, name: str, width: int, dtype: str) -> None:
    columns = max(min(width, COLUMNS), 1)
    # Trained weights do not compress; small models share a chunk among many steps.
    chunks = (max(1, COLUMNS // columns // 16), columns)
    create_array(group, name, shape=(0, width), chunks=chunks, dtype=dtype, dims=("step", "entry"), compressed=False)


@contextmanager
def cannot_write(archive: Archive) -> Iterator[None]:
    """Say in words, and with the next step, what the system refuses."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f"Cannot write {archive.location}: {error}. The steps stored before are kept; free space, then record again with resume=True."
        ) from error


async def _wait_for_pending_writes() -> None:
    """Zarr writes chunks side by side: where one of them fails, the others are waited for."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=60)
