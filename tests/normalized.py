"""Small networks with one normalization layer each, whose running averages are far from what the data give."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from cases import F64

SAMPLES = 30
Y = torch.arange(SAMPLES) % 3
ROUNDING = 1e-9
"""Relative: weights at a place are a sum in float64, and a principal plane's axes come out of an eigenproblem."""


def inputs(*shape: int) -> torch.Tensor:
    return torch.randn(SAMPLES, *shape, dtype=F64, generator=torch.Generator().manual_seed(3)) * 2 + 1


LAYERS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "BatchNorm1d": (lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)), inputs(4)),
    "BatchNorm2d": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
        inputs(1, 3, 3),
    ),
    "BatchNorm3d": (
        lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
        inputs(1, 2, 3, 3),
    ),
    "SyncBatchNorm": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.SyncBatchNorm(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
        inputs(1, 3, 3),
    ),
    "InstanceNorm2d": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 2), nn.InstanceNorm2d(2, affine=True, track_running_stats=True), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
        ),
        inputs(1, 3, 3),
    ),
}


@functools.cache
def model(layer: str, seed: int) -> nn.Module:
    """A network whose running averages are far from what the data give: other data, and few of them."""
    make, x = LAYERS[layer]
    torch.manual_seed(seed)
    net = make().to(F64)
    with torch.no_grad():
        for _ in range(3 + seed):
            net.train()(x * (2 + seed) + seed)
    return net.eval()


def own_loss(net: nn.Module, x: torch.Tensor, mode: str) -> float:
    """By plain torch, on the whole data as one batch."""
    net = copy.deepcopy(net).train(mode in ("batch", "train", "recalibrated"))
    with torch.no_grad():
        if mode == "recalibrated":
            norm = net[1]
            norm.momentum = 1.0
            count = net[0](x).movedim(1, 0)[0].numel() if not isinstance(norm, nn.InstanceNorm2d) else net[0](x)[0, 0].numel()
            net(x)
            norm.running_var.mul_((count - 1) / count)  # torch keeps the unbiased variance
            net.eval()
        return float(F.cross_entropy(net(x), Y))
