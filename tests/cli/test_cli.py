"""The command line as a new user types it: exit codes, messages, and no torch where none is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import lossatlas as la
from cli.command import lossatlas
from numbers_in import numbers_after

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "small.zarr"
MODEL = ROOT / "examples" / "my_model.py"


COMMAND = Path(sys.executable).with_name("lossatlas")


@pytest.mark.slow
@pytest.mark.skipif(not COMMAND.exists(), reason="the package is not installed, as in `make lowest`")
def test_the_installed_command_speaks() -> None:
    done = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "evaluate" in done.stdout


@pytest.mark.slow
def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "lossatlas", "--version"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.strip() == la.__version__


UNTRAINED = """
import torch, lossatlas as la
torch.manual_seed(1)
x = torch.randn(40, 3)
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, (x[:, 0] > 0).long()))
"""


@pytest.mark.slow
def test_a_recording_gets_the_landscape_under_its_path(tmp_path: Path) -> None:
    import torch

    (tmp_path / "untrained.py").write_text(UNTRAINED)
    found: dict[str, Any] = {}
    exec(UNTRAINED, found)
    model, x = found["model"], found["x"]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    with la.Recorder(tmp_path / "run.zarr", model, optimizer, every=2) as recorder:
        for _ in range(12):
            loss = torch.nn.functional.cross_entropy(model.train()(x), (x[:, 0] > 0).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step()
    with torch.no_grad():
        true = torch.nn.functional.cross_entropy(model.eval()(x), (x[:, 0] > 0).long()).item()
    ask = ("evaluate", "untrained.py:objective", "--recording", "run.zarr", "--resolution", "5x4")
    done = lossatlas(*ask, "--archive", "a.zarr", cwd=tmp_path)
    assert done.returncode == 0 and "of a random walk" in done.stdout
    assert pytest.approx(true, rel=1e-5) in numbers_after("loss", done.stdout)  # six digits are printed, and float32 has no more
    path = la.open_archive(tmp_path / "a.zarr").trajectory("run")
    assert float(path.path_plane_loss[-1]) == pytest.approx(true, rel=1e-5) and path.attrs["surface"] == "surface"
    surface = la.open_archive(tmp_path / "a.zarr").surface("surface")
    assert float(surface.alpha[0]) < float(path.path_alpha.min()) and float(surface.alpha[-1]) > float(path.path_alpha.max())
    assert lossatlas("plot", "a.zarr", "--kind", "training", "--out", "a.png", cwd=tmp_path).returncode == 0
    beside = lossatlas(*ask, "--archive", "run.zarr", "--plane", "start-end", "--name", "ends", cwd=tmp_path)
    assert beside.returncode == 0, beside.stderr
    assert la.open_archive(tmp_path / "run.zarr").surface("ends").attrs["plane"]["kind"] == "start-end"
    for option, words in ((("--plane", "umap"), "'pca' or 'start-end'"), (("--line",), "--line"), (("--trajectory", "walk"), "run")):
        refused = lossatlas(*ask, *option, cwd=tmp_path)
        assert refused.returncode and words in refused.stderr
    lonely = lossatlas("plot", "run.zarr", "--surface", "ends", "--trajectory", "walk", cwd=tmp_path)
    assert lonely.returncode


@pytest.mark.slow
def test_a_recording_without_a_landscape_says_how_to_get_one(tmp_path: Path) -> None:
    import torch

    la.Trajectory.from_checkpoints([{"w": torch.ones(2) * k} for k in range(3)], archive=tmp_path / "run.zarr")
    refused = lossatlas("plot", tmp_path / "run.zarr")
    assert refused.returncode and "--recording" in refused.stderr and "--kind recording" in refused.stderr
    run = la.Trajectory.open(tmp_path / "run.zarr")
    with pytest.raises(la.InputError, match=r"archive.*open_archive"):
        la.project_trajectory(
            run, la.random_plane(run.params(-1), normalize="none", biases=True), archive=la.open_archive(tmp_path / "run.zarr")
        )


def test_help_names_every_verb() -> None:
    words = lossatlas("--help").stdout
    for verb in ("demo", "run", "train", "evaluate", "curvature", "info", "plot", "animate", "view", "export", "import", "doctor"):
        assert verb in words


def test_run_lists_recipes_and_their_options() -> None:
    words = lossatlas("run", "--list").stdout
    assert "tutorial" in words
    assert "--sample-size" in words


def test_info_tells_what_an_archive_holds() -> None:
    words = lossatlas("info", FIXTURE).stdout
    for expected in ("plane", "5 of 6", "path", "filter", "cross-entropy"):
        assert expected in words


@pytest.mark.slow
def test_plot_and_animate_write_files(tmp_path: Path) -> None:
    assert lossatlas("plot", FIXTURE, "--out", tmp_path / "a.png").returncode == 0
    look = ("--width", "column", "--theme", "print", "--bare")
    assert lossatlas("plot", FIXTURE, "--kind", "contour", *look, "--out", tmp_path / "a.pdf").returncode == 0
    assert lossatlas("animate", FIXTURE, "--out", tmp_path / "a.gif").returncode == 0
    for name in ("a.png", "a.pdf", "a.gif"):
        assert (tmp_path / name).stat().st_size > 2000


@pytest.mark.slow
def test_reading_and_drawing_never_import_torch(tmp_path: Path) -> None:
    drawing = ["plot", str(FIXTURE), "--out", str(tmp_path / "a.png")]
    page = ["view", str(FIXTURE), "--export", str(tmp_path / "a.html"), "--scale", "log"]
    verbs = [["info", str(FIXTURE)], ["info", str(FIXTURE), "--json"], drawing, page, ["doctor"], ["run", "--list"], ["--help"]]
    code = f"""
