"""Directions against the definition of Li et al. 2018, section 4, and the invariances that follow from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from oracles import by_loading, classifier


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4)).double()


def steps(model: nn.Module, **options) -> dict[str, torch.Tensor]:
    return la.random_plane(model, **options).directions[0].params


def test_each_filter_has_the_norm_of_its_weights() -> None:
    model = convolutional()
    moved = steps(model, seed=0)
    assert set(moved) == {"0.weight", "4.weight"}
    for name, step in moved.items():
        weight = dict(model.named_parameters())[name].detach()
        np.testing.assert_allclose(step.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1), rtol=1e-7)


def test_layer_weight_and_no_normalization() -> None:
    model = convolutional()
    weights = {n: p.detach() for n, p in model.named_parameters()}
    raw = steps(model, seed=0, normalize="none")
    for name, step in steps(model, seed=0, normalize="layer").items():
        assert float(step.norm()) == pytest.approx(float(weights[name].norm()), rel=1e-7)
    for name, step in steps(model, seed=0, normalize="weight").items():
        torch.testing.assert_close(step, raw[name] * weights[name])
    assert float(raw["4.weight"].std()) == pytest.approx(1, abs=0.3)


def test_biases_move_only_when_asked() -> None:
    moved = steps(convolutional(), biases=True)
    assert {"0.bias", "1.weight", "1.bias", "4.bias"} <= set(moved)


def test_transposed_convolution_counts_output_channels_on_axis_one() -> None:
    layer = nn.ConvTranspose2d(2, 5, 3, bias=False)
    step = steps(layer)["weight"]
    np.testing.assert_allclose(
        step.transpose(0, 1).flatten(1).norm(dim=1), layer.weight.detach().transpose(0, 1).flatten(1).norm(dim=1), rtol=1e-6
    )


def test_seeds_follow_torch_manual_seed() -> None:
    model = convolutional()
    torch.manual_seed(123)
    first = {n: torch.randn(p.shape) for n, p in model.named_parameters()}
    second = {n: torch.randn(p.shape) for n, p in model.named_parameters()}
    plane = la.random_plane(model, seed=123, normalize="none")
    for drawn, direction in zip((first, second), plane.directions, strict=True):
        for name, step in direction.params.items():
            torch.testing.assert_close(step, drawn[name].double())


def test_the_cosine_of_two_random_directions_is_what_theory_says() -> None:
    """E|cos| = Gamma(n/2) / (sqrt(pi) Gamma((n+1)/2)); a reading of 0.5/(pi n) is excluded."""
    n = 100
    model = nn.Linear(n, 1, bias=False)
    cosines = [abs(la.random_plane(model, seed=s, normalize="none").cosine or 0) for s in range(400)]
    exact = math.exp(math.lgamma(n / 2) - math.lgamma((n + 1) / 2)) / math.sqrt(math.pi)
    assert np.mean(cosines) == pytest.approx(exact, abs=4 * np.std(cosines) / 20)


def rescaled(factors: list[torch.Tensor]) -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    """A ReLU network and a copy whose first layer is scaled by `factors` (a row each) and the second undone: the same function."""
    model, x, y = classifier()
    copy, *_ = classifier()
    scale = factors[0]
    with torch.no_grad():
        copy[0].weight.mul_(scale[:, None])
        copy[0].bias.mul_(scale)
        copy[2].weight.div_(scale[None, :])
    torch.testing.assert_close(model(x), copy(x))
    return model, copy, x, y


def surfaces(model: nn.Module, copy: nn.Module, x: torch.Tensor, y: torch.Tensor, normalize: str) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for network in (model, copy):
        objective = la.Objective(network, F.cross_entropy, (x, y))
        found.append(la.evaluate(objective, la.random_plane(objective, seed=1, normalize=normalize), resolution=(3, 5)).loss.values)
    return found[0], found[1]


@pytest.mark.parametrize("normalize", ["filter", "layer"])
def test_planes_do_not_change_under_layer_rescaling(normalize: str) -> None:
    a, b = surfaces(*rescaled([torch.full((8,), 10.0, dtype=torch.float64)]), normalize)
    np.testing.assert_allclose(a, b, rtol=1e-8)


def test_without_normalization_layer_rescaling_shows() -> None:
    a, b = surfaces(*rescaled([torch.full((8,), 10.0, dtype=torch.float64)]), "none")
    assert np.abs(a - b).max() / np.abs(a).max() > 0.1


def test_filter_normalization_is_not_invariant_to_rescaling_single_neurons() -> None:
    """Documented, not wished for: the incoming rows are scaled with the weights, the outgoing row mixes all factors."""
    factors = torch.linspace(0.1, 10, 8, dtype=torch.float64)
    a, b = surfaces(*rescaled([factors]), "filter")
    assert np.abs(a - b).max() / np.abs(a).max() > 0.01


def test_chosen_parameters_only() -> None:
    plane = la.random_plane(convolutional(), params="4")
    assert plane.moving_names == ("4.weight",)
    with pytest.raises(la.InputError, match="params"):
        la.random_plane(convolutional(), params="nowhere.*")


@pytest.mark.parametrize("options", [{"normalize": "fliter"}, {"seed": -1}, {"seed": 1.5}, {"ndim": 3}])
def test_bad_choices_are_named(options: dict) -> None:
    with pytest.raises(la.InputError):
        la.random_plane(convolutional(), **options)


def test_vectors_alone_make_a_plane_and_unmoved_biases_do_not() -> None:
    """A parameter vector is no bias where there is nothing else; beside a matrix that is left out, it is."""
    assert set(la.random_plane({"theta": torch.ones(3)}, seed=0).moving_names) == {"theta"}
    with pytest.raises(la.InputError, match="biases=True"):
        la.random_plane({"w": torch.ones(3, 3), "b": torch.ones(3)}, params=["b"])


@pytest.mark.parametrize("normalize", ["filter", "layer", "weight", "none"])
def test_complex_weights_count_with_both_parts(normalize: Any) -> None:
    class Phasor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4, 3, dtype=torch.complex128))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.to(torch.complex128) @ self.w).abs()

    torch.manual_seed(0)
    model, x, y = Phasor(), torch.randn(20, 4, dtype=torch.float64), torch.arange(20) % 3
    objective = la.Objective(model, F.cross_entropy, (x, y))
    plane = la.random_plane(objective, seed=1, normalize=normalize)
    flat = [torch.view_as_real(d.params["w"]).flatten().numpy() for d in plane.directions]
    assert all(np.count_nonzero(f) == 24 for f in flat), "imaginary parts move too"
    assert [d.norm for d in plane.directions] == pytest.approx([np.linalg.norm(f) for f in flat], rel=1e-12)
    assert plane.cosine == pytest.approx(flat[0] @ flat[1] / np.prod([np.linalg.norm(f) for f in flat]), rel=1e-10)
    if normalize == "filter":
        torch.testing.assert_close(plane.directions[0].params["w"].norm(dim=1), model.w.detach().norm(dim=1))
    if normalize == "layer":
        assert plane.directions[0].norm == pytest.approx(float(model.w.detach().norm()), rel=1e-9)
    assert plane.project(plane.point(0.3, -0.7)).coordinates == pytest.approx((0.3, -0.7), rel=1e-9)
    surface = la.evaluate(objective, plane, resolution=(2, 3))
    points = [(a, b) for a in surface.alpha.values for b in surface.beta.values]
    expected = by_loading(model, plane, lambda m: F.cross_entropy(m(x), y), points)
    assert surface.loss.values.ravel() == pytest.approx(expected, rel=1e-12)


def test_integer_parameters_stay_where_they_are() -> None:
    params = {"table": torch.arange(6).reshape(2, 3), "w": torch.randn(2, 3)}
    for regrow in (False, True):
        assert la.random_plane(params, lazy=regrow).moving_names == ("w",)
    with pytest.raises(la.InputError, match="no integers"):
        la.random_plane(params, params="table", biases=True)
