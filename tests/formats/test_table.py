"""Tables and NumPy arrays: written then read is the identity; foreign ones; damaged ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from formats import cases
from lossatlas.errors import InputError
from lossatlas.formats.table import read_csv, read_npz, write_csv, write_npz

VIEWER = cases.SHARED / "surfaces_cifar10_viewer"
CASES = {"table": cases.surface, "hard": cases.hard, "line": cases.line}


@pytest.mark.parametrize("case", CASES)
def test_csv_there_and_back(case: str, tmp_path: Path) -> None:
    given = CASES[case]()
    back = read_csv(write_csv(given, tmp_path / "s.csv"))
    xr.testing.assert_identical(back.drop_attrs(), given.drop_attrs())


@pytest.mark.parametrize("case", CASES)
def test_npz_there_and_back_with_provenance(case: str, tmp_path: Path) -> None:
    given = CASES[case]()
    xr.testing.assert_identical(read_npz(write_npz(given, tmp_path / "s.npz")), given)


def test_csv_rows(tmp_path: Path) -> None:
    lines = write_csv(cases.hard(), tmp_path / "s.csv").read_text().splitlines()
    assert lines[0] == "alpha,beta,done,loss,accuracy,loss_standard_error"
    assert lines[1] == "-1.0,-2.0,1,98.0,0.098,0.001"
    assert lines[3] == "-1.0,7.0,0,,,"
    assert lines[4].startswith("-0.5,-2.0,1,nan,")
    assert lines[5].startswith("-0.5,0.3333333333333333,1,inf,")


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n0,0,1\n0,1,2\n2,0,3\n2,1,4\n",
        "\ufeffAlpha, Beta ,Loss\r\n2,1,4\r\n2,0,3\r\n\r\n0,1,2\r\n0,0,1\r\n",
        "beta,loss,alpha,done\n0,1,0,true\n1,2,0,yes\n0,3,2,1\n1,4,2,1\n",
    ],
)
def test_foreign_csv(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_bytes(text.encode())
    surface = read_csv(tmp_path / "s.csv")
    assert surface.loss.values.tolist() == [[1, 2], [3, 4]]
    assert surface.alpha.values.tolist() == [0, 2]
    assert surface.done.all()
    assert surface.loss.attrs["units"] == "1", "a foreign file does not say its units"


def test_csv_with_missing_rows_and_values(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("x,y,z,accuracy\n0,0,1,\n0,1,,0.5\n2,0,3,0.25\n")
    surface = read_csv(tmp_path / "s.csv")
    assert surface.done.values.tolist() == [[True, False], [True, False]]
    np.testing.assert_array_equal(surface.accuracy, [[np.nan, np.nan], [0.25, np.nan]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("x,y,z\n", "no rows"),
        ("x,y\n1,2\n", "and loss or another quantity"),
        ("y,z\n1,2\n", r"expected alpha\[, beta\]"),
        ("x,y,height\n1,2,3\n", "columns height"),
        ("x,alpha,z\n1,2,3\n", "each once"),
        ("x,y,z\n1,2\n1,2,3\n", "2 fields in data row 1"),
        ("x,y,z\n1,2,3\n1,2,4\n", "two rows for one cell"),
        ("x,y,z\n1,2,three\n", "three"),
        ("x,y,z\n1,,3\n", "y|beta"),
        ("x,y,z\nnan,1,3\n", "alpha coordinates"),
        ("x,y,done,z\n1,2,maybe,3\n", "done 'maybe'"),
        ("x;y;z\n1;2;3\n", "columns x;y;z"),
        ("x,y,z\n" + "".join(f"{i},{i},0\n" for i in range(5000)), "points on a grid"),
    ],
)
def test_damaged_csv(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_csv(tmp_path / "s.csv")


def test_a_binary_file_named_csv(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError):
        read_csv(tmp_path / "s.csv")


# -- npz ---------------------------------------------------------------------------------------------------------


def test_viewer_form_with_unequal_sides(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", x=cases.ALPHA, y=cases.BETA, z=cases.TABLE.T)
    surface = read_npz(tmp_path / "s.npz")
    assert np.array_equal(surface.loss, cases.TABLE)
    assert surface.attrs["imported"]["format"] == "npz"


@pytest.mark.parametrize(
    ("name", "side", "least", "where", "greatest"),
    [
        # data/README.md
        ("resnet56_skip", 51, 0.000919582, (0, 0), 17.2841),
        ("resnet56_no_skip", 51, 0.137011, (0, 0), 130.723),
        ("resnet20_low_res", 51, 0.00692440, (0, 0), 276.399),
        ("resnet110_no_skip_low_res", 51, 0.212200, (0, 0), 261246),
        ("resnet101_skip", 256, 0.0004873, (-0.005, 0.014), 550.2),
        ("densenet121", 51, 0.000807417, (0, 0), 6.41193),
    ],
)
def test_viewer_grids(name: str, side: int, least: float, where: tuple[float, float], greatest: float) -> None:
    file = VIEWER / f"{name}.npz"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    surface = read_npz(file)
    assert surface.loss.shape == (side, side)
    assert float(surface.loss.max()) == pytest.approx(greatest, rel=5e-6)
    lowest = surface.loss.where(surface.loss == surface.loss.min(), drop=True)
    assert lowest.item() == pytest.approx(least, rel=5e-6)
    assert (lowest.alpha.item(), lowest.beta.item()) == pytest.approx(where, abs=1e-9)


@pytest.mark.parametrize(
    "arrays",
    [
        {"loss": cases.TABLE},
        {"x": cases.ALPHA, "y": cases.BETA, "z": cases.TABLE},
        {"x": cases.ALPHA, "y": cases.BETA, "z": cases.TABLE.T.astype(str)},
        {"x": np.array([0.0, np.nan]), "y": cases.BETA, "z": np.zeros((3, 2))},
        {"alpha": cases.ALPHA, "attrs": np.array("no JSON")},
        {"alpha": cases.ALPHA, "attrs": np.array("[]")},
        {"alpha": cases.ALPHA, "attrs": np.array('{"axes": ["alpha"], "dims": {"loss": ["alpha"]}, "variables": {}, "attrs": {}}')},
    ],
)
def test_foreign_npz(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InputError, match=r"s\.npz"):
        read_npz(tmp_path / "s.npz")


def test_python_objects_are_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "harm",)

    np.savez(tmp_path / "s.npz", x=np.array([Hostile()], object), y=cases.BETA, z=cases.TABLE)
    with pytest.raises(InputError, match="an npz of plain arrays"):
        read_npz(tmp_path / "s.npz")
    assert not (tmp_path / "harm").exists()


def test_a_cut_npz(tmp_path: Path) -> None:
    path = write_npz(cases.surface(), tmp_path / "s.npz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="cannot be read"):
        read_npz(path)
