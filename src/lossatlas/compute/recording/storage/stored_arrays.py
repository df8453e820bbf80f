"""Zarr arrays of a recording: laid out over `step`, grown, and written row by row."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.archive import Archive
from lossatlas.archive.arrays import DAMAGE, create_array, damaged_array, dims_of
from lossatlas.errors import ArchiveError

COLUMNS = 131_072
"""Weights a chunk: 512 KB in float32, few files a step; 1,000 steps of one chunk fit in memory whatever the model's size."""
GROWTH = 64


def write_rows(array: Any, slots: NDArray[np.int64], rows: NDArray[Any]) -> None:
    """Write rows at these positions, in increasing order; an array that is too short grows.

    Freed positions of a thinned recording are every second one: where a chunk holds several rows, one call for all of them changes it
    once. Rows that are chunks of their own are written run by run, which is six times faster than Zarr's selection by positions.
    """
    needed = int(slots[-1]) + 1
    if array.shape[0] < needed:
        # Longer than needed: growing by one row a time would list every chunk each time.
        array.resize((max(needed, 2 * array.shape[0], GROWTH), *array.shape[1:]))
    try:
        if array.chunks[0] > 1 and needed - int(slots[0]) > len(slots):
            array.oindex[(slots, *[slice(None)] * (rows.ndim - 1))] = rows
            return
        for run in np.split(np.arange(len(slots)), np.flatnonzero(np.diff(slots) != 1) + 1):
            array[int(slots[run[0]]) : int(slots[run[-1]]) + 1] = rows[run[0] : run[-1] + 1]
    except DAMAGE as error:  # the rest of a chunk that is changed in part is read
        raise damaged_array(array, error) from error


def lies_over_steps(array: Any) -> bool:
    """Does each row of it belong to a step?"""
    return dims_of(array)[:1] == ("step",)


def declared_like(name: str, values: Any) -> schema.Variable:
    """The variable of `values` in their units."""
    return schema.stored_variable(name, tuple(map(str, values.dims)), str(values.dtype), values.attrs)


def create_variable(group: zarr.Group, declared: schema.Variable, lengths: Mapping[str, int]) -> Any:
    """Lay out a curve."""
    shape = tuple(lengths[dim] for dim in declared.dims)
    chunks = tuple(1024 if dim == "step" and len(shape) == 1 else 64 if dim == "step" else max(lengths[dim], 1) for dim in declared.dims)
    form = {"dtype": declared.dtype, "fill_value": declared.fill_value, "attrs": declared.attrs}
    return create_array(group, declared.name, shape=shape, chunks=chunks, dims=declared.dims, **form)


def create_matrix(group: zarr.Group, name: str, width: int, dtype: str) -> Any:
    """Lay out flat vectors over steps, ``(step, entry)``."""
    columns = max(min(width, COLUMNS), 1)
    # Trained weights do not compress; small models share a chunk among many steps.
    chunks = (max(1, COLUMNS // columns // 16), columns)
    return create_array(group, name, shape=(0, width), chunks=chunks, dtype=dtype, dims=("step", "entry"), compressed=False)


@contextmanager
def cannot_write(archive: Archive) -> Iterator[None]:
    """Say in words, and with the next step, what the system refuses."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f"Cannot write {archive.location}: {error}. The steps stored before are kept; free space, then record again with resume=True."
        ) from error


async def wait_for_pending_writes() -> None:
    """Zarr writes chunks side by side: where one of them fails, the others are waited for."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=60)
