"""Figures 8 and 9: training paths on random planes and on principal planes."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import xarray as xr

from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.params.arithmetic import difference, norm
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import chance_explained_variance, project_trajectory
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.compute.planes.direction import Direction
from lossatlas.compute.planes.plane import Plane
from lossatlas.recipes.common import print_line
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures import paths as drawing
from lossatlas.recipes.li2018.minima import solution
from lossatlas.recipes.li2018.trainings import DECAYS
from lossatlas.recipes.li2018.types import Solution

MARGIN = 0.25
UNIT = 1e-3
"""Random axes count thousandths of the way from end to start: more of a path than that does not show on them."""
RANDOM_LABEL = "random direction [way / 1000]"


def figure_8(setting: RunConfig) -> dict[str, Any]:
    """The same path on two random directions, on one random and the start-to-end direction, and on principal ones."""
    one = solution(setting, setting.size.small_batch, DECAYS[1])
    made = {"random": _random(one), "random and start-end": _half_random(one), "principal": pca_plane(one.trajectory)}
    drawn = {name: _surface_and_path(setting, one, plane, f"figure8_{name}".replace(" ", "_")) for name, plane in made.items()}
    chance = chance_explained_variance(made["random"], one.trajectory)
    drawing.figure_8(setting, one, drawn, chance, setting.out / "figure8.png")
    print_line("figure8.png    Random directions show nothing of the path; principal ones show most of it.")
    return {
        "captured_share": {name: path.attrs["captured_share"] for name, (_, path) in drawn.items()},
        "expected_by_chance": chance,
        "test_accuracy": one.net.test_accuracy,
    }


def figure_9(setting: RunConfig) -> dict[str, Any]:
    """Paths of SGD and Adam, small and large batch, on their principal planes, learning-rate drops marked."""
    runs = [solution(setting, batch, decay, optimizer) for optimizer, decay, batch in _runs(setting)]
    drawn = [(one, *_surface_and_path(setting, one, pca_plane(one.trajectory), f"figure9_{one.name}")) for one in runs]
    drawing.figure_9(setting, drawn, setting.out / "figure9.png")
    print_line("figure9.png    Principal planes hold most of each path; diamonds mark where the learning rate drops.")
    return {
        one.name: {
            "explained_variance_ratio": path.attrs["explained_variance_ratio"],
            "random_walk_null": path.attrs["random_walk_null"],
            "residual_norm": path.attrs["residual_norm"],
            **one.net.summary(),
        }
        for one, _, path in drawn
    }


def _runs(setting: RunConfig) -> list[tuple[Literal["sgd", "adam"], float, int]]:
    """Both decays and both batches with SGD, in a full run with Adam too."""
    batches = (setting.size.small_batch, setting.size.large_batch)
    return [(optimizer, decay, batch) for optimizer in setting.size.optimizers for decay in DECAYS for batch in batches]


def _random(one: Solution) -> Plane:
    """Two random directions through the end, not normalized, a thousandth as long as the way from end to start."""
    center = one.trajectory.params(-1)
    plane = random_plane(center, seed=0, normalize="none", biases=True)
    return _as_long_as(plane, UNIT * norm(difference(one.trajectory.params(0), center)))


def _half_random(one: Solution) -> Plane:
    """One random direction and the one from end to start."""
    center = one.trajectory.params(-1)
    back = difference(one.trajectory.params(0), center)
    random = _as_long_as(random_plane(center, seed=0, normalize="none", biases=True, ndim=1), UNIT * norm(back)).directions[0]
    steps = (random, Direction(back, {"kind": "difference"}))
    return Plane(center, steps, "explicit", (RANDOM_LABEL, "end (0) → start (1)"), {}, (0.0, 0.0))


def _as_long_as(plane: Plane, length: float) -> Plane:
    steps = tuple(Direction({n: v * (length / d.norm) for n, v in d.params.items()}, d.construction) for d in plane.directions)
    labels = (RANDOM_LABEL, f"second {RANDOM_LABEL}")[: len(steps)]
    return Plane(plane.center, steps, "random", labels, plane.construction, plane.origin)


def _surface_and_path(setting: RunConfig, one: Solution, plane: Plane, name: str) -> tuple[xr.Dataset, xr.Dataset]:
    size = setting.size
    objective = one.net.objective(setting, size.samples)
    # Every row is measured twice, on the plane and off it: all images would take longer than the training.
    few_images = one.net.objective(setting, size.fixed_samples)
    with warnings.catch_warnings():  # the paper's choice; the figure says whose statistics they are
        warnings.filterwarnings("ignore", message="At the (start|end) of .* this plane reads", category=UserWarning)
        path = project_trajectory(one.trajectory, plane, few_images, surface=name)
    surface = evaluate(
        objective,
        plane,
        _window(path),
        size.resolution,
        tol=size.tol,
        tol_scale="log",
        archive=setting.archive,
        name=name,
        title=one.label,
        overwrite=True,
        progress=setting.progress,
    )
    return surface, path


def _window(path: xr.Dataset) -> list[list[float]]:
    """The path with a margin, and the model itself; square where the sides are alike, for such a pane has equal units."""
    window = []
    for name in ("path_alpha", "path_beta"):
        values = np.append(path[name].values, 0.0)
        margin = MARGIN * max(float(np.ptp(values)), 1e-6)
        window.append([float(values.min() - margin), float(values.max() + margin)])
    sides = [high - low for low, high in window]
    if max(sides) > 2 * min(sides):
        return window
    return [[low - (max(sides) - side) / 2, high + (max(sides) - side) / 2] for (low, high), side in zip(window, sides, strict=True)]
