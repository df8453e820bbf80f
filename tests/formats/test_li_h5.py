"""Li's surface files: index convention, unfinished cells, percent, and the identity of reading then writing."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from lossatlas.errors import InputError, MissingDependencyError
from lossatlas.formats.li_h5 import LI_LAYOUT, read_splits, read_surface, to_percent, write_splits, write_surface

X, Y = np.linspace(-1.0, 1.0, 5), np.linspace(-2.0, 3.0, 3)
TABLE = 100 * X[:, None] + Y[None, :] + 200
"""``(x, y)``: each cell says where it is."""

SHARED = Path(os.environ.get("LOSSATLAS_DATA", "../shared/data"))
FOREIGN = sorted(SHARED.glob("surfaces_mnist_mbrar8/*/surface_*.h5")) + sorted(SHARED.glob("surfaces_cifar10_zhang/*.h5"))
needs_data = pytest.mark.skipif(not FOREIGN, reason=f"{SHARED} is not there")


def write(path: Path, **contents: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in contents.items():
            file[name] = value
    return path


def contents(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {name: item[()] for name, item in file.items()}


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, dtype and shape included; NaN equals NaN."""
    return a == b if isinstance(a, bytes) else a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# -- index convention --------------------------------------------------------------------------------------------


def test_rows_are_y(tmp_path: Path) -> None:
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y, train_loss=TABLE.T)
    surface = read_surface(file)
    assert surface.loss.dims == ("alpha", "beta")
    assert np.array_equal(surface.loss, TABLE)
    assert surface.loss.sel(alpha=0.5, beta=3.0) == 253
    assert surface.done.all()


def test_a_non_square_file_of_lis_tool_is_unscrambled_with_a_warning(tmp_path: Path) -> None:
    filled = TABLE.T.ravel().reshape(len(X), len(Y))  # crunch: losses of shape (nx, ny), ravel()[k] at meshgrid's k-th point
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y, train_loss=filled)
    with pytest.warns(UserWarning, match=r"not square.*order='transposed'"):
        surface = read_surface(file)
    assert np.array_equal(surface.loss, TABLE)
    assert surface.attrs["imported"]["layout"] == LI_LAYOUT
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_surface(file, order="li").loss, TABLE)


def test_another_tools_non_square_file(tmp_path: Path) -> None:
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y, train_loss=TABLE)
    assert np.array_equal(read_surface(file, order="transposed").loss, TABLE)


def test_a_line(tmp_path: Path) -> None:
    file = write(tmp_path / "s.h5", xcoordinates=X, train_loss=X**2, train_acc=100 * np.abs(X))
    surface = read_surface(file)
    assert surface.loss.dims == ("alpha",)
    assert np.array_equal(surface.accuracy, np.abs(X))
    assert same_file(file, write_surface(surface, tmp_path / "back.h5"))


def test_falling_coordinates_are_put_in_order(tmp_path: Path) -> None:
    file = write(tmp_path / "s.h5", xcoordinates=X[::-1], ycoordinates=Y, train_loss=TABLE.T[:, ::-1])
    assert np.array_equal(read_surface(file).loss, TABLE)


# -- what cells hold ---------------------------------------------------------------------------------------------


def test_unfinished_cells_are_holes_and_all_else_is_kept(tmp_path: Path) -> None:
    loss = TABLE.T.copy()
    loss[0, :5] = -1.0, 0.0, -2.5, np.nan, np.inf
    accuracy = np.where(loss == -1, -1.0, 50.0)
    accuracy[2, 0] = -1.0
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y, train_loss=loss, train_acc=accuracy)
    surface = read_surface(file)
    assert surface.done.values.sum() == 14
    assert not surface.done[0, 0]
    np.testing.assert_array_equal(surface.loss[:, 0], [np.nan, 0.0, -2.5, np.nan, np.inf])
    assert surface.done[3, 0], "a NaN that was computed is done"
    assert np.isnan(surface.accuracy[[0, 0], [0, 2]]).all()
    assert surface.accuracy.max() == 0.5
    write_surface(surface, tmp_path / "back.h5")
    assert same(contents(tmp_path / "back.h5")["train_loss"], loss)


def test_hessian_extremes(tmp_path: Path) -> None:
    smallest, largest = TABLE.T / -100, TABLE.T.copy()
    smallest[1, 2], largest[1, 2] = 1.0, -1.0
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y, train_loss=TABLE.T, min_eig=smallest, max_eig=largest)
    surface = read_surface(file)
    assert surface.done.all()
    assert np.isnan(surface.lambda_min[2, 1])
    assert np.isnan(surface.lambda_max[2, 1])
    assert surface.lambda_min[0, 0] == -TABLE[0, 0] / 100
    assert same_file(file, write_surface(surface, tmp_path / "back.h5"))


