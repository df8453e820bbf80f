"""Planes: points, projections, single weights, and lines between models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lossatlas as la
from oracles import classifier

numbers = st.floats(-50, 50, allow_nan=False)


@given(a=numbers, b=numbers, skew=st.floats(-0.999, 0.999), length=st.floats(0.01, 100))
def test_projection_returns_the_coordinates_also_on_oblique_axes(a: float, b: float, skew: float, length: float) -> None:
    model, *_ = classifier()
    first, second = (d.params for d in la.random_plane(model, seed=2, biases=True).directions)
    oblique = la.Plane.from_directions(model, first, {n: length * (skew * first[n] + (1 - abs(skew)) * second[n]) for n in first})
    found = oblique.project(oblique.point(a, b))
    np.testing.assert_allclose(found.coordinates, (a, b), atol=1e-7 * (1 + abs(a) + abs(b)) / min(length * (1 - abs(skew)), 1))
    assert found.residual <= 1e-9 * (1 + abs(a) + abs(b)) * max(length, 1)


def test_projection_measures_the_distance_off_the_plane() -> None:
    center = {"w": torch.zeros(3, dtype=torch.float64)}
    axes = [{"w": torch.tensor(v, dtype=torch.float64)} for v in ([2.0, 0, 0], [1.0, 1.0, 0])]
    found = la.Plane.from_directions(center, *axes).project({"w": torch.tensor([3.0, 2.0, 5.0], dtype=torch.float64)})
    assert found.coordinates == pytest.approx((0.5, 2.0))
    assert found.residual == pytest.approx(5.0)
    assert found.relative_residual == pytest.approx(5 / np.sqrt(38))


def test_one_norm_would_misplace_what_least_squares_places() -> None:
    """The 'cos' projection of the reference code divides by one norm: a direction of norm 2.45 puts 1*d at 2.45."""
    d = {"w": torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64)}
    line = la.Plane.from_directions({"w": torch.zeros(3, dtype=torch.float64)}, d)
    assert line.project(d).coordinates == pytest.approx((1.0,))


def test_weight_axes_are_the_weights_own_values() -> None:
    model, *_ = classifier()
    plane = la.weight_plane(model, ("0.weight", (5, 2)), ("4.bias", -1))
    assert plane.origin == (model[0].weight[5, 2].item(), model[4].bias[2].item())
    assert plane.labels == ("0.weight[5, 2]", "4.bias[2]")
    moved = plane.point(3.25, -7.5)
    assert float(moved["0.weight"][5, 2]) == 3.25
    assert float(moved["4.bias"][2]) == -7.5
    own = plane.point(*plane.origin)
    assert all(torch.equal(own[n], p) for n, p in model.named_parameters())


def test_between_two_and_three_models() -> None:
    a, b, c = (classifier(seed)[0] for seed in range(3))
    line, plane = la.plane_through(a, b), la.plane_through(a, b, c)
    for name, value in b.named_parameters():
        torch.testing.assert_close(line.point(1.0)[name], value.detach(), rtol=0, atol=1e-15)
        torch.testing.assert_close(plane.point(1.0, 0.0)[name], value.detach(), rtol=0, atol=1e-15)
    for name, value in c.named_parameters():
        torch.testing.assert_close(plane.point(0.0, 1.0)[name], value.detach(), rtol=0, atol=1e-15)
    assert all(torch.equal(line.point(0.0)[n], p) for n, p in a.named_parameters())


def test_a_plane_does_not_change_the_model() -> None:
    model, *_ = classifier()
    before = {n: p.clone() for n, p in model.state_dict().items()}
    la.weight_plane(model, ("0.weight", (0, 0)), ("0.weight", (0, 1))).point(9.0, 9.0)
    assert all(torch.equal(before[n], p) for n, p in model.state_dict().items())


@pytest.mark.parametrize(
    "weights",
    [
        [("nowhere", (0, 0)), ("0.weight", (0, 1))],
        [("0.weight", (99, 0)), ("0.weight", (0, 1))],
        [("0.weight", 0), ("0.weight", (0, 1))],
        [("0.weight", (0, 1)), ("0.weight", (0, 1))],
        [("0.weight", (0, 1)), ("0.weight", (0, -4))],
    ],
)
def test_wrong_weights_are_named(weights: list) -> None:
    with pytest.raises(la.InputError, match="weights"):
        la.weight_plane(classifier()[0], *weights)


def test_wrong_models_and_directions_are_named() -> None:
    model, *_ = classifier()
    with pytest.raises(la.InputError, match="two equal models"):
        la.plane_through(model, model)
    with pytest.raises(la.InputError, match="same parameter names"):
        la.plane_through(model, torch.nn.Linear(2, 2))
    with pytest.raises(la.InputError, match="not zero"):
        la.Plane.from_directions(model, {"0.weight": torch.zeros(8, 5)})
    with pytest.raises(la.InputError, match="same shapes"):
        la.Plane.from_directions(model, {"0.weight": torch.ones(5, 8)})
    with pytest.raises(la.InputError, match="names of the center"):
        la.Plane.from_directions(model, {"bogus": torch.ones(5)})
    with pytest.raises(la.InputError, match="finite"):
        la.Plane.from_directions(model, {"0.weight": torch.full((8, 5), float("nan"))})


def test_one_function_places_floats_tensors_and_batches() -> None:
    model, *_ = classifier()
    plane = la.random_plane(model, seed=4)
    place = torch.tensor([0.3, -1.7], dtype=torch.float64, requires_grad=True)
    plain, tensors = plane.moving_params(0.3, -1.7), plane.moving_params(*place.unbind())
    together = torch.vmap(lambda point: plane.moving_params(*point.unbind()))(torch.tensor([[0.0, 0.0], [0.3, -1.7]], dtype=torch.float64))
    for name in plane.moving_names:
        eps = torch.finfo(plain[name].dtype).eps
        torch.testing.assert_close(tensors[name], plain[name], rtol=4 * eps, atol=4 * eps)
        assert torch.equal(together[name][1], tensors[name]) and torch.equal(together[name][0], plane.center[name])
        slope = torch.autograd.grad(tensors[name].sum(), place, retain_graph=True)[0]
        expected = torch.stack([direction.params[name].sum() for direction in plane.directions])
        torch.testing.assert_close(slope, expected.to(slope.dtype), rtol=1e-5, atol=1e-5)


def test_models_of_a_plane_have_names() -> None:
    a, b, c = ({"w": torch.tensor(point)} for point in ([0.0, 0.0], [1.0, 0.0], [0.0, 2.0]))
    plane = la.plane_through(a, b, c, names=["SGD", "Adam", "SAM"])
    assert plane.labels == ("SGD → Adam", "SGD → SAM")
    assert [(model.label, model.place) for model in plane.models] == [("SGD", (0.0, 0.0)), ("Adam", (1.0, 0.0)), ("SAM", (0.0, 1.0))]
    assert [model.label for model in la.plane_through(a, b).models] == ["model a", "model b"]
    assert la.plane_through(a, b).labels == ("a → b",)
    for names in (["SGD"], ["SGD", "SGD"], ["SGD", ""], ["x", "y", "z"]):
        with pytest.raises(la.errors.InputError, match=r"names.*2 different names"):
            la.plane_through(a, b, names=names)
    with pytest.raises(la.errors.InputTypeError, match="names"):
        la.plane_through(a, b, names=[1, 2])  # pyright: ignore[reportArgumentType]
