"""Surface files of Li et al. 2018 (tomgoldstein/loss-landscape and its forks), read and written.

Such a file has ``xcoordinates``, on a plane ``ycoordinates``, and for each split ``train_loss``, ``train_acc`` in
percent (``test_…``), perhaps ``min_eig``, ``max_eig``; -1 marks a cell that was not computed (min_eig: +1).

**Index convention.** Values are stored in the order of a mesh whose rows are y: Z[iy, ix] on a square grid. On any
other the tool *declares* the shape (nx, ny) but still fills cells in that order, so its own plots fail or are
scrambled. Nothing is lost: flat index k is y[k // nx], x[k % nx]. Such files are read that way, with a warning,
as another tool may have meant Z[ix, iy] by the same shape (``order="transposed"``).
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas._util.caller import caller_level
from lossatlas.errors import InputError
from lossatlas.formats import hdf5
from lossatlas.formats.common import Array, check_size, computed, imported, make_surface
from lossatlas.formats.files import Location

Order = Literal["auto", "li", "transposed"]

UNFINISHED = -1.0
AXES = ("xcoordinates", "ycoordinates")
EIGENVALUES = {"lambda_min": ("min_eig", 1.0), "lambda_max": ("max_eig", UNFINISHED)}
"""Our name: the file's name, and what marks a cell that was not computed."""
LI_LAYOUT = "declared (nx, ny), filled row by row in y"


def read_surface(path: Location, split: str | None = None, order: Order = "auto", units: str = "1") -> xr.Dataset:
    """One surface of a file: loss, accuracy as a fraction, Hessian extremes where they are there.

    Args:
        split: "train" or "test"; None takes "train" where the file has it.
        order: how values lie where the grid is not square. "auto" as the module says, "transposed" for Z[ix, iy].
        units: of the loss; the file does not say which loss it is.

    Returns:
        dims ``("alpha", "beta")`` with alpha = x and beta = y, or ``("alpha",)``; unfinished cells are not `done`.

    Raises:
        InputError: damaged, no surface file, no such split, or shapes that do not fit.
        MissingDependencyError: h5py is not installed.
    """
    if order not in get_args(Order):
        raise InputError("order", order, " or ".join(map(repr, get_args(Order))))
    with hdf5.opened(path) as file:
        split = _split(file, split)
        named = [name for name in AXES if name in file]
        check_size(file.path, math.prod(math.prod(hdf5.shape(file, name)) for name in named))
        axes = [hdf5.array(file, name, ndim=1) for name in named]
        stored = {name: file_name for name, file_name in _stored_names(split).items() if file_name in file}
        raw = {name: _oriented(file, file_name, axes, order) for name, file_name in stored.items()}
        layout = LI_LAYOUT if any(_is_li_layout(hdf5.shape(file, n), axes) for n in stored.values()) else "rows are y"
        dir_file = hdf5.text(file, "dir_file")
    values, done = _decoded(raw)
    beta = axes[1] if len(axes) == 2 else None
    details = {"dir_file": dir_file, "layout": layout, "eigenvalues": "lambda_min" in raw}
    attrs = {"imported": imported("li-h5", file.path, **details), "plane": _plane(dir_file, len(axes)), "objective": _objective(split)}
    return make_surface(file.path, axes[0], beta, values, done, attrs, {"loss": {"units": units, "long_name": f"{split} loss"}})


def read_splits(path: Location) -> tuple[str, ...]:
    """The splits a file has surfaces of, "train" first."""
    with hdf5.opened(path) as file:
        return _splits(file)


def write_surface(dataset: xr.Dataset, path: Location) -> Path:
    """Write one surface; `write_splits` with one dataset."""
    return write_splits((dataset,), path)


