"""Direction and projection files of Li et al. 2018: the axes of a plane, and an optimizer's path over it.

A direction file has a group ``xdirection``, on a plane ``ydirection``, with members "0", "1", … in the order of the
model's parameters (or of its state dict); one made by PCA also ``explained_variance_ratio_`` and its like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.errors import InputError
from lossatlas.formats import hdf5
from lossatlas.formats.common import imported
from lossatlas.formats.files import Location

PCA_KEYS = ("explained_variance_ratio_", "singular_values_", "explained_variance_")
PROJECTION = {"path_alpha": "proj_xcoord", "path_beta": "proj_ycoord"}


@dataclass(frozen=True, eq=False)
class Directions:
    """The axes of a plane (y None: of a line), each one array a parameter, and what a PCA said of them."""

    x: list[NDArray[Any]]
    y: list[NDArray[Any]] | None = None
    pca: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def read_directions(path: Location) -> Directions:
    """The directions in a file, dtypes as stored.

    Raises:
        InputError: damaged, or no direction file.
        MissingDependencyError: h5py is not installed.
    """
    with hdf5.opened(path) as file:
        x = _members(hdf5.group(file, "xdirection"))
        y = _members(hdf5.group(file, "ydirection")) if "ydirection" in file else None
        return Directions(x, y, {name: hdf5.array(file, name) for name in PCA_KEYS if name in file})


def write_directions(directions: Directions, path: Location) -> Path:
    """Write a direction file that Li et al.'s tool accepts with ``--dir_file``."""
    second = {} if directions.y is None else {"ydirection": directions.y}
    return hdf5.write({"xdirection": directions.x, **second, **directions.pca}, path)


def by_name(arrays: Sequence[NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Arrays of a direction under the names of the parameters, which `shapes` lists in the model's own order.

    >>> list(by_name([np.zeros((2, 3)), np.zeros(2)], {"weight": (2, 3), "bias": (2,)}))
    ['weight', 'bias']

    Raises:
        InputError: another number of arrays, or one of another shape.
    """
    if len(arrays) != len(shapes):
        allowed = f"{len(shapes)}, one a tensor of the model"
        raise InputError(
            "direction", f"{len(arrays)} arrays", allowed, "Use the state dict's shapes for a file made with --dir_type states"
        )
    for array, (name, shape) in zip(arrays, shapes.items(), strict=True):
        if array.shape != tuple(shape):
            raise InputError("direction", f"shape {array.shape} for {name}", str(tuple(shape)), "Is it the direction of another network?")
    return dict(zip(shapes, arrays, strict=True))


def read_projection(path: Location) -> xr.Dataset:
    """A projected path as a trajectory over ``(step,)``; the file numbers its points but names neither epoch nor loss.

    A file whose name ends in ``_proj_cos.h5`` holds <v, d> / norm(d): coordinates on the plane only where the axes
    are orthonormal. The trajectory's ``note`` then says so.

    Raises:
        InputError: damaged, or no projection file.
        MissingDependencyError: h5py is not installed.
    """
    with hdf5.opened(path) as file:
        for name in PROJECTION.values():
            if name not in file:
                raise InputError(
                    str(file.path), f"keys {', '.join(file.keys()) or 'none'}", "a projection file, with proj_xcoord and proj_ycoord"
                )
        columns = {name: hdf5.array(file, stored, ndim=1) for name, stored in PROJECTION.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise InputError(str(file.path), f"coordinates of lengths {sorted(lengths)}", "as many x as y", "The file is damaged")
    variables = {name: ("step", column, schema.variable(name).attrs) for name, column in columns.items()}
    step = ("step", np.arange(lengths.pop()), schema.variable("step").attrs)
    return xr.Dataset(variables, {"step": step}, _projection_attrs(file.path))


def write_projection(trajectory: xr.Dataset, path: Location) -> Path:
    """Write the plane coordinates of a trajectory as a projection file."""
    if missing := [name for name in PROJECTION if name not in trajectory]:
        raise InputError("trajectory", f"no {', '.join(missing)}", "a trajectory with path_alpha and path_beta")
    return hdf5.write({stored: trajectory[name].values for name, stored in PROJECTION.items()}, path)


def _members(group: hdf5.File) -> list[NDArray[Any]]:
    names = [str(index) for index in range(len(group.keys()))]
    if set(names) != set(group.keys()) or not names:
        raise InputError(str(group.path), f"members {', '.join(group.keys()) or 'none'}", 'members "0", "1", … without a gap')
    return [hdf5.array(group, name) for name in names]


def _projection_attrs(path: Path) -> dict[str, Any]:
    note = "coordinates are <v, d> / norm(d), right only on orthonormal axes" if path.stem.endswith("_proj_cos") else ""
    return {"kind": "trajectory", "label": path.stem, "surface": None, "note": note, "imported": imported("li-h5", path)}
