"""Configuration: how much a run computes, and what all its figures share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.archive import Archive
from lossatlas.zoo.data.cifar import IMAGENET_MEAN, IMAGENET_STD, LI_MEAN, LI_STD, load_cifar10
from lossatlas.zoo.data.images import normalize

NORMALIZATIONS = {"li": (LI_MEAN, LI_STD), "imagenet": (IMAGENET_MEAN, IMAGENET_STD)}


@dataclass(frozen=True)
class RunSize:
    """The numbers in which a quick and a full run differ; they are written on the figures.

    Attributes:
        samples: training images under planes; `test_samples`: test images behind error rates and dashed lines.
        resolution: points along each axis of a plane; `line`: of a line.
        line_samples: images of either split under the lines between solutions.
        train_samples: images that short trainings see; `epochs`: passes over them.
        vgg: network of figures 2, 3, 8 and 9; `vgg_epochs`, `small_batch`, `large_batch`: its training.
        ratio_samples, ratio_resolution: of the Hessian-ratio maps.
        widths: networks of figure 6, which also come without shortcuts.
        seeds: random planes behind the numbers of figure 1; `directions`: random lines of the repeatability figure.
    """

    samples: int
    test_samples: int
    resolution: int
    line: int
    line_samples: int
    train_samples: int
    epochs: int
    vgg: str
    vgg_epochs: int
    small_batch: int
    large_batch: int
    ratio_samples: int
    ratio_resolution: int
    widths: tuple[str, ...]
    seeds: int
    seed_resolution: int
    directions: int


FULL = RunSize(
    samples=1000,
    test_samples=10_000,
    resolution=51,
    line=101,
    line_samples=10_000,
    train_samples=50_000,
    epochs=300,
    vgg="vgg9",
    vgg_epochs=300,
    small_batch=128,
    large_batch=8192,
    ratio_samples=1000,
    ratio_resolution=21,
    widths=("resnet56", "wrn56_2", "wrn56_4", "wrn56_8"),
    seeds=3,
    seed_resolution=25,
    directions=10,
)
QUICK = RunSize(
    samples=64,
    test_samples=1000,
    resolution=21,
    line=41,
    line_samples=300,
    train_samples=1000,
    epochs=6,
    vgg="vgg9_quarter",
    vgg_epochs=12,
    small_batch=25,
    large_batch=250,
    ratio_samples=16,
    ratio_resolution=7,
    widths=("wrn8_1", "wrn8_2"),
    seeds=3,
    seed_resolution=13,
    directions=10,
)


@dataclass
class RunConfig:
    """Configuration of a run: where it writes and reads, and the pictures it has read so far."""

    out: Path
    archive: Archive
    data: Path | None
    quick: bool
    size: RunSize
    seed: int = 0
    progress: bool | None = None
    device: str = "cpu"
    _pictures: dict[str, Any] = field(default_factory=dict)

    def pictures(self, split: str, count: int, normalization: str = "li") -> tuple[Tensor, Tensor]:
        """The first `count` CIFAR-10 pictures, normalized, ``(n, 3, 32, 32)`` float32, and their classes."""
        images, labels = self.raw(split, count)
        return torch.from_numpy(normalize(images, *NORMALIZATIONS[normalization])), torch.from_numpy(labels)

    def raw(self, split: str, count: int) -> tuple[Any, np.ndarray[Any, np.dtype[np.int64]]]:
        """The same as uint8; decoded once, as reading them takes seconds."""
        held = self._pictures.get(split)
        if held is None or len(held) < count:
            held = self._pictures[split] = load_cifar10(self.data, split, count)
        return held.images[:count], held.labels[:count]

    @property
    def run_label(self) -> str:
        """Label on every figure of the run, "quick run" or "full run"."""
        return "quick run" if self.quick else "full run"
