"""The command line. Each verb imports what it needs when it runs, so `info` and `plot` never load torch."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import typer.core

import lossatlas
from lossatlas.errors import InputError, LossatlasError


class _Verbs(typer.core.TyperGroup):
    """Errors a user can act on leave with code 2 and one message; `--debug` shows the traceback instead."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (LossatlasError, OSError) as error:  # what the system refuses, such as a full disk, is said in its own words
            if ctx.obj or isinstance(error, BrokenPipeError):
                raise
            typer.secho(f"error: {_as_options(str(error))}", err=True, fg="red")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.secho("Stopped. What was finished is stored; the same command continues.", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Verbs,
    help="Neural-network loss landscapes, optimizer paths through them, and pictures that can be trusted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ArchivePath = Annotated[Path, typer.Argument(help="An archive, such as out/archive.zarr.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the archive, figures and summary.json.")]
PathNames = Annotated[list[str] | None, typer.Option("--path", help="A trajectory of the archive; may be repeated. Default: all.")]
PLOT_KINDS = "auto, contour, surface, both, line, training (paths beside decision areas or curves) or recording (what a recorder kept)."
SurfaceNames = Annotated[list[str] | None, typer.Option("--surface", help="A surface of the archive; may be repeated. Default: all.")]


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    del debug  # read from sys.argv by `main`, so that it works in front of and behind the verb


@app.command()
def demo(out: Out = Path("out/demo"), quick: Annotated[bool, typer.Option(help="Coarser and shorter.")] = False) -> None:
    """Gradient descent on the loss surface of a small network for handwritten digits; no download, under a minute."""
    from lossatlas.recipes.demo import run as run_demo

    run_demo(out, quick=quick)
    _done(out)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    recipe: Annotated[str | None, typer.Argument(help="Which system to reproduce; see --list.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the data sets; default LOSSATLAS_DATA.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; default out/RECIPE.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller run of the same shape.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Name the recipes and their options.")] = False,
) -> None:
    """Reproduce one of the published systems of figures. Options of a recipe follow its name; --list names them."""
    from lossatlas.recipes import RECIPES, recipe_named

    if list_ or recipe is None:
        for known in RECIPES.values():
            typer.echo(known.text())
        return
    chosen = recipe_named(recipe)
    folder = out or Path("out") / recipe
    chosen.load()(folder, data=data, quick=quick, **chosen.parse(context.args))
    _done(folder)


@app.command()
def train(
    network: Annotated[str, typer.Argument(help="resnet20, resnet56_noshort, vgg9, densenet121, lenet (on MNIST), …")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the results; default out/train/NETWORK.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the data sets; default LOSSATLAS_DATA.")] = None,
    epochs: Annotated[int, typer.Option(help="The rate falls to a tenth after 1/2, 3/4 and 11/12 of them.")] = 300,
    samples: Annotated[int | None, typer.Option(help="Only the first so many training pictures.")] = None,
    test_samples: Annotated[int | None, typer.Option(help="Only the first so many test pictures.")] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures an update.")] = 128,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the paper's, 0.1 for sgd and 0.001 for adam.")] = None,
    weight_decay: Annotated[float, typer.Option(help="L2.")] = 5e-4,
    optimizer: Annotated[str, typer.Option(help="sgd (Nesterov momentum 0.9) or adam.")] = "sgd",
    seed: Annotated[int, typer.Option(help="Of first weights, order and augmentation.")] = 0,
    record_every: Annotated[int, typer.Option(help="Epochs between recorded rows; 0 makes about 50.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: a GPU where there is one.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew.")] = False,
) -> None:
    """Train a network as Li et al. 2018 did, recorded. The same command continues a stopped or killed training."""
    from lossatlas.zoo.training import Training
    from lossatlas.zoo.training import train as train_network

    settings: Any = (network, epochs, samples, test_samples, batch_size, learning_rate, weight_decay, optimizer, seed, record_every)
    folder = out or Path("out") / "train" / network
    summary = train_network(Training(*settings), folder, data, device=device, overwrite=overwrite)
    typer.echo(f"test error {summary['test_error']:.2%} (loss {summary['test_loss']:.4f} nats) on {summary['test_samples']:,} pictures")
    typer.echo(f"Results in {folder}: weights.safetensors, archive.zarr (trajectory {network}), training.png, summary.json")


