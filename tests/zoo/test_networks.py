"""Parameter counts against published numbers and closed forms; shapes; seeds; what a shortcut does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lossatlas.errors import InputError
from lossatlas.zoo.networks import NETWORKS, ResNet, initialize_as_li, network
from lossatlas.zoo.networks.resnet import Block, PadShortcut


def resnet_count(depth: int, width: int, option_b: bool) -> int:
    """Convolutions 9 c c', batch norms 2 c, the last layer 64 k 10 + 10; option B adds c c' + 2 c' at two places."""
    c = [16 * width, 32 * width, 64 * width]
    blocks = (depth - 2) // 6
    conv_bn = lambda a, b: 9 * a * b + 2 * b  # noqa: E731
    total = conv_bn(3, c[0]) + c[2] * 10 + 10
    for before, after in zip([c[0], c[0], c[1]], c, strict=True):
        total += conv_bn(before, after) + (2 * blocks - 1) * conv_bn(after, after)
        total += option_b * (before != after) * (before * after + 2 * after)
    return total


def vgg_count(widths: list[int], pools: int) -> int:
    """Each convolution 9 c c' + c' and batch norm 2 c'; then two linear layers with a batch norm between."""
    last, side = widths[-1], 32 // 2**pools
    convolutions = sum(9 * a * b + 3 * b for a, b in zip([3, *widths[:-1]], widths, strict=True))
    return convolutions + (last * side * side * last + last) + 2 * last + (last * 10 + 10)


COUNTS = {
    # measured on the published checkpoints (data/README.md)
    "resnet56": 855_770,
    "resnet56_noshort": 853_018,
    "resnet20_a": 269_722,
    "resnet56_a": 853_018,
    # published: LeNet-5 (loss-landscape-anim), DenseNet-121 for CIFAR (kuangliu/pytorch-cifar)
    "lenet": 61_706,
    "densenet121": 6_956_298,
    # closed forms
    **{f"resnet{depth}": resnet_count(depth, 1, True) for depth in (20, 110)},
    **{f"wrn56_{k}": resnet_count(56, k, True) for k in (2, 4, 8)},
    **{f"wrn56_{k}_noshort": resnet_count(56, k, False) for k in (2, 4, 8)},
    **{f"resnet{depth}_noshort": resnet_count(depth, 1, False) for depth in (20, 110)},
    **{f"resnet32{tail}": resnet_count(32, 1, not tail) for tail in ("", "_noshort")},
    "resnet110_a": resnet_count(110, 1, False),
    **{f"wrn8_{k}": resnet_count(8, k, True) for k in (1, 2, 4)},
    **{f"wrn8_{k}_noshort": resnet_count(8, k, False) for k in (1, 2, 4)},
    "vgg9_quarter": vgg_count([16, 16, 32, 32, 64, 64, 64], 3),
    "vgg9": vgg_count([64, 64, 128, 128, 256, 256, 256], 3),
    "vgg16": vgg_count([64] * 2 + [128] * 2 + [256] * 3 + [512] * 6, 5),
}


def test_every_network_has_a_known_count() -> None:
    assert COUNTS.keys() == NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_parameter_count(name: str) -> None:
    with torch.device("meta"):
        model = NETWORKS[name]()
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]


@pytest.mark.parametrize("name", ["resnet20", "resnet20_a", "resnet20_noshort", "vgg9", "vgg16", "densenet121", "lenet"])
def test_two_pictures_give_twenty_finite_logits(name: str) -> None:
    model = network(name, seed=0).eval()
    shape = (2, 1, 28, 28) if name == "lenet" else (2, 3, 32, 32)
    logits = model(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, 10)
    assert torch.isfinite(logits).all()


def test_names_are_those_of_the_published_checkpoints() -> None:
    names = set(network("resnet56", seed=0).state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer2.0.shortcut.0.weight", "layer3.0.shortcut.1.bias", "linear.bias"} <= names
    assert "layer1.0.shortcut.0.weight" not in names
    assert {"features.0.bias", "fc.0.weight", "fc.1.running_mean", "classifier.weight"} <= set(network("vgg9", seed=0).state_dict())
    assert {"dense4.15.conv2.weight", "trans3.bn.bias", "bn.weight"} <= set(network("densenet121", seed=0).state_dict())


def test_a_block_with_dead_convolutions_is_its_shortcut() -> None:
    x = torch.rand(2, 4, 6, 6)
    for shortcut, expected in (("B", x), ("A", x), ("none", torch.zeros_like(x))):
        block = Block(4, 4, 1, shortcut).eval()
        nn.init.zeros_(block.conv2.weight)
        assert torch.equal(block(x), expected)


def test_option_a_pads_half_before_and_half_after() -> None:
    x = torch.rand(1, 2, 4, 6)
    out = PadShortcut(2, 6, 2)(x)
    assert out.shape == (1, 6, 2, 3)
    assert torch.equal(out[:, 2:4], x[:, :, ::2, ::2])
    assert not out[:, [0, 1, 4, 5]].any()


def test_seeds() -> None:
    before = torch.get_rng_state()
    a, b, c = (network("resnet20", seed=seed).conv1.weight for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_initial_weights_of_li() -> None:
    for module in network("vgg9", seed=0).modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.in_channels * 9
            assert module.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.06)
            assert not module.bias.any()
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(1e-3, rel=0.06)


def test_initialization_leaves_other_layers_alone() -> None:
    layer = nn.LayerNorm(3)
    assert initialize_as_li(layer) is layer


def test_wrong_names_and_depths() -> None:
    with pytest.raises(InputError, match="'resnet56_noshort'"):
        network("resnet57")
    with pytest.raises(InputError, match="6 n \\+ 2"):
        ResNet(57)
    with pytest.raises(InputError, match="shortcut"):
        ResNet(20, shortcut="C")  # type: ignore[arg-type]
