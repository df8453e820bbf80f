"""Training images, and their order and augmentation as pure functions of seed, epoch and batch.

No generator lives from batch to batch, so a training that continues anywhere sees exactly what it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.zoo.data.augment import augment
from lossatlas.zoo.data.cifar import LI_MEAN, LI_STD
from lossatlas.zoo.data.datasets import load_cifar10, load_mnist
from lossatlas.zoo.training.settings import Training

MNIST_MEAN, MNIST_STD = (0.1307,), (0.3081,)
"""Mean and deviation of MNIST's train set."""


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """uint8 pictures ``(n, channel, height, width)``, their classes, and the normalization under which nets see them."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.images)

    def tensors(self, count: int | None = None, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """The first `count` pictures as nets see them, and their classes."""
        return self._ready(self.images[:count], self.labels[:count], device)

    def _ready(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], device: torch.device | str, channels_last: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Bytes go to the device; the arithmetic there is that of `zoo.data.images.normalize`, in place."""
        shift, scale = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (self.mean, self.std))
        x = torch.from_numpy(np.require(images, requirements="W")).to(device).float().div_(255).sub_(shift).div_(scale)
        return x.to(memory_format=torch.channels_last) if channels_last else x, torch.from_numpy(labels).to(device)


def load_training_images(training: Training, data: Path | None = None) -> tuple[TrainingImages, TrainingImages]:
    """Train and test pictures of a training, from the data root.

    Raises:
        InputError: files missing or damaged, or more pictures asked for than there are.
    """
    return _load(training, data, "train", training.samples), _load(training, data, "test", training.test_samples)


def batch_bounds(count: int, size: int) -> list[tuple[int, int]]:
    """Start and end of every batch; a single left-over picture joins the batch before, as batch norm needs two.

    >>> batch_bounds(10, 4), batch_bounds(9, 4)
    ([(0, 4), (4, 8), (8, 10)], [(0, 4), (4, 9)])
    """
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


def batches(
    pictures: TrainingImages, training: Training, epoch: int, first: int, device: torch.device | str
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch from number `first` on: shuffled, augmented where the training says so, normalized."""
    order = np.random.default_rng([training.seed, epoch]).permutation(len(pictures))
    for number, (start, stop) in enumerate(batch_bounds(len(pictures), training.batch_size)):
        if number < first:
            continue
        chosen = order[start:stop]
        images = pictures.images[chosen]
        if training.augment:
            images = augment(images, np.random.default_rng([training.seed, epoch, number]))
        yield pictures._ready(images, pictures.labels[chosen], device, training.channels_last)


def _load(training: Training, data: Path | None, split: str, count: int | None) -> TrainingImages:
    if training.dataset == "mnist":
        dataset = load_mnist(data, split, count)
        return TrainingImages(dataset.images[:, None], dataset.labels, MNIST_MEAN, MNIST_STD)
    dataset = load_cifar10(data, split, count)
    return TrainingImages(dataset.images, dataset.labels, LI_MEAN, LI_STD)
