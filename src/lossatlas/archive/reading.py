"""Reading of surfaces and trajectories as Datasets; lost coordinates are rebuilt."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.caller import caller_level
from lossatlas.archive.arrays import AGAIN, array_at, arrays_at, chunk_key, dims_of, group_at, missing_chunks, read_array
from lossatlas.errors import ArchiveError

DEEP = tuple(v.name for v in schema.VARIABLES.values() if set(v.dims) & set(schema.DEPTH))
"""Declared arrays of a surface along an axis beyond the plane; a metric of one's own is told by its dims (`is_deep`)."""


READINGS = 3
"""How often a trajectory is read again whose recorder thins its rows meanwhile."""


def read_surface(root: zarr.Group, location: str, name: str) -> xr.Dataset:
    """A surface over ``(alpha, beta)``, without arrays along axes beyond the plane.

    Raises:
        ArchiveError: its files are damaged.
    """
    with _consistent(name, location):
        path = f"surfaces/{name}"
        attrs, done = dict(group_at(root, path).attrs), array_at(root, f"{path}/done")
        variables: dict[str, Any] = {}
        for axis, length in zip(dims_of(done), done.shape, strict=True):
            variables[axis] = (axis, read_coordinate(root, path, axis, length), schema.variable(axis).attrs)
        for key, array in arrays_at(root, path, but=(*variables, *DEEP)).items():
            if not is_deep(array):
                variables[key] = (dims_of(array), read_array(array), dict(array.attrs))
        metrics: Any = attrs.get("metrics")
        for metric in metrics if isinstance(metrics, list) else ():
            if isinstance(metric, str) and metric.isidentifier() and metric not in DEEP and metric not in variables:
                array_at(root, f"{path}/{metric}")
        surface = xr.Dataset(variables, attrs=attrs)
        if (chunk := _lost_chunk(root, path, surface)) is not None:
            warnings.warn(
                f"The chunk {chunk} of {location} is missing: cells that are done have no value there, and read as NaN. "
                f"Restore the file from a copy; without one, {AGAIN['surfaces']}.",
                stacklevel=caller_level(),
            )
        return surface


def _lost_chunk(root: zarr.Group, path: str, surface: xr.Dataset) -> str | None:
    """The first chunk that is missing, where more of the measured cells are NaN than were when the evaluation ended."""
    known, holes, variables = surface.attrs.get("nan_cells"), surface.attrs.get("holes", {}), surface.variables
    done = variables["done"].values
    metrics = [m for m in surface.attrs.get("metrics", ()) if m in variables and variables[m].dims == variables["done"].dims]
    unexplained = done & np.logical_or.reduce([np.isnan(variables[m].values) for m in metrics]) if metrics else np.zeros_like(done)
    unexplained.flat[[int(cell) for cell in holes]] = False
    if not isinstance(known, int) or unexplained.sum() <= known:
        return None
    arrays = [array_at(root, f"{path}/{metric}") for metric in metrics]
    lost = ((array, index) for array in arrays for index in missing_chunks(array, unexplained))
    return next((f"{array.path}/{chunk_key(array, index)}" for array, index in lost), None)


def is_deep(array: zarr.Array[Any]) -> bool:
    """Does it have an axis of samples or batches beyond the plane, so that it may be larger than memory?"""
    return bool(set(dims_of(array)) & set(schema.DEPTH))


def read_trajectory(root: zarr.Group, location: str, name: str) -> xr.Dataset:
    """A trajectory over ``(step,)``. One whose recorder was killed may have arrays of unequal length; `rows` counts complete steps.

    Raises:
        ArchiveError: its files are damaged.
    """
    with _consistent(name, location):
        path = f"trajectories/{name}"
        dataset = _read_rows(root, location, path)
        for _ in range(READINGS):
            if dict(group_at(root, path).attrs).get("slots") == dataset.attrs.get("slots"):
                break
            # A recorder has thinned the rows meanwhile, and may have written new ones in the place of others.
            dataset = _read_rows(root, location, path)
        return dataset


