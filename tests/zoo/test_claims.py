"""Small files that claim much: what they say is held against what they hold before any memory is taken."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lossatlas.compute.params.checkpoint import read_checkpoint
from lossatlas.errors import InputError
from lossatlas.formats import import_surface
from lossatlas.zoo.data.cifar_files import read_images
from lossatlas.zoo.data.idx import read_idx
from lossatlas.zoo.safe_pickle import read_pickled_arrays

MOST = 32 * 2**20
"""Bytes that refusing a file of a few kilobytes may take at its peak; imports and tracemalloc itself are among them."""
EIGHT_GB = 8 * 10**9


def idx(size: int) -> bytes:
    return bytes([0, 0, 8, 3]) + struct.pack(">III", size, 100, 100) + b"x"


def npz(shape: tuple[int, ...], *names: str) -> bytes:
    """Arrays that say they have this shape, and end after a byte."""
    buffer, header = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(f"{name}.npy", header.getvalue() + b"x")
    return buffer.getvalue()


def tar(size: int) -> bytes:
    """A tar whose extended header says it has this size."""
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.XHDTYPE, size
    return member.tobuf(tarfile.GNU_FORMAT)


def zipped_checkpoint(commands: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", commands)
        file.writestr("archive/version", "3\n")
    return buffer.getvalue()


def old_checkpoint(numel: int) -> bytes:
    """A file of torch before 1.6 with one tensor, whose storage says it has this many numbers."""
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(300)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue().replace(b"M" + struct.pack("<H", 300), b"J" + struct.pack("<i", numel), 1)


def laughs() -> bytes:
    """Lists of lists that unpack to 2**60 entries."""
    commands = b"\x80\x02]q\x00K\x01a"
    for k in range(60):
        commands += b"]q" + bytes([k + 1]) + b"(h" + bytes([k]) + b"h" + bytes([k]) + b"e"
    return b"\x80\x02}X\x06\x00\x00\x00labels" + commands[2:] + b"s."


BYTES8 = b"\x80\x04\x8e" + struct.pack("<Q", EIGHT_GB)
MEMO = b"\x80\x02}r" + struct.pack("<I", 2**30) + b"."
BYTEARRAY = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + EIGHT_GB.to_bytes(5, "little") + b"\x85R."
READERS: dict[str, tuple[str, bytes | Callable[[], bytes], Callable[[Path], Any]]] = {
    "idx": ("a.idx", idx(800_000), lambda file: read_idx(file, 3)),
    "idx.gz": ("a.gz", lambda: gzip.compress(idx(800_000)), lambda file: read_idx(file, 3)),
    "idx.gz within the limit": ("a.gz", lambda: gzip.compress(idx(100_000)), lambda file: read_idx(file, 3)),
    "idx.gz that unpacks to more": ("a.gz", lambda: gzip.compress(idx(1) + bytes(2**28)), lambda file: read_idx(file, 3)),
    "pickle of bytes": ("a", BYTES8, lambda file: read_pickled_arrays(file.read_bytes(), "a")),
    "pickle of a memo": ("a", MEMO, lambda file: read_pickled_arrays(file.read_bytes(), "a")),
    "pickle of laughs": ("a", laughs(), lambda file: read_pickled_arrays(file.read_bytes(), "a")),
    "tar": ("a.tar", tar(EIGHT_GB), lambda file: read_images(file, "test", None)),
    "tar.gz": ("a.tar.gz", lambda: gzip.compress(tar(EIGHT_GB)), lambda file: read_images(file, "test", None)),
    "npz of pictures": ("a.npz", npz((10**6, 3, 32, 32), "train_x", "train_y"), lambda file: read_images(file, "train", None)),
    "npz of a surface": ("a.npz", npz((60_000_000,), "x", "y", "z"), import_surface),
    "checkpoint of bytes": ("a.pt", zipped_checkpoint(BYTES8), read_checkpoint),
    "checkpoint of a bytearray": ("a.pt", zipped_checkpoint(BYTEARRAY), read_checkpoint),
    "plain pickle of bytes": ("a.pt", BYTES8, read_checkpoint),
    "plain pickle of a bytearray": ("a.pt", BYTEARRAY, read_checkpoint),
    "old checkpoint": ("a.pth", old_checkpoint(2**31 - 1), read_checkpoint),
}


@pytest.mark.parametrize("name", READERS)
def test_claims_beyond_the_file_are_refused(name: str, tmp_path: Path) -> None:
    filename, content, reader = READERS[name]
    file = tmp_path / filename
    file.write_bytes(content() if callable(content) else content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            reader(file)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(2**27,), (40_000, 40_000)])
def test_hdf5_that_was_never_written(shape: tuple[int, ...], tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("xcoordinates", (shape[0],), "f8")
        if len(shape) == 2:
            file.create_dataset("ycoordinates", (shape[1],), "f8")
        file.create_dataset("train_loss", shape, "f8")
    assert (tmp_path / "a.h5").stat().st_size < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            import_surface(tmp_path / "a.h5")
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def test_what_is_whole_is_still_read(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(6.0), "seed": 2**62, "time": 1e300}, tmp_path / "new.pt")
    torch.save({"w": torch.arange(6.0), "seed": 2**62}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("new.pt", "old.pt"):
        assert read_checkpoint(tmp_path / name)["w"].tolist() == list(range(6))
    (tmp_path / "plain").write_bytes(pickle.dumps({b"labels": [1, 2]}, protocol=2))
    assert read_pickled_arrays((tmp_path / "plain").read_bytes(), "plain") == {"labels": [1, 2]}
