"""Run of the recipe: train, record, project, evaluate, draw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from lossatlas._util.progress import progress_bar
from lossatlas.analysis.random_walk import expected_cosine
from lossatlas.archive import Archive, open_archive
from lossatlas.compute.connectivity.interpolation import interpolate
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.paths.decision_regions import decision_regions
from lossatlas.compute.paths.principal_planes import joint_pca_plane, pca_plane, start_end_plane
from lossatlas.compute.paths.projection import bounds_around, chance_explained_variance, project_trajectory
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.compute.planes.plane import Plane
from lossatlas.recipes.common import make_output_folder, print_line, with_figures_md, write_summary
from lossatlas.recipes.spirals import figures
from lossatlas.recipes.spirals.data import Spiral, make_spiral
from lossatlas.recipes.spirals.train import NETWORKS, OPTIMIZERS, QUICK_NETWORKS, Network, Run, adam, frame_steps, record

COMPARED = Network(1, 20)
"""The network that all optimizers train."""
FAILING = Network(5, 20)
"""The network whose path is laid on a random, a start-end and a principal plane."""
AREA = 2.6


@dataclass(frozen=True)
class RunSize:
    """Amount of computation."""

    networks: tuple[Network, ...]
    epochs: int
    frames: int
    resolution: int
    areas: int


FULL = RunSize(NETWORKS, 300, 50, 51, 100)
QUICK = RunSize(QUICK_NETWORKS, 300, 15, 21, 60)


@with_figures_md
def run(out: Path, data: Path | None = None, quick: bool = False, *, seed: int = 0, progress: bool | None = None) -> dict[str, Any]:
    """Every network's path with its decision areas, the optimizers side by side, the planes that fail, the straight lines.

    Args:
        out: folder for archive, figures, animations and summary.
        data: not needed; the spiral is generated.
        quick: four networks, 15 frames, coarser maps; under a minute.
        seed: of the networks' first weights.
        progress: show bars; None shows them on a terminal.
    """
    del data
    torch.set_num_threads(1)
    size, spiral = QUICK if quick else FULL, make_spiral()
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    summary: dict[str, Any] = {"quick": quick, "samples": len(spiral.x), "test_samples": len(spiral.test_x), "epochs": size.epochs}
    runs = _networks(archive, spiral, size, seed, progress)
    pictures = [_picture(archive, run, size, spiral, progress) for run in runs.values()]
    summary["planes"], planes = _planes(archive, runs[FAILING.name], size, progress)
    lines = _lines(runs, progress)
    summary["interpolation"] = {name: line.attrs["interpolation"] for name, line in lines.items()}
    optimizers, together = _optimizers(archive, spiral, size, seed, progress)
    networks = {name: path_summary(p.path) for name, p in zip(runs, pictures, strict=True)}
    # The numbers come first: a figure or a page that cannot be written does not lose them.
    written = write_summary(out, "spirals", {**summary, "paths": {**networks, **optimizers}})
    _draw_networks(out, pictures, progress)
    _draw_planes(out, planes, runs[FAILING.name].label, summary["planes"], lines)
    _draw_optimizers(out, pictures, *together)
    return written


def _networks(archive: Archive, spiral: Spiral, size: RunSize, seed: int, progress: bool | None) -> dict[str, Run]:
    steps, runs = frame_steps(size.epochs, size.frames), {}
    with progress_bar("training", len(size.networks), 0, progress) as advance:
        for network in size.networks:
            model = network.build(seed)
            runs[network.name] = record(archive, network.name, network.label, model, adam, spiral, size.epochs, steps)
            advance(1)
    return runs


def _picture(archive: Archive, run: Run, size: RunSize, spiral: Spiral, progress: bool | None) -> figures.NetworkPicture:
    """Principal plane, honest path, map and decision areas of one run, all kept in the archive."""
    plane = pca_plane(run.trajectory)
    path = project_trajectory(run.trajectory, plane, run.objective, archive, surface=run.name)
    bounds = bounds_around(path)
    surface = _surface(archive, run, plane, bounds, size, run.name, progress)
    areas = decision_regions(run.objective, run.trajectory, (-AREA, AREA), size.areas, data=spiral.shown, save=True)
    return figures.NetworkPicture(run.name, run.label, surface, path, areas)


def _surface(
    archive: Archive, run: Run, plane: Plane, bounds: list[list[float]], size: RunSize, name: str, progress: bool | None
) -> xr.Dataset:
    return evaluate(
        run.objective,
        plane,
        bounds,
        size.resolution,
        archive=archive,
        name=name,
        title=run.label,
        overwrite=True,
        progress=progress,
    )


def path_summary(path: xr.Dataset) -> dict[str, Any]:
    """Summary of a path in plain numbers: explained variance and its null, losses and their errors on the plane, training settings."""
    attrs = path.attrs
    copied = ("explained_variance_ratio", "random_walk_null", "walk_correlation", "captured_share", "residual_norm")
    return {
        **{key: attrs[key] for key in copied},
        "first_loss": float(path.path_loss[0]),
        "last_loss": float(path.path_loss[-1]),
        "last_plane_loss": float(path.path_plane_loss[-1]),
        "largest_plane_error": float(np.nanmax(np.abs(path.path_plane_loss - path.path_loss))),
        "final_accuracy": float(path.path_accuracy[-1]),
        "test_loss": float(path.test_loss[-1]),
        "test_accuracy": float(path.test_accuracy[-1]),
        "weight_norm": [float(path.weight_norm[0]), float(path.weight_norm[-1])],
        "parameters": int(attrs["parameters"]),
        "optimizer": attrs["optimizer"],
        "learning_rate": attrs["learning_rate"],
        "steps": int(path.step[-1]),
        "points": path.sizes["step"],
    }


def _draw_networks(out: Path, pictures: list[figures.NetworkPicture], progress: bool | None) -> None:
    figures.overview(pictures, out / "overview.png")
    print_line("overview.png      Every network: its path on the principal plane, and what it decided in the end.")
    with progress_bar("animations", len(pictures), 0, progress) as advance:
        for picture in pictures:
            figures.animate(picture, out / f"path_{picture.name}.gif")
            advance(1)
    print_line(f"path_*.gif        {len(pictures)} trainings, frame by frame, path and decision areas side by side.")


def _planes(archive: Archive, run: Run, size: RunSize, progress: bool | None) -> tuple[dict[str, Any], list[figures.OnPlane]]:
    """The same path on three planes, and how much of its motion each shows."""
    center = run.trajectory.params(-1)
    choices = {
        "random": random_plane(center, seed=0, normalize="none", biases=True),
        "start_end": start_end_plane(run.trajectory),
        "pca": pca_plane(run.trajectory),
    }
    summary: dict[str, Any] = {"expected_cosine": expected_cosine(run.trajectory.layout.size)}
    drawn: list[figures.OnPlane] = []
    for name, plane in choices.items():
        path = project_trajectory(run.trajectory, plane, run.objective, surface=f"plane-{name}")
        bounds = _as_far_as(run, plane) if name == "random" else bounds_around(path)
        surface = _surface(archive, run, plane, bounds, size, f"plane-{name}", progress)
        archive.write_trajectory(f"plane-{name}", _without_areas(path))
        keys = ("captured_share", "explained_variance_ratio", "random_walk_null", "residual_norm")
        summary[name] = {**{key: path.attrs[key] for key in keys}, "cosine": plane.cosine}
        drawn.append((name, surface, path))
    summary["random"]["expected_share"] = chance_explained_variance(choices["random"], run.trajectory)
    return summary, drawn


def _as_far_as(run: Run, plane: Plane) -> list[list[float]]:
    """A window that reaches as far from the last weights as the path comes from; zoomed in, a speck would look like a way."""
    first, last = (run.trajectory.vector(row).astype(np.float64) for row in (0, -1))
    return [[-reach, reach] for reach in (float(np.linalg.norm(last - first)) / d.norm for d in plane.directions)]


def _lines(runs: dict[str, Run], progress: bool | None) -> dict[str, xr.Dataset]:
    """The straight line from first to last weights of every network."""
    lines = {}
    for name, run in runs.items():
        first, last = (run.trajectory.state(row) for row in (0, -1))
        options = {"resolution": 81, "metrics": ("loss", "accuracy"), "title": run.label, "progress": progress}
        lines[name] = interpolate(run.objective, first, last, **options)
    return lines


def _draw_planes(out: Path, planes: list[figures.OnPlane], label: str, numbers: dict[str, Any], lines: dict[str, xr.Dataset]) -> None:
    figures.planes(planes, label, numbers, out / "planes.png")
    print_line("planes.png        One path on a random, a start-end and a principal plane, with the share each shows.")
    figures.lines(lines, out / "interpolation.png")
    print_line("interpolation.png The loss on the straight line from first to last weights.")


def _optimizers(
    archive: Archive, spiral: Spiral, size: RunSize, seed: int, progress: bool | None
) -> tuple[dict[str, Any], tuple[xr.Dataset, list[xr.Dataset]]]:
    """Five optimizers from one start, on one fixed plane: their numbers, and surface and paths to draw."""
    steps = frame_steps(size.epochs, size.frames)
    runs = [
        record(archive, f"optimizer-{one.name}", one.label, COMPARED.build(seed), one.make, spiral, size.epochs, steps)
        for one in OPTIMIZERS
    ]
    plane = joint_pca_plane([run.trajectory for run in runs])
    paths = [project_trajectory(run.trajectory, plane, run.objective, archive, surface="optimizers") for run in runs]
    surface = _surface(archive, runs[0], plane, bounds_around(*paths), size, "optimizers", progress)
    return {run.name: _beside_own(path, run) for run, path in zip(runs, paths, strict=True)}, (surface, paths)


def _beside_own(path: xr.Dataset, run: Run) -> dict[str, Any]:
    """The run's shares of the shared plane, those of all runs together, and those of its own principal plane, each with its null."""
    joint = {key: path.attrs[key] for key in ("joint_explained_variance_ratio", "joint_random_walk_null")}
    own_shares = pca_plane(run.trajectory).construction
    return {
        **path_summary(path),
        **joint,
        "own_principal_plane": {key: own_shares[key] for key in ("explained_variance_ratio", "random_walk_null", "walk_correlation")},
    }


def _draw_optimizers(out: Path, pictures: list[figures.NetworkPicture], surface: xr.Dataset, paths: list[xr.Dataset]) -> None:
    colors = [one.color for one in OPTIMIZERS]
    figures.optimizers(surface, paths, colors, COMPARED.label, out / "optimizers.png")
    figures.animate_optimizers(surface, paths, colors, COMPARED.label, out / "optimizers.gif")
    print_line("optimizers.png    Five optimizers from one start on the same two fixed directions; optimizers.gif plays them.")
    figures.page(pictures, surface, paths, colors, COMPARED.label, out / "index.html")
    print_line("index.html        Every network and the optimizers to turn and play, decision areas linked to the step; one offline file.")


def _without_areas(path: xr.Dataset) -> xr.Dataset:
    return path.drop_vars([name for name in path.variables if str(name).startswith(("area_", "data_"))])
