"""The verbs that draw: `plot`, `animate` and `view`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lossatlas._util.argument_checks import check_choice
from lossatlas._util.text import did_you_mean
from lossatlas.cli.options import ArchiveArguments, Caption, Clip, Colormap, Scale, SurfaceNames, TrajectoryNames
from lossatlas.errors import InputError

PLOT_KINDS = "auto, contour, surface, both, line, training (paths beside decision areas or curves) or recording (what a recorder kept)."
FIGURE_HELP = "A .png, .pdf or .svg file; its folder is made where there is none."
ANIMATION_HELP = "A .gif or .webp file, or .mp4 with the [video] extra, and a still of it beside; its folder is made where there is none."

ThemeName = Annotated[str | None, typer.Option("--theme", help="light, dark, or print, which holds without color.")]


def plot(
    archives: ArchiveArguments,
    surface: SurfaceNames = None,
    kind: Annotated[str, typer.Option(help=PLOT_KINDS)] = "auto",
    trajectory: TrajectoryNames = None,
    quantity: Annotated[str, typer.Option(help="What to draw: loss, accuracy, …")] = "loss",
    scale: Scale = "auto",
    clip: Clip = None,
    levels: Annotated[int, typer.Option(help="Contour levels, 2 to 200.")] = 21,
    colormap: Colormap = None,
    title: Annotated[str, typer.Option(help="Heading of the figure.")] = "",
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Hatch what the samples do not tell apart from the lowest cell.")
    ] = False,
    stems: Annotated[bool, typer.Option("--stems", help="On reliefs: lines from a path off the plane to its iterates' own loss.")] = False,
    caption: Caption = "short",
    width: Annotated[str | None, typer.Option(help="Of the figure: column (3.25 inches), page (6.75) or inches.")] = None,
    theme: ThemeName = None,
    bare: Annotated[bool, typer.Option("--bare", help="Reliefs without box, maps without axes.")] = False,
    dpi: Annotated[float, typer.Option(help="Pixels per inch of a PNG.")] = 200,
    out: Annotated[Path, typer.Option("--out", "-o", help=FIGURE_HELP)] = Path("landscape.png"),
) -> None:
    """Draw archives: contour, hill-shaded surface, curves, and the paths stored with them; of a recording all that was kept.

    Several archives share one figure and one scale.
    """
    from lossatlas.viz.api import plot as draw_figure

    look: Any = {"kind": kind, "quantity": quantity, "scale": scale, "clip": clip, "levels": levels, "colormap": colormap, "title": title}
    look |= {"caption": caption, "width": _inches(width), "theme": theme, "bare": bare, "stems": stems}
    draw_figure(archives, out, surfaces=surface, trajectories=trajectory, uncertainty=uncertainty, dpi=dpi, **look)
    typer.echo(f"Wrote {out}")


def _inches(width: str | None) -> Any:
    """A number where the text is one; all else is for `plot` to know or to refuse."""
    try:
        return None if width is None else float(width)
    except ValueError:
        return width


def animate(
    archives: ArchiveArguments,
    surface: Annotated[str | None, typer.Option("--surface", help="The surface to play on; default: the first.")] = None,
    kind: Annotated[str, typer.Option(help="auto, contour, surface, both, or training: paths beside decision areas or curves.")] = "auto",
    trajectory: TrajectoryNames = None,
    scale: Scale = "auto",
    clip: Clip = None,
    colormap: Colormap = None,
    caption: Caption = "short",
    theme: ThemeName = None,
    frames: Annotated[int, typer.Option(help="At most this many frames.")] = 100,
    out: Annotated[Path, typer.Option("--out", "-o", help=ANIMATION_HELP)] = Path("landscape.gif"),
) -> None:
    """Play the stored paths over a surface, or turn the surface where there are none."""
    from lossatlas.viz.api import animate as draw_animation

    look: Any = {"kind": kind, "scale": scale, "clip": clip, "colormap": colormap, "caption": caption, "theme": theme}
    draw_animation(archives, out, surfaces=[surface] if surface else None, trajectories=trajectory, frames=frames, **look)
    typer.echo(f"Wrote {out}")


def view(
    archives: Annotated[list[Path], typer.Argument(help="One or more archives, to look at or to compare.")],
    export: Annotated[Path | None, typer.Option("--export", help="Write one offline HTML file instead of serving a page.")] = None,
    quantity: Annotated[str | None, typer.Option(help="What to show first: loss, accuracy, …")] = None,
    scale: Annotated[str | None, typer.Option(help="auto (what suits the values), linear or log.")] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    theme: Annotated[str | None, typer.Option(help="light or dark; default: the reader's system.")] = None,
    caption: Caption = "short",
    port: Annotated[int, typer.Option(help="Of the live page; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for archives that a training or an evaluation is about to make.")] = False,
) -> None:
    """Rotate, compare and play landscapes in the browser; follows an evaluation or a recorded training that is still running."""
    from lossatlas.viz.api import view as show

    if export is not None and port:
        raise InputError("--port", port, "a live page", "Leave --export out, or --port")
    if wait:
        _wait_for(archives)
    state = _opening_state(archives, quantity, scale)
    look: Any = {"title": title, "theme": theme, "caption": caption, "view": state}
    show([str(a) for a in archives], export=export, port=port, open_browser=browser, **look)
    if export is not None:
        typer.echo(f"Wrote {export}")


def _wait_for(archives: Sequence[Path]) -> None:
    """Wait until every archive is there; Ctrl-C ends it."""
    for archive in archives:
        if not (archive / "zarr.json").exists():
            typer.echo(f"Waiting for {archive}")
        while not (archive / "zarr.json").exists():
            time.sleep(0.2)


def _opening_state(archives: Sequence[Path], quantity: str | None, scale: str | None) -> dict[str, Any]:
    """Initial state of the page, as `la.view(..., view=)` takes it."""
    from lossatlas.archive import open_archive

    state: dict[str, Any] = {} if scale is None else {"scale": check_choice("--scale", scale, ("auto", "linear", "log"))}
    if quantity is None:
        return state
    opened = [open_archive(archive) for archive in archives]
    known = sorted(
        {str(name) for archive in opened for surface in archive.surfaces for name in archive.surface(surface).data_vars} - {"done"}
    )
    if quantity not in known:
        raise InputError("--quantity", quantity, f"one of {', '.join(known) or 'none'}", did_you_mean(quantity, known))
    return {**state, "quantity": quantity}
