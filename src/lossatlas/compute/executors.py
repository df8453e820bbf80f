"""Who measures the tiles. An executor is given cells and a function from cells to values, and yields finished tiles.

The protocol is small on purpose: the driver alone writes the archive, so threads, processes or a cluster only have
to return values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lossatlas.compute.evaluators import Values
from lossatlas.errors import InputError

Cells = NDArray[np.int64]
Work = Callable[[Cells], Values]

TILE_SECONDS = 1.0
"""Aim of an automatic tile: a killed run loses about this much work."""
TILE_CELLS = 256


class Executor(Protocol):
    """Yields ``(cells, values)`` for all of `cells`, in any order and any grouping."""

    def __call__(self, cells: Cells, work: Work, tile: int | None) -> Iterator[tuple[Cells, Values]]: ...


def serial(cells: Cells, work: Work, tile: int | None) -> Iterator[tuple[Cells, Values]]:
    """One tile after the other in this process; `tile` None grows tiles until each takes about a second."""
    size, start = tile or 1, 0
    while start < len(cells):
        chosen = cells[start : start + size]
        began = time.perf_counter()
        values = work(chosen)
        yield chosen, values
        start += len(chosen)
        if tile is None:
            seconds = max(time.perf_counter() - began, 1e-6)
            size = int(np.clip(len(chosen) * TILE_SECONDS / seconds, 1, min(2 * size, TILE_CELLS)))


EXECUTORS: dict[str, Executor] = {"serial": serial}


def executor_named(name: str) -> Executor:
    """The executor of that name.

    Raises:
        InputError: an unknown name.
    """
    if name not in EXECUTORS:
        raise InputError("executor", name, "one of " + ", ".join(EXECUTORS))
    return EXECUTORS[name]
