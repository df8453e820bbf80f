"""Data augmentation of Li et al. 2018: pad by 4, random crop, horizontal flip.

Surfaces are computed without it (A.3).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

PADDING = 4


def augment(images: NDArray[np.uint8], generator: np.random.Generator, padding: int = PADDING) -> NDArray[np.uint8]:
    """Each picture shifted by up to `padding` pixels with black moving in, and mirrored with probability one half.

    Args:
        images: ``(n, channel, height, width)``.
        generator: draws the shifts and flips, in that order; equal states give equal pictures.

    Returns:
        a new array of the same shape and dtype.

    >>> augment(np.ones((2, 3, 8, 8), np.uint8), np.random.default_rng(0)).shape
    (2, 3, 8, 8)
    """
    count, channels, height, width = images.shape
    padded = np.zeros((count, channels, height + 2 * padding, width + 2 * padding), images.dtype)
    padded[:, :, padding : padding + height, padding : padding + width] = images
    top, left = generator.integers(0, 2 * padding + 1, (2, count))
    mirrored = generator.random(count) < 0.5
    windows = sliding_window_view(padded, (height, width), axis=(2, 3))  # a view: each crop is copied once, rows at a time
    cropped = windows[np.arange(count), :, top, left]
    cropped[mirrored] = cropped[mirrored][..., ::-1]
    return cropped
