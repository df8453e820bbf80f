"""One Zarr v3 group: surfaces, trajectories and how each was made. `docs/format.md` specifies it.

Reading needs no torch. Only one process writes a surface (`Archive.writing`); within a tile the values are stored first and
`done` last, each as an atomically replaced chunk, so a killed run leaves an archive that opens and continues.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.errors import ContainsArrayError, ContainsGroupError
from zarr.storage import LocalStore, MemoryStore

from lossatlas import archive_checks, archive_lock, schema
from lossatlas.checks import check_name
from lossatlas.errors import ArchiveError, InputError

CHUNK = 64
"""Cells along each side of a chunk: one small file for usual grids, a bounded write for very large ones."""

DEEP_CHUNK = 4 * 2**20
"""Bytes of a chunk of an array with an axis beyond the plane."""

Location = str | os.PathLike[str] | Store


@dataclass(frozen=True)
class Archive:
    """An open archive; `open_archive` and `create_archive` make one.

    >>> archive = create_archive(None)
    >>> archive.surfaces, archive.trajectories
    ((), ())
    """

    root: zarr.Group
    location: str

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
        known = self._one("surface", name, self.surfaces)
        with archive_checks.reading(known, self.location):
            return archive_checks.checked_surface(self._dataset("surfaces", known))

    def trajectory(self, name: str | None = None) -> xr.Dataset:
        """The trajectory `name` as a Dataset over ``(step,)``, in memory; of a run still being recorded, what is stored."""
        known = self._one("trajectory", name, self.trajectories)
        with archive_checks.reading(known, self.location):
            return archive_checks.checked_trajectory(self._dataset("trajectories", known))

    def samples(self, name: str | None = None) -> dict[str, zarr.Array[Any]]:
        """Arrays of a surface with an axis of samples or batches, read only where indexed; empty where none were kept.

        A tensor over ``(alpha, beta, sample)`` may be larger than memory, so `surface` leaves it out.
        """
        known = self._one("surface", name, self.surfaces)
        with archive_checks.reading(known, self.location):
            group = self._group(f"surfaces/{known}")
            return {v.name: _array(group, v.name) for v in schema.VARIABLES.values() if set(v.dims) & set(schema.DEPTH) and v.name in group}

    def has_surface(self, name: str) -> bool:
        with archive_checks.reading(name, self.location):
            return f"surfaces/{name}/done" in self.root  # laid out last

    # -- writing ---------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, name: str, kind: str = "surfaces") -> Iterator[None]:
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
        with archive_lock.held(Path(store.root), kind, name):
            yield

    def create_surface(
        self, name: str, coordinates: Mapping[str, NDArray[np.float64]], variables: Iterable[schema.Variable], attrs: Mapping[str, Any]
    ) -> None:
        """Lay out an empty surface: coordinates, one array a variable, and a `done` mask that is all False."""
        with self.writing(name):
            group = self._replace_group("surfaces", name, attrs)
            lengths = {axis: len(values) for axis, values in coordinates.items()}
            for axis, values in coordinates.items():
                _create(group, schema.variable(axis), lengths)[:] = values
            for declared in (*variables, schema.variable("done")):
                _create(group, declared, lengths)

    def write_cells(self, name: str, cells: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> None:
        """Store finished cells, given by flat C-order index into the surface; `done` is set after every value.

        Args:
            cells: flat indices, ``(n,)``.
            values: by variable, each ``(n,)`` or ``(n, …)`` where the variable has further dims.
        """
        with self.writing(name):
            group = self._group(f"surfaces/{name}")
            where = np.unravel_index(cells, _array(group, "done").shape)
            for variable_name, value in values.items():
                _write(_array(group, variable_name), where, value)
            _array(group, "done").vindex[where] = np.ones(len(cells), bool)

    def forget_cells(self, name: str, cells: NDArray[np.int64]) -> None:
        """Say of cells, given as to `write_cells`, that they are not computed; their values stay until they are."""
        with self.writing(name):
            done = _array(self._group(f"surfaces/{name}"), "done")
            done.vindex[np.unravel_index(cells, done.shape)] = np.zeros(len(cells), bool)

    def write_surface(self, name: str, dataset: xr.Dataset) -> None:
        """Store a whole surface, such as an imported one, replacing an earlier one of that name."""
        metrics = [str(v) for v in dataset.data_vars if v != "done"]
        declared = [replace(schema.variable(m), units=str(dataset[m].attrs.get("units", schema.variable(m).units))) for m in metrics]
        with self.writing(name):
            self.create_surface(name, {str(d): dataset[d].values for d in dataset.done.dims}, declared, dataset.attrs)
            cells = np.flatnonzero(dataset.done.values)
            self.write_cells(name, cells, {m: dataset[m].values.ravel()[cells] for m in metrics})

    def write_variable(self, name: str, declared: schema.Variable, values: NDArray[Any]) -> None:
        """Store a whole variable beside the computed ones, replacing an earlier one of that name."""
        group = self._group(f"surfaces/{name}")
        lengths = {axis: _array(group, axis).shape[0] for axis in schema.PLANE if axis in group}
        _create(group, declared, lengths)[...] = values

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
        with self.writing(name, "trajectories"):
            group = self._replace_group("trajectories", name, dataset.attrs)
            lengths = {str(dim): size for dim, size in dataset.sizes.items()}
            for variable_name in dataset.variables:
                _create(group, schema.variable(str(variable_name)), lengths)[...] = dataset[variable_name].values

    # -- inside ----------------------------------------------------------------------------------------------

    def _names(self, kind: str) -> tuple[str, ...]:
        with archive_checks.reading(kind, self.location):
            return tuple(sorted(self._group(kind).group_keys())) if kind in self.root else ()

    def _one(self, noun: str, name: str | None, names: tuple[str, ...]) -> str:
        if name is None and len(names) == 1:
            return names[0]
        if name in names:
            return str(name)
        allowed = "one of " + ", ".join(names) if names else f"an archive that holds a {noun}"
        raise InputError(noun, name, allowed, f"List what {self.location} holds with: lossatlas info {self.location}")

    def _dataset(self, kind: str, name: str) -> xr.Dataset:
        group = self._group(f"{kind}/{name}")
        _check_sizes(group, kind)
        if "rows" in group.attrs:
            return _recorded(group)
        deep = [v.name for v in schema.VARIABLES.values() if set(v.dims) & set(schema.DEPTH)] if kind == "surfaces" else None
        path = f"{kind}/{name}"
        return xr.open_zarr(self.root.store, group=path, consolidated=False, zarr_format=3, chunks=None, drop_variables=deep).load()

    def _group(self, path: str) -> zarr.Group:
        group = self.root[path]
        assert isinstance(group, zarr.Group)
        return group

    def _replace_group(self, kind: str, name: str, attrs: Mapping[str, Any]) -> zarr.Group:
        check_name(f"{kind} name", name)
        return self.root.create_group(f"{kind}/{name}", overwrite=True, attributes=dict(attrs))


def create_archive(location: Location | None) -> Archive:
    """Open `location` for writing, making it where it does not exist; None keeps the archive in memory.

    Raises:
        ArchiveError: the path cannot be written, holds something else, or was written by a newer format.
    """
    store: Any = MemoryStore() if location is None else location
    name = _name_of(location)
    try:
        _refuse_foreign_folder(location)
        root = _own_group(store)
    except TypeError as error:
        raise InputError("archive", location, "a path, a Zarr store, an open archive or None") from error
    except OSError as error:
        raise ArchiveError(f"Cannot write the archive {name}: {error}. Choose another archive=.") from error
    except ContainsArrayError as error:
        raise ArchiveError(f"{name} is a Zarr array and not a Lossatlas archive. Choose another path.") from error
    _check_format(root, name)
    return Archive(root, name)


def open_archive(location: Location) -> Archive:
    """Open an archive for reading; torch is not imported.

    Raises:
        ArchiveError: nothing there, not a Lossatlas archive, or a newer format.
    """
    name = _name_of(location)
    try:
        root = zarr.open_group(location, mode="r", zarr_format=3)
    except Exception as error:  # Zarr and JSON answer damage with nearly any exception
        raise ArchiveError(
            f"No archive at {name} ({type(error).__name__}). An archive is a folder such as archive.zarr made by `lossatlas`."
        ) from error
    _check_format(root, name)
    return Archive(root, name)


def _own_group(store: Any) -> zarr.Group:
    """The group at `store`, made in one write where there is none; an empty group that says nothing becomes an archive."""
    try:
        root = zarr.open_group(store, mode="a", zarr_format=3, attributes=_new_attrs())
    except ContainsGroupError:  # another process made it in this very moment
        root = zarr.open_group(store, mode="r+", zarr_format=3)
    if not root.attrs and not any(True for _ in root.keys()):  # noqa: SIM118 - a group is no mapping
        root.attrs.update(_new_attrs())
    return root


def _create(group: zarr.Group, declared: schema.Variable, lengths: Mapping[str, int]) -> zarr.Array[Any]:
    dims = tuple(dim for dim in declared.dims if dim in lengths)
    shape = tuple(lengths[dim] for dim in dims)
    # A coordinate or a trajectory is read whole; only plane variables are cut into chunks.
    chunks = tuple(min(n, CHUNK) for n in shape) if dims and dims[0] == "alpha" and len(dims) > 1 else tuple(max(n, 1) for n in shape)
    if _is_deep(declared):
        chunks = _deep_chunks(shape, np.dtype(declared.dtype).itemsize)
    return group.create_array(
        declared.name,
        shape=shape,
        chunks=chunks,
        dtype=declared.dtype,
        fill_value=declared.fill_value,
        dimension_names=dims,
        attributes=declared.attrs,
        overwrite=True,
    )


def _is_deep(declared: schema.Variable) -> bool:
    """Over a plane and one axis more, such as samples."""
    return len(declared.dims) == 3 and declared.dims[:2] == schema.PLANE


def _deep_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Whole cells, as many of a row as fit `DEEP_CHUNK`: a tile writes its own cells, and readers stream cell by cell."""
    depth = min(shape[-1], max(1, DEEP_CHUNK // itemsize))
    along = max(1, min(shape[-2], DEEP_CHUNK // (depth * itemsize)))
    return (1,) * (len(shape) - 2) + (along, depth)


def _write(array: zarr.Array[Any], where: tuple[NDArray[np.intp], ...], value: NDArray[Any]) -> None:
    if array.ndim == len(where):
        array.vindex[where] = value
        return
    order = np.lexsort(where[::-1])
    where, value = tuple(index[order] for index in where), value[order]
    if len(where) == 1:
        array.oindex[where[0], slice(None)] = value
        return
    for row in np.unique(where[0]):
        here = where[0] == row
        array.oindex[slice(int(row), int(row) + 1), where[1][here], slice(None)] = value[here][None]


def _recorded(group: zarr.Group) -> xr.Dataset:
    """A trajectory that a recorder writes. A killed one may leave arrays of unequal length; `rows` counts the complete steps."""
    rows, variables = int(cast(int, archive_checks.checked_attributes(group.attrs)["rows"])), {}
    for name, array in group.arrays():
        dims = tuple(str(dim) for dim in array.metadata.dimension_names or ())  # type: ignore[union-attr]
        variables[name] = (dims, np.asarray(array[:rows] if dims[:1] == ("step",) else array[...]), dict(array.attrs))
    return xr.Dataset(variables, attrs=dict(group.attrs))


def _check_sizes(group: zarr.Group, kind: str) -> None:
    """Of the arrays that are read whole; those with an axis of samples are streamed."""
    deep = {v.name for v in schema.VARIABLES.values() if set(v.dims) & set(schema.DEPTH)} if kind == "surfaces" else set()
    arrays = {name: array for name, array in group.arrays() if name not in deep}
    claimed = {name: (array.shape, array.chunks, array.dtype.itemsize) for name, array in arrays.items()}
    archive_checks.check_sizes(claimed, lambda: sum(array.nbytes_stored() for array in arrays.values()))


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _new_attrs() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"format": schema.FORMAT, "format_version": schema.FORMAT_VERSION, "created": now}


def _check_format(root: zarr.Group, name: str) -> None:
    attrs = root.attrs
    if attrs.get("format") != schema.FORMAT:
        raise ArchiveError(f"{name} is a Zarr group but not a Lossatlas archive (its attribute 'format' is missing). Choose another path.")
    version = attrs.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= schema.FORMAT_VERSION:
        raise ArchiveError(
            f"{name} has format version {version}; this Lossatlas reads up to {schema.FORMAT_VERSION}. "
            "Update with: pip install --upgrade lossatlas"
        )


def _refuse_foreign_folder(location: Location | None) -> None:
    """A folder with other files in it is never taken over."""
    if not isinstance(location, str | os.PathLike) or "://" in str(location):
        return
    path = Path(location)
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "zarr.json").exists()):
        raise ArchiveError(f"{path} exists and is not an archive. Choose a new path for the archive, such as {path}.zarr.")


def _name_of(location: Location | None) -> str:
    return "the in-memory archive" if location is None else str(location)
