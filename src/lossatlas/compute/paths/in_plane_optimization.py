"""Optimization within a plane: only alpha and beta move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.progress import progress_bar
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import dot
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.plane import Plane, coordinates_of
from lossatlas.errors import InputError

GradientRule = Callable[[Params], Params]
"""Parameters of a point to the gradient that the optimizer is given, for the parameters that move."""

MakeOptimizer = Callable[..., torch.optim.Optimizer]

OPTIMIZERS: dict[str, tuple[MakeOptimizer, dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
}


def optimize_on_plane(
    objective: Objective,
    plane: Plane,
    start: Sequence[float],
    *,
    optimizer: str | MakeOptimizer = "sgd",
    learning_rate: float,
    steps: int,
    gradient: GradientRule | None = None,
    archive: Location | Archive | None = None,
    name: str = "descent",
    label: str = "",
    surface: str | None = None,
    progress: bool | None = None,
    **options: Any,
) -> xr.Dataset:
    """Follow an optimizer that may move along the plane only, with the full data at every step.

    Entry k of every array belongs to the same moment: the coordinates after k updates, and the loss *there*. BatchNorm statistics
    that change over the plane are held while the gradient is taken.

    Args:
        objective: what to minimize.
        plane: where; coordinates of a `weight_plane` are the weights themselves.
        start: coordinates of step 0.
        optimizer: one of "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", or a `torch.optim` class.
        learning_rate: handed to the optimizer.
        steps: updates to make.
        gradient: another rule than the true gradient, from the point's parameters to a gradient of those that move.
        archive: where to store the trajectory, under `name`.
        label: words for legends.
        surface: name of the stored surface that the path belongs to.
        progress: show progress; None shows it once it takes longer than two seconds, False never.
        **options: further options of the optimizer, such as ``momentum=0.9``.

    Returns:
        A Dataset over ``("step",)``, ``steps + 1`` long: `step`, `epoch`, `path_alpha`, `path_beta` (a plane only),
        `path_loss`. A loss that leaves the finite numbers ends the path there, and `attrs["ended"]` says so.

    Raises:
        InputError: an unknown optimizer, a start off the plane's dimension, no steps.

    Example:
        >>> from lossatlas.compute.planes.constructors import weight_plane
        >>> objective = Objective(lambda p, batch: 0.5 * (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
        >>> path = optimize_on_plane(objective, weight_plane(objective, ("w", 0), ("w", 1)), (1.0, 2.0), learning_rate=0.5, steps=2)
        >>> path.path_alpha.values.tolist(), path.path_loss.values.tolist()
        ([1.0, 0.5, 0.25], [2.5, 0.625, 0.15625])
    """
    if steps < 1:
        raise InputError("steps", steps, "at least one step")
    (place,) = coordinates_of([start], plane.ndim)
    coordinates = torch.tensor(place, dtype=torch.float64, requires_grad=True)
    make, defaults = optimizer_named(optimizer)
    task = EvaluationProblem.make(objective, plane, ())
    objective = task.objective
    torch_optimizer = make([coordinates], lr=learning_rate, **{**defaults, **options})
    places, losses = _follow(task, coordinates, torch_optimizer, steps, gradient, label or name, progress)
    described = _name_of(optimizer)
    path = _dataset(places, losses, plane, objective)
    path.attrs = {
        "kind": "trajectory",
        "label": label or described,
        "optimizer": described,
        "learning_rate": learning_rate,
        "options": {k: v for k, v in {**defaults, **options}.items() if isinstance(v, int | float | str | bool)},
        "gradient": "true" if gradient is None else getattr(gradient, "__name__", "custom"),
        "start": list(place),
        "steps": len(losses) - 1,
        "ended": "finished" if len(losses) == steps + 1 else "the loss was no longer finite",
        "surface": surface,
        "plane": plane.describe(),
        "objective": dict(objective.description),
    }
    if archive is not None:
        as_archive(archive).write_trajectory(name, path)
    return path


def _follow(
    task: EvaluationProblem,
    coordinates: torch.Tensor,
    torch_optimizer: torch.optim.Optimizer,
    steps: int,
    gradient: GradientRule | None,
    label: str,
    progress: bool | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    plane, still = task.plane, task.static_params
    places, losses = np.empty((steps + 1, plane.ndim)), np.empty(steps + 1)
    slope = _exact_gradient if gradient is None else _custom_gradient(gradient)
    with progress_bar(label, steps, 0, progress) as advance:
        for k in range(steps + 1):
            places[k] = coordinates.detach().numpy()
            losses[k] = slope(task.held(tuple(places[k].tolist())), plane, coordinates, still)
            if not np.isfinite(losses[k]) and k:
                return places[: k + 1], losses[: k + 1]
            if k < steps:
                torch_optimizer.step()
                advance(1)
    return places, losses


def _exact_gradient(objective: Objective, plane: Plane, coordinates: torch.Tensor, still: Params) -> float:
    """Set the true gradient along the plane, by autograd through theta(alpha, beta), and return the loss."""
    coordinates.grad = None
    loss = objective.differentiable_loss({**still, **plane.moving_params(*coordinates.unbind())})
    loss.backward()
    return float(loss.detach())


def _custom_gradient(rule: GradientRule) -> Callable[[Objective, Plane, torch.Tensor, Params], float]:
    def slope(objective: Objective, plane: Plane, coordinates: torch.Tensor, still: Params) -> float:
        point = {**still, **plane.moving_params(*coordinates.tolist())}
        gradient = rule({**objective.params, **point})
        coordinates.grad = torch.tensor([dot(d.params, gradient) for d in plane.directions], dtype=torch.float64)
        return objective.loss(point)

    return slope


def _dataset(places: NDArray[np.float64], losses: NDArray[np.float64], plane: Plane, objective: Objective) -> xr.Dataset:
    steps = np.arange(len(losses))
    columns: Iterable[tuple[str, NDArray[Any]]] = [
        ("step", steps),
        ("epoch", steps.astype(np.float64)),
        *zip(("path_alpha", "path_beta"), places.T, strict=False),
        ("path_loss", losses),
    ]
    path = xr.Dataset({name: ("step", values, schema.variable(name).attrs) for name, values in columns})
    path.path_loss.attrs["units"] = str(objective.description["units"]) or "1"
    return path


def optimizer_named(optimizer: str | MakeOptimizer) -> tuple[MakeOptimizer, dict[str, Any]]:
    """A `torch.optim` class and its defaults, from a word or the class itself.

    Raises:
        InputError: an unknown word.
    """
    if callable(optimizer):
        return optimizer, {}
    if optimizer not in OPTIMIZERS:
        raise InputError("optimizer", optimizer, "a torch.optim class or one of " + ", ".join(OPTIMIZERS))
    return OPTIMIZERS[optimizer]


def _name_of(optimizer: str | MakeOptimizer) -> str:
    return optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", type(optimizer).__name__)
