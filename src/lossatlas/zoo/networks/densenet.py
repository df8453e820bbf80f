"""DenseNet-BC for CIFAR (Huang et al. 2017), with the names and layout of Li et al.'s ``cifar10/models/densenet.py``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseNet(nn.Module):
    """Four stages of densely connected layers; a transition between them halves channels and sides.

    Args:
        blocks: layers in each stage; (6, 12, 24, 16) makes DenseNet-121.
        growth: channels that each layer adds.
    """

    def __init__(self, blocks: tuple[int, int, int, int] = (6, 12, 24, 16), growth: int = 32, classes: int = 10) -> None:
        super().__init__()
        channels = 2 * growth
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        for stage, count in enumerate(blocks, start=1):
            self.add_module(f"dense{stage}", nn.Sequential(*(DenseLayer(channels + i * growth, growth) for i in range(count))))
            channels += count * growth
            if stage < len(blocks):
                self.add_module(f"trans{stage}", Transition(channels, channels // 2))
                channels //= 2
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of images ``(n, 3, 32, 32)``."""
        x = self.conv1(images)
        for name, stage in self.named_children():  # in the order above: dense1, trans1, dense2, …
            x = stage(x) if name.startswith(("dense", "trans")) else x
        return self.linear(F.relu(self.bn(x)).mean(dim=(2, 3)))


class DenseLayer(nn.Module):
    """1x1 to 4 `growth` channels, 3x3 to `growth`; its output goes *before* its input, as in the published weights."""

    def __init__(self, before: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, after, h, w)`` of maps ``(n, before, h, w)``."""
        new = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return torch.cat([new, x], dim=1)


class Transition(nn.Module):
    """Fewer channels by a 1x1 convolution, half the side by averaging."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(before)
        self.conv = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(n, after, h2, w2)`` of maps ``(n, before, h, w)``."""
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)
