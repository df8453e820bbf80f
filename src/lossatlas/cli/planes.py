"""Planes that the command line asks for: random, along Hessian eigenvectors, through a recorded path, or that of a stored surface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import typer

from lossatlas._util.argument_checks import check_choice
from lossatlas.archive import Archive, open_archive
from lossatlas.compute.curvature.hessian_plane import hessian_plane
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.principal_planes import pca_plane, start_end_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError

AROUND_MODEL = ("random", "hessian")
THROUGH_PATH = {"pca": pca_plane, "start-end": start_end_plane}


@dataclass(frozen=True)
class PlaneOptions:
    """Options for the choice of directions around a model."""

    seed: int = 0
    normalize: str = "filter"
    params: list[str] | None = None
    biases: bool = False
    line: bool = False


@dataclass(frozen=True)
class PlaneOfPath:
    """The plane through a recorded path, and the loss at its end."""

    plane: Plane
    end_loss: float


def plane_around(objective: Objective, kind: str, options: PlaneOptions) -> Plane:
    """A random plane or line around the model, or the plane of its extreme Hessian eigenvectors.

    Raises:
        InputError: another kind, or a line along eigenvectors.
    """
    if kind in THROUGH_PATH:
        raise InputError("--plane", kind, f"{' or '.join(AROUND_MODEL)} without a recorded path", "Name the recording with --recording")
    if check_choice("--plane", kind, AROUND_MODEL) == "random":
        how = cast(Any, options.normalize)
        return random_plane(objective, options.seed, how, biases=options.biases, params=options.params, ndim=1 if options.line else 2)
    if options.line:
        raise InputError("--line", "with --plane hessian", "a random line", "Leave one of them out")
    return hessian_plane(objective, biases=options.biases, params=options.params, seed=options.seed)


def plane_of_recording(recording: Path | Archive, trajectory: str | None, kind: str) -> tuple[Trajectory, Plane]:
    """A recorded path and the plane through it.

    Raises:
        InputError: another kind, or no such trajectory.
    """
    check_choice("--plane", kind, THROUGH_PATH)
    path = Trajectory.open(recording if isinstance(recording, Archive) else str(recording), trajectory)
    return path, THROUGH_PATH[kind](path)


def plane_through_path(
    objective: Objective, recording: Path, trajectory: str | None, kind: str, archive: Path | None, surface: str
) -> PlaneOfPath:
    """The plane through a recorded path; the projected path goes into `archive`, to be drawn over `surface`."""
    inside = archive is not None and archive.resolve() == recording.resolve()
    recorded, plane = plane_of_recording(open_archive(recording, "a") if inside else recording, trajectory, kind)
    path = project_trajectory(recorded, plane, objective, archive, surface=surface)
    shown, null = path.attrs["captured_share"], sum(path.attrs["random_walk_null"])
    typer.echo(f"{recorded.name}: the plane shows {shown:.1%} of the motion; of a random walk it would show {null:.1%}")
    return PlaneOfPath(plane, float(path.path_loss[-1]))


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
