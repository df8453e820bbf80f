"""Checks shared by loaders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossatlas.errors import InputError


def check_choice(argument: str, value: str, allowed: Iterable[str]) -> str:
    """`value`, if it is one of `allowed`."""
    known = tuple(allowed)
    if value not in known:
        raise InputError(argument, value, " or ".join(repr(name) for name in known))
    return value


def check_labels(labels: NDArray[np.uint8], pictures: int, classes: int, path: Path) -> NDArray[np.int64]:
    """Labels as int64, one a picture and each below `classes`."""
    if len(labels) != pictures:
        raise InputError(str(path), f"{len(labels)} labels", f"{pictures}, one a picture", "Take both from the same set")
    if len(labels) and labels.max() >= classes:
        raise InputError(str(path), f"label {labels.max()}", f"labels from 0 to {classes - 1}", "Replace the file with an intact copy")
    return labels.astype(np.int64)
