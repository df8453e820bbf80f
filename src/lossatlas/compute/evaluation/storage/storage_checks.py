"""Checks before values are stored: free disk space, and casts to the stored dtype without silent overflow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.text import format_bytes
from lossatlas.errors import InputError

IN_MEMORY = "the in-memory archive"


def check_free_space(location: str, variables: Iterable[schema.Variable], lengths: Mapping[str, int]) -> None:
    """Refuse arrays that would not fit where they go, before anything is computed.

    Raises:
        InputError: more bytes than are free on the disk, or in memory for an archive in memory.
    """
    shapes = [(v, [lengths[dim] for dim in v.dims if dim in lengths]) for v in variables]
    needed = sum(prod(shape) * np.dtype(v.dtype).itemsize for v, shape in shapes)
    place, free = _free_bytes(location)
    if free is not None and needed > free:
        shape = max((shape for _, shape in shapes), key=prod)
        raise InputError(
            "metrics",
            f"an array of {' x '.join(f'{n:,}' for n in shape)} that takes {format_bytes(needed)}",
            f"at most the {format_bytes(free)} that are free {place}",
            'Store fewer digits (sample_losses("float16")), samples or cells, or choose another archive=',
        )


def cast_checked(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Values in the type they are stored in.

    Raises:
        InputError: a finite value that the type calls infinite.

    >>> cast_checked(np.array([1.0, np.inf]), "float16")
    array([ 1., inf], dtype=float16)
    """
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    lost = np.isfinite(values) & ~np.isfinite(stored)
    if lost.any():
        largest = float(np.finfo(np.dtype(dtype)).max)
        raise InputError(
            "dtype", dtype, f"a type for losses up to {np.abs(values[lost]).max():.4g} ({dtype} ends at {largest:g})", "float32"
        )
    return stored


def _free_bytes(location: str) -> tuple[str, int | None]:
    if location == IN_MEMORY:
        return "in memory", _free_memory()
    if "://" in location or (not location.startswith((os.sep, ".")) and not Path(location).parent.exists()):
        return "there", None
    path = Path(location).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return f"on the disk of {location}", shutil.disk_usage(path).free


def _free_memory() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
