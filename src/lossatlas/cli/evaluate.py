"""The verb `evaluate`: the surface of a user's own objective."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from lossatlas._util.argument_checks import check_choice
from lossatlas._util.text import format_rough_percent
from lossatlas.cli import options as shared
from lossatlas.cli.parsing import bounds_of, counts
from lossatlas.errors import InputError

Metrics = Annotated[
    str,
    typer.Option(
        help="Comma-separated: loss, accuracy, error, top_5_error, perplexity, kl, disagreement, calibration_error, margin, weight_norm."
    ),
]
Line = Annotated[bool, typer.Option("--line", help="One direction instead of two.")]
CompareModes = Annotated[bool, typer.Option("--compare-modes", help="A surface for each of eval, recalibrated and batch.")]
Tol = Annotated[float | None, typer.Option(help="Error allowed, such as 0.01 of the range: interpolates between cells, or draws samples.")]
TolScale = Annotated[str, typer.Option("--tol-scale", help="linear, log, or robust (the middle 90 % of the cells): the range of --tol.")]
Sampling = Annotated[str, typer.Option(help="With --tol: all samples at some cells, multilevel (some samples at all cells), or auto.")]
Executor = Annotated[str, typer.Option(help="Who measures the tiles: auto, serial, threads, processes, ray or ray://HOST:PORT.")]
Workers = Annotated[int | None, typer.Option(help="Threads or processes.")]
Precision = Annotated[str, typer.Option(help="full, or bf16 (quicker, errs by up to 1 %, named on figures).")]
Compile = Annotated[bool, typer.Option("--compile", help="Try torch.compile.")]
Live = Annotated[
    bool, typer.Option("--live", help="Open a page that fills in while cells are computed, with buttons to pause, stop and look closer.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Probe a few points and say what the run would cost and show; write nothing.")]


def evaluate(
    objective: shared.ObjectiveReference,
    archive: Annotated[Path, typer.Option("--archive", help="The archive to write or continue.")] = Path("archive.zarr"),
    name: Annotated[str, typer.Option(help="Name of the surface in the archive.")] = "surface",
    bounds: shared.Bounds = None,
    resolution: shared.Resolution = "51",
    seed: shared.Seed = 0,
    normalize: shared.Normalize = None,
    params: shared.ParamNames = None,
    biases: shared.Biases = False,
    line: Line = False,
    plane: shared.PlaneKind = None,
    recording: shared.Recordings = None,
    checkpoints: shared.CheckpointFiles = None,
    trajectory: shared.RunNames = None,
    settings: shared.Settings = None,
    metrics: Metrics = "loss",
    mode: shared.Mode = None,
    compare_modes: CompareModes = False,
    device: shared.Device = None,
    dtype: shared.Dtype = None,
    batch_size: shared.BatchSize = None,
    samples: shared.Samples = None,
    tol: Tol = None,
    tol_scale: TolScale = "linear",
    sampling: Sampling = "auto",
    executor: Executor = "auto",
    workers: Workers = None,
    precision: Precision = "full",
    compiled: Compile = False,
    overwrite: shared.Overwrite = False,
    live: Live = False,
    dry_run: DryRun = False,
) -> None:
    """Evaluate your own model on a random, filter-normalized plane around it, or on a plane through recorded paths or checkpoints.

    The same command continues a stopped run.
    """
    arguments = dict(locals())
    _check_combinations(arguments)
    target, chosen, area, end_losses = _prepare(arguments)
    grid = (area, counts("--resolution", resolution), metrics.split(","))
    if dry_run:
        _print_cost(target, chosen, *grid)
        return
    _print_surfaces(_evaluate(target, chosen, grid, arguments), end_losses)
    kind = " --kind training" if recording or checkpoints else ""
    typer.echo(f"In {archive}. Next: lossatlas plot {archive}{kind}, or lossatlas view {archive}")


def _check_combinations(arguments: dict[str, Any]) -> None:
    check_choice("--tol-scale", arguments["tol_scale"], ("linear", "log", "robust"))
    check_choice("--sampling", arguments["sampling"], ("all", "multilevel", "auto"))
    if arguments["sampling"] == "multilevel" and arguments["tol"] is None:
        raise InputError("--sampling", "multilevel", "--tol with it", "Say how close: --tol 0.01")
    sources = [option for option in ("recording", "checkpoints") if arguments[option]]
    if arguments["trajectory"] and not arguments["recording"]:
        raise InputError("--trajectory", arguments["trajectory"][0], "--recording with it", "Name the archive that holds the trajectory")
    if sources and (arguments["line"] or arguments["compare_modes"]):
        raise InputError(f"--{sources[0]}", "with --line or --compare-modes", "a plane in one mode", "Leave the other option out")


def _prepare(arguments: dict[str, Any]) -> tuple[Any, Any, Any, dict[str, float]]:
    """The objective, its plane, the bounds, and the loss at the end of each recorded path."""
    from lossatlas.cli.objective.adjust import ObjectiveChanges, load_adjusted
    from lossatlas.cli.planes import PathSources, PlaneOptions, plane_around, plane_through_paths

    area = None if arguments["bounds"] is None else bounds_of("--bounds", arguments["bounds"])
    changes = ObjectiveChanges(*(arguments[key] for key in ("mode", "device", "dtype", "batch_size", "samples")))
    objective = load_adjusted(arguments["objective"], changes, arguments["settings"] or ())
    sources = PathSources(*(tuple(arguments[key] or ()) for key in ("recording", "checkpoints", "trajectory")))
    if not sources:
        directions = PlaneOptions(*(arguments[key] for key in ("seed", "normalize", "params", "biases", "line")))
        return objective, plane_around(objective, arguments["plane"] or "random", directions), area, {}
    archive = None if arguments["dry_run"] else arguments["archive"]
    paths = plane_through_paths(objective, sources, arguments["plane"], archive, arguments["name"])
    return objective, paths.plane, area, paths.end_losses


def _evaluate(objective: Any, plane: Any, grid: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
    """The surface by its name, or one surface a BatchNorm mode."""
    from lossatlas.compute.evaluation.batchnorm_modes import compare_batchnorm_modes
    from lossatlas.compute.evaluation.engine import Engine
    from lossatlas.compute.evaluation.evaluate import evaluate as evaluate_surface
    from lossatlas.live import evaluate_live

    options: Any = {key: arguments[key] for key in ("archive", "tol", "tol_scale", "overwrite")}
    options |= dict(zip(("bounds", "resolution", "metrics"), grid, strict=True))
    options["engine"] = Engine(
        **{key: arguments[key] for key in ("executor", "workers", "precision", "sampling")}, compile=arguments["compiled"]
    )
    if not arguments["compare_modes"]:
        call = evaluate_live if arguments["live"] else evaluate_surface
        return {arguments["name"]: call(objective, plane, name=arguments["name"], **options)}
    with _live_page(arguments["archive"], arguments["live"]) as on_tile:
        return compare_batchnorm_modes(objective, plane, on_tile=on_tile, **options)


@contextmanager
def _live_page(archive: Path, live: bool) -> Iterator[Any]:
    """One page for several evaluations in turn; yields what to call after each tile."""
    if not live:
        yield None
        return
    from lossatlas.archive import open_archive
    from lossatlas.live import followed_control

    with followed_control(open_archive(archive, "a"), can_refine=False) as (_, on_tile):
        yield on_tile


def _print_cost(objective: Any, plane: Any, *grid: Any) -> None:
    from lossatlas.compute.evaluation.cost_estimate import estimate_cost

    typer.echo(estimate_cost(objective, plane, *grid))


def _print_surfaces(surfaces: dict[str, Any], end_losses: dict[str, float]) -> None:
    for name, surface in surfaces.items():
        values = surface.get("loss_filled", surface.loss)
        center = float(values.sel(dict.fromkeys(values.dims, 0.0), method="nearest"))
        ends = ", ".join(f"loss {loss:.6g} at the end of {run}" for run, loss in end_losses.items())
        sampling = surface.attrs.get("sampling")
        cells = f"{int(surface.done.sum()):,} of {surface.done.size:,} cells"
        if sampling:
            error = format_rough_percent(surface.attrs["estimated_error"])
            cells = f"{surface.done.size:,} cells estimated from {sampling['samples']:,} samples within {error} of the range"
        typer.echo(f"{name}: {cells}, {ends or f'loss {center:.6g} at the center'}")
