"""Small GIFs that do not flicker: one palette for all frames, and from frame to frame only the pixels that change."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

Pixels = NDArray[np.uint8]

COLORS = 255
"""One place of the 256 stays free for "as before"."""
UNCHANGED = 255
FREQUENT = 24
"""The commonest colors (paper, ink, flat areas) are kept exactly; the others are chosen among all that occur."""
DITHER = 5.0
"""Width of the ordered dither in color steps; it depends on the place alone, so what stands still never flickers."""


def encode_gif(images: Iterator[Pixels], milliseconds: int, exact: Sequence[tuple[int, int, int]] = ()) -> bytes:
    """A looping GIF; the last frame stays for a second.

    Args:
        images: frames of equal shape, (height, width, 3).
        milliseconds: time of a frame; GIF counts in hundredths of a second and shows at most 50 frames a second.
        exact: colors that small marks need and a choice by area would miss.
    """
    kept = list(images)
    palette = _palette(kept, exact)
    pages = [_page(indices, palette) for indices in _changes(kept, palette)]
    duration = max(20, round(milliseconds / 10) * 10)
    durations = [*[duration] * (len(pages) - 1), max(duration, 1000)]
    buffer = io.BytesIO()
    pages[0].save(
        buffer, "GIF", save_all=True, append_images=pages[1:], duration=durations, loop=0, disposal=1, transparency=UNCHANGED, optimize=False
    )
    return buffer.getvalue()


def _palette(images: Sequence[Pixels], exact: Sequence[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Colors chosen from frames all along the way, (255, 3), so that no frame has to do with those of another."""
    montage = np.concatenate([images[i] for i in sorted({0, len(images) // 3, 2 * len(images) // 3, len(images) - 1})])
    colors, counts = np.unique(montage.reshape(-1, 3), axis=0, return_counts=True)
    frequent = colors[np.argsort(-counts, kind="stable")[:FREQUENT]]
    certain = np.unique(np.concatenate([np.array(list(exact), np.uint8).reshape(-1, 3), frequent]), axis=0)
    found = Image.fromarray(montage[::2, ::2]).quantize(COLORS - len(certain), method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    chosen = np.array(found.getpalette() or [], np.uint8).reshape(-1, 3)[: COLORS - len(certain)]
    palette = np.concatenate([certain, chosen])
    return np.concatenate([palette, np.repeat(palette[:1], COLORS - len(palette), axis=0)])


def _changes(images: Sequence[Pixels], palette: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Indexed frames, (height, width); after the first, what is as before carries the index that means so."""
    tree = cKDTree(palette.astype(float))
    before_image, before = images[0], _nearest(images[0], tree, np.ones(images[0].shape[:2], bool))
    yield before
    for image in images[1:]:
        now = np.where((image != before_image).any(axis=-1), _nearest(image, tree, (image != before_image).any(axis=-1)), before)
        yield np.where(now != before, now, UNCHANGED).astype(np.uint8)
        before_image, before = image, now


def _nearest(image: Pixels, tree: cKDTree, where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Nearest palette entry of each dithered pixel; colors that the palette holds exactly stay exact."""
    indices = np.zeros(image.shape[:2], np.uint8)
    plain = image[where].astype(float)
    tilt = np.broadcast_to(_bayer(image.shape[:2])[where][:, None], plain.shape)
    distance, own = _by_color(tree, plain)
    _, dithered = _by_color(tree, np.round(plain + DITHER * tilt))
    indices[where] = np.where(distance == 0, own, dithered)
    return indices


def _by_color(tree: cKDTree, colors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Each distinct color is looked up once."""
    key = (colors @ np.array([1.0, 512.0, 262144.0])).astype(np.int64)
    _, first, back = np.unique(key, return_index=True, return_inverse=True)
    distance, index = tree.query(colors[first])
    return np.asarray(distance)[back], np.asarray(index)[back]


def _bayer(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Bayer's 4 x 4 threshold pattern over the image, from -1/2 to 1/2."""
    pattern = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 - 15 / 32
    rows, columns = shape
    return np.tile(pattern, (rows // 4 + 1, columns // 4 + 1))[:rows, :columns]


def _page(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> Image.Image:
    page = Image.fromarray(indices)
    page.putpalette([*palette.ravel().tolist(), 255, 255, 255])
    return page
