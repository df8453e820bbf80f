"""The command line with any words: it does what it was asked, or says in one message why not; never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from fuzz.fuzzing import TEXTS, run_cases
from lossatlas import schema
from lossatlas.archive import open_archive
from lossatlas.cli.app import app

pytestmark = pytest.mark.slow

NA, NB = 3, 4
NUMBERS = ("0", "-1", "2", "3", "1.5", "nan", "inf", "-inf", "1e400", "9" * 30, "0x3", "2x3", "3x", "x3", "-1,1", "1,-1", "nan,1", "0,0",
           "a,b", "0,1,0", "0,1,0,1")  # fmt: skip
FILES = ("whole.zarr", "whole.csv", "objective.py", "needs.py", "null.py", "new.png", "new.svg", "new.gif", "new.html", "new.zarr",
         "new.csv", "new.stl", "new.vtp", "folder", "no_such.zarr")  # fmt: skip
OPTIONS: dict[str, tuple[str, ...]] = {
    "info": ("--json",),
    "plot": ("--surface", "--kind", "--trajectory", "--quantity", "--scale", "--clip", "--levels", "--colormap", "--title", "--uncertainty",
             "--stems", "--dpi", "--out"),
    "export": ("--to", "--surface", "--out", "--size", "--scale", "--clip"),
    "import": ("--archive",),
    "view": ("--theme", "--quantity", "--scale", "--title"),
    "evaluate": ("--archive", "--name", "--bounds", "--resolution", "--seed", "--normalize", "--params", "--biases", "--line",
                 "--plane", "--metrics", "--mode", "--tol", "--tol-scale", "--executor", "--workers", "--precision", "--overwrite",
                 "--dry-run", "--recording", "--trajectory", "--device", "--dtype", "--batch-size", "--samples"),
    "curvature": ("--at", "--archive", "--surface", "--name", "--bounds", "--map", "--seed", "--normalize", "--params", "--biases",
                  "--plane", "--tol", "--probes", "--dtype", "--samples", "--overwrite", "--json", "--recording", "--trajectory"),
}  # fmt: skip
KNOWN = {
    "--to": ("h5", "vtp", "csv", "npz", "glb", "stl"), "--kind": ("auto", "contour", "line", "training", "recording"), "--scale": ("log",),
    "--quantity": ("loss", "accuracy"), "--metrics": ("loss", "loss,accuracy", "loss,loss", ","),
    "--executor": ("serial",), "--theme": ("dark",), "--mode": ("eval", "train"), "--precision": ("full",),
    "--normalize": ("none", "layer"), "--plane": ("random", "hessian", "pca", "start-end"), "--tol-scale": ("log",),
    "--dtype": ("float64", "float32"), "--device": ("cpu",), "--at": ("0,0", "0.5,1"), "--surface": ("s",),
    "--tol": ("0.1",), "--params": ("w", "*"),
}  # fmt: skip
FLAGS = ("--uncertainty", "--stems", "--biases", "--line", "--overwrite", "--dry-run", "--map", "--json")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder deep enough that ``../..`` stays inside the test's own."""
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    archive = open_archive("whole.zarr", "a")
    axes = {"alpha": np.linspace(-1, 1, NA), "beta": np.linspace(-1, 1, NB)}
    archive.create_surface("s", axes, [schema.variable("loss")], {"kind": "surface", "title": "A title"})
    archive.write_cells("s", np.arange(NA * NB), {"loss": 1.0 + np.arange(NA * NB)})
    line = np.linspace(0, 1, 4)
    run = xr.Dataset(dict.fromkeys(("path_alpha", "path_beta", "path_loss"), ("step", line)), {"step": np.arange(4)}, {"surface": "s"})
    archive.write_trajectory("run", run)
    Path("whole.csv").write_text("alpha,beta,loss\n0,0,1\n0,1,2\n1,0,3\n1,1,4\n")
    Path("objective.py").write_text(
        "import torch, lossatlas as la\n"
        "objective = la.Objective(lambda p, b: (p['w'] ** 2).sum(), params={'w': torch.tensor([3.0, 4.0])})\n"
        "def exits(): raise SystemExit(3)\n"
    )
    Path("needs.py").write_text("def objective(x): return x\n")
    Path("null.py").write_bytes(b"objective = 1\x00\n")
    Path("folder").mkdir()
    return folder


def command(dice: random.Random) -> list[str]:
    verb = dice.choice(list(OPTIONS))
    words = [verb, *(_positional(verb, dice) for _ in range(dice.choice([1, 1, 1, 1, 0, 2])))]
    if verb == "view":
        words += ["--export", _any_file(dice)]
    if verb in ("evaluate", "curvature"):
        words += ["--resolution", "3"]
    for option in dice.sample(OPTIONS[verb], min(len(OPTIONS[verb]), dice.choice([0, 1, 1, 2, 3]))):
        words += [option] if option in FLAGS else [option, _value(option, dice)]
    return words


def _positional(verb: str, dice: random.Random) -> str:
    if verb in ("evaluate", "curvature") and dice.random() < 0.8:
        return dice.choice(
            ["objective.py:objective", "objective.py:exits", "needs.py:objective", "null.py:objective", "objective:objective"]
        )
    usual = "whole.csv" if verb == "import" else "whole.zarr"
    return usual if dice.random() < 0.7 else _any_file(dice)


def _any_file(dice: random.Random) -> str:
    return dice.choice(FILES) if dice.random() < 0.8 else dice.choice([text for text in TEXTS if not text.startswith("-")])


def _value(option: str, dice: random.Random) -> str:
    if option in ("--out", "--archive", "--recording"):
        return _any_file(dice)
    return dice.choice([*KNOWN.get(option, ()) * 4, *NUMBERS, *TEXTS])


def invoke(words: list[str]) -> int:
    result = CliRunner().invoke(app, words, obj=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        result.exception.add_note(f"lossatlas {words!r}")
        raise result.exception
    assert result.exit_code in (0, 2), (words, result.exit_code, result.output)
    return result.exit_code


def test_any_words_are_done_or_refused(place: Path) -> None:
    codes: list[int] = []
    run_cases("command line", lambda dice: codes.append(invoke(command(dice))), fewest=25)
    assert {0, 2} == set(codes)
