"""Reader of pickled dictionaries of arrays, without executing anything that the file names.

CIFAR-10's Python batches are pickles. A pickle is a program: whatever it names gets called. Here the five names
that a NumPy array of bytes needs are answered by the small stand-ins below, and any other name is refused.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from lossatlas._util.bounded_reading import check_pickle
from lossatlas.errors import InputError


class _Token:
    """Something a pickle may name but neither change nor, unless told below, call."""

    __slots__ = ()


class _ByteArray(_Token):
    """Stands where the pickle builds an array; keeps its state and is decoded afterwards, with the sizes checked."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def decode(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        _, shape, dtype, fortran, content = self.state
        if not isinstance(dtype, _ByteType) or not isinstance(content, bytes) or fortran:
            raise pickle.UnpicklingError("an array that is not of bytes in row order")
        return np.frombuffer(content, np.uint8).reshape(shape)


class _ByteType(_Token):
    """Stands for ``numpy.dtype('u1')``."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Reconstruct(_Token):
    __slots__ = ()

    def __call__(self, *_: Any) -> _ByteArray:
        return _ByteArray()


class _Dtype(_Token):
    __slots__ = ()

    def __call__(self, code: Any, *_: Any) -> _ByteType:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        return _ByteType()


class _Encode(_Token):
    """Encoding by which Python 3 writes bytes in protocol 2."""

    __slots__ = ()

    def __call__(self, text: str, codec: str) -> bytes:
        if codec not in ("latin1", b"latin1"):
            raise pickle.UnpicklingError(f"the codec {codec!r}")
        return text.encode("latin1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct,
    ("numpy", "ndarray"): _Token,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return _ALLOWED[module, name]()


def read_pickled_arrays(content: bytes, source: str) -> dict[str, Any]:
    """The dictionary in a pickle, arrays of bytes decoded; nothing in the file is executed.

    Raises:
        InputError: broken, not a dictionary, or naming anything but byte arrays.
    """
    try:
        check_pickle(content, len(content))
        loaded = _Reader(io.BytesIO(content), encoding="bytes").load()
        return {_text(key): value.decode() if isinstance(value, _ByteArray) else value for key, value in loaded.items()}
    except Exception as error:  # a hostile pickle can raise anything
        allowed = "a dictionary of numbers, bytes and byte arrays; anything else is refused, as it could run code"
        raise InputError(source, f"a pickle that cannot be read ({error})", allowed, "Get the file from its publisher") from error


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
