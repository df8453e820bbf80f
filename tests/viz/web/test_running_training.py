"""A training drawn while it is recorded: the path on its own principal plane, laid anew as it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.analysis.principal_components import principal_coordinates
from lossatlas.archive.recorded_weights import read_recorded_weights
from lossatlas.viz.compose.pages import combine
from lossatlas.viz.web.archive_feed import ArchiveFeed
from lossatlas.viz.web.payload import encode


class Training:
    """A small training whose recorder stores each row at once."""

    recorder: Any = None

    def __init__(self, archive: Any, seed: int = 0, done: int = 0, **options: Any) -> None:
        torch.manual_seed(seed)
        self.model = torch.nn.Linear(3, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.5)
        self.x = torch.randn(8, 3)
        self.run(done)
        self.recorder = la.Recorder(archive, self.model, self.optimizer, flush_seconds=0, **options)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            loss = torch.nn.functional.cross_entropy(self.model(self.x), (self.x[:, 0] > 0).long())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.recorder is not None:
                self.recorder.step(loss=loss)


@pytest.mark.parametrize("options", [{}, {"dtype": "float16", "delta": True}])
def test_the_path_is_that_of_pca_plane(tmp_path: Path, options: dict[str, Any]) -> None:
    training = Training(tmp_path / "run.zarr", **options)
    training.run(9)
    scene = combine([la.open_archive(tmp_path / "run.zarr")])
    run = training.recorder.trajectory
    expected = la.project_points(run, la.pca_plane(run)).coordinates
    scale = np.abs(expected).max()
    # Two ways through float64; float16 rows are themselves the weights that both read.
    np.testing.assert_allclose(np.stack([scene.paths[0].alpha, scene.paths[0].beta], 1), expected, atol=1e-6 * scale)
    np.testing.assert_array_equal(scene.paths[0].loss, run.dataset.batch_loss)
    assert not scene.surfaces[0].done.any() and "10 recorded rows" in scene.surfaces[0].notes[0]  # type: ignore[union-attr]
    encode(scene)


def test_degenerate_paths_have_coordinates() -> None:
    for points in (np.ones((1, 4)), np.ones((3, 4)), np.arange(3.0)[:, None] * np.ones(4)):
        coordinates, shares = principal_coordinates(points)
        assert np.isfinite(coordinates).all() and coordinates.shape == (len(points), 2)
        np.testing.assert_allclose(np.linalg.norm(coordinates - coordinates[0], axis=1), np.linalg.norm(points - points[0], axis=1))
        assert np.isnan(shares).all() or shares[0] == pytest.approx(1)
    coordinates, _ = principal_coordinates(np.array([[0.0, 0], [np.nan, 1], [1, 1]]))
    assert np.isnan(coordinates[1]).all() and np.isfinite(coordinates[[0, 2]]).all()


def test_large_models_are_sampled_in_rows_and_entries() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 50)).cumsum(0)
    run = la.Trajectory.from_checkpoints({"w": torch.from_numpy(row)} for row in rows)
    read = read_recorded_weights(run.store.archive, "run", most=8000)
    assert read is not None
    chosen, weights = read
    assert len(chosen) == 400 and chosen[0] == 0 and chosen[-1] == 999 and weights.size <= 8000
    np.testing.assert_array_equal(weights, rows[chosen][:, ::3])


@pytest.mark.slow
def test_a_page_follows_a_recorder_from_before_its_first_row_to_its_end(tmp_path: Path) -> None:
    archive = la.open_archive(tmp_path / "run.zarr", "a")
    feed = ArchiveFeed([la.open_archive(tmp_path / "run.zarr")])
    assert feed.poll().payload is None and feed.is_empty
    training = Training(archive, label="SGD")
    first = feed.poll()
    assert first.payload is not None and "SGD: step 0" in first.words and not first.finished
    assert feed.poll().payload is None, "nothing new"
    training.run(4)
    later = feed.poll()
    assert later.payload is not None and "step 4, loss" in later.words
    assert later.payload.header["scenes"][0]["paths"][0]["label"] == "SGD"
    training.recorder.close()
    ended = feed.poll()
    assert ended.finished and ended.words == ""


@pytest.mark.slow
def test_a_recorder_that_was_killed_resumes_on_the_same_page(tmp_path: Path) -> None:
    Training(tmp_path / "run.zarr").run(5)  # never closed, as after a kill; its lock goes with it
    feed = ArchiveFeed([la.open_archive(tmp_path / "run.zarr")])
    assert "step 5" in feed.poll().words
    resumed = Training(tmp_path / "run.zarr", done=2, resume=True, step=2)
    resumed.run(1)
    again = feed.poll()
    assert again.payload is not None and "step 3" in again.words
    resumed.recorder.close()
    Training(tmp_path / "run.zarr", seed=1, overwrite=True)
    assert "step 0" in feed.poll().words


def test_a_surface_takes_over_when_it_comes(tmp_path: Path) -> None:
    training = Training(tmp_path / "run.zarr")
    training.run(3)
    training.recorder.close()
    feed = ArchiveFeed([la.open_archive(tmp_path / "run.zarr")])
    feed.poll()
    objective = la.Objective(training.model, torch.nn.functional.cross_entropy, (training.x, (training.x[:, 0] > 0).long()))
    la.evaluate(objective, la.random_plane(objective, 0), resolution=3, archive=tmp_path / "run.zarr")
    assert feed.poll().payload.header["scenes"][0]["surfaces"][0]["name"] == "surface"  # type: ignore[union-attr]


@pytest.mark.slow
def test_several_runs_share_a_plane(tmp_path: Path) -> None:
    for seed in (0, 1):
        Training(tmp_path / f"{seed}.zarr", seed, label=f"seed {seed}").run(4)
    scene = combine([la.open_archive(tmp_path / f"{seed}.zarr") for seed in (0, 1)])
    runs = [la.Trajectory.open(tmp_path / f"{seed}.zarr") for seed in (0, 1)]
    plane = la.joint_pca_plane(runs)
    for path, run in zip(scene.paths, runs, strict=True):
        expected = la.project_points(run, plane).coordinates
        scale = np.abs(expected).max()
        found = np.stack([path.alpha, path.beta], 1)
        # Axes of joint planes are oriented by all rows together, as here: one sign each.
        for axis in range(2):
            signs = [np.abs(found[:, axis] - sign * expected[:, axis]).max() for sign in (1, -1)]
            assert min(signs) < 1e-6 * scale


@pytest.mark.slow
def test_a_widget_follows_and_ends(tmp_path: Path) -> None:
    pytest.importorskip("anywidget")
    from lossatlas.viz.web.widget import widget

    training = Training(tmp_path / "run.zarr")
    shown = widget(tmp_path / "run.zarr")
    assert "step 0" in shown.words
    training.run(3)
    shown.update()
    assert shown.scene == 1 and "step 3" in shown.words
    training.recorder.close()
    thread = shown.follow(0.01)
    thread.join(60)
    assert not thread.is_alive() and shown.finished and shown.words == ""
