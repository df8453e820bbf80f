"""Planes in input space: x + alpha d + beta e around one sample or many, each along directions of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lossatlas._util.argument_checks import check_integer
from lossatlas.compute.inputs.clipping_box import polygon_inside
from lossatlas.compute.inputs.input_objective import INPUT, InputObjective
from lossatlas.compute.planes.direction import Direction
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError, InputTypeError

GRADIENT, SIGNED, RANDOM, RADEMACHER = "gradient", "signed gradient", "random", "Rademacher"
KINDS = (GRADIENT, SIGNED, RANDOM, RADEMACHER)
LABELS = {
    GRADIENT: "gradient (Euclidean distance)",
    SIGNED: "signed gradient ε (maximum norm)",
    RANDOM: "random direction (Euclidean distance)",
    RADEMACHER: "Rademacher direction ε (maximum norm)",
}
"""Axis labels; every unit is one of the inputs' own."""

DirectionKind = str | ArrayLike | Tensor


def input_plane(
    objective: InputObjective, first: DirectionKind = GRADIENT, second: DirectionKind | None = RANDOM, *, seed: int = 0
) -> Plane:
    """The plane ``x + alpha d + beta e`` in input space around the samples of `objective`.

    Directions, for each sample its own:

    - "gradient": of its loss by its input, unit Euclidean norm, uphill.
    - "signed gradient": the sign of that gradient, entries of -1, 0 and 1: alpha is the epsilon of the fast gradient sign method
      (Goodfellow et al. 2015, arXiv 1412.6572).
    - "random": Gaussian, orthogonal to the other direction where that has unit Euclidean norm, and of unit norm itself.
    - "Rademacher": entries of -1 and 1 at equal odds (Tramèr et al. 2018, arXiv 1705.07204, figure 2).
    - an array or tensor ``shape`` or ``(samples, *shape)``, taken as it is, such as ``other - x`` towards another sample, which then
      stands at 1.

    Args:
        objective: the samples, and the model.
        first: the direction of alpha.
        second: the direction of beta; None gives a line.
        seed: of random directions.

    Returns:
        A plane of kind "input" whose coordinates are distances in the inputs' own units. Where the objective has a box and one sample, its
        `construction` holds the polygon inside which no entry leaves the box, which figures mark.

    Raises:
        InputError: an unknown kind, an array of another shape, two parallel directions, or a gradient that is zero for every sample.

    Example:
        >>> import lossatlas as la
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> data = (torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        >>> plane = input_plane(la.InputObjective(la.Objective(model, torch.nn.functional.cross_entropy, data)))
        >>> plane.directions[0].params["input"].double().round(decimals=4).tolist()
        [[-0.7071, 0.7071]]
    """
    if not isinstance(objective, InputObjective):
        step = "Make one: la.InputObjective(objective, samples=0)"
        raise InputTypeError("objective", type(objective).__name__, "an la.InputObjective", step)
    seed = check_integer("seed", seed, least=0, most=2**63 - 1)
    wanted = [kind for kind in (first, second) if kind is not None]
    generator = torch.Generator().manual_seed(seed)
    steps = list[Tensor]()
    for number, kind in enumerate(wanted):
        steps.append(_direction(objective, kind, ("first", "second")[number], generator, steps))
    if len(steps) == 2:
        _check_independent(steps)
    directions = tuple(Direction({INPUT: step}, {"kind": _name(kind)}) for step, kind in zip(steps, wanted, strict=True))
    labels = tuple(LABELS.get(_name(kind), f"{letter} (given direction)") for kind, letter in zip(wanted, "αβ", strict=False))
    center = {INPUT: objective.inputs.clone()}
    recipe: dict[str, Any] = {"seed": seed, "samples": objective.description["sample_indices"]} | _box(objective, steps)
    return Plane(center, directions, "input", labels, recipe, (0.0,) * len(steps))


def _direction(objective: InputObjective, kind: Any, argument: str, generator: torch.Generator, others: Sequence[Tensor]) -> Tensor:
    inputs = objective.inputs
    if not isinstance(kind, str):
        return _given_array(kind, argument, inputs)
    if kind in (GRADIENT, SIGNED):
        gradient = objective.gradients()
        if not bool(gradient.isfinite().all()) or not bool(gradient.any()):
            step = "The loss is saturated in this precision: take dtype=torch.float64, or another sample"
            raise InputError(argument, f"{kind}, which is zero or not finite", "a loss that depends on the input", step)
        return gradient.sign() if kind == SIGNED else _unit(gradient)
    drawn = torch.randn(inputs.shape, generator=generator, dtype=torch.float64)
    if kind == RADEMACHER:
        return drawn.sign().to(inputs)
    if kind != RANDOM:
        raise InputError(argument, kind, "one of " + ", ".join(map(repr, KINDS)) + ", or an array")
    drawn = drawn.to(inputs.device)
    for other in others:
        flat, base = drawn.flatten(1), other.double().flatten(1)
        squares = base.square().sum(1, keepdim=True)
        drawn = (flat - base * ((flat * base).sum(1, keepdim=True) / torch.where(squares == 0, 1.0, squares))).reshape(drawn.shape)
    return _unit(drawn).to(inputs)


def _given_array(value: Any, argument: str, inputs: Tensor) -> Tensor:
    shape, whole = tuple(inputs.shape[1:]), tuple(inputs.shape)
    try:
        tensor = torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value.detach()).to(inputs)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(argument, type(value).__name__, "a kind of direction, or an array of the inputs' shape") from error
    if tuple(tensor.shape) not in (shape, whole):
        raise InputError(argument, f"an array of shape {tuple(tensor.shape)}", f"shape {shape}, or {whole}")
    if not bool(tensor.isfinite().all()) or not bool(tensor.any()):
        raise InputError(argument, "an array that is zero or not finite", "finite numbers, not all of them zero")
    return tensor.expand(whole).clone()


def _unit(step: Tensor) -> Tensor:
    """Each sample's part of unit Euclidean norm; one that is zero stays so, and that sample does not move."""
    norms = step.double().flatten(1).norm(dim=1).reshape(-1, *[1] * (step.dim() - 1))
    return (step.double() / torch.where(norms == 0, 1.0, norms)).to(step.dtype)


def _check_independent(steps: Sequence[Tensor]) -> None:
    a, b = (step.double().flatten() for step in steps)
    cosine = float(a @ b / (a.norm() * b.norm()))
    if not math.isfinite(cosine) or abs(cosine) > 1 - 1e-9:
        raise InputError("second", f"a direction parallel to the first (cosine {cosine:.6g})", "two different directions")


def _name(kind: Any) -> str:
    return kind if isinstance(kind, str) else "given"


def _box(objective: InputObjective, steps: Sequence[Tensor]) -> dict[str, Any]:
    """The box, and the polygon of one sample within it."""
    if objective.box is None:
        return {}
    described: dict[str, Any] = {"box": list(objective.box), "clip": objective.input_loss.clip}
    if len(objective.inputs) != 1 or len(steps) != 2:
        return described
    parts = [t.double().cpu().numpy().ravel() for t in (objective.inputs, *steps)]
    return described | {"box_polygon": polygon_inside(parts[0], parts[1], parts[2], objective.box).tolist()}
