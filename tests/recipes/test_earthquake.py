"""The article's formulas and shapes, and one whole run of the recipe."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import lossatlas as la
from lossatlas.recipes.earthquake import problems as sceneries
from lossatlas.recipes.earthquake.batch_landscape import Training, pca_window, train_on_problem
from lossatlas.recipes.earthquake.run import run


def test_the_loss_is_cross_entropy_in_two_parts() -> None:
    z = torch.linspace(-40, 40, 161, dtype=torch.float64)
    for target in (0.0, 1.0):
        y = torch.full_like(z, target)
        expected = F.binary_cross_entropy_with_logits(z, y, reduction="none")
        torch.testing.assert_close(sceneries.logistic_loss(z, y), expected, rtol=1e-14, atol=1e-16)
        near = z.abs() < 15
        torch.testing.assert_close(sceneries.clipped_logistic_loss(z[near], y[near]), expected[near], rtol=1e-8, atol=1e-9)


def test_the_clipped_loss_ends_at_the_articles_ceiling() -> None:
    z, y = torch.tensor([-1e3, 1e3], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    np.testing.assert_allclose(sceneries.clipped_logistic_loss(z, y), 16.118, atol=5e-4)
    assert sceneries.logistic_loss(z, y).tolist() == [1000.0, 1000.0]


def test_contours_of_one_sample_are_straight_and_those_of_nine_are_not() -> None:
    """Across x the weights move along a contour, on the plane itself and on any other; a mean has no such direction."""
    x, y = sceneries.blobs(20)
    ends = np.linspace(-15, 15, 7)
    for i in range(9):
        along = np.array([-x[i, 1], x[i, 0]]) / np.linalg.norm(x[i])
        w = np.array([1.5, -2.0]) + ends[:, None] * along
        one = sceneries.logistic_loss(torch.from_numpy(w @ x[i]), torch.full((7,), float(y[i]), dtype=torch.float64))
        assert np.ptp(one.numpy()) < 1e-12 * max(1.0, float(one.max()))
    angles = np.linspace(0, np.pi, 181)
    across = np.stack([np.cos(angles), np.sin(angles)], -1)
    w = np.array([1.5, -2.0]) + ends[:, None, None] * across
    nine = sceneries.logistic_loss(torch.from_numpy(w @ x[:9].T), torch.from_numpy(y[:9])).mean(-1).numpy()
    assert np.ptp(nine, axis=0).min() > 0.1


def test_clouds_are_the_articles() -> None:
    x, y = sceneries.blobs()
    assert x.shape == (1000, 2) and y.mean() == 0.5
    np.testing.assert_allclose([x[y == 0].mean(0), x[y == 1].mean(0)], [[0, 0], [0, 3]], atol=0.12)
    np.testing.assert_allclose(x[y == 0].std(0), 1, atol=0.08)
    scenery = sceneries.blob_problem("exact")
    assert scenery.bounds == ((-20.0, 20.0), (-20.0, 20.0)) and scenery.objective.per_sample


def test_bad_input() -> None:
    x, y = sceneries.blobs(5)
    with pytest.raises(la.InputError, match="only class 0"):
        sceneries.logistic(x[y == 0], y[y == 0], "exact")
    with pytest.raises(la.InputError, match="clipped"):
        sceneries.logistic(x, y, "hinge")
    with pytest.raises(la.InputError, match="60,000"):
        run(Path("unused"), samples=7)


def test_the_window_holds_the_path_and_its_end() -> None:
    objective = sceneries.logistic(*sceneries.digit_data(), "exact")
    iterates = train_on_problem(objective, Training(steps=6, batch_size=10, learning_rate=0.3))[1]
    scenery = pca_window(objective, iterates, "digits")
    assert scenery.plane.project(iterates[-1]).coordinates == pytest.approx((0.0, 0.0), abs=1e-12)
    for params in iterates:
        for place, (low, high) in zip(scenery.plane.project(params).coordinates, scenery.bounds, strict=True):
            assert low < place < high


@pytest.mark.slow
def test_the_whole_recipe(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = importlib.import_module("lossatlas.recipes.earthquake.run")
    few = recipe.Frames(2, hold=2, blend=1, width=400)
    monkeypatch.setattr(recipe, "QUICK", recipe.RunSize(9, 5, 5, 200, 10, few, few, True))
    run(tmp_path, data_root, quick=True, loss="clipped", progress=False)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["batch_sd_ratio"]["10"] == pytest.approx(1, abs=0.05)
    for name, frames in summary["frames"].items():
        with Image.open(tmp_path / name) as image:
            assert 3 <= image.n_frames == frames <= 5
    assert all((tmp_path / name).stat().st_size > 1000 for name in summary["frames"])
    assert summary["surfaces"]["clouds"]["max"] < sceneries.CEILING
    assert {"clouds", "digits", "mnist", "cnn", "subset"} <= set(la.open_archive(tmp_path / "archive.zarr").surfaces)
