"""Reader of plain numbers and text from HDF5 files; links to other files are not followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas.errors import InputError, LossatlasError, MissingDependencyError
from lossatlas.formats.files import Location, check_exists, replace_atomically

LARGEST = 16 * 2**30
"""Bytes one array may claim; more than this is damage or malice rather than a direction of a network."""
UNQUESTIONED = 2**20
MOST_RATIO = 1100
"""Bytes unpacked for one stored; Deflate comes near it on constants only, and what was never written takes none."""
LONGEST_TEXT = 2**16


@dataclass(frozen=True)
class File:
    """An open file or a group in it."""

    path: Path
    group: Any

    def __contains__(self, name: str) -> bool:
        return name in self.group

    def keys(self) -> tuple[str, ...]:
        """Names as text; a damaged file can hold names that are none."""
        return tuple(name if isinstance(name, str) else repr(name) for name in self.group)


@contextmanager
def opened(path: Location) -> Iterator[File]:
    """Open for reading.

    Raises:
        InputError: no such file, or not a whole HDF5 file.
        MissingDependencyError: h5py is not installed.
    """
    h5py = _h5py("Reading .h5 files")
    file = check_exists(path)
    try:
        with h5py.File(file, "r") as root:
            yield File(file, root)
    except LossatlasError:
        raise
    except Exception as error:  # HDF5 answers damage with nearly any exception
        raise InputError(str(file), f"a file that cannot be read ({error})", "a whole HDF5 file", "Get the file again") from error


def group(file: File, name: str) -> File:
    if name not in file or not hasattr(_item(file, name), "keys"):
        raise InputError(str(file.path), f"keys {', '.join(file.keys()) or 'none'}", f"a group {name!r}")
    return File(file.path, _item(file, name))


def array(file: File, name: str, ndim: int | None = None) -> NDArray[Any]:
    """A numeric array; floats come as float64 where `ndim` is asked for (coordinates and values), else as stored.

    Raises:
        InputError: not there, no numbers, of other dimension, too large, or kept in another file.
    """
    item = _item(file, name)
    if not hasattr(item, "is_virtual") or item.dtype.kind not in "fiub":
        raise InputError(str(file.path), f"{name} that holds no numbers", "an array of numbers")
    if item.is_virtual or item.external:
        raise InputError(str(file.path), f"{name} that lies in another file", "values in the file itself")
    if ndim is not None and item.ndim != ndim:
        raise InputError(str(file.path), f"{name} of shape {item.shape}", f"{ndim} dimension(s)", "The file is damaged, or of another kind")
    if item.nbytes > LARGEST:
        raise InputError(str(file.path), f"{name} of {item.nbytes:,} bytes", f"at most {LARGEST:,}", "The file is damaged")
    if item.nbytes > UNQUESTIONED and item.nbytes > MOST_RATIO * item.id.get_storage_size():
        stored = f"{name} of {item.nbytes:,} bytes, of which {item.id.get_storage_size():,} are stored"
        raise InputError(str(file.path), stored, "values that were written", "The file is damaged")
    return np.asarray(item[()]) if ndim is None else np.asarray(item[()], np.float64)


def shape(file: File, name: str) -> tuple[int, ...]:
    """Of an array, without reading it."""
    item = _item(file, name)
    if not hasattr(item, "shape") or item.shape is None:
        raise InputError(str(file.path), f"{name} that holds no numbers", "an array of numbers")
    return tuple(item.shape)


def text(file: File, name: str) -> str | None:
    """A string, or None where there is none of that name."""
    if name not in file:
        return None
    item = _item(file, name)
    if not hasattr(item, "is_virtual") or item.is_virtual or item.external or item.shape != () or item.nbytes > LONGEST_TEXT:
        raise InputError(str(file.path), f"{name} that is no text", "one string", "The file is damaged, or of another kind")
    value = item[()]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def write(contents: Mapping[str, Any], path: Location) -> Path:
    """Write arrays, strings, and lists of arrays (as groups with members "0", "1", …), in the order given."""
    h5py = _h5py("Writing .h5 files")
    with replace_atomically(path) as partial, h5py.File(partial, "w") as file:
        for name, value in contents.items():
            if isinstance(value, Sequence) and not isinstance(value, str):
                _write_list(file.create_group(name), value)
            else:
                file[name] = value
    return Path(path)


def _write_list(target: Any, arrays: Sequence[NDArray[Any]]) -> None:
    for index, values in enumerate(arrays):
        target.create_dataset(str(index), data=values)


def _item(file: File, name: str) -> Any:
    link = type(file.group.get(name, getlink=True)).__name__
    if link != "HardLink":
        raise InputError(str(file.path), f"{name} as a {link}", "values in the file itself")
    return file.group[name]


def _h5py(purpose: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(purpose, "hdf5") from error
    return h5py
