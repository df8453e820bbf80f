"""Slopes of samples against closed forms; noise against enumeration; training on batches against plain NumPy."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.minibatch import gradient_noise as slopes_module
from lossatlas.compute.minibatch.gradient_noise import noise_ellipse
from lossatlas.viz.compose.compose import compose

POINT = (0.7, -1.2)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return random.normal(size=(12, 2)), random.integers(0, 2, 12).astype(float)


def logistic(data: tuple[np.ndarray, np.ndarray]) -> tuple[la.Objective, la.Plane]:
    x, y = map(torch.from_numpy, data)
    model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.Flatten(0)).double()
    objective = la.Objective(model, F.binary_cross_entropy_with_logits, (x, y), batch_size=5)
    return objective, la.weight_plane(objective, ("0.weight", (0, 0)), ("0.weight", (0, 1)))


def closed_form(data: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """``(p - y) x`` of every sample."""
    x, y = data
    return (expit(x @ np.array(POINT)) - y)[:, None] * x


def test_slopes_are_the_closed_form(data: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_allclose(la.per_sample_gradients(*logistic(data), POINT), closed_form(data), atol=1e-14)


def test_the_fallback_agrees(data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> np.ndarray:
        raise NotImplementedError("no forward derivative")

    monkeypatch.setattr(slopes_module, "_forward", fails)
    np.testing.assert_allclose(la.per_sample_gradients(*logistic(data), POINT), closed_form(data), atol=1e-9)


def test_noise_maps_against_all_batches(data: tuple[np.ndarray, np.ndarray]) -> None:
    """At one corner of the grid, with every batch of 3 out of 12 enumerated."""
    bounds = ((POINT[0], 2.0), (POINT[1], 1.0))
    found = la.gradient_noise(*logistic(data), bounds, (2, 3), batch_size=3, epochs=400, progress=False).isel(alpha=0, beta=0)
    slopes = closed_form(data)
    means = np.array([slopes[list(c)].mean(0) for c in combinations(range(12), 3)])
    full = slopes.mean(0)
    np.testing.assert_allclose([found.gradient_alpha, found.gradient_beta], full, atol=1e-13)
    spread = np.sqrt(((means - full) ** 2).sum(1).mean())
    assert float(found.gradient_snr) == pytest.approx(np.linalg.norm(full) / spread, rel=1e-10)
    assert float(found.uphill_share) == pytest.approx(np.mean(means @ full < 0), abs=0.03)
    ellipse = noise_ellipse(slopes, 3) - full
    covariance = np.cov(means.T, bias=True)
    np.testing.assert_allclose(np.einsum("ki,ij,kj->k", ellipse, np.linalg.inv(covariance), ellipse), 1, rtol=1e-9)


@pytest.mark.slow
def test_noise_maps_are_kept_and_drawn_from_the_archive(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    objective, plane = logistic(data)
    maps = la.gradient_noise(objective, plane, resolution=(2, 3), archive=tmp_path / "a.zarr", batch_size=3, name="noise", progress=False)
    read = la.open_archive(tmp_path / "a.zarr").surface("noise")
    for name in maps.data_vars:
        np.testing.assert_array_equal(read[name], maps[name])
    assert (read.attrs["batch_size"], read.attrs["grid"]["resolution"]) == (3, [2, 3])
    drawn = compose(tmp_path / "a.zarr", quantity="gradient_snr").surface("noise")
    np.testing.assert_array_equal(drawn.fields["gradient_snr"].values, maps.gradient_snr)
    assert la.plot(tmp_path / "a.zarr", quantity="gradient_snr").axes


def test_noise_needs_a_plane_and_a_batch_that_fits(data: tuple[np.ndarray, np.ndarray]) -> None:
    objective, plane = logistic(data)
    with pytest.raises(la.InputError, match="plane"):
        la.gradient_noise(objective, la.weight_plane(objective, ("0.weight", (0, 0))), batch_size=3)
    with pytest.raises(la.InputError, match="1 to 12"):
        la.gradient_noise(objective, plane, batch_size=13)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_on_batches_is_the_textbook_update(data: tuple[np.ndarray, np.ndarray], momentum: float) -> None:
    """NumPy writes the update; the path over the plane of both weights, and so each arrow, is exactly that."""
    objective, plane = logistic(data)
    x, y = data
    batches = la.shuffled_batches(12, 4, epochs=2, seed=0)
    start = {"0.weight": torch.tensor([POINT], dtype=torch.float64)}
    iterates = la.train_on_batches(objective, batches, optimizer="momentum", learning_rate=0.5, momentum=momentum, start=start)
    w, velocity, expected = np.array(POINT), np.zeros(2), [np.array(POINT)]
    for batch in batches:
        gradient = ((expit(x[batch] @ w) - y[batch])[:, None] * x[batch]).mean(0)
        velocity = momentum * velocity + gradient
        w = w - 0.5 * velocity
        expected.append(w)
    path = la.trajectory_from_iterates(objective, plane, iterates, batch_size=4, learning_rate=0.5)
    np.testing.assert_allclose(np.stack([path.path_alpha, path.path_beta], -1), expected, atol=1e-13)
    np.testing.assert_allclose(path.path_residual, 0, atol=1e-13)
    assert float(path.path_loss[3]) == pytest.approx(objective.loss(iterates[3]), abs=1e-15)
    assert path.epoch.values[-1] == pytest.approx(2.0)


def test_training_leaves_the_objective_alone_and_needs_batches(data: tuple[np.ndarray, np.ndarray]) -> None:
    objective, _ = logistic(data)
    before = objective.loss()
    la.train_on_batches(objective, la.shuffled_batches(12, 4), learning_rate=1.0)
    assert objective.loss() == before
    with pytest.raises(la.InputError, match="batches"):
        la.train_on_batches(objective, [], learning_rate=1.0)
    with pytest.raises(la.InputError, match="optimizer"):
        la.train_on_batches(objective, la.shuffled_batches(12, 4), learning_rate=1.0, optimizer="magic")
