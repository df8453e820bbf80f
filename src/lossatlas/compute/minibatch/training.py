"""Training on given mini-batches, update by update, and the path that it takes over a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from lossatlas import schema
from lossatlas.analysis.sampling import Indices
from lossatlas.compute.minibatch.batches import take
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import Params
from lossatlas.compute.paths.in_plane_optimization import MakeOptimizer, optimizer_named
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError


def train_on_batches(
    objective: Objective,
    batches: Sequence[Indices],
    *,
    optimizer: str | MakeOptimizer = "sgd",
    learning_rate: float,
    start: Params | None = None,
    **options: Any,
) -> list[Params]:
    """Iterates of an optimizer that makes one update a batch, ``len(batches) + 1`` of them; the first is the start.

    Args:
        objective: model, loss and data; the model stands in the objective's mode.
        batches: samples of each update, as `shuffled_batches` gives them.
        optimizer: one of "sgd", "momentum", … (`optimize_on_plane`) or a `torch.optim` class.
        start: parameters to begin with; the objective's own where None.

    Raises:
        InputError: an unknown optimizer, or no batches.

    Example:
        >>> objective = Objective(lambda p, x: (x - p["w"]) ** 2 / 2, data=torch.tensor([0.0, 4.0]), params={"w": torch.zeros(())})
        >>> [float(p["w"]) for p in train_on_batches(objective, [np.array([1]), np.array([0])], learning_rate=0.5)]
        [0.0, 2.0, 1.0]
    """
    if not len(batches):
        raise InputError("batches", "none", "at least one batch")
    make, defaults = optimizer_named(optimizer)
    initial = {**objective.params, **(start or {})}
    moving = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in initial.items()}
    torch_optimizer = make([v for v in moving.values() if v.requires_grad], lr=learning_rate, **{**defaults, **options})
    iterates = [_copied(moving)]
    for batch in batches:
        torch_optimizer.zero_grad()
        with torch.enable_grad():
            objective.score(moving, take(objective.data, batch)).losses.mean().backward()
        torch_optimizer.step()
        iterates.append(_copied(moving))
    return iterates


def trajectory_from_iterates(
    objective: Objective,
    plane: Plane,
    iterates: Sequence[Params],
    *,
    batch_size: int,
    optimizer: str = "sgd",
    learning_rate: float,
    label: str = "",
    surface: str | None = None,
) -> xr.Dataset:
    """The path of recorded iterates over a plane: least-squares coordinates, the full loss of each, its distance from the plane.

    The straight line from one entry to the next is the optimizer's own update, or its shadow where the plane does not
    hold all weights.

    Args:
        objective: measures the loss of every iterate on all of its data.
        plane: where to draw the path.
        iterates: parameters before the first update and after each, as `train_on_batches` gives them.
        batch_size: samples an update, from which `epoch` is counted.
        optimizer: its name, for figures.
        learning_rate: for figures.
        label: words for legends; the optimizer's name where empty.
        surface: name of the stored surface that the path belongs to.

    Returns:
        A path over ``(step,)``: `epoch`, `path_alpha` and `path_beta` by least squares, `path_loss` in the units of the loss, and
        `path_residual`, the distance from the plane in the norm of the weights.

    Raises:
        InputError: iterates of other names or shapes than the plane's.

    Example:
        >>> from lossatlas.compute.planes.constructors import weight_plane
        >>> data = torch.tensor([[2.0, 0.0]])
        >>> objective = Objective(lambda p, x: (x - p["w"]).square().sum(1) / 2, data=data, params={"w": torch.zeros(2)})
        >>> plane = weight_plane(objective, ("w", 0), ("w", 1))
        >>> iterates = train_on_batches(objective, [np.array([0])] * 2, learning_rate=0.5)
        >>> path = trajectory_from_iterates(objective, plane, iterates, batch_size=1, learning_rate=0.5)
        >>> path.path_alpha.values.tolist(), path.path_loss.values.tolist()
        ([0.0, 1.0, 1.5], [2.0, 0.5, 0.125])
    """
    projected = [plane.project(params) for params in iterates]
    places = np.array([p.coordinates for p in projected])
    steps = np.arange(len(iterates))
    columns = {
        "step": steps,
        "epoch": steps * batch_size / objective.samples,
        **dict(zip(("path_alpha", "path_beta"), places.T, strict=False)),
        "path_loss": np.array([objective.loss(params) for params in iterates]),
        "path_residual": np.array([p.residual for p in projected]),
    }
    path = xr.Dataset({name: ("step", values, schema.variable(name).attrs) for name, values in columns.items()})
    path.path_loss.attrs["units"] = str(objective.description["units"]) or "1"
    return path.assign_attrs(
        kind="trajectory",
        label=label or optimizer,
        optimizer=optimizer,
        learning_rate=learning_rate,
        batch_size=batch_size,
        gradient="of a mini-batch",
        start=places[0].tolist(),
        steps=len(iterates) - 1,
        surface=surface,
        plane=plane.describe(),
        objective=dict(objective.description),
    )


def _copied(params: Params) -> Params:
    return {n: v.detach().clone() for n, v in params.items()}
