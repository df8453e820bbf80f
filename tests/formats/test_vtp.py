"""VTK meshes: against a mesh that Li's own tool made, and read back; no cell is drawn where nothing was computed."""

from __future__ import annotations

import base64
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
    return {
        f"{section.tag}/{array.get('Name')}": np.array((array.text or "").split(), float)
        for section in piece
        for array in section
        if array.get("format") == "ascii"
    }


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


def projected(**more: np.ndarray) -> xr.Dataset:
    """A path of four iterates, the last of which has diverged."""
    columns = {
        "path_alpha": np.array([-1.0, 0.25, 1.0, np.nan]),
        "path_beta": np.array([0.5, 1.0, 2.0, 3.0]),
        "path_residual": np.arange(4.0),
        **more,
    }
    return xr.Dataset({name: ("step", values) for name, values in columns.items()}, {"step": [0, 5, 9, 10]})


def decoded(path: Path) -> dict[str, np.ndarray]:
    """Point arrays in base64, decoded here a second time."""
    arrays = ElementTree.parse(path).getroot().iterfind("./PolyData/Piece/PointData/DataArray[@format='binary']")
    return {str(a.get("Name")): np.frombuffer(base64.b64decode(a.text or ""), "<f8", offset=8) for a in arrays}


def test_every_metric_and_the_paths_travel_with_the_mesh(tmp_path: Path) -> None:
    hard = cases.hard()
    measured = projected(path_loss=np.array([9.0, 8.0, np.inf, 7.0]), path_accuracy=np.array([0.1, 0.2, 0.3, 0.4]))
    file = write_vtp(hard, tmp_path / "s.vtp", paths=[projected(path_loss=np.array([4.0, 3.0, 2.0, 1.0])), measured])
    points = ElementTree.parse(file).getroot().find("./PolyData/Piece/Points/DataArray")
    assert points is not None
    places, values = np.array((points.text or "").split(), float).reshape(-1, 3), decoded(file)
    mesh = values["path"] < 0
    assert int(mesh.sum()) == int(np.isfinite(hard.loss).sum())
    np.testing.assert_array_equal(places[values["path"] == 0], [[-1, 0.5, 4], [0.25, 1, 3], [1, 2, 2]])
    np.testing.assert_array_equal(places[values["path"] == 1], [[-1, 0.5, 9], [0.25, 1, 8]])
    np.testing.assert_array_equal(values["step"][~mesh], [0, 5, 9, 0, 5])
    np.testing.assert_array_equal(values["accuracy"][~mesh], [np.nan] * 3 + [0.1, 0.2])
    for x, y, accuracy, error in zip(*places[mesh, :2].T, values["accuracy"][mesh], values["loss_standard_error"][mesh], strict=True):
        cell = hard.sel(alpha=x, beta=y)
        assert accuracy == float(cell.accuracy) and error == float(cell.loss_standard_error)
    text = arrays_in(file, "Lines")
    assert text["connectivity"] == list(range(int(mesh.sum()), len(places))) and text["offsets"] == [3, 5]
    back = read_vtp(file)
    there = hard.where(np.isfinite(hard.loss)).sel(alpha=back.alpha)  # a row without any finite value has no point
    np.testing.assert_array_equal(back.loss, there.loss)
    np.testing.assert_array_equal(back.accuracy, there.accuracy)


def arrays_in(path: Path, section: str) -> dict[str, list[int]]:
    return {
        str(a.get("Name")): [int(n) for n in (a.text or "").split()]
        for a in ElementTree.parse(path).getroot().iterfind(f"./PolyData/Piece/{section}/DataArray")
    }


def test_a_path_without_values_lies_on_the_surface(tmp_path: Path) -> None:
    file = write_vtp(cases.surface(), tmp_path / "s.vtp", paths=[projected()])
    values = decoded(file)
    points = np.array((ElementTree.parse(file).getroot().find("./PolyData/Piece/Points/DataArray").text or "").split(), float)  # type: ignore[union-attr]
    path = points.reshape(-1, 3)[values["path"] == 0]
    np.testing.assert_allclose(path[:, 2], 100 * path[:, 0] + path[:, 1] + 200, rtol=1e-12)  # the table is linear
    with pytest.raises(InputError, match=r"la\.project_trajectory"):
        write_vtp(cases.surface(), tmp_path / "t.vtp", paths=[projected().drop_vars("path_beta")])