@app.command()
def evaluate(
    objective: Annotated[
        str,
        typer.Argument(metavar="MODULE:OBJECTIVE", help="A module or file and the name of an Objective, or of a function that makes one."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The archive to write or continue.")] = Path("archive.zarr"),
    name: Annotated[str, typer.Option(help="Name of the surface in the archive.")] = "surface",
    bounds: Annotated[
        str | None, typer.Option(help="LOW,HIGH for every axis, or A0,A1,B0,B1; default -1,1, or around the path of --recording.")
    ] = None,
    resolution: Annotated[str, typer.Option(help="Points along each axis: 51, or 51x31.")] = "51",
    seed: Annotated[int, typer.Option(help="Of the random directions.")] = 0,
    normalize: Annotated[str, typer.Option(help="filter, layer, weight or none.")] = "filter",
    params: Annotated[list[str] | None, typer.Option(help="Move only these parameters (names, modules or globs).")] = None,
    biases: Annotated[bool, typer.Option("--biases", help="Also move biases and the scales of BatchNorm; the paper does not.")] = False,
    line: Annotated[bool, typer.Option("--line", help="One direction instead of two.")] = False,
    recording: Annotated[
        Path | None, typer.Option(help="A recorded training: lay the plane through its path, and keep the path beside the surface.")
    ] = None,
    path: Annotated[str | None, typer.Option("--path", help="Which run of the recording, where there are several.")] = None,
    through: Annotated[str, typer.Option("--through", help="pca or start-end: the plane through the path of --recording.")] = "pca",
    metrics: Annotated[str, typer.Option(help="Comma-separated: loss, accuracy.")] = "loss",
    mode: Annotated[str | None, typer.Option(help="BatchNorm and dropout: auto, eval, recalibrated, anchored, batch or train.")] = None,
    compare_modes: Annotated[bool, typer.Option("--compare-modes", help="A surface for each of eval, recalibrated and batch.")] = False,
    tol: Annotated[float | None, typer.Option(help="Stop when interpolation is expected this close, such as 0.01 of the range.")] = None,
    scale: Annotated[str, typer.Option(help="linear or log: the scale in which --tol counts.")] = "linear",
    executor: Annotated[
        str, typer.Option(help="Who measures the tiles: auto, serial, threads, processes, ray or ray://HOST:PORT.")
    ] = "auto",
    workers: Annotated[int | None, typer.Option(help="Threads or processes.")] = None,
    precision: Annotated[str, typer.Option(help="full, or bf16 (quicker, errs by up to 1 %, named on figures).")] = "full",
    compiled: Annotated[bool, typer.Option("--compile", help="Try torch.compile.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a different surface of that name.")] = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Open a page that fills in while cells are computed, with buttons to pause, stop and look closer."),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Probe a few points and say what the run would cost and show; write nothing.")
    ] = False,
) -> None:
    """Evaluate your own model on a random, filter-normalized plane around it, or on the plane of a recorded training's path.

    The same command continues a stopped run.
    """
    from lossatlas.cli.load_objective import load_objective
    from lossatlas.compute.evaluation.batchnorm_modes import compare_batchnorm_modes as evaluate_modes
    from lossatlas.compute.evaluation.engine import Engine
    from lossatlas.compute.evaluation.evaluate import evaluate as evaluate_surface
    from lossatlas.compute.planes.constructors import random_plane

    target = load_objective(objective)
    target = target if mode is None else target.with_mode(cast(Any, mode))
    around: Any = _numbers("bounds", bounds or "-1,1")
    end: float | None = None
    if recording is None:
        plane = random_plane(target, seed, cast(Any, normalize), biases=biases, params=params, ndim=1 if line else 2)
    else:
        if line or compare_modes:
            raise InputError("--recording", "with --line or --compare-modes", "a plane in one mode", "Leave the other option out")
        plane, window, end = _plane_through_recording(target, recording, path, through, None if plan else out, name)
        around = around if bounds else window
    options: dict[str, Any] = {
        "bounds": around,
        "resolution": _counts("resolution", resolution),
        "metrics": metrics.split(","),
        "tol": tol,
        "tol_scale": scale,
        "engine": Engine(executor=executor, workers=workers, precision=cast(Any, precision), compile=compiled),
        "overwrite": overwrite,
    }
    if plan:
        from lossatlas.compute.evaluation.cost_estimate import estimate_cost as advise

        typer.echo(advise(target, plane, options["bounds"], options["resolution"], options["metrics"], engine=options["engine"]))
        return
    if compare_modes:
        with _live_page(out, live) as watch:
            surfaces = evaluate_modes(target, plane, archive=out, on_tile=watch, **options)
    else:
        run: Any = evaluate_surface
        if live:
            from lossatlas.live import evaluate_live as run
        surfaces = {name: run(target, plane, archive=out, name=name, **options)}
    for key, surface in surfaces.items():
        center = float(surface.loss.sel(dict.fromkeys(surface.loss.dims, 0.0), method="nearest"))
        known = f"loss {center:.6g} at the center" if end is None else f"loss {end:.6g} at the end of the run"
        typer.echo(f"{key}: {int(surface.done.sum()):,} of {surface.done.size:,} cells, {known}")
    kind = " --kind training" if recording is not None else ""
    typer.echo(f"In {out}. Next: lossatlas plot {out}{kind}, or lossatlas view {out}")


