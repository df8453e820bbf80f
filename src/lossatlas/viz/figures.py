"""`plot` and `animate`: the two calls behind `lossatlas plot` and `lossatlas animate`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lossatlas._util.argument_checks import check_integer, check_number
from lossatlas.viz.compose.compose import compose, with_timeline
from lossatlas.viz.compose.inputs import Source
from lossatlas.viz.mpl import figure as drawing
from lossatlas.viz.scene.model import Scene


def plot(source: Source | Scene, path: str | os.PathLike[str] | None = None, *, dpi: float = 200, **options: Any) -> Figure:
    """Draw surfaces, with the paths recorded on them, as a matplotlib figure; with `path` also write PNG, SVG or PDF.

    >>> import xarray as xr
    >>> loss = xr.DataArray([[0.0, 1.0], [1.0, 2.0], [4.0, 5.0]], dims=("alpha", "beta"), coords={"alpha": [-1, 0, 1], "beta": [0, 1]})
    >>> figure = plot(xr.Dataset({"loss": loss}), kind="contour")

    Args:
        source: a surface Dataset, an Archive, the path of one, a list of these, or a Scene.
        path: file to write; its suffix chooses the format.
        dpi: pixels per inch of a PNG.
        **options: as for `compose`: surfaces, paths, kind, quantity, scale, colormap, clip, levels, camera, title, doubt.

    Raises:
        InputError: an option, name or suffix that is not known, or nothing computed yet.
    """
    check_number("dpi", dpi, least=1)
    if path is not None:
        drawing.check_suffix(path)
    scene = source if isinstance(source, Scene) else compose(source, **options)
    figure = drawing.figure(scene)
    if path is not None:
        drawing.save(figure, path, dpi=dpi)
    return figure


def animate(
    source: Source | Scene,
    path: str | os.PathLike[str],
    *,
    frames: int = 100,
    milliseconds: int = 80,
    width: int = 900,
    on_frame: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Path:
    """Write a GIF or MP4: recorded paths run over their surfaces; where there are none the relief turns once around.

    Args:
        source: as for `plot`; a Scene with a timeline is played as it is.
        path: file to write, ``.gif`` or ``.mp4`` (which needs the [video] extra).
        frames: at most this many.
        width: pixels.
        on_frame: called with (frames done, frames in all).
        **options: as for `compose`; `kind` is "surface" by default.

    Raises:
        InputError: an option, name or suffix that is not known, or nothing computed yet.
        MissingDependencyError: MP4 without imageio-ffmpeg.
    """
    from lossatlas.viz.animation import writer as animation

    for argument, value in (("frames", frames), ("milliseconds", milliseconds), ("width", width)):
        check_integer(argument, value, 1, 100_000)
    animation.check_suffix(path)
    scene = source if isinstance(source, Scene) else compose(source, **{"kind": "surface", **options})
    return animation.save(with_timeline(scene, frames=frames, milliseconds=milliseconds), path, width=width, on_frame=on_frame)
