"""Plane through weight space: theta(alpha, beta) = center + alpha d + beta e; one direction makes a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas._util.summary_table import html_table, listed
from lossatlas.compute.objective.module.batchnorm import mixed
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import cast_like, difference, dot, norm, to_double
from lossatlas.compute.params.checks import check_same_layout
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.layer_kinds import moved_weights
from lossatlas.compute.params.params import Params, params_of, unwrap_module
from lossatlas.compute.params.prefixes import rename_to_match, renaming, warn_of_renaming
from lossatlas.compute.planes.direction import Direction
from lossatlas.compute.planes.lazy_directions import CastMapping
from lossatlas.compute.planes.windows import UNIT, Window
from lossatlas.errors import InputError

_foreach_add, _foreach_add_ = torch._foreach_add, torch._foreach_add_  # pyright: ignore[reportPrivateImportUsage]


@dataclass(frozen=True)
class PointProjection:
    """Projection of a point onto a plane.

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


@dataclass(frozen=True, eq=False, repr=False)
class Plane:
    """A center and one or two directions.

    Attributes:
        center: every parameter, `dict[str, Tensor]`.
        directions: one or two `Direction`; names missing from a direction do not move.
        kind: how it was made ("random", "weights", "between", "explicit", …).
        labels: axis labels, one a direction.
        construction: seed, normalization and what else is needed to make it again.
        origin: coordinates of the model itself, or None where it is not on the plane.
        buffers: of a plane between models: the center's floating-point buffers, and how they differ along each direction. Of
            a plane through recorded weights: one entry, the buffers of the model at `origin`.
        models: that the plane was made of; empty where that is the one at `origin` alone.
        window: bounds ``((a0, a1), (b0, b1))`` that show what the plane is made of, taken where none are given: a path with a margin
            around it, -0.25 to 1.25 between models, -1 to 1 around one.
    """

    center: Params
    directions: tuple[Direction, ...]
    kind: str = "explicit"
    labels: tuple[str, ...] = ("α", "β")
    construction: Mapping[str, Any] = field(default_factory=dict)
    origin: tuple[float, ...] | None = None
    buffers: tuple[Params, ...] = ()
    models: tuple[PlaneModel, ...] = ()
    window: Window = ()

    def __post_init__(self) -> None:
        if len(self.directions) not in (1, 2):
            raise InputError("directions", len(self.directions), "one direction for a line or two for a plane")
        for index, direction in enumerate(self.directions):
            _check_direction(direction, self.center, f"directions[{index}]")
        if not self.window:
            object.__setattr__(self, "window", (UNIT,) * len(self.directions))

    @classmethod
    def from_directions(
        cls,
        center: torch.nn.Module | Mapping[str, Tensor] | Objective,
        d: Direction | Mapping[str, Tensor],
        e: Direction | Mapping[str, Tensor] | None = None,
    ) -> Plane:
        """The plane, or the line where `e` is None, through `center` along given directions.

        Example:
            >>> square = Plane.from_directions({"w": torch.zeros(2)}, {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([1.0, 1.0])})
            >>> square.project({"w": torch.tensor([3.0, 2.0])}).coordinates
            (1.0, 2.0)
        """
        steps = tuple(s if isinstance(s, Direction) else Direction(params_of(s), {"kind": "explicit"}) for s in (d, e) if s is not None)
        return cls(params_of(center), steps, labels=("α", "β")[: len(steps)], origin=(0.0,) * len(steps))

    def __repr__(self) -> str:
        rows = self._summary()
        return f"<Plane of kind {self.kind!r}: {', '.join(f'{key} {rows[key]}' for key in ('axes', 'window', 'moves'))}>"

    def _repr_html_(self) -> str:
        return html_table("Plane" if self.ndim == 2 else "Line", self._summary())

    def _summary(self) -> dict[str, str]:
        moving = sum(self.center[name].numel() for name in self.moving_names)
        rows = {
            "kind": self.kind,
            "axes": " and ".join(self.labels),
            "window": " x ".join(f"{low:g} to {high:g}" for low, high in self.window),
            "moves": f"{moving:,} of {sum(p.numel() for p in self.center.values()):,} weights",
        }
        return rows | ({"models": listed(tuple(model.label for model in self.models))} if self.models else {})

    @property
    def ndim(self) -> int:
        return len(self.directions)

    @property
    def cosine(self) -> float | None:
        """Cosine between the two directions; None on a line."""
        return self._cosine([direction.norm for direction in self.directions])

    def _cosine(self, norms: Sequence[float]) -> float | None:
        return None if self.ndim == 1 else dot(*(direction.params for direction in self.directions)) / (norms[0] * norms[1])

    @property
    def moving_names(self) -> tuple[str, ...]:
        """Names of the parameters that change over the plane."""
        return tuple(n for n in self.center if any(n in d.params for d in self.directions))

    def moving_params(self, *coordinates: float | Tensor) -> Params:
        """Only the parameters that move, at ``(alpha, beta)``; what an `Objective` needs.

        Coordinates that are tensors ``()`` may be differentiated, and batched by `torch.vmap`.
        """
        numbers = [coordinate for coordinate in coordinates if not isinstance(coordinate, Tensor)]
        if len(numbers) == len(coordinates) and all(isinstance(d.params, dict) for d in self.directions):
            return self._moved_by_numbers(numbers)
        moved: Params = {}
        for name in self.moving_names:
            value = self.center[name]
            for coordinate, direction in zip(coordinates, self.directions, strict=True):
                if name in direction.params:
                    value = _added(value, direction.params[name], coordinate)
            moved[name] = value
        return moved

    def _moved_by_numbers(self, coordinates: Sequence[float]) -> Params:
        """The same bits, a direction at a time: one call for all tensors, of which only the first one allocates memory."""
        moved: Params = {}
        for coordinate, direction in zip(coordinates, self.directions, strict=True):
            steps = direction.params
            again = [n for n, step in steps.items() if n in moved and moved[n].dtype == step.dtype]
            first = [n for n in steps if n not in set(again)]
            if again:
                _foreach_add_([moved[n] for n in again], [steps[n] for n in again], alpha=coordinate)
            if first:
                start = [moved.get(n, self.center[n]) for n in first]
                moved.update(zip(first, _foreach_add(start, [steps[n] for n in first], alpha=coordinate), strict=True))
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
        params = rename_to_match(params_of(model), self.center, "model")
        offset = difference({n: p.to(self.center[n]) for n, p in params.items() if n in self.center}, self.center)
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

    def renamed_like(self, names: Iterable[str]) -> Plane:
        """The same plane under the parameter names of another model where only prefixes of wrappers differ, with a warning."""
        known = set(names)
        new = {} if known >= set(self.moving_names) else renaming(self.center, known)
        if not new:
            return self
        warn_of_renaming(new, "plane")

        def renamed(params: Mapping[str, Tensor]) -> Params:
            return {new.get(n, n): p for n, p in params.items()}

        buffer_names = renaming(self.buffers[0] if self.buffers else {}, known)  # of a state with buffers in it
        buffers = tuple({buffer_names.get(n, n): b for n, b in part.items()} for part in self.buffers)
        directions = tuple(replace(d, params=renamed(d.params)) for d in self.directions)
        models = tuple(replace(m, buffers={buffer_names.get(n, n): b for n, b in m.buffers.items()}) for m in self.models)
        return replace(self, center=renamed(self.center), directions=directions, buffers=buffers, models=models)

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
        norms = [direction.norm for direction in self.directions]
        return {
            "kind": self.kind,
            **self.construction,
            "cosine": self._cosine(norms),
            "norms": norms,
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


def _added(value: Tensor, step: Tensor, coordinate: float | Tensor) -> Tensor:
    """``value + coordinate * step``; a float goes into one fused operation, which rounds once."""
    if isinstance(coordinate, Tensor):
        return value + coordinate.to(device=value.device, dtype=value.dtype) * step
    return torch.add(value, step, alpha=coordinate)


def _with_params(direction: Direction, params: Mapping[str, Tensor]) -> Direction:
    return replace(direction, params=params)


def buffers_of(model: Any) -> Params:
    """Copies of the buffers of a module or an objective; none of a bare dict of parameters."""
    module = model if isinstance(model, torch.nn.Module) else getattr(model, "module", None)
    return {} if module is None else {n: b.detach().clone() for n, b in unwrap_module(module).named_buffers()}


def coordinates_of(points: NDArray[np.float64] | Sequence[Sequence[float]], ndim: int) -> list[tuple[float, ...]]:
    """Rows as plain float tuples, checked to have one coordinate a direction."""
    rows = np.atleast_2d(np.asarray(points, dtype=np.float64))
    if rows.shape[-1] != ndim:
        raise InputError("points", rows.shape, f"rows of {ndim} coordinates")
    return [tuple(float(c) for c in row) for row in rows]


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
