"""Networks of the sources by name.

Weights start as in Li et al. 2018 but for LeNet, which keeps torch's defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from lossatlas.zoo.data.checks import check_choice
from lossatlas.zoo.networks.densenet import DenseNet
from lossatlas.zoo.networks.init import initialize_as_li
from lossatlas.zoo.networks.lenet import LeNet
from lossatlas.zoo.networks.resnet import ResNet
from lossatlas.zoo.networks.vgg import VGG, VGG9_PLAN, VGG9_QUARTER_PLAN, VGG16_PLAN

__all__ = ["NETWORKS", "VGG", "DenseNet", "LeNet", "ResNet", "initialize_as_li", "network"]

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{f"resnet{depth}": partial(ResNet, depth, shortcut="B") for depth in (20, 56, 110)},
    **{f"resnet{depth}_a": partial(ResNet, depth, shortcut="A") for depth in (20, 56, 110)},
    **{f"resnet{depth}_noshort": partial(ResNet, depth, shortcut="none") for depth in (20, 56, 110)},
    "resnet32": partial(ResNet, 32, shortcut="B"),
    "resnet32_noshort": partial(ResNet, 32, shortcut="none"),
    **{f"wrn56_{width}": partial(ResNet, 56, shortcut="B", width=width) for width in (2, 4, 8)},
    **{f"wrn56_{width}_noshort": partial(ResNet, 56, shortcut="none", width=width) for width in (2, 4, 8)},
    **{f"wrn8_{width}": partial(ResNet, 8, shortcut="B", width=width) for width in (1, 2, 4)},
    **{f"wrn8_{width}_noshort": partial(ResNet, 8, shortcut="none", width=width) for width in (1, 2, 4)},
    "vgg9": partial(VGG, VGG9_PLAN),
    "vgg9_quarter": partial(VGG, VGG9_QUARTER_PLAN),
    "vgg16": partial(VGG, VGG16_PLAN),
    "densenet121": partial(DenseNet, blocks=(6, 12, 24, 16), growth=32),
    "lenet": LeNet,
}


def network(name: str, seed: int | None = None) -> nn.Module:
    """A freshly initialized network for ten classes, in training mode.

    Args:
        name: one of `NETWORKS`; ``_a`` has option-A shortcuts, ``_noshort`` none, the rest the paper's option B.
            ``wrn8_k`` and ``vgg9_quarter`` are small stand-ins for quick runs and laptops.
        seed: of the initial weights; None draws from torch's global generator. A seed leaves that generator untouched.

    >>> sum(p.numel() for p in network("lenet", seed=0).parameters())
    61706

    Raises:
        InputError: no network of that name.
    """
    check_choice("network", name, NETWORKS)
    if seed is None:
        return _build(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(name)


def _build(name: str) -> nn.Module:
    model = NETWORKS[name]()
    return model if name == "lenet" else initialize_as_li(model)
