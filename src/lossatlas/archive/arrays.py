"""Arrays and groups of an archive: created with checksums, read with errors that name what is damaged.

Every chunk ends in its CRC-32C, a codec of Zarr v3 itself, so that a flipped bit is an error and no other value. Arrays of
archives that were written without it are read as ever.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from lossatlas import schema
from lossatlas.archive.memory import MemoryArray, MemoryGroup
from lossatlas.errors import ArchiveError, LossatlasError

CHUNK = 64
"""Cells along each side of a chunk: one small file for usual grids, a bounded write for very large ones."""

DEEP_CHUNK = 4 * 2**20
"""Bytes of a chunk of an array with an axis beyond the plane."""

CHECKED = (Crc32cCodec(),)
COMPRESSED = (ZstdCodec(), *CHECKED)
"""The checksum is of the compressed bytes, so it is compared before anything is unpacked."""

DAMAGE = (ValueError, RuntimeError)
"""What the codecs raise."""

NODES = zarr.Group | zarr.Array | MemoryGroup | MemoryArray
"""What lies in an archive; those in memory have the methods of Zarr's own that are used here, and pass for them in signatures."""

AGAIN = {
    "surfaces": "run the same evaluation again, which measures the cells of damaged chunks anew, or replace it all with overwrite=True",
    "trajectories": "record the run anew with overwrite=True",
}
"""What helps where there is no copy, by kind."""


def create_array(
    group: zarr.Group,
    name: str,
    *,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: Any,
    dims: tuple[str, ...] | None,
    fill_value: Any = 0,
    attrs: Mapping[str, Any] | None = None,
    compressed: bool = True,
) -> zarr.Array[Any]:
    """An empty array whose chunks carry a checksum; one of that name is replaced, also a damaged one."""
    if isinstance(group, MemoryGroup):
        return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, dims=dims, fill_value=fill_value, attrs=attrs)  # type: ignore[return-value]
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        fill_value=fill_value,
        dimension_names=dims,
        attributes=dict(attrs or {}),
        compressors=COMPRESSED if compressed else CHECKED,
        overwrite=True,
    )


def create_declared(group: zarr.Group, declared: schema.Variable, lengths: Mapping[str, int]) -> zarr.Array[Any]:
    """An empty array of a surface or a trajectory, as `schema` declares it."""
    dims = tuple(dim for dim in declared.dims if dim in lengths)
    shape = tuple(lengths[dim] for dim in dims)
    # A coordinate or a trajectory is read whole; only plane variables are cut into chunks.
    chunks = tuple(min(n, CHUNK) for n in shape) if dims and dims[0] == "alpha" and len(dims) > 1 else tuple(max(n, 1) for n in shape)
    if _is_deep(declared):
        chunks = _deep_chunks(shape, np.dtype(declared.dtype).itemsize)
    form = {"dtype": declared.dtype, "fill_value": declared.fill_value, "attrs": declared.attrs}
    return create_array(group, declared.name, shape=shape, chunks=chunks, dims=dims, **form)


def _is_deep(declared: schema.Variable) -> bool:
    """Over a plane and one axis more, such as samples."""
    return len(declared.dims) == 3 and declared.dims[:2] == schema.PLANE