def _read_rows(root: zarr.Group, location: str, path: str) -> xr.Dataset:
    attrs, variables = dict(group_at(root, path).attrs), {}
    slots = stored_slots(attrs) if "rows" in attrs else None
    for key, array in arrays_at(root, path).items():
        dims = dims_of(array)
        if slots is not None and dims[:1] == ("step",):
            values = read_array(array, slice(int(slots.max(initial=-1)) + 1))[slots]
        else:
            values = read_array(array)
        if dims == (key,) and is_lost(values):
            lost = f"The coordinates {path}/{key} of {location} are lost."
            raise ArchiveError(f"{lost} Restore the file from a copy; without one, {AGAIN['trajectories']}.")
        variables[key] = (dims, values, dict(array.attrs))
    return xr.Dataset(variables, attrs=attrs)


def stored_slots(attrs: Mapping[str, Any]) -> NDArray[np.int64]:
    """Entries of a recording's arrays that hold its complete rows, in the order of their steps, ``(rows,)``.

    >>> stored_slots({"rows": 3}).tolist(), stored_slots({"rows": 2, "slots": [0, 2]}).tolist()
    ([0, 1, 2], [0, 2])
    """
    slots = attrs.get("slots")
    listed = np.arange(int(attrs["rows"])) if slots is None else np.asarray(slots, dtype=np.int64)
    if slots is not None and (len(listed) != int(attrs["rows"]) or (listed < 0).any() or len(np.unique(listed)) != len(listed)):
        raise ValueError("its attribute slots does not list as many different entries as there are rows")
    return listed


@contextmanager
def _consistent(name: str, location: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:  # arrays that do not fit one another
        raise ArchiveError(
            f"{name!r} of {location} cannot be read, some of its files are damaged ({error}). "
            "Restore them from a copy, or make it anew with overwrite=True."
        ) from error


def read_coordinate(root: zarr.Group, path: str, axis: str, length: int) -> NDArray[Any]:
    """The coordinates of a surface along `axis`; lost ones are computed anew from its attribute ``grid``, with a warning.

    Raises:
        ArchiveError: they are lost, and no attribute says what they were.
    """
    values = stored_coordinate(root, path, axis)
    if values is not None:
        return values
    rebuilt = axis_of_grid(dict(root[path].attrs).get("grid"), schema.PLANE.index(axis), length)
    if rebuilt is None:
        raise ArchiveError(
            f"The coordinates {path}/{axis} are lost, and no attribute 'grid' tells what they were. "
            "Restore the file from a copy, or make the surface anew with overwrite=True."
        )
    warnings.warn(
        f"The coordinates {path}/{axis} are lost or damaged; they are rebuilt from the bounds and the resolution on record. "
        "The same evaluation, run again, stores them anew.",
        stacklevel=caller_level(),
    )
    return rebuilt


def stored_coordinate(root: zarr.Group, path: str, axis: str) -> NDArray[Any] | None:
    """The coordinates as they are stored; None where they are lost or damaged."""
    try:
        values = read_array(array_at(root, f"{path}/{axis}"))
    except ArchiveError:
        return None
    return None if is_lost(values) else values


def is_lost(values: NDArray[Any]) -> bool:
    """Are these what Zarr gives in place of a chunk that is not there? Coordinates differ from one another and are finite."""
    return bool(np.isnan(values).all() if values.dtype.kind == "f" and values.size else False) or (len(values) > 1 and not values.any())


def axis_of_grid(grid: Any, position: int, length: int) -> NDArray[np.float64] | None:
    """The equally spaced axis that an attribute ``grid`` describes; None where it describes none of that length.

    >>> axis_of_grid({"bounds": [[-1, 1], [0, 1]], "resolution": [5, 3]}, 1, 3)
    array([0. , 0.5, 1. ])
    """
    try:
        (low, high), count = grid["bounds"][position], grid["resolution"][position]
        axis = np.linspace(float(low), float(high), int(count))
    except (TypeError, ValueError, KeyError, IndexError):
        return None
    if len(axis) != length:
        return None
    # As `Grid` does: rounding must not move the middle of a symmetric range off zero.
    return (axis - axis[::-1]) / 2 if low == -high else axis
