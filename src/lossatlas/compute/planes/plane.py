"""A plane through weight space: theta(alpha, beta) = center + alpha d + beta e. One direction makes a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas._util.argument_checks import check_integer
from lossatlas.compute.objective.batchnorm import mixed
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import (
    Params,
    cast_like,
    check_finite,
    check_same_layout,
    difference,
    dot,
    hash_tensors,
    norm,
    params_of,
    select_param_names,
    to_double,
    unwrap_module,
)
from lossatlas.compute.params.layer_kinds import moved_weights, one_dimensional
from lossatlas.compute.planes.filter_axes import described, filter_axes
from lossatlas.compute.planes.lazy_directions import CastMapping, lazy_random_directions
from lossatlas.compute.planes.normalization import Direction, Normalize, normalize_direction, random_directions
from lossatlas.errors import InputError

LAZY_BYTES = 2 * 2**30
"""Larger models get random directions that are drawn again instead of kept."""

WeightIndex = tuple[str, int | Sequence[int]]


@dataclass(frozen=True)
class PointProjection:
    """Where a point lies on a plane.

    Attributes:
        coordinates: ``(alpha, beta)``, or ``(alpha,)`` on a line, by least squares.
        residual: distance from the plane, in the norm of the weights.
        relative_residual: that distance over the distance from the center; 0 at the center.
    """

    coordinates: tuple[float, ...]
    residual: float
    relative_residual: float


@dataclass(frozen=True, eq=False)
class PlaneModel:
    """A model that a plane was made of, and where it stands.

    Attributes:
        label: such as "model b" or "the end of the run".
        place: coordinates of the model, or of its projection.
        residual: distance from the plane; exactly 0 where the model lies on it up to rounding.
        buffers: its own, such as BatchNorm statistics; empty where nobody knows them.
    """

    label: str
    place: tuple[float, ...]
    residual: float = 0.0
    buffers: Params = field(default_factory=dict, repr=False)

    @property
    def lies_on_plane(self) -> bool:
        return self.residual == 0.0


@dataclass(frozen=True, eq=False)
class Plane:
    """A center and one or two directions.

    Attributes:
        center: every parameter, `dict[str, Tensor]`.
        directions: one or two `Direction`; names missing from a direction do not move.
        kind: how it was made ("random", "weights", "between", "explicit", …).
        labels: axis labels, one a direction.
        recipe: seed, normalization and what else is needed to make it again.
        origin: coordinates of the model itself, or None where it is not on the plane.
        buffers: of a plane between models: the center's floating-point buffers, and how they differ along each direction. Of
            a plane through recorded weights: one entry, the buffers of the model at `origin`.
        models: that the plane was made of; empty where that is the one at `origin` alone.
    """

    center: Params
    directions: tuple[Direction, ...]
    kind: str = "explicit"
    labels: tuple[str, ...] = ("α", "β")
    construction: Mapping[str, Any] = field(default_factory=dict)
    origin: tuple[float, ...] | None = None
    buffers: tuple[Params, ...] = ()
    models: tuple[PlaneModel, ...] = ()

    def __post_init__(self) -> None:
        if len(self.directions) not in (1, 2):
            raise InputError("directions", len(self.directions), "one direction for a line or two for a plane")
        for index, direction in enumerate(self.directions):
            _check_direction(direction, self.center, f"directions[{index}]")

    @property
    def ndim(self) -> int:
        return len(self.directions)

    @property
    def cosine(self) -> float | None:
        """Cosine between the two directions; None on a line."""
        if self.ndim == 1:
            return None
        d, e = (direction.params for direction in self.directions)
        return dot(d, e) / (norm(d) * norm(e))

    @property
    def moving_names(self) -> tuple[str, ...]:
        """Names of the parameters that change over the plane."""
        return tuple(n for n in self.center if any(n in d.params for d in self.directions))

    def moving_params(self, *coordinates: float) -> Params:
        """Only the parameters that move, at ``(alpha, beta)``; what an `Objective` needs."""
        moved: Params = {}
        for name in self.moving_names:
            value = self.center[name]
            for coordinate, direction in zip(coordinates, self.directions, strict=True):
                if name in direction.params:
                    value = torch.add(value, direction.params[name], alpha=coordinate)
            moved[name] = value
        return moved

    def buffers_at(self, *coordinates: float) -> Params:
        """Buffers at ``(alpha, beta)`` of a plane between models: mixed as the weights are; see `mixed` for variances."""
        if len(self.buffers) < 2:
            return {}
        first, *differences = self.buffers
        shares = (1 - sum(coordinates), *coordinates)
        return {n: mixed(n, shares, [v, *(v + each[n] for each in differences)]) for n, v in first.items()}

    def point(self, *coordinates: float) -> Params:
        """All parameters at ``(alpha, beta)``."""
        return {**self.center, **self.moving_params(*coordinates)}

    def project(self, model: torch.nn.Module | Params | Objective) -> PointProjection:
        """Least-squares coordinates of a model, exact also for directions that are neither unit nor orthogonal.

        Raises:
            InputError: names or shapes differ from the plane's, or its directions are parallel.
        """
        offset = difference({n: p.to(self.center[n]) for n, p in params_of(model).items() if n in self.center}, self.center)
        gram = np.array([[dot(a.params, b.params) for b in self.directions] for a in self.directions])
        coordinates, residual = np.zeros(self.ndim), {n: to_double(v) for n, v in offset.items()}
        # The normal equations square the condition number; a second pass on what is left wins it back.
        for _ in range(3):
            try:
                step = np.linalg.solve(gram, [dot(d.params, residual) for d in self.directions])
            except np.linalg.LinAlgError as error:
                raise InputError(
                    "plane", "two parallel directions", "directions that span a plane, so that coordinates are unique"
                ) from error
            coordinates = coordinates + step
            residual = _subtract(residual, self.directions, step)
        distance, far = norm(residual), norm(offset)
        return PointProjection(tuple(float(c) for c in coordinates), distance, distance / far if far else 0.0)

    def to(self, device: str) -> Plane:
        """The same plane with its tensors on another device."""

        def moved(params: Mapping[str, Tensor]) -> Params:
            return {n: p.to(device) for n, p in params.items()}

        directions = tuple(replace(d, params=moved(d.params)) for d in self.directions)
        buffers, models = tuple(moved(b) for b in self.buffers), tuple(replace(m, buffers=moved(m.buffers)) for m in self.models)
        return replace(self, center=moved(self.center), directions=directions, buffers=buffers, models=models)

    def cast_like(self, like: Mapping[str, Tensor]) -> Plane:
        """The same plane in the dtypes of `like`; directions that are drawn when asked are cast then."""
        center, buffers = cast_like(self.center, like), tuple(cast_like(b, like) for b in self.buffers)
        same = all(center[n] is p for n, p in self.center.items())
        steps = [
            cast_like(d.params, like) if isinstance(d.params, dict) else d.params if same else CastMapping(d.params, center)
            for d in self.directions
        ]
        return replace(self, center=center, directions=tuple(map(_with_params, self.directions, steps)), buffers=buffers)

    def describe(self) -> dict[str, Any]:
        """Provenance: how the plane was made and hashes of what it is made of."""
        return {
            "kind": self.kind,
            **self.construction,
            "cosine": self.cosine,
            "norms": [d.norm for d in self.directions],
            "axis_labels": list(self.labels),
            "origin": None if self.origin is None else list(self.origin),
            "center_hash": hash_tensors(self.center),
            "direction_hashes": [hash_tensors(d.params) for d in self.directions],
            "directions": [dict(d.construction) for d in self.directions],
            "parameters": list(self.moving_names),
            "weight_count": moved_weights(self.center, [d.params for d in self.directions]),
            **({"buffers_hash": hash_tensors(self.buffers[0])} if len(self.buffers) == 1 else {}),
            **({"model_places": [[m.label, list(m.place), m.residual] for m in self.models]} if self.models else {}),
        }


def _with_params(direction: Direction, params: Mapping[str, Tensor]) -> Direction:
    return replace(direction, params=params)


def plane(
    center: torch.nn.Module | Params | Objective, d: Direction | Mapping[str, Tensor], e: Direction | Mapping[str, Tensor] | None = None
) -> Plane:
    """The plane, or the line where `e` is None, through `center` along given directions.

    Example:
        >>> square = plane({"w": torch.zeros(2)}, {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([1.0, 1.0])})
        >>> square.project({"w": torch.tensor([3.0, 2.0])}).coordinates
        (1.0, 2.0)
    """
    steps = tuple(s if isinstance(s, Direction) else Direction(params_of(s), {"kind": "explicit"}) for s in (d, e) if s is not None)
    return Plane(params_of(center), steps, labels=("α", "β")[: len(steps)], origin=(0.0,) * len(steps))


def random_plane(
    objective: Objective | torch.nn.Module | Params,
    seed: int = 0,
    normalize: Normalize = "filter",
    *,
    biases: bool = False,
    params: str | Iterable[str] | None = None,
    ndim: int = 2,
    lazy: bool | None = None,
) -> Plane:
    """Random Gaussian directions around the model, filter-normalized as in Li et al. 2018, section 4.

    Args:
        objective: the model at the center. A module, or an objective of one, says which axis counts the filters of its weights, which
            is the second in transposed layers; of a dict of tensors it is taken to be the first.
        seed: directions are drawn as in Li et al.'s code, so their seed gives their directions.
        normalize: "filter", "layer", "weight" or "none" (`normalize_direction`).
        biases: also move one-dimensional parameters (biases, BatchNorm scale and shift); the paper does not.
        params: names, modules or globs to move, such as ``"layer3.*"``; None moves all.
        ndim: 2 for a plane, 1 for a line.
        regrow: keep the directions as a seed and draw their tensors again whenever they are needed, the same to the last
            bit; None does so for models above 2 GiB.
    """
    if check_integer("ndim", ndim, 1, 2) and not isinstance(biases, bool):
        raise InputError("biases", biases, "True or False")
    center = params_of(objective)
    module = objective if isinstance(objective, torch.nn.Module) else getattr(objective, "module", None)
    axes = filter_axes(module)
    names, large = select_param_names(center, params), sum(p.numel() * p.element_size() for p in center.values()) > LAZY_BYTES
    steps_params: Sequence[Mapping[str, Tensor]]
    if lazy if lazy is not None else large:
        steps_params = lazy_random_directions(center, _seed(seed), ndim, names, normalize, axes, biases)
    else:
        drawn = random_directions(center, _seed(seed), ndim, names)
        steps_params = [normalize_direction(d, center, normalize, axes, biases) for d in drawn]
    recipe: dict[str, Any] = {"seed": seed, "normalize": normalize, "biases": biases}
    steps = [Direction(d, {"kind": "random", "index": i, **recipe}) for i, d in enumerate(steps_params)]
    chosen = None if params is None else [params] if isinstance(params, str) else list(params)
    recipe |= {"params": chosen, "one_dimensional": one_dimensional(center, names, module)}
    recipe |= {"filter_axes": described({n: axes[n] for n in names if n in axes})} if normalize == "filter" else {}
    return Plane(center, tuple(steps), "random", ("α", "β")[:ndim], recipe, (0.0,) * ndim)


def weight_plane(objective: Objective | torch.nn.Module | Params, *weights: WeightIndex, labels: Sequence[str] | None = None) -> Plane:
    """One or two single weights as axes: alpha and beta are those weights' own values, not offsets.

    Args:
        objective: the model that holds all the other weights.
        weights: each a name and an index, such as ``("2.weight", (5, 250))``.
        labels: axis labels; the weights' names otherwise.

    Raises:
        InputError: an unknown name, an index out of range, the same weight twice.

    Example:
        >>> line = weight_plane({"w": torch.tensor([3.0, 4.0])}, ("w", 1))
        >>> line.point(7.0)["w"].tolist(), line.origin
        ([3.0, 7.0], (4.0,))
    """
    model = params_of(objective)
    where = [_weight_index(model, weight) for weight in weights]
    if len(set(where)) != len(where):
        raise InputError("weights", str(weights), "two different weights")
    center = {n: p.clone() if n in dict(where) else p for n, p in model.items()}
    own = tuple(float(model[name][index]) for name, index in where)
    for name, index in where:
        center[name][index] = 0.0
    steps = tuple(
        Direction(_one_hot(center[name], name, index), {"kind": "weight", "name": name, "index": list(index)}) for name, index in where
    )
    names = tuple(labels) if labels is not None else tuple(f"{name}[{', '.join(map(str, index))}]" for name, index in where)
    return Plane(center, steps, "weights", names, {"weights": [[name, list(index)] for name, index in where]}, own)


def plane_through(a: Any, b: Any, c: Any = None) -> Plane:
    """The line from model `a` at 0 to `b` at 1 (Goodfellow et al. 2015), or the plane with `c` at ``(0, 1)``.

    Models are modules, parameter dicts or objectives. Modules and objectives bring their BatchNorm statistics, with which the
    plane shows each model's own loss where it stands (`batchnorm` says how).

    Raises:
        InputError: the models differ in names or shapes, two of them are the same, or one has NaN weights.
    """
    start = params_of(a)
    others = [params_of(m) for m in (b, c) if m is not None]
    for name, weights in zip("abc", (start, *others), strict=False):
        check_finite(weights, f"model {name}")
    steps = tuple(Direction({n: v for n, v in difference(o, start).items() if bool(v.any())}, {"kind": "difference"}) for o in others)
    if any(not step.params for step in steps):
        raise InputError("models", "two equal models", "models that differ", "Check that each checkpoint was loaded")
    labels = ("a → b", "a → c")[: len(steps)]
    recipe = {"models": [hash_tensors(m) for m in (start, *others)]}
    given = [m for m in (a, b, c) if m is not None]
    places = [(0.0,) * len(steps), *(tuple(float(i == k) for i in range(len(steps))) for k in range(len(steps)))]
    models = tuple(PlaneModel(f"model {n}", p, buffers=buffers_of(m)) for n, p, m in zip("abc", places, given, strict=False))
    return Plane(start, steps, "between", labels, recipe, places[0], _buffers_between(given), models)


def buffers_of(model: Any) -> Params:
    """Copies of the buffers of a module or an objective; none of a bare dict of parameters."""
    module = model if isinstance(model, torch.nn.Module) else getattr(model, "module", None)
    return {} if module is None else {n: b.detach().clone() for n, b in unwrap_module(module).named_buffers()}


def _buffers_between(models: Sequence[Any]) -> tuple[Params, ...]:
    """Floating-point buffers of the first model, and how those of the others differ; empty where any model has none."""
    modules = [m if isinstance(m, torch.nn.Module) else getattr(m, "module", None) for m in models]
    if any(m is None for m in modules):
        return ()
    first, *others = [{n: v.detach().clone() for n, v in m.named_buffers() if v.is_floating_point()} for m in modules if m is not None]
    return (first, *(difference(other, first) for other in others)) if first else ()


def coordinates_of(points: NDArray[np.float64] | Sequence[Sequence[float]], ndim: int) -> list[tuple[float, ...]]:
    """Rows as plain float tuples, checked to have one coordinate a direction."""
    rows = np.atleast_2d(np.asarray(points, dtype=np.float64))
    if rows.shape[-1] != ndim:
        raise InputError("points", rows.shape, f"rows of {ndim} coordinates")
    return [tuple(float(c) for c in row) for row in rows]


def _weight_index(model: Params, weight: WeightIndex) -> tuple[str, tuple[int, ...]]:
    name, index = weight
    if name not in model:
        raise InputError("weights", repr(name), "the name of a parameter: " + ", ".join(list(model)[:8]))
    shape = model[name].shape
    if model[name].is_complex():
        raise InputError("weights", f"{name}, complex numbers", "a weight of real numbers", "Move it with la.plane(center, direction)")
    where = tuple(int(i) for i in ((index,) if isinstance(index, int | np.integer) else index))
    if len(where) != len(shape) or any(not -n <= i < n for i, n in zip(where, shape, strict=False)):
        raise InputError("weights", f"{name}[{where}]", f"an index into the shape {tuple(shape)}")
    return name, tuple(i % n for i, n in zip(where, shape, strict=True))


def _one_hot(like: Tensor, name: str, index: tuple[int, ...]) -> Params:
    step = torch.zeros_like(like)
    step[index] = 1.0
    return {name: step}


def _check_direction(direction: Direction, center: Params, what: str) -> None:
    if unknown := sorted(set(direction.params) - set(center)):
        raise InputError(what, ", ".join(unknown[:4]), f"names of the center such as {next(iter(center))!r}")
    check_same_layout({n: center[n] for n in direction.params}, direction.params, what)
    length = direction.norm
    if not np.isfinite(length) or length == 0.0:
        raise InputError(what, f"a direction of length {length}", "a finite direction that is not zero")


def _subtract(residual: Params, directions: tuple[Direction, ...], step: NDArray[np.floating[Any]]) -> Params:
    left = dict(residual)
    for coordinate, direction in zip(step, directions, strict=True):
        for name, value in direction.params.items():
            left[name] = left[name] - float(coordinate) * to_double(value)
    return left


def _seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError("seed", seed, "an integer from 0 to 2**63 - 1")
    return int(seed)