import sys
from lossatlas.cli.app import app
for words in {verbs!r}:
    app(words, standalone_mode=False)
assert "torch" not in sys.modules, "torch was imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_a_users_own_model_is_evaluated_and_continued(tmp_path: Path) -> None:
    arguments = (
        "evaluate",
        f"{MODEL}:objective",
        "--archive",
        tmp_path / "a.zarr",
        "--resolution",
        "5x3",
        "--metrics",
        "loss,accuracy",
        "--seed",
        1,
    )
    first = lossatlas(*arguments)
    assert first.returncode == 0, first.stderr
    surface = la.open_archive(tmp_path / "a.zarr").surface()
    assert surface.loss.shape == (5, 3)
    assert surface.done.all()
    assert "accuracy" in surface
    assert "15 of 15 cells" in lossatlas(*arguments).stdout


@pytest.mark.slow
def test_a_dry_run_prints_the_cost_and_writes_nothing(tmp_path: Path) -> None:
    done = lossatlas("evaluate", f"{MODEL}:objective", "--archive", tmp_path / "a.zarr", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2,601 cells" in done.stdout and "tol=0.01" in done.stdout
    assert not (tmp_path / "a.zarr").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("info", "nothing.zarr"), "No archive at nothing.zarr"),
        (("plot", "nothing.zarr"), "No archive"),
        (("plot", FIXTURE, "--surface", "other"), "plane"),
        (("plot", FIXTURE, "--scale", "cubic"), "linear"),
        (("plot", FIXTURE, "--quantity", "beauty"), "beauty"),
        (("plot", FIXTURE, "--out", "a.bmp"), ".png"),
        (("run", "nope"), "tutorial"),
        (("run", "tutorial", "--nope", "3"), "--sample-size"),
        (("run", "tutorial", "--seed", "x"), "--seed"),
        (("run", "tutorial", "--data", "nowhere", "--gradient", "best"), "article"),
        (("evaluate", "nothing"), "MODULE:OBJECTIVE"),
        (("evaluate", "nothing.py:objective"), "a file that exists"),
        (("evaluate", "no_such_module:objective"), "No module named"),
        (("evaluate", f"{MODEL}:nothing"), "a name that"),
        (("evaluate", f"{MODEL}:objective", "--bounds", "1,-1"), "bounds"),
        (("evaluate", f"{MODEL}:objective", "--bounds", "a"), "--bounds"),
        (("evaluate", f"{MODEL}:objective", "--resolution", "1"), "resolution"),
        (("evaluate", f"{MODEL}:objective", "--resolution", "x"), "--resolution"),
        (("evaluate", f"{MODEL}:objective", "--normalize", "batch"), "filter"),
        (("evaluate", f"{MODEL}:objective", "--mode", "sleep"), "eval"),
        (("evaluate", f"{MODEL}:objective", "--tol", "7", "--resolution", "3"), "tol"),
        (("evaluate", f"{MODEL}:objective", "--tol", "0.1", "--metrics", "accuracy"), "the loss among the metrics"),
        (("nonsense",), "No such command"),
    ],
)
def test_mistakes_leave_with_code_2_and_one_clear_message(tmp_path: Path, arguments: tuple, words: str) -> None:
    done = lossatlas(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert words in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


BROKEN = {
    "no_python.py": ("def objective(:\n", "SyntaxError: invalid syntax", 1),
    "raising.py": ("import math\n\nobjective = math.sqrt(-1)\n", "ValueError: math domain error", 3),
    "missing.py": ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'", 1),
    "calling.py": ("def objective():\n    return [][1]\n", "IndexError: list index out of range", 2),
}


@pytest.mark.parametrize("file", BROKEN)
def test_an_objective_that_raises_is_told_with_its_line(tmp_path: Path, file: str) -> None:
    text, words, line = BROKEN[file]
    (tmp_path / file).write_text(text)
    done = lossatlas("evaluate", f"{file}:objective", cwd=tmp_path)
    told = " ".join(done.stderr.split())
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert words in told and f"line {line} of" in told and file in told


@pytest.mark.slow
def test_advice_is_given_in_options(tmp_path: Path) -> None:
    """Every option that a message names exists."""
    place, small = tmp_path / "a.zarr", ("--resolution", "3", "--archive", tmp_path / "a.zarr")
    only = lossatlas("evaluate", f"{MODEL}:objective", *small, "--params", "*.bias")
    assert only.returncode == 2 and "Pass --biases to move biases too" in " ".join(only.stderr.split())
    assert lossatlas("evaluate", f"{MODEL}:objective", *small, "--params", "*.bias", "--biases").returncode == 0
    assert la.open_archive(place).surface().attrs["plane"]["biases"]
    other = lossatlas("evaluate", f"{MODEL}:objective", *small, "--seed", "4")
    assert "Choose another --name or --archive, or pass --overwrite" in " ".join(other.stderr.split())
    assert lossatlas("evaluate", f"{MODEL}:objective", *small, "--seed", "4", "--overwrite").returncode == 0


@pytest.mark.slow
def test_a_figures_folder_is_made_and_help_says_so(tmp_path: Path) -> None:
    assert lossatlas("plot", FIXTURE, "--kind", "contour", "--out", tmp_path / "new" / "folder" / "a.svg").returncode == 0
    assert (tmp_path / "new" / "folder" / "a.svg").exists()
    assert "its folder is made" in " ".join(lossatlas("plot", "--help").stdout.replace("│", " ").split())


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(la.ArchiveError):
        lossatlas("info", tmp_path / "nothing.zarr", "--debug")


@pytest.mark.parametrize("to", ["h5", "vtp", "csv", "npz"])
def test_export_then_import_gives_the_surface_back(tmp_path: Path, to: str) -> None:
    whole = tmp_path / "whole.zarr"
    surface = la.open_archive(FIXTURE).surface()
    la.open_archive(whole, "a").write_surface("plane", (surface.fillna(1.5) + 3).assign(done=surface.done | True))
    done = lossatlas("export", whole, "--to", to, "--out", tmp_path / f"plane.{to}")
    assert done.returncode == 0, done.stderr
    done = lossatlas("import", tmp_path / f"plane.{to}", "--archive", tmp_path / "back.zarr")
    assert done.returncode == 0, done.stderr
    back = la.open_archive(tmp_path / "back.zarr").surface("plane")
    assert back.loss.shape == (3, 2)
    assert float(back.loss.sel(alpha=-1, beta=0.5)) == 3.0


def test_the_name_of_an_exported_file_says_its_format(tmp_path: Path) -> None:
    assert lossatlas("export", FIXTURE, "-o", tmp_path / "a.csv").returncode == 0
    assert lossatlas("export", FIXTURE, "--to", "csv", "--out", tmp_path / "b.csv").returncode == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert "--out surface.vtp" in lossatlas("export", FIXTURE).stderr


def test_view_exports_one_offline_page_and_meshes(tmp_path: Path) -> None:
    assert lossatlas("view", FIXTURE, "--export", tmp_path / "page.html").returncode == 0
    assert "<!doctype html>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    for to in ("glb", "stl"):
        assert lossatlas("export", FIXTURE, "--to", to, "--out", tmp_path / f"plane.{to}").returncode == 0
        assert (tmp_path / f"plane.{to}").stat().st_size > 300


@pytest.mark.slow
def test_demo_leaves_everything_it_promises(tmp_path: Path) -> None:
    done = lossatlas("demo", "--quick", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    for name in ("surfaces.png", "descents.png", "descent.gif"):
        assert (tmp_path / "demo" / name).stat().st_size > 10_000
        assert name in done.stderr
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert summary["recipe"] == "demo"
    assert summary["surfaces"]["n100"]["cells_done"] == 441
    archive = la.open_archive(tmp_path / "demo" / "archive.zarr")
    assert archive.surfaces == ("n100", "n1000")
    assert len(archive.trajectories) == 3
    ends = [path["end"] for path in summary["paths"].values()]
    assert max(abs(a - b) for e, f in pairwise(ends) for a, b in zip(e, f, strict=True)) > 3


@pytest.mark.slow
def test_info_tells_what_a_figure_carries(tmp_path: Path) -> None:
    """The same caption and hash as the archive says of itself."""
    figure = tmp_path / "figure.svg"
    la.plot(FIXTURE, figure, kind="contour")
    text, archive = lossatlas("info", figure).stdout, lossatlas("info", FIXTURE).stdout
    (digest,) = re.findall(r"from small\.zarr, surface plane, sha256 ([0-9a-f]{16})", text)
    assert digest in archive
    assert "minimum on this grid" in text
    assert json.loads(lossatlas("info", figure, "--json").stdout)["sources"] == [
        {"archive": "small.zarr", "surface": "plane", "sha256": digest}
    ]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = lossatlas("info", tmp_path / "broken.png")
    assert broken.returncode == 2 and "expected a whole PNG file" in broken.stderr


def test_a_warning_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "warning.py").write_text("import warnings\nwarnings.warn('Two\\n words', stacklevel=1)\nobjective = 1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = lossatlas("evaluate", "warning.py:objective", cwd=tmp_path)
    assert done.stderr.splitlines()[0] == "warning: Two words" and "Traceback" not in done.stderr
