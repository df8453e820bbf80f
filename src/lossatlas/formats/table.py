"""Surfaces as tables (.csv) and NumPy arrays (.npz).

A CSV has one row a cell: ``alpha,beta,done,loss,…`` (a line has no beta). It holds every bit of the values but no
provenance. An npz of ours holds provenance too, as JSON text. An npz with ``x``, ``y``, ``z`` and z[i, j] at y[i],
x[j] (the form of the ``surfaces_cifar10_viewer`` grids) is read as well.
"""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.archive.checks import checked_surface
from lossatlas.errors import InputError
from lossatlas.formats.common import Array, check_grid, check_size, computed, imported, make_surface
from lossatlas.formats.files import Location, check_exists, replace_atomically

ALIASES = {"x": "alpha", "y": "beta", "z": "loss", "train_loss": "loss"}
TRUE = {"1", "1.0", "true", "yes"}
FALSE = {"0", "0.0", "false", "no"}
UNKNOWN_UNITS = {"loss": {"units": "1", "long_name": "loss"}}


# -- CSV ---------------------------------------------------------------------------------------------------------


def write_csv(dataset: xr.Dataset, path: Location) -> Path:
    """One row a cell in C order, numbers with all their digits; cells that are not done have empty values."""
    axes = _axes(dataset)
    names = [str(name) for name in dataset.data_vars if name != "done" and set(dataset[name].dims) == set(axes)]
    positions = [grid.ravel() for grid in np.meshgrid(*(dataset[axis].values for axis in axes), indexing="ij")]
    columns = [*positions, *(computed(dataset, name).ravel() for name in names)]
    done = _done(dataset, axes).ravel()
    with replace_atomically(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*axes, "done", *names])
        for ready, *numbers in zip(done.tolist(), *(column.tolist() for column in columns), strict=True):
            place, values = numbers[: len(axes)], numbers[len(axes) :]
            writer.writerow([*place, int(ready), *(values if ready else [""] * len(values))])
    return Path(path)


def read_csv(path: Location) -> xr.Dataset:
    """A table with a header: alpha (or x), beta (or y; without it a line), loss (or z), perhaps done and other quantities.

    A table that has a column `done`, as `write_csv` makes it, may hold metrics of one's own under any name.

    Rows may come in any order; a cell without a row, or with an empty value, is not `done`.

    Raises:
        InputError: no header, unknown columns, no numbers, or two rows for one cell.
    """
    file = check_exists(path)
    columns = _read_columns(file)
    axes = [axis for axis in schema.PLANE if axis in columns]
    if axes not in (["alpha"], ["alpha", "beta"]) or set(columns) <= {*axes, "done"}:
        raise InputError(str(file), f"columns {', '.join(columns) or 'none'}", "alpha[, beta], and loss or another quantity")
    coordinates, places = zip(*(np.unique(columns[axis], return_inverse=True) for axis in axes), strict=True)
    shape = tuple(map(len, coordinates))
    check_grid(file, len(columns["alpha"]), shape)
    done = _place(file, columns.get("done", np.ones(len(columns["alpha"]))), places, shape, fill=0.0) == 1.0
    values = {name: _place(file, column, places, shape) for name, column in columns.items() if name not in (*axes, "done")}
    beta = coordinates[1] if len(axes) == 2 else None
    return make_surface(file, coordinates[0], beta, values, done, {"imported": imported("csv", file)}, UNKNOWN_UNITS)


def _read_columns(file: Path) -> dict[str, Array]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            rows = csv.reader(handle)
            header = [_column_name(name.strip()) for name in next(rows, [])]
            table = [row for row in rows if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(file), f"a file that cannot be read ({error})", "a CSV in UTF-8 with commas") from error
    foreign = str.isidentifier if "done" in header else (lambda name: False)  # as `write_csv` writes metrics of one's own
    if unknown := [name for name in header if name != "done" and name not in _plane_names() and not foreign(name)] or _repeated(header):
        raise InputError(str(file), f"columns {', '.join(unknown)}", "each once, of " + ", ".join(("done", *_plane_names())))
    if not table:
        raise InputError(str(file), "no rows", "a header and one row a cell")
    return _parse(file, header, table)


def _column_name(text: str) -> str:
    """Known names in any case; others as they are."""
    name = ALIASES.get(text.lower(), text.lower())
    return name if name in ("done", *_plane_names()) else text


def _parse(file: Path, header: list[str], table: list[list[str]]) -> dict[str, Array]:
    """Columns as numbers. A row is done if its first quantity is there and its `done`, where there is one, is 1 or true."""
    ragged = next((i for i, row in enumerate(table) if len(row) != len(header)), None)
    if ragged is not None:
        raise InputError(str(file), f"{len(table[ragged])} fields in data row {ragged + 1}", f"{len(header)}, as the header has")
    columns = {name: [row[i].strip() for row in table] for i, name in enumerate(header)}
    flags = columns.pop("done", ["1"] * len(table))
    if unknown := {flag.lower() for flag in flags} - TRUE - FALSE:
        raise InputError(str(file), f"done {sorted(unknown)[0]!r}", "1 or 0")
    first = next((column for name, column in columns.items() if name not in schema.PLANE), flags)
    ready = [flag.lower() in TRUE and bool(text) for flag, text in zip(flags, first, strict=True)]
    return {**{name: _floats(file, name, column) for name, column in columns.items()}, "done": np.array(ready, np.float64)}