@app.command()
def info(archive: ArchivePath) -> None:
    """Say what an archive holds and how it was made."""
    from lossatlas.archive import open_archive
    from lossatlas.viz.summary import describe_archive

    typer.echo(describe_archive(open_archive(archive)))


@app.command()
def plot(
    archive: ArchivePath,
    surface: SurfaceNames = None,
    kind: Annotated[str, typer.Option(help=PLOT_KINDS)] = "auto",
    path: PathNames = None,
    quantity: Annotated[str, typer.Option(help="What to draw: loss, accuracy, …")] = "loss",
    scale: Annotated[str, typer.Option(help="linear or log.")] = "linear",
    clip: Annotated[float | None, typer.Option(help="Cut heights above this value; the figure says what share.")] = None,
    colormap: Annotated[str | None, typer.Option(help="Any matplotlib or cmcrameri map.")] = None,
    title: Annotated[str, typer.Option()] = "",
    doubt: Annotated[bool, typer.Option("--doubt", help="Hatch what the samples do not tell apart from the lowest cell.")] = False,
    out: Annotated[Path, typer.Option("--out", help="A .png, .pdf or .svg file; its folder is made where there is none.")] = Path(
        "landscape.png"
    ),
) -> None:
    """Draw an archive: contour, hill-shaded surface, curves, and the paths stored with them."""
    from lossatlas.viz.api import plot as draw

    options = {"kind": kind, "quantity": quantity, "scale": scale, "clip": clip, "colormap": colormap, "title": title}
    draw(archive, out, surfaces=surface, paths=path, doubt=doubt, **options)
    typer.echo(f"Wrote {out}")


@app.command()
def animate(
    archive: ArchivePath,
    surface: Annotated[str | None, typer.Option("--surface", help="The surface to play on; default: the first.")] = None,
    kind: Annotated[str, typer.Option(help="auto, contour, surface, both, or training: paths beside decision areas or curves.")] = "auto",
    path: PathNames = None,
    scale: Annotated[str, typer.Option(help="linear or log.")] = "linear",
    colormap: Annotated[str | None, typer.Option(help="Any matplotlib or cmcrameri map.")] = None,
    out: Annotated[
        Path, typer.Option("--out", help="A .gif file, or .mp4 with the [video] extra; its folder is made where there is none.")
    ] = Path("landscape.gif"),
) -> None:
    """Play the stored paths over a surface, or turn the surface where there are none."""
    from lossatlas.viz.api import animate as play

    play(archive, out, surfaces=[surface] if surface else None, paths=path, kind=kind, scale=scale, colormap=colormap)
    typer.echo(f"Wrote {out}")