def write_splits(datasets: Sequence[xr.Dataset], path: Location) -> Path:
    """Write surfaces over the same grid, one a split (``attrs["objective"]["split"]``, else "train"), as one file.

    Rows are y, shape (ny, nx), which Li's plots and mesh tool read rightly; an imported file that was declared
    (nx, ny) is written back so. Cells that are not done become -1.

    Raises:
        InputError: grids that differ, a split twice, or a computed loss of exactly -1, which the format cannot hold.
        MissingDependencyError: h5py is not installed.
    """
    return hdf5.write(_contents(datasets), path)


# -- reading -----------------------------------------------------------------------------------------------------


def _stored_names(split: str) -> dict[str, str]:
    eigenvalues = {name: stored for name, (stored, _) in EIGENVALUES.items()} if split == "train" else {}
    return {"loss": f"{split}_loss", "accuracy": f"{split}_acc", **eigenvalues}


def _splits(file: hdf5.File) -> tuple[str, ...]:
    has_eigenvalues = any(stored in file for stored, _ in EIGENVALUES.values())
    return tuple(s for s in ("train", "test") if f"{s}_loss" in file or (s == "train" and has_eigenvalues))


def _split(file: hdf5.File, split: str | None) -> str:
    known = _splits(file)
    if AXES[0] not in file or not known:
        kind = "a direction file; read it with read_directions" if "xdirection" in file else f"keys {', '.join(file.keys()) or 'none'}"
        raise InputError(str(file.path), kind, "a surface file, with xcoordinates and train_loss or test_loss")
    if split is not None and split not in known:
        raise InputError("split", split, " or ".join(map(repr, known)) + f", which {file.path.name} has")
    return split or known[0]


def _oriented(file: hdf5.File, name: str, axes: list[Array], order: Order) -> Array:
    """The values as ``(x, y)``."""
    raw = hdf5.array(file, name, ndim=len(axes))
    if len(axes) == 1 or (order == "transposed" and raw.shape == (len(axes[0]), len(axes[1]))):
        return raw
    nx, ny = map(len, axes)
    if raw.shape == (ny, nx):
        return raw.T
    if _is_li_layout(raw.shape, axes):
        _warn_of_li_layout(file.path, order)
        return raw.reshape(ny, nx).T
    raise InputError(
        str(file.path), f"{name} of shape {raw.shape}", f"{ny} rows of {nx}, as the coordinates have it", "The file is damaged"
    )


def _is_li_layout(shape: tuple[int, ...], axes: list[Array]) -> bool:
    return len(axes) == 2 and shape == (len(axes[0]), len(axes[1])) and shape[0] != shape[1]


def _warn_of_li_layout(path: Path, order: Order) -> None:
    if order == "auto":
        warnings.warn(
            f"{path.name} is not square and declares its shape as (x, y). It is read as Li et al.'s tool fills it, row by row "
            "in y. If another tool wrote it with Z[ix, iy], read it with order='transposed'; order='li' silences this.",
            UserWarning,
            stacklevel=caller_level(),
        )


def _decoded(raw: Mapping[str, Array]) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """Percent to fraction, marks of unfinished cells to NaN, and the mask of the leading quantity."""
    leading = "loss" if "loss" in raw else next(name for name in ("lambda_max", "lambda_min") if name in raw)
    done = raw[leading] != _mark(leading)
    values = {name: np.where(array == _mark(name), np.nan, array) for name, array in raw.items() if name != leading}
    if "accuracy" in values:
        values["accuracy"] = values["accuracy"] / 100
    return {leading: raw[leading], **values}, done


def _mark(name: str) -> float:
    return EIGENVALUES[name][1] if name in EIGENVALUES else UNFINISHED


def _objective(split: str) -> dict[str, Any]:
    return {"split": split, "note": "imported: the file does not state the loss function, the model or the number of samples"}


