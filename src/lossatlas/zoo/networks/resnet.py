"""CIFAR residual networks, narrow and wide, with either kind of shortcut or with none.

He et al. 2016, section 4.2: three stages of n = (depth - 2) / 6 blocks, widths 16, 32, 64. Names of parameters are
those of the published checkpoints of Li et al. and of akamaster/pytorch_resnet_cifar10.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.errors import InputError
from lossatlas.zoo.data.checks import check_choice

Shortcut = Literal["A", "B", "none"]
"""Where a stage changes shape: A pads new channels with zeros, B learns a 1x1 convolution. "none" adds no input anywhere."""


class ResNet(nn.Module):
    """A CIFAR ResNet of `depth` layers; `width` multiplies the channels (Wide-ResNet-56-k of Li et al., figure 6)."""

    def __init__(self, depth: int, shortcut: Shortcut = "B", width: int = 1, classes: int = 10) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise InputError("depth", depth, "6 n + 2, such as 20, 56 or 110")
        check_choice("shortcut", shortcut, get_args(Shortcut))
        channels = [16 * width, 32 * width, 64 * width]
        self.conv1 = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.layer1 = _stage(channels[0], channels[0], blocks, 1, shortcut)
        self.layer2 = _stage(channels[0], channels[1], blocks, 2, shortcut)
        self.layer3 = _stage(channels[1], channels[2], blocks, 2, shortcut)
        self.linear = nn.Linear(channels[2], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of images ``(n, 3, 32, 32)``."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


class Block(nn.Module):
    """Two 3x3 convolutions, and the block's input added before the last ReLU unless `shortcut` is "none"."""

    def __init__(self, before: int, after: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = None if shortcut == "none" else _bridge(before, after, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, after, h2, w2)`` of maps ``(n, before, h, w)``."""
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out if self.shortcut is None else out + self.shortcut(x))


class PadShortcut(nn.Module):
    """Option A: every second pixel, then zero channels, half of the new ones before the old and half after."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.stride, self.front = stride, (after - before) // 2
        self.back = after - before - self.front

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, after, h2, w2)`` of maps ``(n, before, h, w)``."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.front, self.back))


def _stage(before: int, after: int, blocks: int, stride: int, shortcut: Shortcut) -> nn.Sequential:
    first = Block(before, after, stride, shortcut)
    return nn.Sequential(first, *(Block(after, after, 1, shortcut) for _ in range(blocks - 1)))


def _bridge(before: int, after: int, stride: int, shortcut: Shortcut) -> nn.Module:
    if stride == 1 and before == after:
        return nn.Identity()
    if shortcut == "A":
        return PadShortcut(before, after, stride)
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