def _deep_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Whole cells, as many of a row as fit `DEEP_CHUNK`: a tile writes its own cells, and readers stream cell by cell."""
    depth = min(shape[-1], max(1, DEEP_CHUNK // itemsize))
    along = max(1, min(shape[-2], DEEP_CHUNK // (depth * itemsize)))
    return (1,) * (len(shape) - 2) + (along, depth)


def write_cells(array: zarr.Array[Any], where: tuple[NDArray[np.intp], ...], value: NDArray[Any]) -> None:
    """Store values of cells; of a chunk that is changed in part the rest is read, so that a damaged one is noticed here too."""
    try:
        _write_cells(array, where, value)
    except DAMAGE as error:
        raise damaged_array(array, error) from error


def _write_cells(array: zarr.Array[Any], where: tuple[NDArray[np.intp], ...], value: NDArray[Any]) -> None:
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


def read_array(array: zarr.Array[Any], selection: Any = ...) -> NDArray[Any]:
    """Read a stored array, or a selection of it.

    Raises:
        ArchiveError: a chunk is damaged; it is named.
    """
    try:
        return np.asarray(array[selection])
    except (*DAMAGE, OSError) as error:
        raise damaged_array(array, error) from error


def damaged_array(array: zarr.Array[Any], error: Exception) -> ArchiveError:
    """The error that names the first damaged chunk of an array."""
    what = array.path
    with suppress(Exception):  # nothing can be read at all
        what = f"{what}/{next(chunk_key(array, index) for index in damaged_chunks(array))}"
    place, again = _place(array.store), AGAIN.get(array.path.split("/")[0], "make it anew with overwrite=True")
    return ArchiveError(f"The chunk {what} of {place} is damaged ({_reason(error)}). Restore the file from a copy; without one, {again}.")


def damaged_chunks(array: zarr.Array[Any]) -> Iterator[tuple[int, ...]]:
    """Indices of the chunks whose bytes are not what was stored; a store that cannot be reached raises its own error."""
    counts = [-(-length // size) for length, size in zip(array.shape, array.chunks, strict=True)]
    for index in itertools.product(*map(range, counts)):
        try:
            array[chunk_cells(array, index)]
        except DAMAGE:
            yield index


def missing_chunks(array: zarr.Array[Any], needed: NDArray[np.bool_]) -> Iterator[tuple[int, ...]]:
    """Indices of the chunks that are not stored although they hold a cell of `needed`; Zarr stores none of nothing but fill values."""
    if isinstance(array, MemoryArray):
        return
    for index in np.ndindex(*(-(-length // size) for length, size in zip(array.shape, array.chunks, strict=True))):
        if needed[chunk_cells(array, index)].any() and not sync((array.store_path / chunk_key(array, index)).exists()):
            yield index


def chunk_cells(array: zarr.Array[Any], index: tuple[int, ...]) -> tuple[slice, ...]:
    """The part of an array that a chunk holds."""
    return tuple(slice(i * size, min((i + 1) * size, n)) for i, size, n in zip(index, array.chunks, array.shape, strict=True))


def chunk_key(array: zarr.Array[Any], index: tuple[int, ...]) -> str:
    """The name of a chunk's file in the array's folder, such as ``c/0/1``."""
    return array.metadata.encode_chunk_key(index)


def delete_chunk(array: zarr.Array[Any], index: tuple[int, ...]) -> None:
    """Remove a chunk; its values are the fill value then."""
    sync((array.store_path / chunk_key(array, index)).delete())


def group_at(root: zarr.Group, path: str) -> zarr.Group:
    """The group at `path`.

    Raises:
        ArchiveError: it or the whole archive is not there, or its metadata are damaged.
    """
    return _node(root, path, zarr.Group | MemoryGroup)


def array_at(root: zarr.Group, path: str) -> zarr.Array[Any]:
    """The array at `path`.

    Raises:
        ArchiveError: it or the whole archive is not there, or its metadata are damaged.
    """
    return _node(root, path, zarr.Array | MemoryArray)


def arrays_at(root: zarr.Group, path: str, but: Container[str] = ()) -> dict[str, zarr.Array[Any]]:
    """Every array of a group but those of some names; what is no Zarr at all, such as a stray file, is passed over.

    Raises:
        ArchiveError: the metadata of one of them are lost or damaged.
    """
    paths = {name: _join(path, name) for name in children(root, path) if name not in but}
    nodes = {name: _node(root, full, NODES) for name, full in paths.items() if exists(root, full)}
    return {name: node for name, node in nodes.items() if isinstance(node, zarr.Array | MemoryArray)}  # type: ignore[misc]


def dims_of(array: zarr.Array[Any]) -> tuple[str, ...]:
    if isinstance(array, MemoryArray):
        return array.dims
    return tuple(str(dim) for dim in array.metadata.dimension_names or ())  # type: ignore[union-attr]


def children(group: zarr.Group, path: str = "") -> tuple[str, ...]:
    """Names of what lies below `path`, in alphabetical order, also of what has lost its metadata."""
    if isinstance(group, MemoryGroup):
        below = group.get(path)
        return tuple(sorted(below.keys())) if isinstance(below, MemoryGroup) else ()
    names = sync(_listed(group.store, _join(group.path, path)))
    return tuple(sorted(name for name in names if name != "zarr.json" and not name.startswith(".")))


def exists(group: zarr.Group, path: str) -> bool:
    """Is there anything at `path`, be it chunks without metadata or metadata without chunks?"""
    return has_metadata(group, path) or bool(children(group, path))


def has_metadata(group: zarr.Group, path: str) -> bool:
    if isinstance(group, MemoryGroup):
        return path in group
    return sync(group.store.exists(_join(group.path, f"{path}/zarr.json")))


def replace_group(root: zarr.Group, kind: str, name: str, attrs: Mapping[str, Any]) -> zarr.Group:
    """An empty group in place of whatever lies there; damaged metadata on the way to it are written anew."""
    if not has_metadata(root, kind) or not _is_readable(root, kind):
        if isinstance(root, MemoryGroup):
            return root.create_group(f"{kind}/{name}", attributes=attrs)  # type: ignore[return-value]
        write_group(root.store, _join(root.path, kind), {})
    delete_group(root, f"{kind}/{name}")
    return root.create_group(f"{kind}/{name}", overwrite=True, attributes=dict(attrs))


def _is_readable(root: zarr.Group, path: str) -> bool:
    try:
        group_at(root, path)
    except ArchiveError:
        return False
    return True


def delete_group(root: zarr.Group, path: str) -> None:
    """Remove whatever lies at `path`, also without metadata."""
    if not isinstance(root, MemoryGroup):
        sync(root.store.delete_dir(_join(root.path, path)))
    elif path in root:
        del root[path]


def write_group(store: Store, path: str, attrs: Mapping[str, Any]) -> None:
    """Write the metadata of a group and leave what lies in it."""
    text = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": dict(attrs)})
    sync(store.set(_join(path, "zarr.json"), default_buffer_prototype().buffer.from_bytes(text.encode())))


def archive_is_gone(location: str) -> ArchiveError:
    """The error that an archive deserves which was there when it was opened."""
    return ArchiveError(
        f"The archive {location} is no longer there: it was moved, deleted or replaced after it was opened, and nothing more is written. "
        "What was stored before is where it went; put it back and run the same call again, or begin anew with another archive=."
    )


def _node(root: zarr.Group, path: str, kind: Any) -> Any:
    try:
        node = root[path]
        if not isinstance(node, kind):
            raise TypeError(f"it describes no {kind.__name__.lower()}")
        return node
    except LossatlasError:
        raise
    except Exception as error:
        place = _place(root.store)
        if not isinstance(root, MemoryGroup) and not sync(root.store.exists("zarr.json")):
            raise archive_is_gone(place) from error
        state = f"damaged ({type(error).__name__})" if has_metadata(root, path) else "missing"
        full = _join(root.path, path)
        again = "make it anew with overwrite=True"
        raise ArchiveError(
            f"The file {full}/zarr.json of {place} is {state}, so that {full} cannot be read. Restore it from a copy, or {again}."
        ) from error


async def _listed(store: Store, prefix: str) -> list[str]:
    return [name async for name in store.list_dir(prefix)]


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _place(store: Store) -> str:
    return str(getattr(store, "root", store))


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
