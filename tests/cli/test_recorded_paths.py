"""Landscapes under recorded paths and checkpoints, on the command line: numbers held against the Python API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from cli.command import lossatlas

JOB = """
import torch, lossatlas as la

def network():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))

def objective(samples: int = 40, scale=1.0):
    torch.manual_seed(2)
    x = scale * torch.randn(samples, 3)
    return la.Objective(network(), torch.nn.functional.cross_entropy, (x, (x[:, 0] > 0).long()))

ready = objective()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job.py").write_text(JOB)
    return tmp_path


def job() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(JOB, names)
    return names


def states(seed: int, count: int = 4) -> list[dict[str, torch.Tensor]]:
    """Weights of a random walk from the network's own."""
    generator, state, rows = torch.Generator().manual_seed(seed), job()["network"]().state_dict(), []
    for _ in range(count):
        rows.append(dict(state))
        state = {name: value + 0.3 * torch.randn(value.shape, generator=generator) for name, value in state.items()}
    return rows


def evaluate(folder: Path, *options: object) -> Any:
    return lossatlas("evaluate", "job.py:objective", "--archive", "a.zarr", "--resolution", "3x2", *options, cwd=folder)


@pytest.mark.slow
def test_checkpoints_of_a_folder_get_the_landscape_under_their_path(folder: Path) -> None:
    rows = states(0)
    (folder / "ck").mkdir()
    for step, state in zip((2, 10, 9, 100), (rows[0], rows[2], rows[1], rows[3]), strict=True):
        torch.save({"state_dict": {f"model.{name}": value for name, value in state.items()}}, folder / "ck" / f"step{step}.ckpt")
    done = evaluate(folder, "--checkpoints", "ck/*.ckpt")
    assert done.returncode == 0 and "of a random walk" in done.stdout, done.stderr
    objective = job()["objective"]()
    run = la.Trajectory.from_checkpoints(rows, steps=[2, 9, 10, 100])
    plane = la.pca_plane(run)
    expected = la.project_trajectory(run, plane, objective)
    stored = la.open_archive(folder / "a.zarr")
    path = stored.trajectory("ck")
    assert path.step.values.tolist() == [2, 9, 10, 100]
    for name in ("path_alpha", "path_beta", "path_loss"):
        np.testing.assert_array_equal(path[name], expected[name])
    np.testing.assert_allclose(stored.surface().loss, la.evaluate(objective, plane, None, (3, 2)).loss, rtol=1e-6)
    again = evaluate(folder, "--checkpoints", "ck/*.ckpt")
    assert again.returncode == 0 and "6 of 6 cells" in again.stdout, again.stderr


@pytest.mark.slow
def test_several_recordings_share_a_plane(folder: Path) -> None:
    runs = [la.Trajectory.from_checkpoints(states(seed), archive=folder / f"{name}.zarr") for seed, name in enumerate(("sgd", "adam"))]
    done = evaluate(folder, "--recording", "sgd.zarr", "--recording", "adam.zarr")
    assert done.returncode == 0, done.stderr
    assert "at the end of sgd" in done.stdout and "at the end of adam" in done.stdout
    plane, objective, stored = la.joint_pca_plane(runs), job()["objective"](), la.open_archive(folder / "a.zarr")
    assert stored.trajectories == ("adam", "sgd") and stored.surface().attrs["plane"]["kind"] == "shared"
    for run, name in zip(runs, ("sgd", "adam"), strict=True):
        np.testing.assert_array_equal(stored.trajectory(name).path_alpha, la.project_trajectory(run, plane, objective).path_alpha)
    refused = evaluate(folder, "--recording", "sgd.zarr", "--recording", "adam.zarr", "--plane", "start-end")
    assert refused.returncode == 2 and "several runs share" in refused.stderr


@pytest.mark.slow
def test_one_archive_of_several_runs_gives_all_or_those_named(folder: Path) -> None:
    for seed, name in enumerate(("sgd", "adam", "lion")):
        la.Trajectory.from_checkpoints(states(seed), archive=folder / "runs.zarr", name=name)
    assert evaluate(folder, "--recording", "runs.zarr").returncode == 0
    assert la.open_archive(folder / "a.zarr").trajectories == ("adam", "lion", "sgd")
    named = evaluate(folder, "--recording", "runs.zarr", "--trajectory", "sgd", "--trajectory", "lion", "--archive", "b.zarr")
    assert named.returncode == 0 and la.open_archive(folder / "b.zarr").trajectories == ("lion", "sgd")
    refused = evaluate(folder, "--recording", "runs.zarr", "--trajectory", "sdg")
    assert refused.returncode == 2 and "sdg" in refused.stderr and "adam, lion, sgd" in refused.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--checkpoints", "ck/*.pt"), "There is no folder ck"),
        (("--checkpoints", "jop.py"), "Did you mean job.py?"),
        (("--checkpoints", "x.pt", "--line"), "--checkpoints: got with --line"),
        (("--trajectory", "run", "--checkpoints", "x"), "--trajectory: got run; expected --recording"),
    ],
)
def test_what_is_no_path_is_refused_in_one_line(folder: Path, options: tuple[str, ...], words: str) -> None:
    done = evaluate(folder, *options)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
    assert not (folder / "a.zarr").exists()


def test_arguments_of_the_objectives_function_are_set(folder: Path) -> None:
    done = evaluate(folder, "--set", "samples=10", "--set", "scale=2")
    assert done.returncode == 0, done.stderr
    surface, objective = la.open_archive(folder / "a.zarr").surface(), job()["objective"](10, 2.0)
    assert surface.attrs["objective"]["samples"] == 10
    np.testing.assert_allclose(surface.loss, la.evaluate(objective, la.random_plane(objective, 0), resolution=(3, 2)).loss, rtol=1e-6)


@pytest.mark.parametrize(
    ("reference", "setting", "words"),
    [
        ("objective", "sample=10", "an argument of job.py:objective: samples, scale. Did you mean samples?"),
        ("objective", "samples=ten", "--set samples: got ten; expected an integer"),
        ("objective", "samples", "--set: got samples; expected NAME=VALUE"),
        ("ready", "samples=3", "no function but an objective itself"),
        ("objectiv", "samples=3", "Did you mean objective?"),
    ],
)
def test_a_wrong_setting_lists_the_names(folder: Path, reference: str, setting: str, words: str) -> None:
    done = lossatlas("evaluate", f"job.py:{reference}", "--set", setting, cwd=folder)
    assert done.returncode == 2 and words in done.stderr


@pytest.mark.slow
def test_a_recording_alone_is_drawn_as_it_was_recorded(folder: Path) -> None:
    model = job()["network"]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with la.Recorder(folder / "run.zarr", model, optimizer) as recorder:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).square().sum().backward()
            optimizer.step()
            recorder.step()
    from lossatlas.viz.compose.compose import compose

    titles = [pane.title for pane in compose(folder / "run.zarr").panes]
    assert "learning rate" in titles and titles == [pane.title for pane in compose(folder / "run.zarr", kind="recording").panes]
    both = compose([folder / "run.zarr", folder / "run.zarr"])
    assert len(both.panes) == 2 * len(titles)
