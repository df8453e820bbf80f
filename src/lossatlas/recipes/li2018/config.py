"""Configuration: what all figures of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.archive import Archive
from lossatlas.recipes.li2018.sizes import RunSize
from lossatlas.zoo.data.cifar import IMAGENET_MEAN, IMAGENET_STD, LI_MEAN, LI_STD, load_cifar10
from lossatlas.zoo.data.images import normalize
from lossatlas.zoo.training.settings import Precision

NORMALIZATIONS = {"li": (LI_MEAN, LI_STD), "imagenet": (IMAGENET_MEAN, IMAGENET_STD)}


@dataclass
class RunConfig:
    """Configuration of a run: where it writes and reads, and the pictures it has read so far.

    Attributes:
        precision: of trainings at a laptop's size.
    """

    out: Path
    archive: Archive
    data: Path | None
    size: RunSize
    seed: int = 0
    progress: bool | None = None
    device: str = "cpu"
    precision: Precision = "float32"
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
        """Label on every figure of the run, such as "quick run"."""
        return f"{self.size.name} run"
