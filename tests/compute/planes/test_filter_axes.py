"""Filters of transposed layers: one output unit each, as those of the Linear or Conv layer that computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from cases import F64
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.planes.filter_axes import FilterAxis, filter_axes

TRANSPOSED = {
    "plain": nn.ConvTranspose2d(4, 6, 3, bias=False),
    "line": nn.ConvTranspose1d(3, 5, 4, stride=2, bias=False),
    "volume": nn.ConvTranspose3d(2, 3, (2, 1, 3), bias=False),
    "two groups": nn.ConvTranspose2d(4, 6, (3, 2), groups=2, bias=False),
    "three groups": nn.ConvTranspose1d(6, 3, 5, groups=3, bias=False),
    "depthwise": nn.ConvTranspose2d(5, 5, 3, groups=5, bias=False),
}


def filters_by_hand(layer: Any, weight: Tensor) -> list[Tensor]:
    """What multiplies into one output channel: a slice of the inputs of its group, and its place within the group."""
    inputs, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    return [weight[g * inputs : (g + 1) * inputs, j] for g in range(layer.groups) for j in range(outputs)]


def dense(layer: Any, weight: Tensor) -> Tensor:
    """The layer as one matrix ``(outputs, inputs)``: its answers to unit inputs."""
    shape = (layer.in_channels, *([4, 3, 5][: weight.dim() - 2]))
    size = int(np.prod(shape))
    with torch.no_grad():
        answers = torch.func.functional_call(layer, {"weight": weight}, (torch.eye(size, dtype=weight.dtype).reshape(size, *shape),))
    return answers.flatten(2).permute(1, 2, 0).flatten(1)  # (out channel, places x inputs)


@pytest.mark.parametrize("name", TRANSPOSED)
def test_every_filter_of_a_transposed_convolution_has_the_norm_of_its_weights(name: str) -> None:
    layer = TRANSPOSED[name].to(F64)
    weight = layer.weight.detach()
    for direction in la.random_plane(layer, seed=3).directions:
        step = direction.params["weight"]
        for found, own in zip(filters_by_hand(layer, step), filters_by_hand(layer, weight), strict=True):
            assert float(found.norm()) == pytest.approx(float(own.norm()), rel=1e-8)
        # The dense matrix holds every filter as often as it is used, in the rows of its own output channel and in no others.
        np.testing.assert_allclose(dense(layer, step).norm(dim=1), dense(layer, weight).norm(dim=1), rtol=1e-8)


@pytest.mark.slow
def test_a_plane_of_hugging_faces_conv1d_is_that_of_the_linear_layer_it_is() -> None:
    """``Conv1D`` holds ``(in, out)``: normalized as it lies, its transpose is what a Linear layer gets from the same numbers."""
    Conv1D = pytest.importorskip("transformers").pytorch_utils.Conv1D
    torch.manual_seed(0)
    layer = Conv1D(7, 4).to(F64)  # 4 to 7
    with torch.no_grad():
        layer.weight.mul_(torch.arange(1.0, 8.0))  # outputs of unequal size
    weight = layer.weight.detach()
    raw = la.random_plane(layer, normalize="none").directions[0].params["weight"]
    step = la.random_plane(layer).directions[0].params["weight"]
    expected = raw * weight.norm(dim=0) / raw.norm(dim=0)
    torch.testing.assert_close(step, expected, rtol=1e-9, atol=0)
    linear = nn.Linear(4, 7).to(F64)
    linear.load_state_dict({"weight": weight.T, "bias": torch.zeros(7)})
    x = torch.randn(5, 4, dtype=F64)
    torch.testing.assert_close(layer(x), linear(x))
    (like_linear,) = (p.construction["filter_axes"] for p in [la.random_plane(linear)])
    assert like_linear == {} and la.random_plane(layer).construction["filter_axes"] == {"weight": {"axis": 1, "groups": 1}}


@pytest.mark.slow
def test_every_layer_of_gpt2_counts_its_outputs() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=11, n_positions=6, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config).eval()
    axes = filter_axes(model)
    assert len(axes) == 8 and set(axes.values()) == {FilterAxis(1)}
    step = la.random_plane(model).directions[0].params
    for name, weight in dict(model.named_parameters()).items():
        if weight.dim() == 2:
            other = 0 if name in axes else 1
            np.testing.assert_allclose(step[name].norm(dim=other), weight.detach().norm(dim=other), rtol=1e-5, atol=1e-12)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 16)
        self.up = nn.ConvTranspose2d(4, 6, 3, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.inner(x).unflatten(1, (4, 2, 2))).mean((2, 3))


def test_rescaling_outputs_of_a_grouped_layer_leaves_the_landscape_alone() -> None:
    """The invariance that filter normalization is for: outputs times s, and whatever reads them divided by s."""
    torch.manual_seed(0)
    x, y, scales = torch.randn(9, 3, dtype=F64), torch.randn(9, 2, dtype=F64), torch.rand(6, dtype=F64) + 0.5

    def surface(factors: Tensor) -> np.ndarray:
        torch.manual_seed(1)
        decoder, last = Decoder(), nn.Linear(6, 2)
        model, up = nn.Sequential(decoder, nn.ReLU(), last).to(F64), decoder.up
        with torch.no_grad():
            up.weight.mul_(factors.reshape(2, 1, 3, 1, 1).expand(2, 2, 3, 1, 1).reshape(4, 3, 1, 1))
            assert up.bias is not None
            up.bias.mul_(factors)
            last.weight.div_(factors)
        plane = la.random_plane(model, params="0.up")
        return la.evaluate(la.Objective(model, F.mse_loss, (x, y)), plane, resolution=(4, 3)).loss.values

    np.testing.assert_allclose(surface(scales), surface(torch.ones(6, dtype=F64)), rtol=1e-8)


def test_names_are_found_inside_wrappers_and_in_parts_of_a_weight() -> None:
    layer = nn.Sequential(nn.Linear(2, 4), nn.ConvTranspose1d(4, 6, 3, groups=2))
    expected = {"1.weight": FilterAxis(1, 2)}
    assert filter_axes(layer) == filter_axes(nn.DataParallel(layer)) == expected
    torch.nn.utils.parametrizations.weight_norm(layer[1], dim=1)
    assert filter_axes(layer) == {"1.parametrizations.weight.original1": FilterAxis(1, 2)}


def test_the_recipe_says_the_axes_and_drawing_again_gives_the_same() -> None:
    model = Decoder()
    plane = la.random_plane(model, seed=4)
    axes = {"up.weight": {"axis": 1, "groups": 2}}
    assert plane.describe()["filter_axes"] == axes
    assert "filter_axes" not in la.random_plane(model, normalize="layer").describe()
    again = la.random_plane(model, seed=4, lazy=True)
    for one, other in zip(plane.directions, again.directions, strict=True):
        assert hash_tensors(one.params) == hash_tensors(other.params)
    objective = la.Objective(model, F.mse_loss, (torch.randn(4, 3), torch.randn(4, 6)))
    assert la.evaluate(objective, la.random_plane(objective), resolution=2).attrs["plane"]["filter_axes"] == axes
