"""Labelled images as NumPy arrays, as every loader returns them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lossatlas.errors import InputError


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures and their classes, in the order of the published files.

    Attributes:
        images: ``(n, height, width)`` gray or ``(n, channel, height, width)`` color; uint8 0..255 unless the loader says otherwise.
        labels: class of each picture, ``(n,)`` int64.
        name: of the data set, such as "mnist".
        split: "train" or "test".
        classes: one name a class.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    name: str = ""
    split: str = ""
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int | None) -> Images:
        """The first `count` pictures; None keeps all.

        Raises:
            InputError: `count` is below 1 or above what there is.
        """
        if count is None:
            return self
        check_count(count, len(self), self.name)
        return replace(self, images=self.images[:count], labels=self.labels[:count])


def normalize(images: NDArray[Any], mean: tuple[float, ...], std: tuple[float, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """``(images / 255 - mean) / std`` for each channel, as ``(n, channel, height, width)``; gray gets one channel.

    Args:
        images: uint8, ``(n, height, width)`` or ``(n, channel, height, width)``.
        mean, std: one number a channel, in units of the full scale (0..1).
        dtype: of the result and of the arithmetic.

    >>> normalize(np.array([[[0, 255]]], np.uint8), mean=(0.5,), std=(0.5,)).ravel().tolist()
    [-1.0, 1.0]

    Raises:
        InputError: `mean` or `std` has another number of channels than `images`.
    """
    stacked = images[:, None] if images.ndim == 3 else images
    channels = stacked.shape[1]
    if not len(mean) == len(std) == channels:
        raise InputError("mean, std", (mean, std), f"{channels} numbers each, one a channel")
    shift, scale = (np.asarray(v, dtype).reshape(1, -1, 1, 1) for v in (mean, std))
    return (stacked.astype(dtype) / np.asarray(255, dtype) - shift) / scale


def check_count(count: int, available: int, name: str) -> None:
    if not 1 <= count <= available:
        raise InputError("count", count, f"between 1 and {available}, the number of pictures in {name or 'the set'}")
