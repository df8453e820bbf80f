"""GIF encoder: one palette for all frames, and from frame to frame only the pixels that change."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import KDTree

Pixels = NDArray[np.uint8]
Packed = NDArray[Any]

COLORS = 255
"""One place of the 256 stays free for "as before"."""
UNCHANGED = 255
FREQUENT = 24
"""The commonest colors (paper, ink, flat areas) are kept exactly; the others are chosen among all that occur."""
DITHER = 5.0
"""Width of the ordered dither in color steps; it depends on the place alone, so what stands still never flickers."""


def encode_gif(images: Iterator[Pixels], times: Sequence[int], exact: Sequence[tuple[int, int, int]] = (), comment: bytes = b"") -> bytes:
    """A looping GIF.

    Args:
        images: frames of equal shape, (height, width, 3).
        times: milliseconds of each frame; GIF counts in hundredths of a second and shows at most 50 frames a second.
        exact: colors that small marks need and a choice by area would miss.
        comment: text stored in the file.
    """
    packed = [_packed(image) for image in images]
    palette = _palette(packed, exact)
    pages = [_page(indices, palette) for indices in _changes(packed, palette)]
    durations = [max(20, round(time / 10) * 10) for time in times]
    buffer = io.BytesIO()
    playing = {"save_all": True, "append_images": pages[1:], "duration": durations, "loop": 0}
    pages[0].save(buffer, "GIF", **playing, disposal=1, transparency=UNCHANGED, optimize=False, comment=comment)
    return buffer.getvalue()


def _packed(image: Pixels) -> Packed:
    """One number a pixel, 0xRRGGBB, which compares and sorts many times faster than three."""
    padded = np.zeros((*image.shape[:-1], 4), np.uint8)
    padded[..., 1:] = image
    return padded.view(">u4")[..., 0].astype(np.uint32)


def _unpacked(packed: Packed) -> Pixels:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1).astype(np.uint8)


def _palette(images: Sequence[Packed], exact: Sequence[tuple[int, int, int]]) -> Pixels:
    """Colors chosen from frames all along the way, (255, 3), so that no frame has to do with those of another."""
    chosen = [images[i] for i in sorted({0, len(images) // 3, 2 * len(images) // 3, len(images) - 1})]
    colors, counts = np.unique(np.concatenate(chosen), return_counts=True)
    frequent = colors[np.argsort(-counts, kind="stable")[:FREQUENT]]
    certain = np.unique(np.concatenate([_packed(np.array(list(exact), np.uint8).reshape(-1, 3)), frequent]))
    # The commonest color counts at most eight times the rarest, or wide flats would take all places.
    strip = Image.fromarray(_unpacked(np.repeat(colors, np.minimum(counts, 8))[None]))
    quantized = strip.quantize(COLORS - len(certain), method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    others = np.array(quantized.getpalette() or [], np.uint8).reshape(-1, 3)[: COLORS - len(certain)]
    palette = np.concatenate([_unpacked(certain), others])
    return np.concatenate([palette, np.repeat(palette[:1], COLORS - len(palette), axis=0)])


def _changes(images: Sequence[Packed], palette: Pixels) -> Iterator[NDArray[np.uint8]]:
    """Indexed frames, (height, width); after the first, what is as before carries the index that means so."""
    tree, tilt = KDTree(palette.astype(float)), _bayer(images[0].shape)
    before = np.zeros(images[0].shape, np.uint8)
    everywhere = np.ones(images[0].shape, bool)
    for number, image in enumerate(images):
        changed = everywhere if number == 0 else image != images[number - 1]
        now = before.copy()
        now[changed] = _nearest(image[changed], tilt[changed], tree)
        yield now if number == 0 else np.where(now != before, now, np.uint8(UNCHANGED))
        before = now


def _nearest(colors: Packed, tilt: NDArray[np.int64], tree: KDTree) -> NDArray[np.int64]:
    """Palette entry of each pixel after dithering; colors that the palette holds exactly stay exact. Each pair is looked up once."""
    pairs, back = np.unique(colors.astype(np.int64) << 4 | tilt, return_inverse=True)
    plain = _unpacked(pairs >> 4).astype(float)
    distance, nearest = tree.query(plain)
    _, dithered = tree.query(plain + DITHER * ((pairs & 15) / 16 - 15 / 32)[:, None])
    return np.where(distance == 0, nearest, dithered)[back]


def _bayer(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Bayer's 4 x 4 threshold pattern over the image, from 0 to 15."""
    pattern = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
    return np.tile(pattern, (shape[0] // 4 + 1, shape[1] // 4 + 1))[: shape[0], : shape[1]]


def _page(indices: NDArray[np.uint8], palette: Pixels) -> Image.Image:
    page = Image.fromarray(indices)
    page.putpalette([*palette.ravel().tolist(), 255, 255, 255])
    return page
