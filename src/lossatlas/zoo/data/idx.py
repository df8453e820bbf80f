"""Reader of idx files, the format in which MNIST is published.

An idx file opens with the bytes 0 0, a type code (8: unsigned byte) and the number of dimensions, then each
length as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.bounded_reading import read_at_most
from lossatlas.errors import InputError

UNSIGNED_BYTE = 8
LARGEST = 2**30
"""Values that a file may hold; the largest published set of this form, EMNIST, has 0.6 of it."""
_REMEDY = "Replace the file with an intact copy"


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """The array in an idx file of unsigned bytes with `ndim` dimensions.

    Raises:
        InputError: not an idx file, cut short, too long, of another type or dimension, or broken gzip.
    """
    with _unpacked(path) as stream:
        shape = _shape(path, read_at_most(stream, 4 + 4 * ndim), ndim)
        size = math.prod(shape)
        if size > LARGEST:
            raise InputError(str(path), f"a header that says {shape}", f"at most {LARGEST:,} values", _REMEDY)
        content = read_at_most(stream, size + 1)
    if len(content) != size:
        count = f"more than {size}" if len(content) > size else f"{len(content)}"
        raise InputError(str(path), f"{count} bytes of values", f"{size} bytes, as its header says {shape}", _REMEDY)
    return np.frombuffer(content, np.uint8).reshape(shape)


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        head = raw.read(4)
        raw.seek(0)
        if head[:2] != b"\x1f\x8b":
            if path.suffix == ".gz":
                raise InputError(str(path), f"a file that begins {head.hex(' ')!r}", "gzip (1f 8b), as the name ends in .gz", _REMEDY)
            yield raw
            return
        try:
            with gzip.open(raw) as stream:
                yield cast(IO[bytes], stream)
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
