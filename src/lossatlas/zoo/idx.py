"""Read idx files, the form in which MNIST is published, gzipped or plain.

An idx file opens with the bytes 0 0, a type code (8: unsigned byte) and the number of dimensions, then each
length as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossatlas.errors import InputError

UNSIGNED_BYTE = 8
_REMEDY = "Replace the file with an intact copy"


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """The array in an idx file of unsigned bytes with `ndim` dimensions.

    Raises:
        InputError: not an idx file, cut short, too long, of another type or dimension, or broken gzip.
    """
    content = _content(path)
    shape = _shape(path, content, ndim)
    start, size = 4 + 4 * ndim, int(np.prod(shape, dtype=object))
    if len(content) - start != size:
        raise InputError(str(path), f"{len(content) - start} bytes of values", f"{size} bytes, as its header says {shape}", _REMEDY)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        if path.suffix == ".gz":
            raise InputError(str(path), f"a file that begins {raw[:4].hex(' ')!r}", "gzip (1f 8b), as the name ends in .gz", _REMEDY)
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(str(path), f"a broken gzip file ({error})", "an intact one", _REMEDY) from error


def _shape(path: Path, content: bytes, ndim: int) -> tuple[int, ...]:
    magic = bytes([0, 0, UNSIGNED_BYTE, ndim])
    if content[:4] != magic:
        allowed = f"an idx file of unsigned bytes with {ndim} dimension(s), which begins {magic.hex(' ')!r}"
        raise InputError(str(path), f"a file that begins {content[:4].hex(' ')!r}", allowed, _REMEDY)
    if len(content) < 4 + 4 * ndim:
        raise InputError(str(path), f"{len(content)} bytes", f"at least a whole header of {4 + 4 * ndim} bytes", _REMEDY)
    return tuple(int(n) for n in np.frombuffer(content, ">u4", count=ndim, offset=4))
