"""`plot`, `animate` and `view`: the calls behind the verbs of the same names."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lossatlas._util.argument_checks import check_integer, check_number
from lossatlas._util.keywords import explain_keywords
from lossatlas.archive import Archive
from lossatlas.viz.compose.compose import Kind, compose
from lossatlas.viz.compose.inputs import Source
from lossatlas.viz.compose.timeline import with_timeline
from lossatlas.viz.mpl import figure as drawing
from lossatlas.viz.mpl.sizes import Width
from lossatlas.viz.mpl.style import Theme
from lossatlas.viz.scene.captions import CaptionSize, check_caption
from lossatlas.viz.scene.model import Camera, ScaleOption, Scene
from lossatlas.viz.web.html import export_html
from lossatlas.viz.web.payload import Precision
from lossatlas.viz.web.view_state import page_state


@explain_keywords
def plot(
    source: Source | Scene,
    file: str | os.PathLike[str] | None = None,
    *,
    surfaces: Sequence[str] | str | None = None,
    trajectories: Sequence[Any] | None = None,
    kind: Kind = "auto",
    quantity: str | Sequence[str] = "loss",
    scale: ScaleOption = "auto",
    colormap: str | None = None,
    clip: float | None = None,
    levels: int = 21,
    camera: Camera | None = None,
    title: str | None = None,
    uncertainty: bool = False,
    stems: bool = False,
    caption: CaptionSize = "short",
    width: Width = None,
    height: float | None = None,
    theme: Theme | None = None,
    bare: bool = False,
    dpi: float = 200,
) -> Figure:
    """Draw surfaces, with the trajectories projected on them, as a matplotlib figure; with `file` also write PNG, SVG or PDF.

    Letters are those of the rcParams and style sheets in force; what these leave at matplotlib's defaults is set for the
    figure's width. To draw into axes of your own see `plot_contour`, `plot_surface`, `plot_line`, `plot_path`, `plot_spectrum`,
    `plot_recording` and `plot_curves`.

    >>> import xarray as xr
    >>> loss = xr.DataArray([[0.0, 1.0], [1.0, 2.0], [4.0, 5.0]], dims=("alpha", "beta"), coords={"alpha": [-1, 0, 1], "beta": [0, 1]})
    >>> figure = plot(xr.Dataset({"loss": loss}), kind="contour")

    Args:
        source: a surface Dataset, an Archive, the path of one, a list of these; or a Scene, which is drawn as it is: the
            options that compose one (all before `caption`) do not concern it.
        file: where to write; the suffix chooses the format.
        surfaces: which surfaces of the archives; all by default.
        trajectories: names of trajectories, projected trajectory Datasets or `PathData` objects; by default all that lie
            on the surfaces.
        kind: "auto" draws map and relief of one surface, maps of several, and curves of lines; or "contour", "surface",
            "both", "line"; "training" draws a map with its paths and, beside it, their decision regions or the curves of
            loss and accuracy; "recording" all that a recorder measured.
        quantity: the metric to draw, such as "loss" or "accuracy", or its error, "loss_standard_error"; several stand side by side:
            ``("loss", "accuracy")``.
        scale: "linear" or "log" for color and height alike. "auto" is log where all values are positive, span a factor of 20 or
            more, and a quarter of them lie in the lowest tenth of the range, which a linear scale would draw as one dark pool.
        colormap: any of matplotlib or cmcrameri, such as "viridis", "terrain" or "batlow"; "atlas" by default.
        clip: hide what is higher; the figure says what share of the cells that is.
        levels: number of contour levels.
        camera: direction from which reliefs are seen; by default one from which the lowest and the highest point show.
        title: above the figure; by default that of a single surface.
        uncertainty: hatch the cells that the samples do not tell apart from the lowest one; `lossatlas.viz.compose` says how.
        stems: on reliefs, lines from a path that is off the plane to the loss of its iterates.
        caption: "short" is at most a line on what is shown and a line of caution; "full" is everything that is known;
            "none" is nothing.
        width: "column" (3.25 inches) or "page" (6.75 inches), which LaTeX then includes without scaling, or inches; by default
            what the panes need on a screen. Panes that would be too narrow go below one another.
        height: in inches; by default what the shapes of the panes ask for.
        theme: "light", "dark", or "print", which holds without color; by default the colors of the rcParams.
        bare: reliefs without their box and maps without axes, for slides.
        dpi: pixels per inch of a PNG.

    Raises:
        InputError: an option, name or suffix that is not known, nothing computed yet, or no room for the panes in `width` and `height`.
    """
    check_number("dpi", dpi, least=1)
    check_caption(caption)
    if file is not None:
        drawing.check_suffix(file)
    options = {"quantity": quantity, "scale": scale, "colormap": colormap, "clip": clip, "levels": levels, "camera": camera}
    options |= {"surfaces": surfaces, "trajectories": trajectories, "kind": kind, "title": title, "uncertainty": uncertainty}
    scene = source if isinstance(source, Scene) else compose(source, **options)
    if stems:
        scene = scene.replace(panes=tuple(replace(pane, stems=True) for pane in scene.panes))
    figure = drawing.figure(scene, width=width, height=height, theme=theme, bare=bare, caption=caption)
    if file is not None:
        drawing.save(figure, file, dpi=dpi)
    return figure


@explain_keywords
def animate(
    source: Source | Scene,
    file: str | os.PathLike[str],
    *,
    surfaces: Sequence[str] | str | None = None,
    trajectories: Sequence[Any] | None = None,
    kind: Kind = "surface",
    quantity: str | Sequence[str] = "loss",
    scale: ScaleOption = "auto",
    colormap: str | None = None,
    clip: float | None = None,
    levels: int = 21,
    camera: Camera | None = None,
    title: str | None = None,
    uncertainty: bool = False,
    caption: CaptionSize = "short",
    theme: Theme | None = None,
    frames: int = 100,
    milliseconds: int = 80,
    width: int = 900,
    on_frame: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a GIF, MP4 or WebP: trajectories run over their surfaces; where there are none the relief turns once around.

    Args:
        source: as for `plot`; a Scene with a timeline is played as it is.
        file: where to write, ``.gif``, ``.webp`` or ``.mp4`` (which needs the [video] extra). A still of it is written beside
            it, ``name-still.png``.
        surfaces, trajectories, kind, quantity, scale, colormap, clip, levels, camera, title, uncertainty, caption, theme: as for `plot`.
        frames: at most this many.
        milliseconds: how long each is shown.
        width: pixels.
        on_frame: called with (frames done, frames in all).

    Raises:
        InputError: an option, name or suffix that is not known, or nothing computed yet.
        MissingDependencyError: MP4 without imageio-ffmpeg.
    """
    from lossatlas.viz.animation import writer as animation

    for argument, value in (("frames", frames), ("milliseconds", milliseconds), ("width", width)):
        check_integer(argument, value, 1, 100_000)
    animation.check_suffix(file)
    check_caption(caption)
    options = {"quantity": quantity, "scale": scale, "colormap": colormap, "clip": clip, "levels": levels, "camera": camera}
    options |= {"surfaces": surfaces, "trajectories": trajectories, "kind": kind, "title": title, "uncertainty": uncertainty}
    scene = source if isinstance(source, Scene) else compose(source, **options)
    moving = with_timeline(scene, frames=frames, milliseconds=milliseconds)
    return animation.save(moving, file, width=width, caption=caption, theme=theme, on_frame=on_frame)


