"""Every option does what its help says, numbers held against the Python API; old options name the new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image

import lossatlas as la
from cli.command import lossatlas
from lossatlas.cli.parsing import RENAMED_OPTIONS

FIXTURE = Path(__file__).parents[1] / "fixtures" / "small.zarr"
OBJECTIVES = """
import torch, lossatlas as la

torch.manual_seed(1)
x = torch.randn(40, 3)
y = (x[:, 0] > 0).long()
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
normalized = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
cross_entropy = torch.nn.functional.cross_entropy
objective = la.Objective(model, cross_entropy, (x, y), split="train")
of_batches = la.Objective(normalized, cross_entropy, [(x[i : i + 8], y[i : i + 8]) for i in range(0, 40, 8)], mode="batch")
bowl = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
rows = la.Objective(lambda p, b: (b[0] @ p["w"] - 1) ** 2, data=(x,), params={"w": torch.tensor([3.0, 4.0, 5.0])})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "objectives.py").write_text(OBJECTIVES)
    return tmp_path


def objectives() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(OBJECTIVES, names)
    return names


def evaluate(folder: Path, *options: object, objective: str = "objective") -> Any:
    done = lossatlas("evaluate", f"objectives.py:{objective}", "--archive", "a.zarr", "--resolution", "3x2", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return la.open_archive(folder / "a.zarr").surface()


def refused(folder: Path, *arguments: object) -> str:
    """The error of a command: one line, and nothing written."""
    done = lossatlas(*arguments, cwd=folder)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert not list(folder.glob("*.zarr"))
    return done.stderr


@pytest.mark.parametrize(("verb", "old"), [(verb, old) for verb, table in RENAMED_OPTIONS.items() for old in table])
def test_an_old_option_names_the_new_one(tmp_path: Path, verb: str, old: str) -> None:
    words = refused(tmp_path, verb, "something", old, "x")
    assert f"{verb} has no option {old}: use {RENAMED_OPTIONS[verb][old]}." in words


def test_the_version_is_an_option() -> None:
    assert lossatlas("--version").stdout.strip() == la.__version__
    assert "use lossatlas --version" in lossatlas("version").stderr
    assert lossatlas("version").returncode == 2


def test_an_unknown_option_of_no_former_name_is_refused_as_before(tmp_path: Path) -> None:
    done = lossatlas("plot", FIXTURE, "--nonsense", cwd=tmp_path)
    assert done.returncode == 2 and "--nonsense" in done.stderr


def test_samples_and_dtype_give_what_the_objective_would_have_given(folder: Path) -> None:
    surface = evaluate(folder, "--samples", 10, "--dtype", "float64", "--device", "cpu")
    given = objectives()
    fewer = la.Objective(given["model"], given["cross_entropy"], (given["x"], given["y"]), samples=10, dtype=torch.float64, split="train")
    expected = la.evaluate(fewer, la.random_plane(fewer), resolution=(3, 2))
    np.testing.assert_allclose(surface.loss, expected.loss, rtol=1e-12)  # float64, the same operations
    described = surface.attrs["objective"]
    assert (described["samples"], described["dtype"], described["split"]) == (10, "float64", "train")
    assert (described["model"], described["loss"]) == ("Sequential", "cross_entropy")


def test_batch_size_changes_batches_and_no_value(folder: Path) -> None:
    pieces, whole = evaluate(folder, "--batch-size", 7), objectives()["objective"]
    assert (pieces.attrs["objective"]["batches"], pieces.attrs["objective"]["batch_size"]) == (6, 7)
    expected = la.evaluate(whole, la.random_plane(whole), resolution=(3, 2))
    np.testing.assert_allclose(pieces.loss, expected.loss, rtol=1e-5)  # float32 sums in another order


@pytest.mark.slow
def test_batch_size_joins_batches_where_statistics_depend_on_them(folder: Path) -> None:
    surface = evaluate(folder, "--batch-size", 20, objective="of_batches")
    given = objectives()
    joined = la.Objective(given["normalized"], given["cross_entropy"], (given["x"], given["y"]), batch_size=20, mode="batch")
    expected = la.evaluate(joined, la.random_plane(joined), resolution=(3, 2))
    np.testing.assert_allclose(surface.loss, expected.loss, rtol=1e-5)
    assert surface.attrs["objective"]["mode"] == "batch"


def test_a_callable_is_cut_too(folder: Path) -> None:
    surface = evaluate(folder, "--samples", 5, "--normalize", "none", "--biases", "--resolution", "5x3", objective="rows")
    given = objectives()
    expected = float(((given["x"][:5] @ torch.tensor([3.0, 4.0, 5.0]) - 1) ** 2).mean())
    assert float(surface.loss.sel(alpha=0, beta=0)) == pytest.approx(expected, rel=1e-5)
    assert surface.attrs["objective"]["samples"] == 5


def test_what_was_said_of_the_data_is_said_once(folder: Path) -> None:
    (folder / "read_once.py").write_text(
        "import torch, lossatlas as la\n"
        "batches = ((torch.ones(4, 2) * k,) for k in (1, 2, 3))\n"
        "objective = la.Objective(lambda p, b: b[0] @ p['w'], data=batches, params={'w': torch.ones(2)})\n"
    )
    options = ("--samples", 6, "--normalize", "none", "--biases", "--resolution", 2, "--archive", "a.zarr")
    done = lossatlas("evaluate", "read_once.py:objective", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    described = la.open_archive(folder / "a.zarr").surface().attrs["objective"]
    assert described["samples"] == 6 and described["note"].count("read once from an iterable") == 1


def test_a_line_of_chosen_layers_in_threads(folder: Path) -> None:
    options = ("--line", "--params", "2", "--mode", "eval", "--executor", "threads", "--workers", 2, "--name", "cut", "--bounds", "-0.5,1")
    surface = evaluate(folder, *options, "--resolution", 4)
    assert dict(surface.sizes) == {"alpha": 4} and float(surface.alpha[0]) == -0.5
    assert surface.attrs["plane"]["parameters"] == ["2.weight"] and la.open_archive(folder / "a.zarr").surfaces == ("cut",)


@pytest.mark.slow
def test_modes_are_compared_side_by_side(folder: Path) -> None:
    done = lossatlas("evaluate", "objectives.py:of_batches", "--archive", "a.zarr", "--resolution", "3x2", "--compare-modes", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert la.open_archive(folder / "a.zarr").surfaces == ("surface-batch", "surface-eval", "surface-recalibrated")


def test_reduced_precision_is_named(folder: Path) -> None:
    assert evaluate(folder, "--precision", "bf16").attrs["objective"]["precision"] == "bf16"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--device", "abacus"), "device: got abacus"),
        (("--dtype", "int8"), "--dtype: got int8; expected 'float64' or 'float32'"),
        (("--batch-size", "0"), "--batch-size: got 0"),
        (("--samples", "-1"), "--samples: got -1"),
        (("--tol-scale", "cubic"), "--tol-scale: got cubic; expected 'linear' or 'log'"),
        (("--plane", "umap"), "--plane: got umap; expected 'random' or 'hessian'"),
        (("--plane", "pca"), "--recording"),
        (("--plane", "hessian", "--line"), "--line"),
        (("--trajectory", "run"), "--recording"),
        (("--recording", "no.zarr", "--plane", "random"), "'pca' or 'start-end'"),
    ],
)
def test_wrong_values_of_evaluate_are_named_in_one_line(folder: Path, options: tuple[str, ...], words: str) -> None:
    assert words in refused(folder, "evaluate", "objectives.py:objective", *options)


def test_an_objective_without_data_has_no_samples_to_choose(folder: Path) -> None:
    assert "this objective has no data" in refused(folder, "evaluate", "objectives.py:bowl", "--samples", 3)


def test_batches_that_do_not_fit_together_are_cut_in_the_objectives_file(folder: Path) -> None:
    (folder / "ragged.py").write_text(
        "import torch, lossatlas as la\n"
        "batches = [(torch.ones(2, n),) for n in (3, 4)]\n"
        "objective = la.Objective(lambda p, b: p['w'] * b[0].mean(1), data=batches, params={'w': torch.tensor(2.0)})\n"
    )
    words = refused(folder, "evaluate", "ragged.py:objective", "--batch-size", 3)
    assert "la.Objective(..., batch_size=...)" in words


def test_tol_counts_on_the_scale_asked_for(folder: Path) -> None:
    surface = evaluate(folder, "--tol", "0.1", "--tol-scale", "log", "--resolution", "9x7")
    assert surface.attrs["engine"] is not None and bool(surface.done.any())


def test_a_plane_of_hessian_eigenvectors(folder: Path) -> None:
    assert evaluate(folder, "--plane", "hessian").attrs["plane"]["kind"].startswith("hessian")


def test_info_prints_json_for_scripts() -> None:
    contents = json.loads(lossatlas("info", FIXTURE, "--json").stdout, parse_constant=pytest.fail)
    surface, archive = contents["surfaces"]["plane"], la.open_archive(FIXTURE)
    assert surface["shape"] == dict(archive.surface().sizes) == {"alpha": 3, "beta": 2}
    assert surface["cells"] == {"done": 5, "of": 6}
    assert surface["variables"]["loss"]["dims"] == ["alpha", "beta"] and surface["variables"]["loss"]["dtype"] == "float64"
    assert surface["attrs"]["plane"] == archive.surface().attrs["plane"]
    assert set(contents["trajectories"]) == set(archive.trajectories)


@pytest.mark.slow
def test_dpi_and_levels_of_a_figure(tmp_path: Path) -> None:
    def drawn(*options: object) -> tuple[Image.Image, bytes]:
        assert lossatlas("plot", FIXTURE, "--kind", "contour", "--out", "a.png", *options, cwd=tmp_path).returncode == 0
        image = Image.open(tmp_path / "a.png")
        return image, image.convert("RGB").tobytes()

    small, usual = drawn("--dpi", 40)
    large, _ = drawn("--dpi", 80)
    assert large.width == pytest.approx(2 * small.width, abs=2)  # whole pixels
    assert drawn("--dpi", 40, "--levels", 4)[1] != usual
    assert "levels" in refused(tmp_path, "plot", FIXTURE, "--levels", 1)
    assert "dpi" in refused(tmp_path, "plot", FIXTURE, "--dpi", 0)


@pytest.mark.slow
def test_uncertainty_and_trajectory_of_a_figure(tmp_path: Path) -> None:
    (name,) = la.open_archive(FIXTURE).trajectories
    common = ("plot", FIXTURE, "--kind", "contour", "--dpi", 40)
    assert lossatlas(*common, "--trajectory", name, "--out", "a.png", cwd=tmp_path).returncode == 0
    assert "no_such_run" in refused(tmp_path, *common, "--trajectory", "no_such_run")
    done = lossatlas(*common, "--uncertainty", "--out", "b.png", cwd=tmp_path)
    assert done.returncode == 0 or "standard error" in done.stderr, done.stderr


@pytest.mark.slow
def test_frames_and_clip_of_an_animation(tmp_path: Path) -> None:
    for frames in (2, 3):
        common = ("animate", FIXTURE, "--kind", "contour", "--frames", frames, "--clip", 2.0, "--out", "a.gif")
        done = lossatlas(*common, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with Image.open(tmp_path / "a.gif") as animation:
            assert getattr(animation, "n_frames", 1) <= frames
    assert "frames" in refused(tmp_path, "animate", FIXTURE, "--frames", 0)
    assert "clip" in refused(tmp_path, "animate", FIXTURE, "--clip", "nan")


def test_an_exported_page_opens_as_asked(tmp_path: Path) -> None:
    done = lossatlas("view", FIXTURE, "--export", "a.html", "--scale", "log", "--quantity", "loss", "--title", "Bowl & co", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert '"view":{"log":true,"quantity":"loss"}' in page and "<title>Bowl &amp; co</title>" in page


def test_a_live_page_takes_its_port_and_state(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette")
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("lossatlas.viz.web.server.serve", lambda archives, **options: calls.append({"archives": archives, **options}))
    assert (
        lossatlas("view", FIXTURE, "--port", 8765, "--scale", "linear", "--title", "T", "--theme", "dark", "--no-browser").returncode == 0
    )
    state = {"log": False, "theme": "dark"}
    assert calls == [{"archives": [str(FIXTURE)], "port": 8765, "open_browser": False, "view": state, "title": "T"}]


@pytest.mark.slow
def test_the_address_of_a_live_page_carries_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette")
    pages: list[str] = []
    monkeypatch.setattr("webbrowser.open", pages.append)
    monkeypatch.setattr("lossatlas.viz.web.server.LiveServer.wait", lambda server: None)
    done = lossatlas("view", FIXTURE, "--scale", "log", "--quantity", "loss")
    assert done.returncode == 0, done.stderr
    address, state = pages[0].split("#v=")
    assert json.loads(unquote(state)) == {"log": True, "quantity": "loss"}
    assert "?token=" in address and pages[0] in done.stdout


def test_a_page_waits_for_an_archive_that_comes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette")
    opened: list[Any] = []
    monkeypatch.setattr("lossatlas.viz.web.server.serve", lambda archives, **_: opened.append(archives))
    monkeypatch.setattr("time.sleep", lambda _: la.open_archive(tmp_path / "later.zarr", "a"))
    done = lossatlas("view", tmp_path / "later.zarr", "--wait", "--no-browser")
    assert done.returncode == 0 and "Waiting for" in done.stdout and len(opened) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--quantity", "beauty"), "--quantity: got beauty; expected one of"),
        (("--scale", "cubic"), "--scale: got cubic"),
        (("--export", "a.html", "--port", "80"), "--port"),
        (("--port", "70000"), "port"),
    ],
)
def test_wrong_values_of_view_are_named_in_one_line(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    assert words in refused(tmp_path, "view", FIXTURE, *options)
