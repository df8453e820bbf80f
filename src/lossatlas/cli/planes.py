"""Planes that the command line asks for: random, along Hessian eigenvectors, through a recorded path, or that of a stored surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import typer
import xarray as xr

from lossatlas._util.argument_checks import check_choice
from lossatlas.archive import open_archive
from lossatlas.compute.curvature.hessian_plane import hessian_plane
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.principal_planes import joint_pca_plane, pca_plane, start_end_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.recording.storage.weight_store import recorded_names
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError

AROUND_MODEL = ("random", "hessian")
THROUGH_PATH = {"pca": pca_plane, "start-end": start_end_plane}


@dataclass(frozen=True)
class PlaneOptions:
    """Options for the choice of directions around a model."""

    seed: int = 0
    normalize: str | None = None
    params: list[str] | None = None
    biases: bool = False
    line: bool = False


@dataclass(frozen=True)
class PathSources:
    """Sources of recorded paths: archives of recorders, checkpoints in folders, and the names of the runs that are meant."""

    recordings: tuple[Path, ...] = ()
    checkpoints: tuple[str, ...] = ()
    trajectories: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.recordings or self.checkpoints)


@dataclass(frozen=True)
class PlaneOfPaths:
    """The plane through recorded paths, and the loss at the end of each, by label."""

    plane: Plane
    end_losses: dict[str, float]


def plane_around(objective: Objective, kind: str, options: PlaneOptions) -> Plane:
    """A random plane or line around the model, or the plane of its extreme Hessian eigenvectors.

    Raises:
        InputError: another kind, or a line along eigenvectors.
    """
    if kind in THROUGH_PATH:
        raise InputError(
            "--plane",
            kind,
            f"{' or '.join(AROUND_MODEL)} without a recorded path",
            "Name a recording with --recording, or checkpoints with --checkpoints",
        )
    if check_choice("--plane", kind, AROUND_MODEL) == "random":
        how = cast(Any, options.normalize)
        return random_plane(objective, options.seed, how, biases=options.biases, params=options.params, ndim=1 if options.line else 2)
    if options.line:
        raise InputError("--line", "with --plane hessian", "a random line", "Leave one of them out")
    return hessian_plane(objective, biases=options.biases, params=options.params, seed=options.seed)


def recorded_runs(sources: PathSources, module: torch.nn.Module | None, writable: Path | None = None) -> tuple[Trajectory, ...]:
    """Every run that is asked for; a recording of several runs gives all of them.

    Args:
        sources: recordings and checkpoints.
        module: says which names in checkpoints are parameters.
        writable: the archive that projected paths will go into, which may be one of the recordings.

    Raises:
        InputError: no such recording, run or checkpoint.
    """
    runs = list[Trajectory]()
    for recording in sources.recordings:
        inside = writable is not None and writable.resolve() == recording.resolve()
        archive = open_archive(recording, "a" if inside else "r")
        stored = recorded_names(archive)
        names = [name for name in stored if not sources.trajectories or name in sources.trajectories]
        runs += [Trajectory.open(archive, name) for name in names or sources.trajectories or (None,)]
    for pattern in sources.checkpoints:
        folder = Path(pattern) if Path(pattern).is_dir() else Path(pattern).parent
        name = folder.name if folder.name.strip("*?[]") else "checkpoints"
        runs.append(Trajectory.from_checkpoints(pattern, module=module, name=name))
    return tuple(runs)


def plane_of_runs(runs: Sequence[Trajectory], kind: str | None) -> Plane:
    """The plane through one path, or one that several paths share.

    Raises:
        InputError: another kind, or one that several runs cannot share.
    """
    check_choice("--plane", kind or "pca", THROUGH_PATH)
    if len(runs) == 1:
        return THROUGH_PATH[kind or "pca"](runs[0])
    if kind == "start-end":
        raise InputError("--plane", f"{kind} of {len(runs)} runs", "pca, which several runs share", "Name one run with --trajectory")
    return joint_pca_plane(runs)


def plane_through_paths(objective: Objective, sources: PathSources, kind: str | None, archive: Path | None, surface: str) -> PlaneOfPaths:
    """The plane through recorded paths; the projected paths go into `archive`, to be drawn over `surface`."""
    check_choice("--plane", kind or "pca", THROUGH_PATH)
    runs = recorded_runs(sources, objective.module, archive)
    plane = plane_of_runs(runs, kind)
    labels = distinct_names([run.name for run in runs], [Path(run.store.archive.location).stem for run in runs])
    paths = {
        label: project_trajectory(run, plane, objective, archive, surface=surface, **_names(run, label))
        for run, label in zip(runs, labels, strict=True)
    }
    for label, path in paths.items():
        typer.echo(f"{label}: {_shares(path, len(runs))}")
    return PlaneOfPaths(plane, {label: float(path.path_loss[-1]) for label, path in paths.items()})


def _names(run: Trajectory, label: str) -> dict[str, Any]:
    """Under its own name a path lies beside its recording; another is needed only where several runs have the same."""
    return {} if label == run.name else {"name": label, "label": label}


def distinct_names(names: Sequence[str], origins: Sequence[str]) -> list[str]:
    """Names that are used twice give way to those of their archives, and to numbers where even these are the same.

    >>> distinct_names(["run", "run", "adam"], ["a", "b", "c"]), distinct_names(["run", "run"], ["a", "a"])
    (['a', 'b', 'adam'], ['a', 'a-2'])
    """
    chosen = [origin if list(names).count(name) > 1 else name for name, origin in zip(names, origins, strict=True)]
    return [name if not chosen[:k].count(name) else f"{name}-{chosen[: k + 1].count(name)}" for k, name in enumerate(chosen)]


def _shares(path: xr.Dataset, runs: int) -> str:
    captured, null = path.attrs["captured_share"], path.attrs.get("random_walk_null")
    of_walk = "" if not null else f"; of {'a random walk' if runs == 1 else 'random walks as long'} it would show {sum(null):.1%}"
    return f"the plane shows {captured:.1%} of the motion{of_walk}"


def plane_of_surface(objective: Objective, archive: Path, surface: str | None) -> tuple[Plane, Any]:
    """The random plane of a stored surface, drawn again from its seed and compared, and the surface's bounds.

    Raises:
        InputError: a surface on another kind of plane, or around other weights than the objective's.
    """
    stored = open_archive(archive).surface(surface)
    described = stored.attrs.get("plane") or {}
    name = surface or "its surface"
    if described.get("kind") != "random":
        kind = described.get("kind") or "unknown"
        step = (
            "Give the --recording of a path's plane" if kind in THROUGH_PATH else "Use la.curvature_report(objective, plane, coordinates)"
        )
        raise InputError("--surface", f"{name} on a plane of kind {kind}", "a random plane, which its seed gives again", step)
    plane = random_plane(
        objective,
        described["seed"],
        described["normalize"],
        biases=described["biases"],
        params=described["params"],
        ndim=len(described["directions"]),
    )
    if plane.describe()["direction_hashes"] != described["direction_hashes"]:
        step = "Load the weights, and give the --dtype, that the surface was computed with"
        raise InputError("MODULE:OBJECTIVE", objective.name, f"the model that {name} of {archive} was computed around", step)
    ends = tuple((float(stored[axis][0]), float(stored[axis][-1])) for axis in stored.done.dims)
    return plane, ends[0] if len(ends) == 1 else ends
