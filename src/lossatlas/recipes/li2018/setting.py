"""How much a run computes, and what all its figures share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.archive import Archive
from lossatlas.zoo.cifar import IMAGENET_MEAN, IMAGENET_STD, LI_MEAN, LI_STD, load_cifar10
from lossatlas.zoo.images import normalize
from lossatlas.zoo.networks.vgg import POOL, VGG9_PLAN

NORMALIZATIONS = {"li": (LI_MEAN, LI_STD), "imagenet": (IMAGENET_MEAN, IMAGENET_STD)}
THIN_PLAN = (16, 16, POOL, 32, 32, POOL, 64, 64, 64, POOL)


@dataclass(frozen=True)
class Size:
    """The numbers in which a quick and a full run differ; they are written on the figures.

    Attributes:
        samples: training images under planes; `test_samples`: test images behind error rates and dashed lines.
        resolution: points along each axis of a plane; `line`: of a line.
        train_samples: images that short trainings see; `epochs`: passes over them.
        plan: of the VGG network of figures 2, 3, 8 and 9; `vgg_epochs`, `small_batch`, `large_batch`: its training.
        ratio_samples, ratio_resolution: of the Hessian-ratio maps.
        widths: of figure 6; `width_depth`: of its networks.
        seeds: random planes behind the numbers of figure 1; `directions`: random lines of the repeatability figure.
    """

    samples: int
    test_samples: int
    resolution: int
    line: int
    train_samples: int
    epochs: int
    plan: tuple[int, ...]
    vgg_epochs: int
    small_batch: int
    large_batch: int
    ratio_samples: int
    ratio_resolution: int
    widths: tuple[int, ...]
    width_depth: int
    seeds: int
    seed_resolution: int
    directions: int


FULL = Size(1000, 10_000, 51, 101, 50_000, 300, VGG9_PLAN, 300, 128, 8192, 1000, 21, (1, 2, 4, 8), 56, 3, 25, 10)
QUICK = Size(100, 1000, 21, 41, 2000, 4, THIN_PLAN, 12, 32, 1000, 16, 9, (1, 2), 8, 3, 9, 10)


@dataclass
class Setting:
    """Where a run writes and reads, and the pictures it has read so far."""

    out: Path
    archive: Archive
    data: Path | None
    quick: bool
    size: Size
    seed: int = 0
    progress: bool | None = None
    device: str = "cpu"
    workers: int | None = None
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
    def words(self) -> str:
        """What every figure of a quick run says of itself."""
        return "quick run" if self.quick else "full run"
