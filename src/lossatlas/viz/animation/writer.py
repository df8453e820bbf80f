"""Animation writer: a scene with a timeline, frame by frame, as GIF, MP4 or WebP.

The still part (surface, contours, axes, words) is drawn once; each frame then lays only what moves over a copy of it.
A pane is drawn anew only where its camera turns or its field changes.
"""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL.PngImagePlugin import PngInfo

from lossatlas._util.argument_checks import path_of
from lossatlas._util.files import write_file
from lossatlas.errors import InputError, MissingDependencyError, output_errors
from lossatlas.viz.animation.gif import encode_gif
from lossatlas.viz.colors import STAR
from lossatlas.viz.metadata.record import figure_metadata
from lossatlas.viz.metadata.writing import gif_comment, matplotlib_metadata, mp4_arguments, webp_exif
from lossatlas.viz.mpl.artists.path import color_of_path, faded_color
from lossatlas.viz.mpl.figure import FigureArtists, draw
from lossatlas.viz.mpl.style import Palette, Theme, figure_settings, styled
from lossatlas.viz.scene.captions import CaptionSize
from lossatlas.viz.scene.model import Scene

SUFFIXES = (".gif", ".mp4", ".webp")
HOLD_MILLISECONDS = 1000
"""The last frame of paths that have run stays at least so long; a turn goes straight on from its last frame to its first."""
LANDSCAPE = (8.0, 5.0)
"""Inches of a single pane, 16 : 10 as slides and screens are; several panes take what they need."""
Image = NDArray[np.uint8]


def save(
    scene: Scene,
    file: str | os.PathLike[str],
    *,
    width: int = 900,
    caption: CaptionSize = "short",
    theme: Theme | None = None,
    still: bool = True,
    on_frame: Callable[[int, int], None] | None = None,
) -> Path:
    """Write an animation; the suffix chooses GIF, MP4 or WebP. The file appears whole or not at all.

    Args:
        scene: a scene with a timeline.
        width: pixels; a single pane is 16 : 10, several are as tall as they need.
        caption: its size, as in `lossatlas.viz.scene.captions`.
        theme: "light", "dark" or "print"; by default the colors of the rcParams.
        still: write the picture that stands for it beside it (`still_file`): the last frame, or the first of a turn.
        on_frame: called with (frames done, frames in all).

    Raises:
        InputError: another suffix or theme, no timeline, or no frame in it.
        MissingDependencyError: MP4 without imageio-ffmpeg.
    """
    target = check_suffix(file)
    if not 64 <= width <= 8192:
        raise InputError("width", width, "64 to 8192 pixels")
    count, timeline = _checked_count(scene), scene.timeline
    assert timeline is not None
    turns = timeline.rotation is not None
    chosen = _FrameAt(0 if turns else count - 1)
    images = chosen.watching(_counted(frames(scene, width=width, caption=caption, theme=theme), count, on_frame))
    times = _times(count, timeline.milliseconds, hold=not turns)
    metadata = figure_metadata(scene)
    suffix = target.suffix.lower()
    if suffix == ".gif":
        data = encode_gif(images, times, _mark_colors(scene, theme), gif_comment(metadata))
    elif suffix == ".webp":
        data = _encode_webp(images, times, webp_exif(metadata))
    else:
        data = _encode_mp4(images, times, mp4_arguments(metadata))
    with output_errors(target):
        write_file(target, data)
        if still and chosen.image is not None:
            write_file(still_file(target), _encode_png(chosen.image, matplotlib_metadata(".png", metadata)))
    return target


def still_file(file: str | os.PathLike[str]) -> Path:
    """The still picture beside an animation.

    >>> still_file("out/descent.mp4").name
    'descent-still.png'
    """
    return Path(file).with_name(f"{Path(file).stem}-still.png")


def frames(scene: Scene, *, width: int = 900, caption: CaptionSize = "short", theme: Theme | None = None) -> Iterator[Image]:
    """Each frame of the timeline as pixels, (height, width, 3) in 0..255; both sides are even."""
    count, settings = _checked_count(scene), figure_settings(theme)
    alone = {(pane.row, pane.column) for pane in scene.panes} == {(0, 0)}
    wide, tall = LANDSCAPE if alone else (None, None)
    # Frames are drawn one by one inside the style, so that a slow reader never holds it.
    with styled(settings):
        drawing = draw(scene, width=wide, height=tall, pixels=width, caption_size=caption)
        background = _Background(drawing)
    for frame in range(count):
        with styled(settings):
            image = background.frame(frame)
        yield image


