"""Export of a surface as a closed solid: STL for printing, glTF binary for Blender and the web."""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas._util.files import write_file
from lossatlas.errors import InputError, output_errors

Floats = NDArray[np.float64]
Triangles = NDArray[np.uint32]


def write_mesh(
    surface: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    quantity: str = "loss",
    size_mm: float = 100.0,
    height_mm: float = 40.0,
    base_mm: float = 3.0,
    scale: Literal["linear", "log"] = "linear",
    clip: float | None = None,
    colormap: str = "viridis",
) -> Path:
    """Write `surface` as a closed solid; the suffix of `path`, ``.stl`` or ``.glb``, chooses the format.

    The lowest value stands `base_mm` above the bottom. Cells without a finite computed value become pits down to the base.
    STL has no unit and no color: its numbers are millimetres. glTF is in metres, as it must be, y upwards, with vertex colors.

    Args:
        surface: over ``(alpha, beta)``, with variable `quantity`.
        size_mm: length of the longer side.
        height_mm: height of the relief above the base.
        scale: "linear" or "log" heights.
        clip: values above become flat tops at this value.

    Returns:
        The path written.

    Raises:
        InputError: no such quantity, a line, no finite cell, a size that is not positive, a log scale with values <= 0,
            another suffix, or a place that cannot be written.
    """
    target = Path(path)
    if target.suffix not in (".stl", ".glb"):
        raise InputError("path", target.name, "a name that ends in .stl or .glb")
    for name, size in (("size_mm", size_mm), ("height_mm", height_mm), ("base_mm", base_mm)):
        if not (size > 0 and math.isfinite(size)):
            raise InputError(name, size, "a positive length in millimetres")
    share = _heights(surface, quantity, scale, clip)
    vertices, triangles = solid(_axis(surface, "alpha"), _axis(surface, "beta"), share * height_mm + base_mm, size_mm)
    data = _stl(vertices, triangles) if target.suffix == ".stl" else _glb(vertices, triangles, _colors(share, colormap))
    with output_errors(target):
        write_file(target, data)
    return target


def solid(alpha: Floats, beta: Floats, heights: Floats, size: float) -> tuple[Floats, Triangles]:
    """Vertices (n, 3) and outward triangles (m, 3) of the body between ``z = 0`` and `heights` (na, nb).

    >>> vertices, triangles = solid(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.ones((2, 2)), size=1.0)
    >>> len(vertices), len(triangles)
    (8, 12)
    """
    scale = size / max(abs(alpha[-1] - alpha[0]), abs(beta[-1] - beta[0]))
    x, y = np.meshgrid((alpha - alpha.min()) * scale, (beta - beta.min()) * scale, indexing="ij")
    top = np.stack([x, y, heights], -1).reshape(-1, 3)
    bottom = top * (1, 1, 0)
    index = np.arange(top.shape[0]).reshape(x.shape)
    upper = _quads(index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:])
    lower = upper[:, ::-1] + len(top)
    walls = [_wall(edge, len(top)) for edge in (index[:, 0], index[-1, :], index[::-1, -1], index[0, ::-1])]
    return np.concatenate([top, bottom]), np.concatenate([upper, lower, *walls]).astype(np.uint32)