def _floats(file: Path, name: str, column: list[str]) -> Array:
    try:
        return np.array([float(text) if text or name in schema.PLANE else np.nan for text in column])
    except ValueError as error:
        raise InputError(str(file), f"{name}: {error}", "numbers, nan, inf or nothing") from error


def _place(file: Path, column: Array, places: tuple[NDArray[Any], ...], shape: tuple[int, ...], fill: float = np.nan) -> Array:
    cells = np.ravel_multi_index(places, shape)
    if len(np.unique(cells)) != len(cells):
        raise InputError(str(file), "two rows for one cell", "each pair of coordinates once")
    values = np.full(int(np.prod(shape)), fill)
    values[cells] = column
    return values.reshape(shape)


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _plane_names() -> tuple[str, ...]:
    """Coordinates, metrics and their standard errors: what a column may be called."""
    metrics = [v.name for v in schema.VARIABLES.values() if v.dims == schema.PLANE and v.name != "done"]
    return ("alpha", "beta", *metrics, *(f"{name}{end}" for name in metrics for end in schema.SUFFIXES if end != "_filled"))


# -- npz ---------------------------------------------------------------------------------------------------------


def write_npz(dataset: xr.Dataset, path: Location) -> Path:
    """Every array as it is, and the provenance as JSON text under ``attrs``; `read_npz` gives the same dataset back."""
    axes = _axes(dataset)
    arrays = {str(name): dataset[name].values for name in dataset.variables}
    attrs = {str(name): dataset[name].attrs for name in dataset.variables}
    dims = {str(name): list(dataset[name].dims) for name in dataset.variables}
    text = json.dumps({"axes": axes, "dims": dims, "variables": attrs, "attrs": dataset.attrs})
    with replace_atomically(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays, attrs=np.array(text))
    return Path(path)


def read_npz(path: Location) -> xr.Dataset:
    """A surface from an npz of ours, or from one with ``x``, ``y``, ``z`` and z[i, j] at y[i], x[j].

    Raises:
        InputError: damaged, holding Python objects, or with other arrays.
    """
    file = check_exists(path)
    arrays = _load(file)
    if "attrs" in arrays and "alpha" in arrays:
        return _native_dataset(file, arrays)
    if {"x", "y", "z"} <= arrays.keys():
        return _viewer(file, arrays)
    allowed = "x, y, z with z[i, j] at y[i], x[j], or the arrays that Lossatlas exports"
    raise InputError(str(file), f"arrays {', '.join(arrays) or 'none'}", allowed)


def _load(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            _check_members(file, archive)
        with np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except InputError:
        raise
    except Exception as error:  # zipfile and NumPy answer damage with nearly any exception
        raise InputError(str(file), f"a file that cannot be read ({error})", "an npz of plain arrays", "Get the file again") from error


def _check_members(file: Path, archive: zipfile.ZipFile) -> None:
    """Every header before its array: NumPy makes room for what a header says."""
    total = 0
    for member in archive.infolist():
        with archive.open(member) as handle:
            version = np.lib.format.read_magic(handle)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(handle)
        cells, claimed = math.prod(shape), math.prod(shape) * dtype.itemsize
        check_size(file, cells)
        if claimed > member.file_size:
            raise ValueError(f"{member.filename} says {shape} of {dtype} and has {member.file_size:,} bytes")
        total += claimed
    check_size(file, total // 64)  # eight quantities of eight bytes


def _native_dataset(file: Path, arrays: Mapping[str, NDArray[Any]]) -> xr.Dataset:
    try:
        attrs = json.loads(str(arrays["attrs"]))
        variables = {name: (attrs["dims"][name], arrays[name], attrs["variables"][name]) for name in attrs["dims"]}
        dataset = xr.Dataset(
            {name: value for name, value in variables.items() if name not in attrs["axes"]},
            {name: variables[name] for name in attrs["axes"]},
            attrs["attrs"],
        )
        return checked_surface(dataset)
    except Exception as error:  # text from anywhere has any type and depth
        raise InputError(str(file), f"arrays that do not fit each other ({error})", "a whole npz that Lossatlas exported") from error


def _viewer(file: Path, arrays: Mapping[str, NDArray[Any]]) -> xr.Dataset:
    x, y, z = (arrays[name] for name in ("x", "y", "z"))
    if any(array.dtype.kind not in "fiu" for array in (x, y, z)) or z.shape != (*y.shape, *x.shape):
        raise InputError(str(file), f"z of shape {z.shape}", f"numbers of shape {(*y.shape, *x.shape)}: z[i, j] at y[i], x[j]")
    values = np.asarray(z, np.float64).T
    return make_surface(file, x, y, {"loss": values}, np.ones(values.shape, bool), {"imported": imported("npz", file)}, UNKNOWN_UNITS)


def _axes(dataset: xr.Dataset) -> list[str]:
    axes = [axis for axis in schema.PLANE if axis in dataset.dims]
    if "alpha" not in axes:
        raise InputError("dataset", f"dims {tuple(dataset.dims)}", "a surface over alpha and beta, or a line over alpha")
    return axes


def _done(dataset: xr.Dataset, axes: list[str]) -> NDArray[np.bool_]:
    shape = tuple(dataset.sizes[axis] for axis in axes)
    return dataset["done"].transpose(*axes).values if "done" in dataset else np.ones(shape, bool)
