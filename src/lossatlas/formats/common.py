"""Shared parts of importers: arrays in, a checked surface Dataset out, and the other way round.

Torch is never imported, and no file is executed: readers take numbers and text, nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.errors import InputError

Array = NDArray[np.float64]

MOST_CELLS = 2**26
"""Cells a foreign surface may have, 512 MB each quantity: a header that claims more is damaged or hostile."""

UNKNOWN = "imported: the file does not state the loss function or the data"


def make_surface(
    source: Path,
    alpha: NDArray[Any],
    beta: NDArray[Any] | None,
    values: Mapping[str, Array],
    done: NDArray[np.bool_],
    attrs: Mapping[str, Any],
    attrs_of: Mapping[str, Mapping[str, str]] | None = None,
) -> xr.Dataset:
    """A surface as `archive.surface` gives it.

    Args:
        source: the file, for errors and provenance.
        alpha, beta: coordinates ``(na,)``, ``(nb,)``; beta None makes a line. They are put in increasing order.
        values: by variable, ``(na, nb)`` or ``(na,)``; cells that are not `done` become NaN.
        done: which cells were computed, of the same shape.
        attrs: provenance that the file gives, added to what every import states.
        attrs_of: by variable, attributes that replace the schema's ``units`` and ``long_name``.

    Raises:
        InputError: coordinates that are not finite or repeat, or values of another shape.
    """
    axes = {"alpha": alpha} if beta is None else {"alpha": alpha, "beta": beta}
    coordinates = {name: _coordinate(source, name, axis) for name, axis in axes.items()}
    order = np.ix_(*(np.argsort(axis, kind="stable") for axis in coordinates.values()))
    shape = tuple(map(len, coordinates.values()))
    variables = {}
    for name, array in {"done": done, **values}.items():
        if array.shape != shape:
            raise InputError(str(source), f"{name} of shape {array.shape}", f"{shape}, as the coordinates have it")
        filled = array if name == "done" else np.where(done, array, np.nan)
        declared = schema.stored_variable(name, tuple(axes), "float64", {})
        variables[name] = (tuple(axes), filled[order], {**declared.attrs, **(attrs_of or {}).get(name, {})})
    coords = {name: (name, np.sort(axis), schema.variable(name).attrs) for name, axis in coordinates.items()}
    return xr.Dataset(variables, coords, {**_base_attrs(source, coords, values), **attrs})


def computed(dataset: xr.Dataset, quantity: str) -> Array:
    """Values of `quantity`, ``(alpha, beta)`` or ``(alpha,)``, with NaN where nothing was computed.

    Raises:
        InputError: the surface has no such quantity.
    """
    known = [str(name) for name in dataset.data_vars if name != "done"]
    if quantity not in known:
        raise InputError("quantity", quantity, "one of the surface's own: " + ", ".join(known))
    axes = [axis for axis in schema.PLANE if axis in dataset.dims]
    values = dataset[quantity].transpose(*axes).values.astype(np.float64)
    return np.where(dataset["done"].transpose(*axes).values, values, np.nan) if "done" in dataset else values


def check_size(source: Path, cells: int) -> None:
    if cells > MOST_CELLS:
        raise InputError(str(source), f"a surface of {cells:,} cells", f"at most {MOST_CELLS:,}", "The file is damaged, or no surface")


def check_grid(source: Path, points: int, shape: tuple[int, ...]) -> None:
    """Loose points make a grid only if they fill a fair part of it; a path, say, has new coordinates at each point."""
    cells = int(np.prod(shape, dtype=object))
    check_size(source, cells)
    if cells > max(64 * points, 4096):
        raise InputError(str(source), f"{points} points over {'x'.join(map(str, shape))} coordinates", "points on a grid")


def imported(format_name: str, source: Path, **details: Any) -> dict[str, Any]:
    """The provenance attribute of an import: format, file name and its checksum."""
    with source.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {"format": format_name, "file": source.name, "sha256": checksum, **details}


def _coordinate(source: Path, name: str, values: NDArray[Any]) -> Array:
    axis = np.asarray(values, np.float64)
    if axis.ndim != 1 or not len(axis) or not np.isfinite(axis).all() or len(np.unique(axis)) != len(axis):
        allowed = "one finite number for each position, none twice"
        raise InputError(str(source), f"{name} coordinates {np.array2string(axis, threshold=6)}", allowed)
    return axis


def _base_attrs(source: Path, coords: Mapping[str, Any], values: Mapping[str, Array]) -> dict[str, Any]:
    grid = {
        "bounds": [[float(axis[0]), float(axis[-1])] for _, axis, _ in coords.values()],
        "resolution": [len(axis) for _, axis, _ in coords.values()],
    }
    return {"kind": "surface", "title": source.stem, "metrics": list(values), "grid": grid, "objective": {"note": UNKNOWN}}
