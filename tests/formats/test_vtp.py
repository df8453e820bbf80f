"""VTK meshes: against a mesh that Li's own tool made, and read back; no cell is drawn where nothing was computed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr

from formats import cases
from lossatlas.errors import InputError
from lossatlas.formats.li_h5 import read_surface
from lossatlas.formats.vtp import read_vtp, write_vtp

ZHANG = cases.SHARED / "surfaces_cifar10_zhang"


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Every DataArray by section and name, parsed here a second time."""
    piece = ElementTree.parse(path).getroot().find("./PolyData/Piece")
    assert piece is not None
    return {f"{section.tag}/{array.get('Name')}": np.array((array.text or "").split(), float) for section in piece for array in section}


@pytest.mark.parametrize("name", ["clean_data_torch_data1_new3.h5", "adv_data_torch_data1_new3.h5"])
def test_equals_the_mesh_that_lis_tool_made(name: str, tmp_path: Path) -> None:
    theirs = ZHANG / f"{name}_train_loss_zmax=10.0_log.vtp"
    if not theirs.is_file():
        pytest.skip(f"{theirs} is not there")
    ours = arrays(write_vtp(read_surface(ZHANG / name), tmp_path / "ours.vtp", zmax=10.0, log=True))
    expected = arrays(theirs)
    for key in ("PointData/zvalue", "CellData/averaged zvalue", "Points/Points"):
        np.testing.assert_allclose(ours[key], expected[key], rtol=1e-15, err_msg=key)
    for key in ("Polys/connectivity", "Polys/offsets"):
        assert np.array_equal(ours[key], expected[key])


@pytest.mark.parametrize("name", ["clean_data_torch_data1_new3.h5", "adv_data_torch_data1_new3.h5"])
def test_reading_their_mesh_gives_their_formula(name: str) -> None:
    mesh = ZHANG / f"{name}_train_loss_zmax=10.0_log.vtp"
    if not mesh.is_file():
        pytest.skip(f"{mesh} is not there")
    read, source = read_vtp(mesh), read_surface(ZHANG / name)
    np.testing.assert_allclose(read.loss, np.log(np.minimum(source.loss, 10) + 0.1), rtol=1e-15)
    assert np.array_equal(read.alpha, source.alpha)
    assert read.loss.attrs["long_name"] == "ln(min(loss, 10.0) + 0.1)"
    assert read.done.all()


def test_written_then_read_with_unequal_sides(tmp_path: Path) -> None:
    back = read_vtp(write_vtp(cases.surface(), tmp_path / "s.vtp"))
    assert np.array_equal(back.loss, cases.TABLE)
    assert np.array_equal(back.alpha, cases.ALPHA)
    assert np.array_equal(back.beta, cases.BETA)


def test_holes_have_no_point_and_no_quad(tmp_path: Path) -> None:
    hard = cases.hard()
    path = write_vtp(hard, tmp_path / "s.vtp")
    mesh = arrays(path)
    finite = np.isfinite(hard.loss.values)
    assert len(mesh["PointData/zvalue"]) == finite.sum() == 10
    quads = mesh["Polys/connectivity"].astype(int).reshape(-1, 4)
    whole = finite[:-1, :-1] & finite[1:, :-1] & finite[:-1, 1:] & finite[1:, 1:]
    assert len(quads) == whole.sum()
    points = mesh["Points/Points"].reshape(-1, 3)
    for quad in quads:  # each is a rectangle of neighbors
        assert len(set(points[quad, 0])) == len(set(points[quad, 1])) == 2
    back = read_vtp(path)
    known = back.done.values
    assert known.sum() == 10
    np.testing.assert_array_equal(back.loss.values[known], hard.loss.sel(alpha=back.alpha, beta=back.beta).values[known])


def test_other_quantities_and_logarithm(tmp_path: Path) -> None:
    hard = cases.hard()
    accuracy = read_vtp(write_vtp(hard, tmp_path / "a.vtp", quantity="accuracy"))
    np.testing.assert_array_equal(accuracy.loss.values[accuracy.done], hard.accuracy.values[hard.done])
    logged = read_vtp(write_vtp(hard, tmp_path / "b_zmax=150_log.vtp", zmax=150, log=True))
    assert logged.loss.max() == np.log(150.1)
    assert float(logged.loss.sel(alpha=0, beta=1 / 3)) == np.log(-0.05 + 0.1)


def test_what_cannot_be_a_mesh(tmp_path: Path) -> None:
    target = tmp_path / "s.vtp"
    with pytest.raises(InputError, match="a line"):
        write_vtp(cases.line(), target)
    with pytest.raises(InputError, match="one of the surface's own: loss, accuracy"):
        write_vtp(cases.hard(), target, quantity="height")
    with pytest.raises(InputError, match="no finite loss"):
        write_vtp(cases.surface(np.full((5, 3), np.nan)), target)
    assert not list(tmp_path.iterdir())


def edited(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</VTKFile>", "", "cannot be read"),
        ('type="PolyData"', 'type="ImageData"', "VTK PolyData"),
        ('format="ascii"', 'format="appended"', "data mode Ascii"),
        (
            'Name="zvalue" NumberOfComponents="1" format="ascii">\n',
            'Name="zvalue" NumberOfComponents="1" format="ascii">\n1 ',
            "heights for",
        ),
        ('Name="zvalue" NumberOfComponents="1" format="ascii">\n', 'Name="zvalue" NumberOfComponents="1" format="ascii">\nx', "no numbers"),
        (
            'Name="Points" NumberOfComponents="3" format="ascii">\n',
            'Name="Points" NumberOfComponents="3" format="ascii">\n1 ',
            "three for each point",
        ),
        ("-1.0 -2.0", "1.0 -2.0", "two points at one x and y"),
    ],
)
def test_damaged_meshes(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = edited(write_vtp(cases.surface(), tmp_path / "s.vtp"), old, new)
    with pytest.raises(InputError, match=said):
        read_vtp(path)


def test_loose_points_are_no_grid(tmp_path: Path) -> None:
    many = 5000
    along = np.arange(many, dtype=float)
    body = " ".join(f"{a} {a} 0" for a in along)
    points = f'<Points><DataArray format="ascii">{body}</DataArray></Points>'
    (tmp_path / "path.vtp").write_text(f'<VTKFile type="PolyData"><PolyData><Piece>{points}</Piece></PolyData></VTKFile>')
    with pytest.raises(InputError, match="points on a grid"):
        read_vtp(tmp_path / "path.vtp")


@pytest.mark.slow
def test_a_large_surface(tmp_path: Path) -> None:
    axis = np.linspace(-1, 1, 301)
    values = axis[:, None] ** 2 + axis[None, :200]
    large = xr.Dataset({"loss": (("alpha", "beta"), values)}, {"alpha": axis, "beta": axis[:200]})
    assert np.array_equal(read_vtp(write_vtp(large, tmp_path / "s.vtp")).loss, values)
