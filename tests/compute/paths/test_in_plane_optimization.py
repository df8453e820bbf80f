"""Descent on a plane: recorded where it is, by the optimizer's own rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lossatlas as la
from oracles import classifier, quadratic


def bowl() -> tuple[la.Objective, la.Plane]:
    objective = la.Objective(lambda p, _: 0.5 * (p["w"] ** 2).sum(), params={"w": torch.zeros(2, dtype=torch.float64)})
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


def test_gradient_descent_on_a_bowl_is_its_closed_form() -> None:
    objective, plane = bowl()
    path = la.optimize_on_plane(objective, plane, (3.0, -4.0), learning_rate=0.25, steps=20)
    shrink = 0.75 ** np.arange(21)
    np.testing.assert_allclose(path.path_alpha, 3 * shrink, rtol=1e-12)
    np.testing.assert_allclose(path.path_beta, -4 * shrink, rtol=1e-12)
    np.testing.assert_allclose(path.path_loss, 12.5 * shrink**2, rtol=1e-12)
    assert path.step.values.tolist() == list(range(21))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", torch.optim.Adamax])
def test_every_loss_belongs_to_its_own_coordinates(optimizer) -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y))
    plane = la.random_plane(objective, seed=1)
    path = la.optimize_on_plane(objective, plane, (0.5, 0.5), optimizer=optimizer, learning_rate=0.01, steps=5)
    for k in range(6):
        assert float(path.path_loss[k]) == pytest.approx(
            objective.loss(plane.point(float(path.path_alpha[k]), float(path.path_beta[k]))), rel=1e-12
        )


def test_adam_equals_torchs_own_loop() -> None:
    objective, matrix, linear = quadratic()
    plane = la.random_plane(objective, seed=0, normalize="none", biases=True)
    path = la.optimize_on_plane(objective, plane, (1.0, 2.0), optimizer="adam", learning_rate=0.1, steps=10)
    d, e = (direction.params["t"].numpy() for direction in plane.directions)
    place = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([place], lr=0.1)
    for _ in range(10):
        theta = plane.center["t"].numpy() + place.detach().numpy() @ np.stack([d, e])
        slope = matrix @ theta + linear
        place.grad = torch.tensor([d @ slope, e @ slope])
        adam.step()
    np.testing.assert_allclose([path.path_alpha[-1], path.path_beta[-1]], place.detach().numpy(), rtol=1e-9)


def test_a_given_rule_replaces_the_gradient() -> None:
    objective, plane = bowl()
    half = la.optimize_on_plane(objective, plane, (1.0, 1.0), learning_rate=1.0, steps=1, gradient=lambda p: {"w": p["w"] / 2})
    assert half.path_alpha.values.tolist() == [1.0, 0.5]


def test_too_large_a_rate_ends_where_the_loss_is_no_longer_finite() -> None:
    objective, plane = bowl()
    path = la.optimize_on_plane(objective, plane, (1.0, 1.0), learning_rate=1e60, steps=50)
    assert not np.isfinite(path.path_loss[-1])
    assert np.isfinite(path.path_loss[:-1]).all()
    assert "no longer finite" in path.attrs["ended"]


def test_a_line_and_the_archive(tmp_path) -> None:
    objective, _ = bowl()
    line = la.weight_plane(objective, ("w", 1))
    path = la.optimize_on_plane(objective, line, (2.0,), learning_rate=0.5, steps=3, archive=tmp_path / "a.zarr", name="down")
    assert "path_beta" not in path
    stored = la.open_archive(tmp_path / "a.zarr").trajectory("down")
    np.testing.assert_array_equal(stored.path_alpha, path.path_alpha)
    assert stored.attrs["start"] == [2.0]


@pytest.mark.parametrize("options", [{"steps": 0}, {"optimizer": "magic"}, {"start": (1.0,)}])
def test_bad_choices_are_named(options: dict) -> None:
    objective, plane = bowl()
    with pytest.raises(la.InputError):
        la.optimize_on_plane(objective, plane, **({"start": (1.0, 1.0), "learning_rate": 0.1, "steps": 3} | options))
