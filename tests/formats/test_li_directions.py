"""Li's direction and projection files: written and read back, and the invariants of the published ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lossatlas.errors import InputError
from lossatlas.formats.li_directions import Directions, by_name, read_directions, read_projection, write_directions, write_projection

SHARED = Path(os.environ.get("LOSSATLAS_DATA", "../shared/data"))
X = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(2, np.float64), np.array(3, np.int64)]


def write(path: Path, **contents: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in contents.items():
            file[name] = value
    return path


@pytest.mark.parametrize("y", [None, [-array for array in X]])
def test_written_then_read(tmp_path: Path, y: list[np.ndarray] | None) -> None:
    ratio = np.array([0.7, 0.2])
    back = read_directions(write_directions(Directions(X, y, {"explained_variance_ratio_": ratio}), tmp_path / "d.h5"))
    for stored, given in ((back.x, X), (back.y, y)):
        assert (stored is None) == (given is None)
        for a, b in zip(stored or [], given or [], strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
    assert np.array_equal(back.pca["explained_variance_ratio_"], ratio)


def test_more_than_ten_members_keep_their_order(tmp_path: Path) -> None:
    many = [np.full(2, i) for i in range(23)]
    assert [int(a[0]) for a in read_directions(write_directions(Directions(many), tmp_path / "d.h5")).x] == list(range(23))


@pytest.mark.parametrize("net", ["dense_entropy", "cnn_entropy", "dense_margin"])
def test_published_directions(net: str) -> None:
    file = SHARED / "surfaces_mnist_mbrar8" / net / "directions.h5"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    directions = read_directions(file)
    assert directions.y is not None
    dense = [(64, 784), (64,), (64, 64), (64,), (64, 64), (64,), (10, 64), (10,)]
    cnn = [(3, 1, 3, 3), (3,), (5, 3, 3, 3), (5,), (10, 20), (10,)]
    shapes = {f"p{i}": shape for i, shape in enumerate(cnn if net == "cnn_entropy" else dense)}
    for direction in (directions.x, directions.y):
        named = by_name(direction, shapes)
        assert all(not array.any() for array in named.values() if array.ndim == 1), "biases are left alone (biasbn)"
        assert all(array.any() for array in named.values() if array.ndim > 1)
        assert all(array.dtype == np.float32 for array in named.values())


def test_directions_of_another_network() -> None:
    with pytest.raises(InputError, match="3 arrays; expected 2"):
        by_name(X, {"a": (2, 3), "b": (2,)})
    with pytest.raises(InputError, match=r"shape \(2, 3\) for a; expected \(3, 2\)"):
        by_name(X[:2], {"a": (3, 2), "b": (2,)})


@pytest.mark.parametrize("gap", ["1", "name"])
def test_members_with_a_gap(tmp_path: Path, gap: str) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for name in ("0", "2" if gap == "1" else "weight"):
            file.create_group("xdirection") if "xdirection" not in file else None
            file[f"xdirection/{name}"] = np.zeros(2)
    with pytest.raises(InputError, match="without a gap"):
        read_directions(tmp_path / "d.h5")


def test_no_direction_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a group 'xdirection'"):
        read_directions(write(tmp_path / "d.h5", xcoordinates=np.zeros(3)))
    with pytest.raises(InputError, match="a group 'xdirection'"):
        read_directions(write(tmp_path / "e.h5", xdirection=np.zeros(3)))


def test_projection(tmp_path: Path) -> None:
    x, y = np.array([3.0, 1.0, 0.0]), np.array([-1.0, np.nan, 0.0])
    file = write(tmp_path / "directions.h5_proj_cos.h5", proj_xcoord=x, proj_ycoord=y)
    path = read_projection(file)
    np.testing.assert_array_equal(path.path_alpha, x)
    np.testing.assert_array_equal(path.path_beta, y)
    assert path.step.values.tolist() == [0, 1, 2]
    assert "orthonormal" in path.attrs["note"]
    back = read_projection(write_projection(path, tmp_path / "directions.h5_proj_lstsq.h5"))
    assert back.drop_attrs().identical(path.drop_attrs())
    assert back.attrs["note"] == ""


def test_damaged_projections(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lengths"):
        read_projection(write(tmp_path / "p.h5", proj_xcoord=np.zeros(3), proj_ycoord=np.zeros(2)))
    with pytest.raises(InputError, match="a projection file"):
        read_projection(write(tmp_path / "q.h5", proj_xcoord=np.zeros(3)))
    path = read_projection(write(tmp_path / "s.h5", proj_xcoord=X[1], proj_ycoord=X[1]))
    with pytest.raises(InputError, match="path_alpha"):
        write_projection(path.drop_vars("path_alpha"), tmp_path / "r.h5")
