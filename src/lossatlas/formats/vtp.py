"""VTK PolyData (.vtp) for ParaView: the mesh that Li et al.'s ``h52vtp.py`` makes, of any shape and without faked cells.

XML, ASCII: points (x, y, z) with x running first, a quad for each four neighbors (i, i+1, i+n+1, i+n), a point array
``zvalue`` and a cell array ``averaged zvalue``. Points without a finite value are left out, and with them their quads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO
from xml.etree import ElementTree

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas.errors import InputError
from lossatlas.formats.common import Array, check_grid, computed, imported, make_surface
from lossatlas.formats.files import Location, check_exists, replace_atomically

OFFSET = 0.1
"""What h52vtp.py adds before it takes the logarithm."""


def write_vtp(dataset: xr.Dataset, path: Location, *, quantity: str = "loss", zmax: float | None = None, log: bool = False) -> Path:
    """Write a surface as a mesh with heights ``z = log(min(value, zmax) + 0.1)`` or parts of that.

    Args:
        quantity: which of the surface's quantities is the height.
        zmax: greater values are cut to this; None keeps them.
        log: take the natural logarithm of z + 0.1; values at or below -0.1 then have no point.

    Raises:
        InputError: a line, an unknown quantity, or no finite value at all.
    """
    if "beta" not in dataset.dims:
        raise InputError("dataset", "a line", "a surface over alpha and beta", "Export a line to .csv")
    heights = _heights(computed(dataset, quantity), zmax, log)
    if not np.isfinite(heights).any():
        raise InputError("dataset", f"no finite {quantity}", "at least one computed finite value")
    with replace_atomically(path) as partial, partial.open("w", encoding="ascii", newline="\n") as file:
        _write_mesh(file, dataset["alpha"].values, dataset["beta"].values, heights)
    return Path(path)


def read_vtp(path: Location) -> xr.Dataset:
    """The heights in a mesh over a grid, as they stand there, under the name ``loss``.

    Grid positions without a point are not `done`. What was done to the values is told by ``long_name``, as far as
    the file's name says it (``_zmax=10.0_log.vtp``).

    Raises:
        InputError: damaged, binary, or points that lie on no grid.
    """
    file = check_exists(path)
    points, zvalue = _read_points(file)
    alpha, column = np.unique(points[:, 0], return_inverse=True)
    beta, row = np.unique(points[:, 1], return_inverse=True)
    check_grid(file, len(points), (len(alpha), len(beta)))
    values, count = np.full((len(alpha), len(beta)), np.nan), np.zeros((len(alpha), len(beta)), np.int64)
    values[column, row] = zvalue
    np.add.at(count, (column, row), 1)
    if count.max(initial=0) > 1:
        raise InputError(str(file), "two points at one x and y", "one height each: a surface, not a folded mesh")
    attrs = {"imported": imported("vtp", file)}
    variable_attrs = {"loss": {"units": "1", "long_name": _long_name(file.name)}}
    return make_surface(file, alpha, beta, {"loss": values}, count > 0, attrs, variable_attrs)


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


def _write_mesh(file: TextIO, alpha: Array, beta: Array, heights: Array) -> None:
    """`heights` is ``(alpha, beta)``; points go row by row in beta, so that x runs first."""
    rows = heights.T
    finite = np.isfinite(rows)
    number = np.where(finite, np.cumsum(finite).reshape(finite.shape) - 1, -1)
    corners = np.stack([number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], axis=-1)
    quads = corners[(corners >= 0).all(axis=-1)]
    x, y = np.meshgrid(alpha, beta)
    points = np.stack([x[finite], y[finite], rows[finite]], axis=1)
    file.write('<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n  <PolyData>\n')
    file.write(
        f'    <Piece NumberOfPoints="{len(points)}" NumberOfVerts="0" NumberOfLines="0" NumberOfStrips="0" NumberOfPolys="{len(quads)}">\n'
    )
    _write_section(file, "PointData", [("zvalue", 1, points[:, 2])])
    _write_section(file, "CellData", [("averaged zvalue", 1, points[quads, 2].mean(axis=1))])
    _write_section(file, "Points", [("Points", 3, points)])
    _write_section(file, "Polys", [("connectivity", 0, quads), ("offsets", 0, 4 * np.arange(1, len(quads) + 1))])
    file.write("    </Piece>\n  </PolyData>\n</VTKFile>\n")


def _write_section(file: TextIO, section: str, arrays: Iterable[tuple[str, int, NDArray[Any]]]) -> None:
    file.write(f"      <{section}>\n")
    for name, components, values in arrays:
        kind = "Float64" if components else "Int64"
        count = f' NumberOfComponents="{components}"' if components else ""
        file.write(f'        <DataArray type="{kind}" Name="{name}"{count} format="ascii">\n')
        file.writelines(_lines(values.ravel().tolist()))
        file.write("        </DataArray>\n")
    file.write(f"      </{section}>\n")


def _lines(numbers: list[float], width: int = 12) -> Iterable[str]:
    return (" ".join(map(repr, numbers[start : start + width])) + "\n" for start in range(0, len(numbers), width))


# -- reading -----------------------------------------------------------------------------------------------------


def _read_points(file: Path) -> tuple[Array, Array]:
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
    named = root.find("./PolyData/Piece/PointData/DataArray[@Name='zvalue']")
    zvalue = points[:, 2] if named is None else _numbers(file, named, "zvalue")
    if len(zvalue) != len(points) or not np.isfinite(points[:, :2]).all():
        raise InputError(
            str(file), f"{len(zvalue)} heights for {len(points)} points", "one for each, at finite x and y", "The file is damaged"
        )
    return points, zvalue


def _numbers(file: Path, element: ElementTree.Element | None, name: str) -> Array:
    if element is None or element.get("format") != "ascii":
        problem = "none" if element is None else f"format {element.get('format')!r}"
        raise InputError(str(file), f"{name}: {problem}", "a DataArray with format 'ascii'", "Save it in ParaView with data mode Ascii")
    try:
        return np.array((element.text or "").split(), np.float64)
    except ValueError as error:
        raise InputError(str(file), f"{name} that holds no numbers ({error})", "numbers", "The file is damaged") from error
