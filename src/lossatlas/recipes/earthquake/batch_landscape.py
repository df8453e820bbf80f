"""Landscape with stored per-sample losses, and training on its batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas.analysis.sample_losses import SampleLossArray
from lossatlas.analysis.sampling import Indices, shuffled_batches
from lossatlas.archive import Archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.metrics import sample_losses
from lossatlas.compute.metrics.sample_loss import StoredType
from lossatlas.compute.minibatch.training import train_on_batches, trajectory_from_iterates
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import Params
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.recipes.earthquake.problems import Problem

MARGIN = 0.35
"""Room around a path, as a share of its extent, in a window that is made to fit it."""


@dataclass(frozen=True)
class Landscape:
    """Everything that the figures of one scenery need.

    Attributes:
        name: of the scenery, in files and figures.
        scenery: data, model and bounds.
        surface: loss and standard error on all of the data.
        losses: every sample's loss.
        batches: of the training that was recorded, one an update.
        path: iterates over the plane; entry k stands before batch k.
    """

    name: str
    scenery: Problem
    surface: xr.Dataset
    losses: SampleLossArray
    batches: Sequence[Indices]
    path: xr.Dataset


@dataclass(frozen=True)
class Training:
    """Settings for the recording of real training.

    Attributes:
        steps: updates. batch_size: samples each.
        start: parameters to begin with; None takes the objective's own.
    """

    steps: int
    batch_size: int
    learning_rate: float
    optimizer: str = "sgd"
    momentum: float = 0.0
    start: Params | None = None
    seed: int = 1


def batches_for(training: Training, samples: int) -> list[Indices]:
    """As many shuffled epochs as the updates need."""
    per_epoch = max(samples // training.batch_size, 1)
    epochs = -(-training.steps // per_epoch)
    return shuffled_batches(samples, training.batch_size, epochs=epochs, seed=training.seed)[: training.steps]


def train_on_problem(objective: Objective, training: Training) -> tuple[list[Indices], list[Params]]:
    """Batches and the iterates of training on them."""
    batches = batches_for(training, objective.samples)
    settings = {"optimizer": training.optimizer, "learning_rate": training.learning_rate, "start": training.start}
    options = {"momentum": training.momentum} if training.momentum else {}
    return batches, train_on_batches(objective, batches, **settings, **options)  # type: ignore[arg-type]


def prepare_landscape(
    name: str,
    scenery: Problem,
    training: Training,
    run: tuple[list[Indices], list[Params]],
    resolution: int,
    archive: Archive,
    *,
    dtype: StoredType = "float64",
    progress: bool | None = None,
) -> Landscape:
    """Compute and store the tensor and the path."""
    metrics = ("loss", sample_losses(dtype))
    surface = evaluate(
        scenery.objective,
        scenery.plane,
        scenery.bounds,
        resolution,
        metrics,
        archive,
        name=name,
        title=scenery.title,
        overwrite=True,
        progress=progress,
    )
    batches, iterates = run
    path = path_of(scenery, training, iterates, name)
    archive.write_trajectory(f"{name}-{training.optimizer}", path)
    return Landscape(name, scenery, surface, SampleLossArray.open(archive, name), batches, path)


def path_of(scenery: Problem, training: Training, iterates: Sequence[Params], surface: str) -> xr.Dataset:
    return trajectory_from_iterates(
        scenery.objective,
        scenery.plane,
        iterates,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        label=training.optimizer + (f" {training.momentum:g}" if training.momentum else ""),
        surface=surface,
    )


def pca_window(objective: Objective, iterates: Sequence[Params], title: str) -> Problem:
    """The plane of a path's two principal components through its last point, and a square window around the path."""
    trajectory = Trajectory.from_checkpoints(iterates)
    chosen = pca_plane(trajectory)
    return Problem(objective, chosen, _window(np.array([chosen.project(params).coordinates for params in iterates])), title)


def _window(places: NDArray[np.float64]) -> tuple[tuple[float, float], tuple[float, float]]:
    low, high = places.min(0), places.max(0)
    half = (0.5 + MARGIN) * float((high - low).max())
    middle = (low + high) / 2
    (a0, b0), (a1, b1) = middle - half, middle + half
    return (float(a0), float(a1)), (float(b0), float(b1))