@explain_keywords
def view(
    source: Any,
    *,
    export: str | os.PathLike[str] | None = None,
    title: str | None = None,
    theme: str | None = None,
    view: Mapping[str, Any] | None = None,
    caption: CaptionSize = "short",
    precision: Precision = "uint16",
    height: int = 620,
    port: int = 0,
    open_browser: bool = True,
) -> Any:
    """Show landscapes in the interactive viewer.

    With `export` a self-contained HTML file is written. Else, in a notebook, a widget is returned; elsewhere archives
    are served as a live page that follows their evaluation (until Ctrl-C), and anything else opens as a page.

    Args:
        source: a surface, an archive or its path, a `Scene`, or a list of these to compare.
        export: path of an HTML file.
        title: heading of the page.
        theme: "light" or "dark"; None follows the reader's system.
        view: the state to open with: ``scale`` ("auto", "linear" or "log"), ``quantity``, ``clip``, ``colormap``, ``camera``,
            ``style``, ``mode``, ``map`` and the other keys of the page's address.
        caption: at the foot of the page, as for `plot`; a click on it shows everything that is known.
        height: of the widget, in pixels.
        port: of the live page; 0 takes a free one.
        open_browser: False only serves or writes the page.

    Returns:
        The path of the file, the widget, or None after a live page was closed. ``la.view("run.zarr")`` in one cell follows a
        training that the next one records there. A widget of an open archive fills when told: ``shown = la.view(archive)``,
        then ``la.evaluate(..., archive=archive, on_tile=lambda *_: shown.update())``.

    Raises:
        InputError: something that cannot be drawn, an unknown key of `view`, or an `export` that is no .html file.
    """
    if check_caption(caption) != "short":
        view = page_state(view) | {"caption": caption}
    if export is not None:
        return export_html(source, export, title=title, theme=theme, precision=precision, view=view)
    if in_notebook():
        from lossatlas.viz.web.widget import widget

        shown = widget(source, theme=theme, view=view, height=height, precision=precision, title=title)
        if _is_path(source) and shown.feed is not None and shown.feed.follows_recording:
            shown.follow()
        return shown
    if _is_archive(source) or (isinstance(source, list | tuple) and source and all(map(_is_archive, source))):
        from lossatlas.viz.web.server import serve

        state = {**page_state(view), **({"theme": theme} if theme else {})}
        return serve(source, port=port, open_browser=open_browser, view=state, title=title)
    page = export_html(
        source, Path(tempfile.mkdtemp(prefix="lossatlas-")) / "landscape.html", title=title, theme=theme, precision=precision, view=view
    )
    if open_browser:
        webbrowser.open(page.as_uri())
    return page


def in_notebook() -> bool:
    """Is this code running in a notebook's kernel (and not in a terminal or a script)?"""
    if "marimo" in sys.modules and sys.modules["marimo"].running_in_notebook():
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike) or (isinstance(source, list | tuple) and bool(source) and all(map(_is_path, source)))


def _is_archive(source: Any) -> bool:
    return isinstance(source, Archive | str | os.PathLike)