@app.command()
def view(
    archives: Annotated[list[Path], typer.Argument(help="One or more archives, to look at or to compare.")],
    export: Annotated[Path | None, typer.Option("--export", help="Write one offline HTML file instead of serving a page.")] = None,
    theme: Annotated[str | None, typer.Option(help="light or dark; default: the reader's system.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Rotate, compare and play landscapes in the browser; follows an evaluation that is still running."""
    from lossatlas.viz.api import view as show

    show([str(a) for a in archives], export=export, theme=theme, open_browser=browser)
    if export is not None:
        typer.echo(f"Wrote {export}")


@app.command()
def export(
    archive: ArchivePath,
    to: Annotated[str, typer.Option("--to", help="h5 (Li et al.), vtp (ParaView), csv, npz, glb (Blender) or stl (printing).")],
    out: Annotated[Path | None, typer.Option("--out", help="The file; default: the surface's name.")] = None,
    surface: Annotated[str | None, typer.Option("--surface", help="Which surface, where there are several.")] = None,
    millimeters: Annotated[float, typer.Option(help="Longest side of a mesh (glb, stl).")] = 100.0,
    scale: Annotated[str, typer.Option(help="linear or log heights of a mesh.")] = "linear",
    clip: Annotated[float | None, typer.Option(help="Cut a mesh above this value.")] = None,
) -> None:
    """Write a surface for another program."""
    from lossatlas.archive import open_archive
    from lossatlas.formats import export_surface

    opened = open_archive(archive)
    name = surface or (opened.surfaces[0] if len(opened.surfaces) == 1 else None)
    options = {"size_mm": millimeters, "scale": scale, "clip": clip} if to in ("glb", "stl") else {}
    written = export_surface(opened.surface(name), out or Path(f"{name}.{to}"), **options)
    typer.echo(f"Wrote {written}")


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Surfaces of other tools: .h5 (Li et al.), .vtp, .csv or .npz.")],
    out: Annotated[Path, typer.Option("--out", help="The archive to add them to.")] = Path("imported.zarr"),
) -> None:
    """Read surfaces that other tools computed into an archive; nothing in a file is executed."""
    from lossatlas.archive import create_archive
    from lossatlas.formats import import_surface

    surfaces = {path.stem: import_surface(path) for path in files}
    archive = create_archive(out)
    for name, surface in surfaces.items():
        archive.write_surface(name, surface)
    typer.echo(f"{', '.join(surfaces)} in {out}. Next: lossatlas plot {out}")


@app.command()
def doctor() -> None:
    """Say which versions and optional parts are installed, and where data are looked for."""
    from lossatlas.cli.doctor import report

    typer.echo(report())


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(lossatlas.__version__)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; `--debug` may stand anywhere."""
    given = sys.argv[1:] if arguments is None else arguments
    app([a for a in given if a != "--debug"], obj="--debug" in given, prog_name="lossatlas")


@contextmanager
def _live_page(archive: Path, live: bool) -> Iterator[Any]:
    """One page for several evaluations in turn; yields what to call after each tile."""
    if not live:
        yield None
        return
    from lossatlas.archive import create_archive
    from lossatlas.live import followed_control

    with followed_control(create_archive(archive), can_refine=False) as (_, watch):
        yield watch


def _plane_through_recording(
    objective: Any, recording: Path, run: str | None, kind: str, out: Path | None, surface: str
) -> tuple[Any, Any, float]:
    """The plane through a recorded path, bounds that hold it and the loss at its end.

    The projected path goes into `out`, to be drawn over `surface`.
    """
    from lossatlas.archive import create_archive
    from lossatlas.compute.paths.principal_planes import pca_plane, start_end_plane
    from lossatlas.compute.paths.projection import bounds_around, project_trajectory
    from lossatlas.compute.recording.trajectory import open_trajectory

    makers = {"pca": pca_plane, "start-end": start_end_plane}
    if kind not in makers:
        raise InputError("--through", kind, "pca or start-end")
    inside = out is not None and out.resolve() == recording.resolve()
    trajectory = open_trajectory(create_archive(recording) if inside else str(recording), run)
    plane = makers[kind](trajectory)
    path = project_trajectory(trajectory, plane, objective, surface=surface, keep=inside)
    if out is not None and not inside:
        create_archive(out).write_trajectory(trajectory.name, path)
    shown, null = path.attrs["captured_share"], sum(path.attrs["random_walk_null"])
    typer.echo(f"{trajectory.name}: the plane shows {shown:.1%} of the motion; of a random walk it would show {null:.1%}")
    return plane, bounds_around(path), float(path.path_loss[-1])


def _as_options(option_text: str) -> str:
    """An error's advice in the words of the command line: `overwrite=True` is typed ``--overwrite``."""
    option_text = re.sub(r"\b(biases|overwrite)=True\b", r"--\1", option_text)
    option_text = re.sub(r"\bname=(?=[\s,.;]|$)", "--name", option_text)
    return re.sub(r"\barchive=(?=[\s,.;]|$)", "--out", option_text)


def _done(out: Path) -> None:
    typer.echo(f"Results in {out}: see summary.json, the figures and archive.zarr")


def _numbers(argument: str, text: str) -> Any:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--{argument}", text, "numbers with commas between, such as -1,1") from error
    if len(values) not in (2, 4):
        raise InputError(f"--{argument}", text, "two numbers (LOW,HIGH) or four (A0,A1,B0,B1)")
    return tuple(values) if len(values) == 2 else (tuple(values[:2]), tuple(values[2:]))


def _counts(argument: str, text: str) -> Any:
    try:
        counts = [int(part) for part in text.lower().split("x")]
    except ValueError as error:
        raise InputError(f"--{argument}", text, "a number such as 51, or two such as 51x31") from error
    return counts[0] if len(counts) == 1 else tuple(counts)