class _FrameAt:
    """Frame number `index` of the images that pass through `watching`."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.image: Image | None = None

    def watching(self, images: Iterator[Image]) -> Iterator[Image]:
        for number, image in enumerate(images):
            if number == self.index:
                self.image = image
            yield image


def _times(count: int, milliseconds: int, hold: bool) -> list[int]:
    """Milliseconds of each frame."""
    last = max(milliseconds, HOLD_MILLISECONDS) if hold else milliseconds
    return [*[milliseconds] * (count - 1), last]


def check_suffix(file: str | os.PathLike[str]) -> Path:
    """The path, if its suffix is one that `save` can write with what is installed.

    Raises:
        InputError: another suffix.
        MissingDependencyError: MP4 without imageio-ffmpeg.
    """
    target = path_of(file, "file")
    if target.suffix.lower() not in SUFFIXES:
        raise InputError("file", str(file), f"a file name ending in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if target.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise MissingDependencyError("MP4 animations", "video")
    return target


class _Background:
    """The still pixels of a drawing, and what has to be drawn over them."""

    def __init__(self, drawing: FigureArtists) -> None:
        self.drawing = drawing
        self.canvas: Any = drawing.figure.canvas
        turning = [pane for pane in drawing.panes if pane.redraws_every_frame]
        still = [pane for pane in drawing.panes if not pane.redraws_every_frame]
        self.moving = [artist for pane in still for artist in pane.moving] + ([drawing.label] if drawing.label is not None else [])
        self.axes = [axes for pane in turning for axes in (pane.axes, pane.right_axes) if axes is not None]
        for artist in (*self.moving, *self.axes):
            artist.set_animated(True)
        drawing.show(0)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(drawing.figure.bbox)

    def frame(self, frame: int) -> Image:
        self.canvas.restore_region(self.still)
        self.drawing.show(frame)
        renderer = self.canvas.get_renderer()
        for axes in self.axes:
            axes.draw(renderer)
        for artist in sorted(self.moving, key=lambda artist: artist.get_zorder()):
            artist.draw(renderer)
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()


def _mark_colors(scene: Scene, theme: Theme | None) -> list[tuple[int, int, int]]:
    """Colors of paths, curves, marks and the legend's sample of a faded path, which cover too few pixels to be chosen by area."""
    with styled(figure_settings(theme)):
        ink = Palette.current().ink
        paths = [one for path in scene.paths for one in (color_of_path(scene, path), faded_color(scene, path))]
    names = [*paths, *(curve.color for curve in scene.curves if curve.color), STAR, "white", ink]
    return [tuple(round(255 * part) for part in to_rgb(name)) for name in dict.fromkeys(names)]  # pyright: ignore[reportReturnType]


def _checked_count(scene: Scene) -> int:
    if scene.timeline is None or not len(scene.timeline):
        raise InputError(
            "scene", "no frames", "a scene with a timeline", "Give it one with lossatlas.viz.compose.timeline.with_timeline(scene)"
        )
    return len(scene.timeline)


def _counted(images: Iterator[Image], count: int, on_frame: Callable[[int, int], None] | None) -> Iterator[Image]:
    for done, image in enumerate(images, 1):
        yield image
        if on_frame is not None:
            on_frame(done, count)


def _encode_png(image: Image, texts: Mapping[str, str]) -> bytes:
    information, buffer = PngInfo(), io.BytesIO()
    for key, text in texts.items():
        information.add_text(key, text)
    PILImage.fromarray(image).save(buffer, "PNG", pnginfo=information)
    return buffer.getvalue()


def _encode_webp(images: Iterator[Image], times: Sequence[int], exif: bytes) -> bytes:
    """A looping WebP, about half the size of a GIF, in true colors."""
    first, *rest = map(PILImage.fromarray, images)
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=list(times), loop=0, quality=88, method=4, exif=exif)
    return buffer.getvalue()


def _encode_mp4(images: Iterator[Image], times: Sequence[int], tags: list[str]) -> bytes:
    """H.264 at an even pace: a frame that stays is sent again."""
    import tempfile

    import imageio_ffmpeg

    first = next(images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "animation.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path),
            (first.shape[1], first.shape[0]),
            fps=1000 / times[0],  # pyright: ignore[reportArgumentType]
            codec="libx264",
            pix_fmt_out="yuv420p",
            macro_block_size=2,
            output_params=["-crf", "18", "-preset", "medium", "-movflags", "+faststart", "-threads", "1", *tags],
        )
        writer.send(None)
        for image, time in zip(_chained(first, images), times, strict=True):
            for _ in range(max(1, round(time / times[0]))):
                writer.send(np.ascontiguousarray(image))
        writer.close()
        return path.read_bytes()


def _chained(first: Image, rest: Iterator[Image]) -> Iterator[Image]:
    yield first
    yield from rest
