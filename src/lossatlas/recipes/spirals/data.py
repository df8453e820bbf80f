"""The three-class spiral of Stanford's CS231n, as loss-landscape-anim packs it: standardized, 361 of 500 a class to train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CLASSES, PER_CLASS, TRAIN_PER_CLASS = 3, 500, 361


@dataclass(frozen=True)
class Spiral:
    """Points ``(samples, 2)`` and classes ``(samples,)``; 1,083 to train on and 417 held out.

    >>> spiral = make_spiral()
    >>> spiral.x.shape, spiral.test_x.shape
    (torch.Size([1083, 2]), torch.Size([417, 2]))
    """

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor

    @property
    def train(self) -> tuple[Tensor, Tensor]:
        return self.x, self.y

    @property
    def shown(self) -> tuple[Tensor, Tensor]:
        """Every third training point, enough to see the spiral without hiding the areas under it."""
        return self.x[::3], self.y[::3]

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        return self.test_x, self.test_y


def make_spiral(seed: int = 0) -> Spiral:
    """Radius from 0 to 1, angle from 4 j to 4 (j + 1) plus noise of 0.2 for class j; each axis to mean 0 and deviation 1."""
    rng = np.random.default_rng(seed)
    points, held = [], []
    for j in range(CLASSES):
        radius = np.linspace(0, 1, PER_CLASS)
        angle = np.linspace(4 * j, 4 * (j + 1), PER_CLASS) + 0.2 * rng.standard_normal(PER_CLASS)
        arm = rng.permutation(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1))
        points.append(arm[:TRAIN_PER_CLASS])
        held.append(arm[TRAIN_PER_CLASS:])
    x, test_x = np.concatenate(points), np.concatenate(held)
    mean, deviation = x.mean(0), x.std(0)
    return Spiral(_float((x - mean) / deviation), _labels(x), _float((test_x - mean) / deviation), _labels(test_x))


def _float(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _labels(points: np.ndarray) -> Tensor:
    return torch.arange(CLASSES).repeat_interleave(len(points) // CLASSES)