def test_hessian_alone_marks_what_is_done(tmp_path: Path) -> None:
    largest = TABLE.T.copy()
    largest[1, 2] = -1.0
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y, max_eig=largest, min_eig=np.where(largest == -1, 1, -0.5))
    surface = read_surface(file)
    assert "loss" not in surface
    assert surface.done.values.sum() == 14
    assert same_file(file, write_surface(surface, tmp_path / "back.h5"))


def test_two_splits(tmp_path: Path) -> None:
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y, train_loss=TABLE.T, test_loss=-TABLE.T, test_acc=TABLE.T / 10)
    assert read_splits(file) == ("train", "test")
    train, test = read_surface(file), read_surface(file, "test")
    assert np.array_equal(test.loss, -TABLE)
    assert test.attrs["objective"]["split"] == "test"
    assert test.loss.attrs["long_name"] == "test loss"
    assert same_file(file, write_splits([train, test], tmp_path / "back.h5"), rtol=1e-15)
    with pytest.raises(InputError, match="two surfaces for train_loss"):
        write_splits([train, train], tmp_path / "back.h5")


@pytest.mark.parametrize("samples", [10, 10_000, 50_000, 60_000, 48_271])
def test_percent_comes_back_to_the_last_bit(samples: int) -> None:
    percent = 100.0 * np.random.default_rng(0).integers(0, samples + 1, 500) / samples
    assert to_percent(percent / 100).tobytes() == percent.tobytes()


def test_percent_of_what_is_no_count() -> None:
    values = np.array([[np.nan, np.pi / 10, -0.25], [0.0, 1.0, 1e300]])
    np.testing.assert_allclose(to_percent(values), values * 100, rtol=1e-15)


# -- identity and provenance -------------------------------------------------------------------------------------


def same_file(a: Path, b: Path, rtol: float = 0.0) -> bool:
    left, right = contents(a), contents(b)
    assert left.keys() == right.keys()
    return all(same(left[name], right[name]) if not rtol else np.allclose(left[name], right[name], rtol, 0) for name in left)


