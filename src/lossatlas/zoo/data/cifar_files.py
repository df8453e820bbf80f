"""CIFAR-10 file formats: Python batches, binary batches, a tar of either, npz."""

from __future__ import annotations

import gzip
import math
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.bounded_reading import BoundedStream, read_at_most
from lossatlas.errors import InputError
from lossatlas.zoo.safe_pickle import read_pickled_arrays

ImageArrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""images ``(n, 3, 32, 32)``, red plane first, and labels ``(n,)``."""

BATCH = 10_000
PIXELS = 3 * 32 * 32
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_LARGEST = 64 * 2**20
_LARGEST_TAR = 2**29
"""Unpacked; the published ones have 184 MB."""
_REMEDY = "Replace the file with an intact copy"


def read_images(path: Path, split: str, count: int | None) -> ImageArrays:
    """The first `count` pictures of a split from a folder of batches, a tar of them, or an npz.

    Raises:
        InputError: damaged, or of another layout.
    """
    if path.suffix == ".npz":
        return _read_npz(path, split, count)
    batches = [_decode(name, content) for name, content in _batches(path, split, count)]
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return images.reshape(-1, 3, 32, 32), labels


# -- batches -----------------------------------------------------------------------------------------------------


def _batches(path: Path, split: str, count: int | None) -> Iterator[tuple[str, bytes]]:
    """Name and content of as many batches as `count` pictures need, in order."""
    needed = len(BATCHES[split]) if count is None else -(-count // BATCH)
    names = BATCHES[split][:needed]
    if path.is_dir():
        return ((str(file), _whole(file)) for file in (_batch_file(path, name) for name in names))
    return iter(_tar_members(path, names))


def _batch_file(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.bin"):
        if file.exists():
            return file
    raise InputError(str(folder), f"no {name}", f"{name} or {name}.bin beside the other batches", "Unpack the whole of CIFAR-10 there")


def _whole(file: Path) -> bytes:
    if file.stat().st_size > _LARGEST:
        raise InputError(str(file), f"{file.stat().st_size:,} bytes", f"a batch of at most {_LARGEST:,}", _REMEDY)
    return file.read_bytes()


def _tar_members(path: Path, names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Nothing is unpacked to disk. The whole file is read even for one batch, as gzip's checksum stands at its end."""
    members: dict[str, tuple[str, bytes]] = {}
    try:
        with _stream(path) as whole:
            stream = BoundedStream(whole, _LARGEST_TAR)
            tar = tarfile.open(fileobj=cast(Any, stream), mode="r:")  # noqa: SIM115 - nothing is left to be closed
            for member in tar:
                stem = Path(member.name).name.removesuffix(".bin")
                if stem in names and member.isfile() and member.size <= _LARGEST and (handle := tar.extractfile(member)):
                    members[stem] = (f"{path}:{member.name}", handle.read())
            while stream.read(2**20):
                pass
    except Exception as error:  # tarfile and gzip answer damage with nearly any exception
        raise InputError(str(path), f"a broken tar ({error})", "an intact tar of CIFAR-10's batches", _REMEDY) from error
    if missing := [name for name in names if name not in members]:
        raise InputError(str(path), f"a tar without {', '.join(missing)}", "the published tar of CIFAR-10", _REMEDY)
    return [members[name] for name in names]


def _stream(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _decode(name: str, content: bytes) -> ImageArrays:
    return _decode_binary(name, content) if name.endswith(".bin") else _decode_python(name, content)


def _decode_binary(name: str, content: bytes) -> ImageArrays:
    if len(content) != BATCH * (1 + PIXELS):
        raise InputError(name, f"{len(content)} bytes", f"{BATCH * (1 + PIXELS)}: {BATCH} records of 1 + {PIXELS}", _REMEDY)
    records = np.frombuffer(content, np.uint8).reshape(BATCH, 1 + PIXELS)
    return records[:, 1:], records[:, 0]


def _decode_python(name: str, content: bytes) -> ImageArrays:
    batch = read_pickled_arrays(content, name)
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or data.shape != (BATCH, PIXELS):
        raise InputError(name, f"data of shape {getattr(data, 'shape', None)}", f"an array of ({BATCH}, {PIXELS}) bytes", _REMEDY)
    if not isinstance(labels, list) or len(labels) != BATCH or not all(type(v) is int and 0 <= v < 256 for v in labels):
        description = f"a list of {len(labels)}" if isinstance(labels, list) else type(labels).__name__
        raise InputError(name, f"labels that are {description}", f"a list of {BATCH} classes from 0 to 255", _REMEDY)
    return data, np.array(labels, np.uint8)


# -- npz ---------------------------------------------------------------------------------------------------------


def _read_npz(path: Path, split: str, count: int | None) -> ImageArrays:
    """Arrays ``<split>_x`` and ``<split>_y``, decompressed only as far as `count` asks: 8 s for all of train_x, 0.3 s for 1,000."""
    try:
        with zipfile.ZipFile(path) as file:
            images = _npy_head(file, f"{split}_x.npy", count)
            labels = _npy_head(file, f"{split}_y.npy", count)
    except Exception as error:  # zipfile and NumPy answer damage with nearly any exception
        raise InputError(str(path), f"a broken or foreign npz ({error})", "arrays train_x, train_y, test_x, test_y", _REMEDY) from error
    if images.shape[1:] != (3, 32, 32) or labels.ndim != 1:
        raise InputError(str(path), f"{split}_x of shape {images.shape}", "(n, 3, 32, 32) bytes", _REMEDY)
    return images, labels


def _npy_head(file: zipfile.ZipFile, member: str, count: int | None) -> NDArray[np.uint8]:
    with file.open(member) as handle:
        shape, fortran, dtype = _npy_header(handle)
        if dtype != np.uint8 or fortran or not shape:
            raise ValueError(f"{member} holds {dtype} of shape {shape} instead of bytes in row order")
        shape = (shape[0] if count is None else min(count, shape[0]), *shape[1:])
        size = math.prod(shape)
        if size > file.getinfo(member).file_size:
            raise ValueError(f"{member} says {shape} and has {file.getinfo(member).file_size:,} bytes")
        content = read_at_most(handle, size)
    if len(content) != size:
        raise ValueError(f"{member} ends after {len(content)} of {size} bytes")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _npy_header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(handle)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(handle)