def _plane(dir_file: str | None, axes: int) -> dict[str, Any]:
    """Plane as the direction file's name describes it: normalization, biases left alone, PCA. The model stands at 0."""
    name = dir_file or ""
    normalize = re.search(r"xnorm=(filter|layer|weight)", name)
    plane: dict[str, Any] = {"kind": "pca" if "PCA" in name else "explicit", "origin": [0.0] * axes, "axis_labels": ["x", "y"][:axes]}
    if normalize:
        plane["normalize"] = normalize[1]
    if "ignore=biasbn" in name:
        plane["biases"] = False
    return plane


# -- writing -----------------------------------------------------------------------------------------------------


def _contents(datasets: Sequence[xr.Dataset]) -> dict[str, Any]:
    contents: dict[str, Any] = {}
    for dataset in datasets:
        _check_same_grid(datasets[0], dataset)
        split = (dataset.attrs.get("objective") or {}).get("split") or "train"
        new = _encoded(dataset, _stored_names(split))
        if twice := contents.keys() & new.keys():
            raise InputError("datasets", f"two surfaces for {', '.join(sorted(twice))}", "one a split")
        contents.update(new)
    if not contents:
        raise InputError("dataset", "no loss, accuracy or Hessian extremes", "at least one quantity that the format knows")
    axes = {stored: datasets[0][axis].values for stored, axis in zip(AXES, ("alpha", "beta"), strict=True) if axis in datasets[0].dims}
    dir_file = (datasets[0].attrs.get("imported") or {}).get("dir_file")
    return {**({"dir_file": dir_file} if dir_file else {}), **axes, **contents}


def _encoded(dataset: xr.Dataset, stored_names: Mapping[str, str]) -> dict[str, Array]:
    layout = (dataset.attrs.get("imported") or {}).get("layout")
    encoded = {}
    for name, stored in stored_names.items():
        if name in dataset:
            rows = _marked(dataset, name).T
            encoded[stored] = np.ascontiguousarray(rows).reshape(rows.T.shape) if layout == LI_LAYOUT else rows
    return encoded


def _marked(dataset: xr.Dataset, name: str) -> Array:
    """Values with the format's mark in cells that are not done; NaN that was computed stays, but for eigenvalues."""
    values = computed(dataset, name)
    done = dataset["done"].transpose(*(axis for axis in ("alpha", "beta") if axis in dataset.dims)).values if "done" in dataset else True
    unfinished = np.isnan(values) if name in EIGENVALUES else np.broadcast_to(np.logical_not(done), values.shape)
    if name == "loss" and (values[~unfinished] == UNFINISHED).any():
        allowed = "losses other than exactly -1, which Li's format reserves for cells not computed"
        raise InputError("dataset", "a computed loss of -1", allowed, "Export to .npz or .csv instead")
    return np.where(unfinished, _mark(name), to_percent(values) if name == "accuracy" else values)


def to_percent(fraction: Array) -> Array:
    """``100 k / n`` exactly as a counting tool rounds it, where `fraction` is near a ratio of counts below a million.

    Times 100 alone would change the last bit of one value in nine, and a file would not be written back equal.

    >>> float(to_percent(np.array([(100.0 * 7 / 60000) / 100]))[0]) == 100.0 * 7 / 60000
    True
    """
    unique, where = np.unique(fraction, return_inverse=True)
    return np.array([_percent(value) for value in unique.tolist()])[where].reshape(fraction.shape)


def _percent(fraction: float) -> float:
    if not np.isfinite(fraction):
        return fraction
    ratio = Fraction(fraction).limit_denominator(10**6)
    percent = 100 * ratio.numerator / ratio.denominator
    return percent if abs(percent / 100 - fraction) <= 2 * np.spacing(fraction) else fraction * 100


def _check_same_grid(first: xr.Dataset, dataset: xr.Dataset) -> None:
    axes = [axis for axis in ("alpha", "beta") if axis in first.dims]
    if set(axes) != set(dataset.sizes) or any(not np.array_equal(first[axis], dataset[axis]) for axis in axes):
        raise InputError("datasets", "surfaces over different grids", "the same coordinates in each")