@needs_data
@pytest.mark.parametrize("file", FOREIGN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_foreign_files_are_written_back_equal(file: Path, tmp_path: Path) -> None:
    surface = read_surface(file)
    assert same_file(file, write_surface(surface, tmp_path / "back.h5"))
    assert read_surface(tmp_path / "back.h5").drop_attrs().identical(surface.drop_attrs())


def test_a_non_square_file_is_written_back_in_its_own_layout(tmp_path: Path) -> None:
    filled = TABLE.T.ravel().reshape(len(X), len(Y))
    file = write(tmp_path / "s.h5", dir_file="d.h5", xcoordinates=X, ycoordinates=Y, train_loss=filled)
    assert same_file(file, write_surface(read_surface(file, order="li"), tmp_path / "back.h5"))


@needs_data
def test_foreign_points() -> None:
    # data/README.md: train_loss[i, j] belongs to y[i], x[j]
    surface = read_surface(SHARED / "surfaces_mnist_mbrar8/dense_entropy/surface_25x25.h5")
    for alpha, beta, loss, right in [(0, 0, 0.223015285, 56063), (1, -1, 6.551354332, 12545), (2 / 3, -0.75, 3.432411101, 19774)]:
        cell = surface.sel(alpha=alpha, beta=beta, method="nearest")
        assert float(cell.loss) == pytest.approx(loss, abs=5e-10)
        assert float(cell.accuracy) * 60_000 == pytest.approx(right, abs=1e-6)


@needs_data
def test_provenance() -> None:
    attrs = read_surface(SHARED / "surfaces_mnist_mbrar8/dense_entropy/surface_25x25.h5").attrs
    assert attrs["plane"] == {"kind": "explicit", "origin": [0.0, 0.0], "axis_labels": ["x", "y"], "normalize": "filter", "biases": False}
    assert attrs["imported"]["sha256"] == "28078d48150e4fb9fece17dcc624ff13c65792dfcc25bc649b918ce8ea3a833a"  # data/SHA256SUMS
    assert attrs["grid"] == {"bounds": [[-1.0, 1.0], [-1.0, 1.0]], "resolution": [25, 25]}
    assert (attrs["kind"], attrs["metrics"], attrs["objective"]["split"]) == ("surface", ["loss", "accuracy"], "train")
    assert read_surface(SHARED / "surfaces_cifar10_zhang/clean_data_torch_data1_new3.h5").attrs["plane"]["kind"] == "pca"


def test_our_own_surface_is_written_with_rows_of_y(tmp_path: Path) -> None:
    done = np.ones(TABLE.shape, bool)
    done[4, 2] = False
    ours = xr.Dataset({"loss": (("alpha", "beta"), TABLE), "done": (("alpha", "beta"), done)}, {"alpha": X, "beta": Y})
    stored = contents(write_surface(ours, tmp_path / "s.h5"))
    assert stored["train_loss"].shape == (3, 5)
    assert stored["train_loss"][2, 4] == -1
    back = read_surface(tmp_path / "s.h5")
    assert np.array_equal(back.done, done)
    assert np.array_equal(back.loss.values[done], TABLE[done])


# -- bad input ---------------------------------------------------------------------------------------------------

GOOD = {"xcoordinates": X, "ycoordinates": Y, "train_loss": TABLE.T}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train_loss": TABLE.T[:2]}, r"train_loss of shape \(2, 5\); expected 3 rows of 5"),
        ({"train_loss": TABLE.ravel()}, r"shape \(15,\)"),
        ({"train_acc": TABLE.T[:2]}, "train_acc of shape"),
        ({"xcoordinates": np.array([0, 1, 2, 3, np.nan])}, "alpha coordinates"),
        ({"xcoordinates": np.array([0.0, 1, 2, 3, 3])}, "none twice"),
        ({"xcoordinates": "text"}, "holds no numbers"),
        ({"train_loss": "text"}, "holds no numbers"),
        ({"xcoordinates": None}, "expected a surface file"),
        ({"train_loss": None}, "expected a surface file"),
        ({"xcoordinates": None, "xdirection": np.zeros(3)}, "a direction file"),
    ],
)
def test_damaged_files(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    file = write(tmp_path / "s.h5", **{name: value for name, value in {**GOOD, **changes}.items() if value is not None})
    with pytest.raises(InputError, match=said):
        read_surface(file)


def test_wrong_arguments(tmp_path: Path) -> None:
    file = write(tmp_path / "s.h5", **GOOD)
    with pytest.raises(InputError, match="split: got test"):
        read_surface(file, "test")
    with pytest.raises(InputError, match="order"):
        read_surface(file, order="xy")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a file that exists"):
        read_surface(tmp_path / "absent.h5")


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_no_hdf5(tmp_path: Path, content: bytes | None) -> None:
    file = write(tmp_path / "s.h5", **GOOD)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"s\.h5: got a file that cannot be read"):
        read_surface(file)


def test_other_files_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret.h5", train_loss=TABLE.T)
    file = write(tmp_path / "s.h5", xcoordinates=X, ycoordinates=Y)
    with h5py.File(file, "a") as handle:
        handle["train_loss"] = h5py.ExternalLink("secret.h5", "train_loss")
    with pytest.raises(InputError, match="ExternalLink"):
        read_surface(file)


def test_a_header_that_claims_a_giant(tmp_path: Path) -> None:
    file = tmp_path / "s.h5"
    with h5py.File(file, "w") as handle:
        for name in ("xcoordinates", "ycoordinates"):
            handle[name] = np.arange(9000.0)
        handle.create_dataset("train_loss", (9000, 9000), "f8", chunks=(100, 100), fillvalue=1.0)
    assert file.stat().st_size < 200_000
    with pytest.raises(InputError, match="81,000,000 cells"):
        read_surface(file)


def test_what_the_format_cannot_hold(tmp_path: Path) -> None:
    surface = read_surface(write(tmp_path / "s.h5", **GOOD))
    reserved = surface.copy(deep=True)
    reserved.loss[1, 1] = -1.0
    with pytest.raises(InputError, match="a computed loss of -1"):
        write_surface(reserved, tmp_path / "back.h5")
    with pytest.raises(InputError, match="different grids"):
        write_splits([surface, surface.isel(alpha=slice(2))], tmp_path / "back.h5")
    with pytest.raises(InputError, match="at least one quantity"):
        write_surface(surface[["done"]], tmp_path / "back.h5")
    assert not list(tmp_path.glob("*back*")), "nothing half-written is left"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    surface = read_surface(write(tmp_path / "s.h5", **GOOD))
    with pytest.raises(InputError, match="a place that can be written"):
        write_surface(surface, tmp_path / "nowhere" / "s.h5")


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "s.h5", **GOOD)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"lossatlas\[hdf5\]"):
        read_surface(file)
