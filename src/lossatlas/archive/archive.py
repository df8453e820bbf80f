"""One Zarr v3 group: surfaces, trajectories and how each was made. `docs/format.md` specifies it.

Reading needs no torch. Only one process writes a surface (`Archive.writing`); within a tile the values are stored first and
`done` last, each as an atomically replaced chunk, so a killed run leaves an archive that opens and continues.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.storage import LocalStore, MemoryStore

from lossatlas import schema
from lossatlas._util.argument_checks import check_name
from lossatlas._util.summary_table import html_table, listed
from lossatlas.archive import arrays as archive_arrays
from lossatlas.archive import checks as archive_checks
from lossatlas.archive import lock as archive_lock
from lossatlas.archive.arrays import array_at, arrays_at, create_declared, dims_of, exists, group_at, write_cells
from lossatlas.archive.memory import MemoryGroup
from lossatlas.archive.reading import DEEP, is_deep, read_surface, read_trajectory, stored_coordinate
from lossatlas.errors import ArchiveError, InputError

Location = str | os.PathLike[str] | Store


@dataclass(frozen=True, repr=False)
class Archive:
    """An open archive; `open_archive` makes one.

    >>> from lossatlas.archive import open_archive
    >>> archive = open_archive(None, "a")
    >>> archive.surfaces, archive.trajectories
    ((), ())
    """

    root: zarr.Group
    location: str

    def __repr__(self) -> str:
        return f"<Archive {self.location}: surfaces {listed(self.surfaces)}; trajectories {listed(self.trajectories)}>"

    def _repr_html_(self) -> str:
        return html_table(f"Archive {self.location}", {"surfaces": listed(self.surfaces), "trajectories": listed(self.trajectories)})

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def surfaces(self) -> tuple[str, ...]:
        """Names of the stored surfaces, in alphabetical order; one whose laying out was cut short is none."""
        return tuple(name for name in self._names("surfaces") if self.has_surface(name))

    @property
    def trajectories(self) -> tuple[str, ...]:
        """Names of the stored trajectories, in alphabetical order."""
        return self._names("trajectories")

    @property
    def attrs(self) -> dict[str, Any]:
        """Of the root group: format, its version, and when it was made."""
        with archive_checks.reading("the root group", self.location):
            return archive_checks.checked_attributes(self.root.attrs)

    def surface(self, name: str | None = None) -> xr.Dataset:
        """The surface `name` as a Dataset over ``(alpha, beta)``, in memory; the only one may go unnamed.

        Raises:
            InputError: no such surface, or several and no name.
            ArchiveError: its files are damaged.
        """
        known = self._resolve_name("surface", name, self.surfaces)
        with archive_checks.reading(known, self.location):
            self._check_sizes(f"surfaces/{known}", DEEP)
            return self._with_source(archive_checks.checked_surface(read_surface(self.root, self.location, known)), known)

    def trajectory(self, name: str | None = None) -> xr.Dataset:
        """The trajectory `name` as a Dataset over ``(step,)``, in memory; of a run still being recorded, what is stored."""
        known = self._resolve_name("trajectory", name, self.trajectories)
        with archive_checks.reading(known, self.location):
            self._check_sizes(f"trajectories/{known}")
            return self._with_source(archive_checks.checked_trajectory(read_trajectory(self.root, self.location, known)), known)

    def samples(self, name: str | None = None) -> dict[str, zarr.Array[Any]]:
        """Arrays of a surface with an axis of samples or batches, read only where indexed; empty where none were kept.

        A tensor over ``(alpha, beta, sample)`` may be larger than memory, so `surface` leaves it out.
        """
        known = self._resolve_name("surface", name, self.surfaces)
        with archive_checks.reading(known, self.location):
            return {key: array for key, array in arrays_at(self.root, f"surfaces/{known}", but=schema.PLANE).items() if is_deep(array)}

    def has_surface(self, name: str) -> bool:
        """Is there such a surface, be it damaged? One whose laying out was cut short is none: `done` is laid out last."""
        with archive_checks.reading(name, self.location):
            return exists(self.root, f"surfaces/{name}/done")

    def surface_attrs(self, name: str) -> dict[str, Any]:
        """Provenance of a surface, from its attributes; none of its arrays is read."""
        return copy.deepcopy(dict(self._group(f"surfaces/{name}").attrs))

    # -- writing ---------------------------------------------------------------------------------------------

    @contextmanager
    def lock_for_writing(self, name: str, kind: str = "surfaces") -> Iterator[None]:
        """Keep other processes and threads from writing that surface or trajectory while the block runs.

        Chunks are read, changed and written back, so two writers would lose each other's cells. The lock ends with its
        process, also a killed one. Archives on object stores and in memory have none: there the caller sees to it that one
        process writes.

        Raises:
            ArchiveError: another writer is at it.
        """
        store = self.root.store
        if not isinstance(store, LocalStore):
            yield
            return
        self._check_folder()
        with archive_lock.exclusive_lock(Path(store.root), kind, name):
            yield

    def lock(self, name: str, kind: str = "surfaces") -> archive_lock.Lock | None:
        """The lock of `writing` for an object that writes until it releases it; None where the store has none.

        Raises:
            ArchiveError: another writer is at it.
        """
        store = self.root.store
        if not isinstance(store, LocalStore):
            return None
        self._check_folder()
        return archive_lock.Lock.take(Path(store.root), kind, name)

    def check_present(self, name: str, kind: str = "surfaces") -> None:
        """Make sure that what is being written still lies where it did: Zarr would make the folders of a lost archive anew.

        Raises:
            ArchiveError: it was moved, deleted or replaced.
        """
        store = self.root.store
        if isinstance(store, LocalStore) and archive_lock.is_lost(Path(store.root), kind, name):
            raise archive_arrays.archive_is_gone(self.location)
        self._group(f"{kind}/{name}")

    def create_surface(
        self, name: str, coordinates: Mapping[str, NDArray[np.float64]], variables: Iterable[schema.Variable], attrs: Mapping[str, Any]
    ) -> None:
        """Lay out an empty surface: coordinates, one array a variable, and a `done` mask that is all False."""
        with self.lock_for_writing(name):
            group = self._replace_group("surfaces", name, attrs)
            lengths = {axis: len(values) for axis, values in coordinates.items()}
            for axis, values in coordinates.items():
                create_declared(group, schema.variable(axis), lengths)[:] = values
            for declared in (*variables, schema.variable("done")):
                create_declared(group, declared, lengths)

    def write_cells(self, name: str, cells: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> None:
        """Store finished cells, given by flat C-order index into the surface; `done` is set after every value.

        Args:
            cells: flat indices, ``(n,)``.
            values: by variable, each ``(n,)`` or ``(n, …)`` where the variable has further dims.
        """
        with self.lock_for_writing(name):
            self.check_present(name)
            done = self._array(f"surfaces/{name}/done")
            where = np.unravel_index(cells, done.shape)
            for variable_name, value in values.items():
                write_cells(self._array(f"surfaces/{name}/{variable_name}"), where, value)
            write_cells(done, where, np.ones(len(cells), bool))

    def mark_not_done(self, name: str, cells: NDArray[np.int64]) -> None:
        """Say of cells, given as to `write_cells`, that they are not computed; their values stay until they are."""
        with self.lock_for_writing(name):
            done = self._array(f"surfaces/{name}/done")
            write_cells(done, np.unravel_index(cells, done.shape), np.zeros(len(cells), bool))

    def mend_surface(self, name: str, coordinates: Mapping[str, NDArray[np.float64]], variables: Iterable[str] = ()) -> int:
        """Make a damaged surface one that can be continued: lost coordinates are stored anew, cells of damaged chunks forgotten.

        The losses of samples, which may be larger than memory, are not looked through.

        Args:
            name: of the surface.
            coordinates: what they must be, by axis.
            variables: arrays that it must have.

        Returns:
            How many cells are to be computed again.

        Raises:
            ArchiveError: an array or its metadata are lost.
        """
        with self.lock_for_writing(name):
            path = f"surfaces/{name}"
            group, done = self._group(path), self._array(f"{path}/done")
            for axis, values in coordinates.items():
                if stored_coordinate(self.root, path, axis) is None:
                    create_declared(group, schema.variable(axis), {axis: len(values)})[:] = values
            arrays = {n: a for n, a in arrays_at(self.root, path).items() if n not in DEEP and dims_of(a) == dims_of(done)}
            for missing in sorted({*variables} - {*arrays} - {*DEEP}):
                self._array(f"{path}/{missing}")
            lost = np.zeros(done.shape, bool)
            for array in arrays.values():
                for chunk in archive_arrays.damaged_chunks(array):
                    lost[archive_arrays.chunk_cells(array, chunk)] = True
                    archive_arrays.delete_chunk(array, chunk)
            if lost.any():
                self.mark_not_done(name, np.flatnonzero(lost))
            return int(lost.sum())

    def write_surface(self, name: str, dataset: xr.Dataset) -> None:
        """Store a whole surface, such as an imported one, replacing an earlier one of that name."""
        metrics = [str(v) for v in dataset.data_vars if v != "done"]
        forms = {m: (tuple(map(str, dataset[m].dims)), str(dataset[m].dtype), dataset[m].attrs) for m in metrics}
        declared = [schema.stored_variable(m, *form) for m, form in forms.items()]
        axes = [str(d) for d in dataset.done.dims] + [str(c) for c in dataset.coords if set(dataset[c].dims) & set(schema.DEPTH)]
        with self.lock_for_writing(name):
            self.create_surface(name, {axis: dataset[axis].values for axis in axes}, declared, dataset.attrs)
            cells, count = np.flatnonzero(dataset.done.values), dataset.done.size
            values = {m: dataset[m].values for m in metrics}
            self.write_cells(name, cells, {m: v.reshape(count, *v.shape[dataset.done.ndim :])[cells] for m, v in values.items()})

    def write_variable(self, name: str, declared: schema.Variable, values: NDArray[Any]) -> None:
        """Store a whole variable beside the computed ones, replacing an earlier one of that name."""
        path = f"surfaces/{name}"
        done = self._array(f"{path}/done")
        create_declared(self._group(path), declared, dict(zip(dims_of(done), done.shape, strict=True)))[...] = values

    def drop_variable(self, name: str, variable_name: str) -> None:
        """Remove a variable of a surface; nothing happens where there is none."""
        group = self._group(f"surfaces/{name}")
        if variable_name in group:
            del group[variable_name]

    def update_attrs(self, kind: str, name: str, attrs: Mapping[str, Any]) -> None:
        """Add provenance to an existing surface (``kind="surfaces"``) or trajectory."""
        self._group(f"{kind}/{name}").attrs.update(dict(attrs))

    def write_trajectory(self, name: str, dataset: xr.Dataset) -> None:
        """Store a whole trajectory, replacing an earlier one of that name. Every variable is declared in `schema`."""
        # Of a recording they say which entries of its own arrays hold rows; here every entry does.
        attrs = {key: value for key, value in dataset.attrs.items() if key not in ("rows", "slots")}
        with self.lock_for_writing(name, "trajectories"):
            group = self._replace_group("trajectories", name, attrs)
            lengths = {str(dim): size for dim, size in dataset.sizes.items()}
            for variable_name in dataset.variables:
                values = dataset[variable_name]
                declared = schema.stored_variable(str(variable_name), tuple(map(str, values.dims)), str(values.dtype), values.attrs)
                create_declared(group, declared, lengths)[...] = values.values

    # -- inside ----------------------------------------------------------------------------------------------

    def _names(self, kind: str) -> tuple[str, ...]:
        """Of all that lies there, also of what lost its metadata: reading it tells so."""
        with archive_checks.reading(kind, self.location):
            return tuple(name for name in archive_arrays.children(self.root, kind) if exists(self.root, f"{kind}/{name}"))

    def _with_source(self, dataset: xr.Dataset, name: str) -> xr.Dataset:
        """Note in the encoding, where xarray keeps it, which archive a Dataset was read from, and its name there."""
        if not isinstance(self.root.store, MemoryStore | MemoryGroup):
            dataset.encoding |= {"source": self.location, "name": name}
        return dataset

    def _resolve_name(self, noun: str, name: str | None, names: tuple[str, ...]) -> str:
        if name is None and len(names) == 1:
            return names[0]
        if name in names:
            return str(name)
        self._check_folder()
        allowed = "one of " + ", ".join(names) if names else f"an archive that holds a {noun}"
        raise InputError(noun, name, allowed, f"List what {self.location} holds with: lossatlas info {self.location}")

    def _check_folder(self) -> None:
        store = self.root.store
        if isinstance(store, LocalStore) and not (Path(store.root) / "zarr.json").exists():
            raise archive_arrays.archive_is_gone(self.location)

    def _check_sizes(self, path: str, but: tuple[str, ...] = ()) -> None:
        """Of the arrays that are read whole; those with an axis of samples are streamed."""
        arrays = {
            name: array for name, array in arrays_at(self.root, path, but=(*but, *schema.PLANE)).items() if not (but and is_deep(array))
        }
        for axis in schema.PLANE:
            with suppress(ArchiveError):  # a lost coordinate is rebuilt
                arrays[axis] = self._array(f"{path}/{axis}")
        claimed = {name: (array.shape, array.chunks, array.dtype.itemsize) for name, array in arrays.items()}
        archive_checks.check_sizes(claimed, lambda: sum(array.nbytes_stored() for array in arrays.values()))

    def _group(self, path: str) -> zarr.Group:
        return group_at(self.root, path)

    def _array(self, path: str) -> zarr.Array[Any]:
        return array_at(self.root, path)

    def _replace_group(self, kind: str, name: str, attrs: Mapping[str, Any]) -> zarr.Group:
        check_name(f"{kind} name", name)
        return archive_arrays.replace_group(self.root, kind, name, attrs)
