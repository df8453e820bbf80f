"""The solid: watertight, outward, of the size asked for, and its volume is the integral of the heights."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lossatlas.errors import InputError
from lossatlas.formats.mesh import solid, write_mesh


def surface(na: int = 5, nb: int = 7) -> xr.Dataset:
    alpha, beta = np.linspace(-1, 1, na), np.linspace(0, 1, nb)
    values = 0.5 + alpha[:, None] ** 2 + beta[None]
    return xr.Dataset({"loss": (("alpha", "beta"), values)}, coords={"alpha": alpha, "beta": beta})


def read_stl(path: Path) -> np.ndarray:
    raw = path.read_bytes()
    (count,) = struct.unpack_from("<I", raw, 80)
    records = np.frombuffer(raw, dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")], offset=84)
    assert len(records) == count
    return records["corners"].astype(float)


def volume(corners: np.ndarray) -> float:
    return float(np.einsum("ni,ni->n", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def test_every_edge_belongs_to_two_triangles_that_run_it_both_ways() -> None:
    _, triangles = solid(np.linspace(0, 1, 4), np.linspace(0, 2, 6), np.ones((4, 6)), 10.0)
    edges = Counter((int(t[k]), int(t[(k + 1) % 3])) for t in triangles for k in range(3))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)


def test_volume_of_a_sloping_solid_is_its_integral(tmp_path: Path) -> None:
    alpha, beta = np.linspace(0, 2, 5), np.linspace(0, 1, 4)
    data = xr.Dataset({"loss": (("alpha", "beta"), np.broadcast_to(alpha[:, None], (5, 4)))}, coords={"alpha": alpha, "beta": beta})
    corners = read_stl(write_mesh(data, tmp_path / "slope.stl", size_mm=80, height_mm=20, base_mm=5))
    assert volume(corners) == pytest.approx(80 * 40 * (5 + 20 / 2), rel=1e-5)


def test_size_in_millimetres(tmp_path: Path) -> None:
    corners = read_stl(write_mesh(surface(), tmp_path / "s.stl", size_mm=120, height_mm=30, base_mm=2)).reshape(-1, 3)
    np.testing.assert_allclose(corners.min(0), 0, atol=1e-6)
    np.testing.assert_allclose(corners.max(0), (120, 60, 32), rtol=1e-6)


def test_glb_is_in_metres_with_colors(tmp_path: Path) -> None:
    raw = write_mesh(surface(), tmp_path / "s.glb", size_mm=100, height_mm=30, base_mm=2).read_bytes()
    magic, version, length, text_length = struct.unpack_from("<IIII", raw)
    assert (magic, version, length) == (0x46546C67, 2, len(raw))
    document = json.loads(raw[20 : 20 + text_length])
    position, color, index = document["accessors"]
    assert position["max"] == pytest.approx([0.1, 0.032, 0.0], abs=1e-6)
    assert (position["count"], color["count"]) == (70, 70)
    data = raw[28 + text_length :]
    triangles = np.frombuffer(data, "<u4", index["count"], document["bufferViews"][2]["byteOffset"])
    assert triangles.max() == 69


def test_holes_become_pits_and_clip_makes_flat_tops(tmp_path: Path) -> None:
    data = surface()
    data["loss"][1, 2] = np.nan
    corners = read_stl(write_mesh(data, tmp_path / "s.stl", clip=1.5, height_mm=10, base_mm=1)).reshape(-1, 3)
    z = corners[:, 2]
    assert np.isfinite(z).all()
    assert np.isclose(z, 11).sum() > 20


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"quantity": "nothing"}, "quantity"),
        ({"size_mm": 0}, "size_mm"),
        ({"clip": 0.1}, "clip"),
        ({"colormap": "no"}, "colormap"),
        ({"scale": "cube"}, "scale"),
    ],
)
def test_wrong_arguments_are_named(tmp_path: Path, change: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        write_mesh(surface(), tmp_path / "s.glb", **change)  # pyright: ignore[reportArgumentType]


def test_a_line_and_an_empty_surface_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line"):
        write_mesh(surface().isel(beta=0, drop=True), tmp_path / "s.stl")
    with pytest.raises(InputError, match="finite"):
        write_mesh(surface() * np.nan, tmp_path / "s.stl")
    with pytest.raises(InputError, match=r"\.stl or \.glb"):
        write_mesh(surface(), tmp_path / "s.obj")
