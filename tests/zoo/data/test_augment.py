"""Augmentation: each result is one of the pictures that a slow, obvious program can make."""

from __future__ import annotations

import numpy as np

from lossatlas.zoo.data.augment import augment


def possible(image: np.ndarray, padding: int) -> list[bytes]:
    """Every crop of the padded picture and its mirror image."""
    _, height, width = image.shape
    padded = np.zeros((3, height + 2 * padding, width + 2 * padding), np.uint8)
    padded[:, padding : padding + height, padding : padding + width] = image
    span = range(2 * padding + 1)
    crops = [padded[:, top : top + height, left : left + width] for top in span for left in span]
    return [crop.tobytes() for crop in crops] + [crop[:, :, ::-1].tobytes() for crop in crops]


def test_every_result_is_a_shifted_perhaps_mirrored_picture() -> None:
    images = np.random.default_rng(0).integers(1, 256, (40, 3, 7, 5), np.uint8)
    before = images.copy()
    result = augment(images, np.random.default_rng(1), padding=2)
    assert np.array_equal(images, before)
    assert result.dtype == np.uint8
    for image, made in zip(images, result, strict=True):
        assert made.tobytes() in possible(image, 2)


def test_every_shift_and_both_sides_occur_equally_often() -> None:
    image = np.arange(1, 3 * 7 * 5 + 1).astype(np.uint8).reshape(1, 3, 7, 5)
    draws = 20_000
    made = augment(np.repeat(image, draws, axis=0), np.random.default_rng(2), padding=1)
    choices = possible(image[0], 1)
    counts = np.array([sum(picture.tobytes() == choice for picture in made) for choice in choices])
    assert counts.sum() == draws
    expected = draws / len(choices)
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square with 17 degrees of freedom: p = 0.0002


def test_equal_seeds_give_equal_pictures() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 32, 32), np.uint8)
    a, b, c = (augment(images, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
