"""Per-sample gradients along a plane and the noise of mini-batch gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lossatlas import schema
from lossatlas._util.argument_checks import check_name
from lossatlas._util.progress import progress_bar
from lossatlas.analysis.grid import Bounds, Grid
from lossatlas.analysis.sampling import sampling_fpc, shuffled_batches
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.evaluation.storage.provenance import provenance
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane, coordinates_of
from lossatlas.compute.planes.windows import bounds_or_window
from lossatlas.errors import InputError

Array = NDArray[np.float64]
STEP = 1e-5
"""Of the central difference, used only where forward-mode differentiation fails (LSTM, flash attention)."""


def per_sample_gradients(objective: Objective, plane: Plane, point: Sequence[float]) -> Array:
    """Slopes of each sample's loss along alpha and beta at a point, ``(samples, ndim)``; their mean is the full gradient.

    Forward-mode differentiation, one pass a direction; operations that have none fall back on central differences.

    Raises:
        InputError: a loss without a form per sample, or coordinates of another dimension.

    Example:
        >>> from lossatlas.compute.planes.constructors import weight_plane
        >>> objective = Objective(lambda p, x: x * p["w"][0] ** 2, data=torch.tensor([1.0, 2.0]), params={"w": torch.ones(1)})
        >>> per_sample_gradients(objective, weight_plane(objective, ("w", 0)), (3.0,)).tolist()
        [[6.0], [12.0]]
    """
    if not objective.per_sample:
        raise InputError(
            "objective", "a loss that has only a mean over each batch", "a loss with a form per sample", 'Use reduction="none"'
        )
    (place,) = coordinates_of([point], plane.ndim)
    task = EvaluationProblem.make(objective, plane, ())
    task = replace(task, objective=task.held(place))
    here = torch.tensor(place, dtype=torch.float64, device=task.device)
    try:
        return _forward(task, here)
    except RuntimeError:  # what torch raises where an operation of the model has no forward derivative
        return _differences(task, here)


def gradient_noise(
    objective: Objective,
    plane: Plane,
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] = 21,
    archive: Location | Archive | None = None,
    *,
    batch_size: int,
    epochs: int = 4,
    seed: int = 0,
    name: str = "gradient_noise",
    title: str = "",
    progress: bool | None = None,
) -> xr.Dataset:
    """Maps of the gradient within the plane and of its noise from batch to batch.

    Slopes are taken in the coordinates of the plane; a step along them is the optimizer's where the plane holds all
    weights, and its shadow otherwise.

    Args:
        objective: a loss with a form per sample.
        plane: of two directions.
        bounds: ``(low, high)`` of both axes, or one pair an axis; None takes `plane.window`.
        resolution: cells along both axes, or one number an axis.
        archive: where to store the maps, under `name`.
        batch_size: of the batches whose noise is asked for.
        epochs: shuffled passes whose batches are counted for `uphill_share`.
        seed: of the shuffles.
        name: of the surface within the archive.
        title: a line for figures.
        progress: show progress; None shows it once it takes longer than two seconds, False never.

    Returns:
        A Dataset over ``(alpha, beta)``: `gradient_alpha`, `gradient_beta` (mean slopes), variances and covariance over
        samples, `gradient_snr` = ``|mean| / sd`` of a batch's gradient, with the finite-population factor, and
        `uphill_share`, the share of batches whose descent direction points uphill on the full surface.

    Raises:
        InputError: a line instead of a plane, a batch larger than the data, a loss without a form per sample.

    Example:
        >>> from lossatlas.compute.planes.constructors import weight_plane
        >>> data = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
        >>> objective = Objective(lambda p, x: (p["w"] - x).square().sum(1) / 2, data=data, params={"w": torch.zeros(2)})
        >>> maps = gradient_noise(objective, weight_plane(objective, ("w", 0), ("w", 1)), resolution=(3, 2), batch_size=1)
        >>> maps.gradient_alpha.values[:, 0].tolist(), float(maps.gradient_variance_alpha[0, 0])
        ([-2.0, -1.0, 0.0], 1.0)
    """
    check_name("name", name)
    store = None if archive is None else as_archive(archive)
    if plane.ndim != 2:
        raise InputError("plane", "a line", "a plane of two directions")
    grid = Grid.make(bounds_or_window(bounds, plane), resolution, 2)
    batches = np.stack(shuffled_batches(objective.samples, batch_size, epochs=epochs, seed=seed))
    shrink = sampling_fpc(batch_size, objective.samples) / np.sqrt(batch_size)
    rows = np.empty((grid.size, 7))
    with progress_bar("gradient noise", grid.size, 0, progress) as advance:
        for cell, place in enumerate(grid.points(np.arange(grid.size))):
            rows[cell] = _noise(per_sample_gradients(objective, plane, place), batches, shrink)
            advance(1)
    names = ("alpha", "beta", "variance_alpha", "variance_beta", "covariance", "snr")
    columns = dict(zip((*(f"gradient_{n}" for n in names), "uphill_share"), rows.T, strict=True))
    columns["done"] = np.ones(grid.size, bool)
    arrays = {n: (schema.PLANE, v.reshape(grid.shape), schema.variable(n).attrs) for n, v in columns.items()}
    coords = dict(zip(schema.PLANE, grid.axes, strict=True))
    attrs = {**provenance(objective, plane, grid, (), title), "metrics": list(columns)[:-1]}
    attrs |= {"batch_size": batch_size, "batches": len(batches)}
    maps = xr.Dataset(arrays, coords=coords, attrs=attrs)
    if store is not None:
        store.write_surface(name, maps)
    return maps


def noise_ellipse(gradients: Array, batch_size: int, *, scale: float = 1.0, points: int = 65) -> Array:
    """The ellipse of one standard deviation of a batch's mean slope about the full one, ``(points, 2)``, times `scale`.

    Args:
        gradients: of every sample, ``(samples, 2)``.
        batch_size: samples a batch, drawn without replacement.
        scale: minus the learning rate gives the ends of update arrows.
    """
    shrink = sampling_fpc(batch_size, len(gradients)) / np.sqrt(batch_size)
    values, vectors = np.linalg.eigh(np.cov(gradients.T, bias=True))
    angle = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return scale * (gradients.mean(0) + shrink * (circle * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _noise(gradients: Array, batches: NDArray[np.int64], shrink: float) -> Array:
    mean, cov = gradients.mean(0), np.cov(gradients.T, bias=True)
    spread = shrink * np.sqrt(np.trace(cov))
    uphill = float(np.mean((gradients @ mean)[batches].mean(1) < 0))
    snr = np.linalg.norm(mean) / spread if spread > 0 else np.inf
    return np.array([*mean, cov[0, 0], cov[1, 1], cov[0, 1], snr, uphill])


def _forward(task: EvaluationProblem, here: Tensor) -> Array:
    units = torch.eye(len(here), dtype=here.dtype, device=here.device)
    columns = [[torch.func.jvp(losses, (here,), (unit,))[1] for losses in _losses(task)] for unit in units]
    return np.stack([torch.cat(parts).double().detach().cpu().numpy() for parts in columns], axis=-1)


def _differences(task: EvaluationProblem, here: Tensor) -> Array:
    columns = []
    with torch.no_grad():
        for unit in torch.eye(len(here), dtype=here.dtype, device=here.device):
            pairs = [(losses(here + STEP * unit), losses(here - STEP * unit)) for losses in _losses(task)]
            columns.append(torch.cat([(high.double() - low.double()) / (2 * STEP) for high, low in pairs]))
    return np.stack([column.cpu().numpy() for column in columns], axis=-1)


def _losses(task: EvaluationProblem) -> list[Callable[[Tensor], Tensor]]:
    """One function a batch: coordinates to the losses of its samples."""

    def of(batch: object) -> Callable[[Tensor], Tensor]:
        return lambda place: task.objective.score({**task.static_params, **task.plane.moving_params(*place.unbind())}, batch).losses

    return [of(batch) for batch in task.objective.data.batches]