def _quads(a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64], d: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two triangles a quad, counter-clockwise a, b, c, d."""
    corners = [part.reshape(-1) for part in (a, b, c, d)]
    return np.concatenate([np.stack([corners[0], corners[1], corners[2]], 1), np.stack([corners[0], corners[2], corners[3]], 1)])


def _wall(edge: NDArray[np.int64], below: int) -> NDArray[np.int64]:
    """From the rim down to the bottom; `edge` runs counter-clockwise seen from above."""
    return _quads(edge[:-1] + below, edge[1:] + below, edge[1:], edge[:-1])


def _axis(surface: xr.Dataset, name: str) -> Floats:
    values = np.asarray(surface[name].values, float)
    if not (np.diff(values) > 0).all():
        raise InputError(name, "coordinates that do not increase", "increasing coordinates", f"Sort the surface with .sortby({name!r})")
    return values


def _heights(surface: xr.Dataset, quantity: str, scale: str, clip: float | None) -> Floats:
    """Heights as shares of the range in [0, 1]; 0 where nothing finite was computed."""
    if quantity not in surface:
        raise InputError("quantity", quantity, "one of " + ", ".join(str(name) for name in surface.data_vars if name != "done"))
    if set(surface[quantity].dims) != {"alpha", "beta"}:
        raise InputError(
            "surface", f"dims {surface[quantity].dims}", 'a surface over ("alpha", "beta")', "A line has no solid; plot it instead"
        )
    values = np.asarray(surface[quantity].transpose("alpha", "beta").values, float)
    usable = np.isfinite(values)
    if "done" in surface:
        usable &= np.asarray(surface["done"].transpose("alpha", "beta").values, bool)
    if not usable.any():
        raise InputError(
            "surface", "no finished cell with a finite value", "a surface with computed values", "Continue its evaluation first"
        )
    return _shares(np.where(usable, values, np.nan), scale, clip)


def _shares(values: Floats, scale: str, clip: float | None) -> Floats:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    high = high if clip is None else min(high, clip)
    if high < low:
        raise InputError("clip", clip, f"a level above the smallest value, {low:.4g}")
    if scale == "log" and low <= 0:
        raise InputError("scale", "log", 'scale="linear" for values that are zero or negative')
    if scale not in ("linear", "log"):
        raise InputError("scale", scale, '"linear" or "log"')
    transform = np.log if scale == "log" else np.asarray
    bent = (transform(np.minimum(values, high)) - transform(low)) / ((transform(high) - transform(low)) or 1.0)
    return np.nan_to_num(bent, nan=0.0)


def _colors(share: Floats, colormap: str) -> NDArray[np.uint8]:
    """RGBA of top and bottom vertices; the bottom is gray."""
    if colormap not in matplotlib.colormaps:
        raise InputError("colormap", colormap, "a name matplotlib knows, such as viridis")
    top = np.asarray(matplotlib.colormaps[colormap](share.reshape(-1)))
    bottom = np.broadcast_to((0.4, 0.4, 0.4, 1.0), top.shape)
    return np.round(np.concatenate([top, bottom]) * 255).astype(np.uint8)


def _stl(vertices: Floats, triangles: Triangles) -> bytes:
    """Binary STL: 80 bytes, the count, and 50 bytes a triangle (normal, three corners, two spare bytes)."""
    corners = vertices[triangles].astype("<f4")
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    records = np.zeros(len(triangles), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")])
    records["normal"], records["corners"] = normals, corners
    return b"Lossatlas, millimetres".ljust(80, b" ") + struct.pack("<I", len(triangles)) + records.tobytes()


def _glb(vertices: Floats, triangles: Triangles, colors: NDArray[np.uint8]) -> bytes:
    """Binary glTF 2.0: one mesh, positions in metres with y up, vertex colors, 32-bit indices."""
    placed = np.ascontiguousarray((vertices[:, [0, 2, 1]] * (1, 1, -1) / 1000).astype("<f4"))
    parts = [placed.tobytes(), colors.tobytes(), triangles.astype("<u4").tobytes()]
    offsets = np.cumsum([0, *map(len, parts)]).tolist()
    views = [{"buffer": 0, "byteOffset": offset, "byteLength": len(part)} for offset, part in zip(offsets, parts, strict=False)]
    document = {
        "asset": {"version": "2.0", "generator": "lossatlas"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "landscape"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7}}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": len(placed),
                "type": "VEC3",
                "min": placed.min(0).tolist(),
                "max": placed.max(0).tolist(),
            },
            {"bufferView": 1, "componentType": 5121, "normalized": True, "count": len(colors), "type": "VEC4"},
            {"bufferView": 2, "componentType": 5125, "count": int(triangles.size), "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": offsets[-1]}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(parts)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks
