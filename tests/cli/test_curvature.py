"""`lossatlas curvature` against closed forms: a quadratic, whose Hessian is the same everywhere, and a quartic, whose is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import lossatlas as la
from cli.command import lossatlas
from numbers_in import numbers_after

OBJECTIVES = """
import torch, lossatlas as la

scales = torch.tensor([[2.0, -1.0], [0.5, 3.0]], dtype=torch.float64)
weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
quadratic = la.Objective(lambda p, _: (scales * p["w"] ** 2).sum() / 2, params={"w": weights})
quartic = la.Objective(lambda p, _: (p["w"] ** 4).sum() / 12, params={"w": weights})
moved = la.Objective(lambda p, _: (p["w"] ** 4).sum() / 12, params={"w": weights + 1})
"""
QUADRATIC = {"lambda_max": 3.0, "lambda_min": -1.0, "ratio": 1 / 3, "trace": 4.5}
"""Eigenvalues are the scales themselves: 2, -1, 0.5 and 3."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "objectives.py").write_text(OBJECTIVES)
    return tmp_path


def curvature(folder: Path, objective: str, *options: object) -> dict:
    done = lossatlas("curvature", f"objectives.py:{objective}", "--json", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_constant=pytest.fail)


def test_the_report_of_a_quadratic_is_its_closed_form(folder: Path) -> None:
    report = curvature(folder, "quadratic", "--tol", "1e-8", "--probes", 30)
    assert {key: report[key] for key in QUADRATIC} == pytest.approx(QUADRATIC, rel=1e-6)
    text = lossatlas("curvature", "objectives.py:quadratic", cwd=folder).stdout
    assert numbers_after("largest eigenvalue", text)[0] == pytest.approx(3, rel=1e-2)
    assert "does not prove convexity" in text


@pytest.mark.slow
def test_parameters_are_chosen_and_biases_join_by_request(folder: Path) -> None:
    (folder / "linear.py").write_text(
        "import torch, lossatlas as la\n"
        "data = (torch.eye(2, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64))\n"
        "model = torch.nn.Linear(2, 1, dtype=torch.float64)\n"
        "objective = la.Objective(model, torch.nn.functional.mse_loss, data)\n"
    )

    def report(*options: object) -> dict:
        done = lossatlas("curvature", "linear.py:objective", "--json", *options, cwd=folder)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    # loss = ((w1 + b)^2 + (w2 + b)^2) / 2: second derivatives 1, 1 and, of the bias, 2
    assert (report()["parameters"], report()["trace"]) == (2, pytest.approx(2, rel=1e-6))
    assert (report("--biases")["parameters"], report("--biases")["trace"]) == (3, pytest.approx(4, rel=1e-6))
    assert report("--params", "bias", "--biases")["lambda_max"] == pytest.approx(2, rel=1e-6)
    assert report("--samples", 1)["trace"] == pytest.approx(2, rel=1e-6)  # 2 (w1 + b)^2 / 2, twice the share of one weight


@pytest.mark.slow
def test_a_point_of_a_stored_surface(folder: Path) -> None:
    ask = ("evaluate", "objectives.py:quartic", "--archive", "a.zarr", "--resolution", "3x2", "--seed", 5)
    assert lossatlas(*ask, cwd=folder).returncode == 0
    report = curvature(folder, "quartic", "--archive", "a.zarr", "--surface", "surface", "--at", "0.5,-0.25", "--tol", "1e-8")
    given: dict = {}
    exec(OBJECTIVES, given)
    diagonal = la.random_plane(given["quartic"], 5).point(0.5, -0.25)["w"].numpy().ravel() ** 2
    assert report["coordinates"] == [0.5, -0.25]
    assert (report["lambda_max"], report["lambda_min"]) == pytest.approx((diagonal.max(), diagonal.min()), rel=1e-6)
    assert report["trace"] == pytest.approx(diagonal.sum(), rel=1e-6)
    other = lossatlas("curvature", "objectives.py:moved", "--archive", "a.zarr", "--at", "0,0", cwd=folder)
    assert other.returncode == 2 and "computed around" in other.stderr


@pytest.mark.slow
def test_a_map_over_a_plane_and_over_that_of_a_surface(folder: Path) -> None:
    ask = ("evaluate", "objectives.py:quartic", "--archive", "a.zarr", "--resolution", "3x2", "--bounds", "-0.5,0.5", "--seed", 5)
    assert lossatlas(*ask, cwd=folder).returncode == 0
    summary = curvature(folder, "quartic", "--map", "--archive", "a.zarr", "--surface", "surface", "--resolution", "3x2", "--tol", "1e-6")
    stored = la.open_archive(folder / "a.zarr").surface("curvature")
    given: dict = {}
    exec(OBJECTIVES, given)
    plane = la.random_plane(given["quartic"], 5)
    assert list(stored.alpha.values) == [-0.5, 0, 0.5] and list(stored.beta.values) == [-0.5, 0.5]
    for alpha in (-0.5, 0.5):
        diagonal = plane.point(alpha, 0.5)["w"].numpy() ** 2
        assert float(stored.lambda_max.sel(alpha=alpha, beta=0.5)) == pytest.approx(diagonal.max(), rel=1e-5)
    assert summary["done"] == summary["cells"] == 6
    assert summary["lambda_max"] == [float(stored.lambda_max.min()), float(stored.lambda_max.max())]
    again = lossatlas(
        "curvature", "objectives.py:quartic", "--map", "--archive", "b.zarr", "--resolution", "2x3", "--name", "map", cwd=folder
    )
    assert again.returncode == 0 and "6 of 6 cells" in again.stdout and "--surface map" in again.stdout
    np.testing.assert_array_equal(la.open_archive(folder / "b.zarr").surface("map").alpha, [-1, 1])


def test_a_point_of_a_recorded_paths_plane(folder: Path) -> None:
    given: dict = {}
    exec(OBJECTIVES, given)
    shift = torch.tensor([[1.0, 0.0], [0.0, 0.5]], dtype=torch.float64)
    la.Trajectory.from_checkpoints(
        [{"w": given["weights"] + k * shift + k * k * shift.T.flip(0)} for k in range(4)], archive=folder / "run.zarr"
    )
    report = curvature(folder, "quartic", "--recording", "run.zarr", "--plane", "start-end", "--tol", "1e-8")
    end = la.Trajectory.open(folder / "run.zarr").params(-1)["w"].numpy().ravel() ** 2
    assert report["lambda_max"] == pytest.approx(end.max(), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--map",), "--archive"),
        (("--map", "--archive", "a.zarr", "--at", "0,0"), "--at"),
        (("--at", "0,0"), "--archive"),
        (("--surface", "s"), "--archive"),
        (("--trajectory", "run"), "--recording"),
        (("--archive", "nothing.zarr", "--at", "0,0"), "No archive"),
        (("--map", "--archive", "a.zarr", "--plane", "pca"), "--recording"),
        (("--tol", "0"), "tol"),
    ],
)
def test_wrong_values_are_named_in_one_line(folder: Path, options: tuple[str, ...], words: str) -> None:
    done = lossatlas("curvature", "objectives.py:quadratic", *options, cwd=folder)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not list(folder.glob("*.zarr"))
