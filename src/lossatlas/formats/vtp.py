"""VTK PolyData (.vtp) for ParaView: the mesh that Li et al.'s ``h52vtp.py`` makes, of any shape and without faked cells.

XML, ASCII: points (x, y, z) with x running first, a quad for each four neighbors (i, i+1, i+n+1, i+n), a point array
``zvalue`` and a cell array ``averaged zvalue``. Points without a finite value are left out, and with them their quads.

Beyond that tool, every metric of the surface is a point array by its own name, and each optimizer path a polyline at the height of
its own loss; its points come after the mesh's, with the arrays ``path`` (0, 1, …; -1 on the mesh), ``step`` and ``residual`` (the
distance from the plane). What may hold NaN is written in base64, for VTK reads no NaN in ASCII.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.errors import InputError
from lossatlas.formats.common import Array, check_grid, computed, imported, make_surface
from lossatlas.formats.files import Location, check_exists, replace_atomically

OFFSET = 0.1
"""What h52vtp.py adds before it takes the logarithm."""


def write_vtp(
    dataset: xr.Dataset,
    path: Location,
    *,
    quantity: str = "loss",
    zmax: float | None = None,
    log: bool = False,
    paths: Sequence[xr.Dataset] = (),
) -> Path:
    """Write a surface as a mesh with heights ``z = log(min(value, zmax) + 0.1)`` or parts of that, with all its metrics and paths.

    Args:
        quantity: which of the surface's quantities is the height.
        zmax: greater values are cut to this; None keeps them.
        log: take the natural logarithm of z + 0.1; values at or below -0.1 then have no point.
        paths: projected trajectories on the surface's plane. A path without a measured quantity lies on the surface.

    Raises:
        InputError: a line, an unknown quantity, a path without coordinates, or no finite value at all.
    """
    if "beta" not in dataset.dims:
        raise InputError("dataset", "a line", "a surface over alpha and beta", "Export a line to .csv")
    if any("path_beta" not in one for one in paths):
        raise InputError("paths", "a trajectory without path_alpha and path_beta", "trajectories that la.project_trajectory made")
    heights = _heights(computed(dataset, quantity), zmax, log)
    if not np.isfinite(heights).any():
        raise InputError("dataset", f"no finite {quantity}", "at least one computed finite value")
    metrics = {str(n): computed(dataset, str(n)) for n, v in dataset.data_vars.items() if n != "done" and set(v.dims) == {"alpha", "beta"}}
    lines = [_polyline(one, dataset, quantity, metrics, lambda values: _heights(values, zmax, log)) for one in paths]
    with replace_atomically(path) as partial, partial.open("w", encoding="ascii", newline="\n") as file:
        _write_mesh(file, dataset["alpha"].values, dataset["beta"].values, heights, metrics, lines)
    return Path(path)


def read_vtp(path: Location) -> xr.Dataset:
    """The heights in a mesh over a grid, as they stand there, under the name ``loss``, and other metrics under their own names.

    Paths are left out. Grid positions without a point are not `done`. What was done to the values is told by ``long_name``, as far as
    the file's name says it (``_zmax=10.0_log.vtp``).

    Raises:
        InputError: damaged, binary, or points that lie on no grid.
    """
    file = check_exists(path)
    points, zvalue, metrics = _read_points(file)
    alpha, column = np.unique(points[:, 0], return_inverse=True)
    beta, row = np.unique(points[:, 1], return_inverse=True)
    check_grid(file, len(points), (len(alpha), len(beta)))
    shape = len(alpha), len(beta)
    values, count = {name: np.full(shape, np.nan) for name in ("loss", *metrics)}, np.zeros(shape, np.int64)
    for name, value in {**metrics, "loss": zvalue}.items():
        values[name][column, row] = value
    np.add.at(count, (column, row), 1)
    if count.max(initial=0) > 1:
        raise InputError(str(file), "two points at one x and y", "one height each: a surface, not a folded mesh")
    attrs = {"imported": imported("vtp", file)}
    variable_attrs = {"loss": {"units": "1", "long_name": _long_name(file.name)}}
    return make_surface(file, alpha, beta, values, count > 0, attrs, variable_attrs)


def _heights(values: Array, zmax: float | None, log: bool) -> Array:
    cut = values if zmax is None else np.minimum(values, zmax)
    if not log:
        return cut
    positive = cut + OFFSET > 0
    return np.log(np.where(positive, cut, 1.0) + OFFSET, where=positive, out=np.full_like(cut, np.nan))


def _long_name(name: str) -> str:
    zmax = re.search(r"_zmax=([0-9.e+-]+?)(?:_log)?\.vtp$", name)
    inner = f"min(loss, {zmax[1]})" if zmax else "loss"
    return f"ln({inner} + {OFFSET})" if name.endswith("_log.vtp") else inner if zmax else "height of the mesh"


# -- writing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Polyline:
    """The points ``(n, 3)`` of a path whose height is known, and its values there, ``(n,)`` by name."""

    points: Array
    values: dict[str, Array]


def _polyline(path: xr.Dataset, dataset: xr.Dataset, quantity: str, metrics: Iterable[str], heights: Callable[[Array], Array]) -> Polyline:
    """A path at the height of its own values, or of the surface below it where it has none."""
    x, y = (path[name].values.astype(np.float64) for name in ("path_alpha", "path_beta"))
    if f"path_{quantity}" in path:
        z = path[f"path_{quantity}"].values.astype(np.float64)
    else:
        z = dataset[quantity].interp(alpha=("step", x), beta=("step", y)).values
    points = np.stack([x, y, heights(z)], axis=1)
    finite = np.isfinite(points).all(axis=1)
    values = {name: path[f"path_{name}"].values.astype(np.float64) for name in metrics if f"path_{name}" in path}
    values |= {"step": path["step"].values.astype(np.float64)}
    if "path_residual" in path:
        values["residual"] = path["path_residual"].values.astype(np.float64)
    return Polyline(points[finite], {name: value[finite] for name, value in values.items()})


def _write_mesh(file: TextIO, alpha: Array, beta: Array, heights: Array, metrics: dict[str, Array], lines: Sequence[Polyline]) -> None:
    """`heights` is ``(alpha, beta)``; points go row by row in beta, so that x runs first."""
    rows = heights.T
    finite = np.isfinite(rows)
    number = np.where(finite, np.cumsum(finite).reshape(finite.shape) - 1, -1)
    corners = np.stack([number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], axis=-1)
    quads = corners[(corners >= 0).all(axis=-1)]
    x, y = np.meshgrid(alpha, beta)
    mesh = np.stack([x[finite], y[finite], rows[finite]], axis=1)
    lines = [line for line in lines if len(line.points) > 1]
    points = np.concatenate([mesh, *(line.points for line in lines)])
    starts = len(mesh) + np.cumsum([0, *(len(line.points) for line in lines)])
    file.write('<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n  <PolyData>\n')
    counts = f'NumberOfPoints="{len(points)}" NumberOfVerts="0" NumberOfLines="{len(lines)}" NumberOfStrips="0"'
    file.write(f'    <Piece {counts} NumberOfPolys="{len(quads)}">\n')
    values = {name: np.concatenate([metric.T[finite], *_values(lines, name)]) for name, metric in metrics.items()}
    if lines:
        values["path"] = np.repeat(np.arange(-1.0, len(lines)), [len(mesh), *(len(line.points) for line in lines)])
        values |= {name: np.concatenate([np.full(len(mesh), np.nan), *_values(lines, name)]) for name in ("step", "residual")}
    _write_section(file, "PointData", [("zvalue", 1, points[:, 2])], values)
    averages = np.concatenate([[line.points[:, 2].mean() for line in lines], points[quads, 2].mean(axis=1)])
    _write_section(file, "CellData", [("averaged zvalue", 1, averages)])
    _write_section(file, "Points", [("Points", 3, points)])
    if lines:
        order = np.arange(len(mesh), len(points))
        _write_section(file, "Lines", [("connectivity", 0, order), ("offsets", 0, starts[1:] - len(mesh))])
    _write_section(file, "Polys", [("connectivity", 0, quads), ("offsets", 0, 4 * np.arange(1, len(quads) + 1))])
    file.write("    </Piece>\n  </PolyData>\n</VTKFile>\n")


def _values(lines: Sequence[Polyline], name: str) -> list[Array]:
    return [line.values.get(name, np.full(len(line.points), np.nan)) for line in lines]


def _write_section(
    file: TextIO, section: str, arrays: Iterable[tuple[str, int, NDArray[Any]]], encoded: Mapping[str, Array] | None = None
) -> None:
    """Arrays of numbers in ASCII, and `encoded` ones, which may hold NaN, in base64."""
    file.write(f"      <{section}>\n")
    for name, components, values in arrays:
        kind = "Float64" if components else "Int64"
        count = f' NumberOfComponents="{components}"' if components else ""
        file.write(f'        <DataArray type="{kind}" Name="{name}"{count} format="ascii">\n')
        file.writelines(_lines(values.ravel().tolist()))
        file.write("        </DataArray>\n")
    for name, values in (encoded or {}).items():
        content = values.astype("<f8").tobytes()
        text = base64.b64encode(np.array([len(content)], "<u8").tobytes() + content).decode("ascii")
        file.write(f'        <DataArray type="Float64" Name={quoteattr(name)} format="binary">{text}</DataArray>\n')
    file.write(f"      </{section}>\n")


def _lines(numbers: list[float], width: int = 12) -> Iterable[str]:
    return (" ".join(map(repr, numbers[start : start + width])) + "\n" for start in range(0, len(numbers), width))


# -- reading -----------------------------------------------------------------------------------------------------


def _read_points(file: Path) -> tuple[Array, Array, dict[str, Array]]:
    """Points of the mesh ``(n, 3)``, their heights, and the metrics there."""
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError) as error:
        raise InputError(str(file), f"a file that cannot be read ({error})", "a whole VTK XML file", "Get the file again") from error
    if root.tag != "VTKFile" or root.get("type") != "PolyData" or root.find("./PolyData/Piece") is None:
        raise InputError(str(file), f"<{root.tag} type={root.get('type')!r}>", "VTK PolyData (.vtp) with a piece")
    points = _numbers(file, root.find("./PolyData/Piece/Points/DataArray"), "Points")
    if len(points) % 3 or not len(points):
        raise InputError(str(file), f"{len(points)} numbers in Points", "three for each point", "The file is damaged")
    points = points.reshape(-1, 3)
    arrays = {str(element.get("Name")): element for element in root.iterfind("./PolyData/Piece/PointData/DataArray")}
    zvalue = points[:, 2] if "zvalue" not in arrays else _numbers(file, arrays["zvalue"], "zvalue")
    metrics = {name: _numbers(file, element, name) for name, element in arrays.items() if _is_metric(name) or name == "path"}
    if any(len(values) != len(points) for values in (zvalue, *metrics.values())):
        have = next(len(values) for values in (zvalue, *metrics.values()) if len(values) != len(points))
        raise _wrong_count(file, have, len(points))
    mesh = metrics.pop("path", np.full(len(points), -1.0)) < 0
    if not np.isfinite(points[mesh, :2]).all() or not mesh.any():
        raise _wrong_count(file, len(zvalue), int(mesh.sum()))
    return points[mesh], zvalue[mesh], {name: values[mesh] for name, values in metrics.items()}


def _is_metric(name: str) -> bool:
    """A quantity over the plane that the format knows; the heights stand for the loss."""
    base = name.removesuffix("_standard_error")
    return base in schema.VARIABLES and schema.VARIABLES[base].dims == schema.PLANE and name not in ("loss", "done")


def _wrong_count(file: Path, heights: int, points: int) -> InputError:
    return InputError(str(file), f"{heights} heights for {points} points", "one for each, at finite x and y", "The file is damaged")


def _numbers(file: Path, element: ElementTree.Element | None, name: str) -> Array:
    if element is not None and element.get("format") == "binary" and name not in ("Points", "zvalue"):
        return _decoded(file, element, name)
    if element is None or element.get("format") != "ascii":
        problem = "none" if element is None else f"format {element.get('format')!r}"
        raise InputError(str(file), f"{name}: {problem}", "a DataArray with format 'ascii'", "Save it in ParaView with data mode Ascii")
    try:
        return np.array((element.text or "").split(), np.float64)
    except ValueError as error:
        raise InputError(str(file), f"{name} that holds no numbers ({error})", "numbers", "The file is damaged") from error


def _decoded(file: Path, element: ElementTree.Element, name: str) -> Array:
    """Numbers that this module wrote in base64, after their count of bytes."""
    try:
        content = base64.b64decode((element.text or "").strip(), validate=True)
        if int(np.frombuffer(content[:8], "<u8")[0]) != len(content) - 8:
            raise ValueError("cut short")
        return np.frombuffer(content[8:], "<f8").astype(np.float64)
    except (ValueError, IndexError) as error:
        raise InputError(str(file), f"{name} that cannot be decoded ({error})", "Float64 in base64", "The file is damaged") from error
