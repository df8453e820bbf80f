"""Small GIFs that do not flicker: one palette for all frames, and from frame to frame only the pixels that change."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

KEY_COLORS = ((255, 255, 255), (28, 31, 36), (0, 0, 0))
"""White paper and the ink are kept exactly."""

COLORS = 255
"""One place of the 256 stays free for "as before"."""


def encode_gif(images: Iterator[Pixels], milliseconds: int) -> bytes:
    """A looping GIF; the last frame stays a little longer.

    Args:
        images: frames of equal shape, (height, width, 3).
        milliseconds: time of a frame; GIF counts in hundredths of a second and shows at most 50 frames a second.
    """
    kept = list(images)
    palette = _palette(kept)
    duration = max(20, round(milliseconds / 10) * 10)
    pages = list(_pages(kept, palette))
    buffer = io.BytesIO()
    pages[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=pages[1:],
        duration=[*[duration] * (len(pages) - 1), max(duration, 1000) if len(pages) > 1 else duration],
        loop=0,
        disposal=1,
        optimize=False,
    )
    return buffer.getvalue()


def _palette(images: Sequence[Pixels]) -> Image.Image:
    """Colors chosen from frames all along the way, so that no frame has to do with those of another."""
    chosen = [images[i] for i in sorted({0, len(images) // 3, 2 * len(images) // 3, len(images) - 1})]
    # Every second pixel is enough to choose colors by.
    montage = Image.fromarray(np.concatenate([image[::2, ::2] for image in chosen]))
    found = montage.quantize(COLORS - len(KEY_COLORS), method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colors = (found.getpalette() or [])[: 3 * (COLORS - len(KEY_COLORS))]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for color in KEY_COLORS for part in color] + colors)
    return palette


def _pages(images: Sequence[Pixels], palette: Image.Image) -> Iterator[Image.Image]:
    """Indexed frames. The first is dithered; later ones keep its dots wherever the picture has not changed."""
    before_rgb, before = images[0], np.asarray(_indexed(images[0], palette, Image.Dither.FLOYDSTEINBERG))
    yield _page(before, palette)
    for image in images[1:]:
        changed = (image != before_rgb).any(axis=-1)
        now = np.where(changed, np.asarray(_indexed(image, palette, Image.Dither.NONE)), before).astype(np.uint8)
        yield _page(now, palette)
        before_rgb, before = image, now


def _indexed(image: Pixels, palette: Image.Image, dither: Image.Dither) -> Image.Image:
    return Image.fromarray(image).quantize(palette=palette, dither=dither)


def _page(indices: NDArray[np.uint8], palette: Image.Image) -> Image.Image:
    page = Image.fromarray(indices)
    page.putpalette(palette.getpalette() or [])
    return page
