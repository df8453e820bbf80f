"""The verb `curvature`: extreme Hessian eigenvalues and the trace at a point, or a map of them over a plane."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lossatlas.cli import options as shared
from lossatlas.cli.parsing import bounds_of, counts, numbers
from lossatlas.errors import InputError

At = Annotated[str | None, typer.Option("--at", help="A,B: the point of a plane, that of --archive and --surface or of --recording.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Map = Annotated[bool, typer.Option("--map", help="The eigenvalues at every cell of a plane, into --archive; the same command continues.")]
MapArchive = Annotated[Path | None, typer.Option("--archive", help="Archive of the map, and of the surface whose plane is meant.")]
SurfaceName = Annotated[str | None, typer.Option("--surface", help="The stored surface whose random plane is taken.")]
PlaneKind = Annotated[
    str | None, typer.Option("--plane", help="Of --map: random (the default) or hessian; with --recording pca (the default) or start-end.")
]
Tol = Annotated[float | None, typer.Option(help="Of the eigenvalues; default 0.01, and 0.1 for --map.")]
Probes = Annotated[int | None, typer.Option(help="Products for the trace; default 30, and 0 (no trace) for --map.")]


def curvature(
    objective: shared.ObjectiveReference,
    at: At = None,
    map_: Map = False,
    archive: MapArchive = None,
    surface: SurfaceName = None,
    name: Annotated[str, typer.Option(help="Name of the map in the archive.")] = "curvature",
    bounds: Annotated[str | None, typer.Option(help="Of --map: LOW,HIGH or A0,A1,B0,B1; default -1,1, or those of --surface.")] = None,
    resolution: shared.Resolution = "21",
    seed: shared.Seed = 0,
    normalize: shared.Normalize = None,
    params: Annotated[list[str] | None, typer.Option(help="Only these parameters are differentiated, or moved by --map.")] = None,
    biases: Annotated[bool, typer.Option("--biases", help="Also differentiate and move one-dimensional tensors.")] = False,
    plane: PlaneKind = None,
    recording: shared.Recordings = None,
    checkpoints: shared.CheckpointFiles = None,
    trajectory: shared.RunNames = None,
    settings: shared.Settings = None,
    mode: shared.Mode = None,
    device: shared.Device = None,
    dtype: shared.Dtype = None,
    batch_size: shared.BatchSize = None,
    samples: shared.Samples = None,
    tol: Tol = None,
    probes: Probes = None,
    overwrite: shared.Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Measure the largest and smallest Hessian eigenvalue, their ratio and the trace: at your model, at a point, or over a plane."""
    arguments = dict(locals())
    _check_combinations(arguments)
    from lossatlas.cli.objective.adjust import ObjectiveChanges, load_adjusted

    target = load_adjusted(objective, ObjectiveChanges(mode, device, dtype, batch_size, samples), settings or ())
    accuracy = {key: arguments[key] for key in ("tol", "probes") if arguments[key] is not None}
    values, text = _map(target, arguments, accuracy) if map_ else _report(target, arguments, accuracy)
    typer.echo(json.dumps(_finite(values), indent=2) if as_json else text)


def _check_combinations(arguments: dict[str, Any]) -> None:
    if arguments["map_"] and arguments["archive"] is None:
        raise InputError("--map", "no --archive", "--archive with it", "Name the archive to write or continue: --archive my.zarr")
    if arguments["map_"] and arguments["at"] is not None:
        raise InputError("--at", arguments["at"], "one point or a whole map", "Leave --at or --map out")
    if arguments["at"] is not None and arguments["archive"] is None and not _through_paths(arguments):
        raise InputError(
            "--at", arguments["at"], "coordinates on a plane", "Name the plane: --archive my.zarr --surface surface, or --recording"
        )
    if arguments["surface"] is not None and arguments["archive"] is None:
        raise InputError("--surface", arguments["surface"], "--archive with it", "Name the archive that holds the surface")
    if arguments["trajectory"] and not arguments["recording"]:
        raise InputError("--trajectory", arguments["trajectory"][0], "--recording with it", "Name the archive that holds the trajectory")


def _through_paths(arguments: dict[str, Any]) -> bool:
    return bool(arguments["recording"] or arguments["checkpoints"])


def _plane(objective: Any, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """The plane that is asked for and its bounds: of a stored surface, through a recorded path, or around the model."""
    from lossatlas.cli import planes

    if _through_paths(arguments):
        sources = planes.PathSources(*(tuple(arguments[key] or ()) for key in ("recording", "checkpoints", "trajectory")))
        return planes.plane_of_runs(planes.recorded_runs(sources, objective.module), arguments["plane"]), None
    if arguments["surface"] is not None or not arguments["map_"]:
        return planes.plane_of_surface(objective, arguments["archive"], arguments["surface"])
    directions = planes.PlaneOptions(arguments["seed"], arguments["normalize"], arguments["params"], arguments["biases"])
    return planes.plane_around(objective, arguments["plane"] or "random", directions), None


def _report(objective: Any, arguments: dict[str, Any], accuracy: dict[str, Any]) -> tuple[dict[str, Any], str]:
    from lossatlas.compute.curvature.report import curvature_report

    on_plane = arguments["at"] is not None or arguments["archive"] is not None or _through_paths(arguments)
    plane = _plane(objective, arguments)[0] if on_plane else None
    coordinates = None if arguments["at"] is None else numbers("--at", arguments["at"])
    accuracy = {**accuracy, "params": arguments["params"], "biases": True if arguments["biases"] else None, "seed": arguments["seed"]}
    report = curvature_report(objective, plane, coordinates, **accuracy)
    return {**report.as_dict(), "coordinates": coordinates}, str(report)


def _map(objective: Any, arguments: dict[str, Any], accuracy: dict[str, Any]) -> tuple[dict[str, Any], str]:
    from lossatlas.compute.curvature.hessian_map import hessian_map

    plane, area = _plane(objective, arguments)
    area = area if arguments["bounds"] is None else bounds_of("--bounds", arguments["bounds"])
    settings = {key: arguments[key] for key in ("archive", "name", "biases", "seed", "overwrite")}
    dataset = hessian_map(objective, plane, area, counts("--resolution", arguments["resolution"]), **settings, **accuracy)
    ranges = {key: [float(dataset[key].min()), float(dataset[key].max())] for key in ("lambda_max", "lambda_min", "hessian_ratio")}
    cells = f"{int(dataset.done.sum()):,} of {dataset.done.size:,} cells"
    text = "; ".join(f"{key} {low:.4g} to {high:.4g}" for key, (low, high) in ranges.items())
    archive, name = arguments["archive"], arguments["name"]
    step = f"lossatlas plot {archive} --surface {name} --quantity hessian_ratio"
    summary = {"archive": str(archive), "surface": name, "cells": dataset.done.size, "done": int(dataset.done.sum()), **ranges}
    return summary, f"{name}: {cells}; {text}\nIn {archive}. Next: {step}"


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no word for NaN and infinity: null."""
    from lossatlas.cli.archive_json import plain

    return plain(values)
