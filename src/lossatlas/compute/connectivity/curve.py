"""Curves through weight space between two models: quadratic Bezier curves and polygonal chains (Garipov et al. 2018, arXiv 1802.10026)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from lossatlas.compute.objective.module.batchnorm import mixed
from lossatlas.compute.params.arithmetic import difference, dot, norm
from lossatlas.compute.params.checks import check_same_layout
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.params import Params, params_of
from lossatlas.compute.planes.direction import Direction
from lossatlas.compute.planes.plane import Plane, PlaneModel, buffers_of
from lossatlas.compute.planes.windows import window_around
from lossatlas.errors import InputError

CURVE_POINTS = 17
"""Points of a curve that its plane's window is laid around."""

Kind = Literal["bezier", "polygon"]


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve from its first point at t = 0 to its last at t = 1; the points between are what `fit_curve` moves.

    t does not run at equal speed in weight space.

    Attributes:
        kind: "bezier" (control points) or "polygon" (corners, at equal steps of t).
        points: parameters, ends included.
        buffers: of the first and last model, such as BatchNorm statistics; empty where they are not known.
    """

    kind: Kind
    points: tuple[Params, ...]
    buffers: tuple[Params, Params] = ({}, {})

    @classmethod
    def polygonal(cls, *models: Any) -> Curve:
        """The chain of straight lines through models; two of them give the straight line between.

        Raises:
            InputError: fewer than two, or models of different names or shapes.

        Example:
            >>> import torch
            >>> chain = Curve.polygonal(*({"w": torch.tensor([x])} for x in (0.0, 4.0, 6.0)))
            >>> chain.point(0.25)["w"].item(), chain.point(0.75)["w"].item()
            (2.0, 5.0)
        """
        return cls("polygon", _points(models), (buffers_of(models[0]), buffers_of(models[-1])))

    @classmethod
    def bezier(cls, *models: Any) -> Curve:
        """The Bezier curve with these control points; three give ``(1-t)^2 a + 2t(1-t) c + t^2 b``.

        Raises:
            InputError: fewer than two, or models of different names or shapes.
        """
        return cls("bezier", _points(models), (buffers_of(models[0]), buffers_of(models[-1])))

    def point(self, t: float) -> Params:
        """The parameters at t; bit for bit the models themselves at 0 and 1."""
        weighted_points = [(w, p) for w, p in zip(self.weights(t), self.points, strict=True) if w]
        if len(weighted_points) == 1:
            return dict(weighted_points[0][1])
        return {
            n: sum((w * p[n] for w, p in weighted_points[1:]), start=weighted_points[0][0] * weighted_points[0][1][n])
            if first.is_floating_point() or first.is_complex()
            else first  # integers cannot be mixed
            for n, first in self.points[0].items()
        }

    def buffers_at(self, t: float) -> Params:
        """Buffers at t, mixed between those of the ends as `mixed` does; integers, such as counters, stay those of the first end."""
        start, end = self.buffers
        return {n: mixed(n, (1 - t, t), (v, end[n])) if v.is_floating_point() and n in end else v for n, v in start.items()}

    def weights(self, t: float) -> tuple[float, ...]:
        """Weights of the points of the curve at t; they sum to 1. Outside (0, 1) the outer pieces go straight on."""
        n = len(self.points) - 1
        if self.kind == "bezier":
            return tuple(math.comb(n, i) * (1 - t) ** (n - i) * t**i for i in range(n + 1))
        piece = min(max(math.floor(n * t), 0), n - 1)
        share = n * t - piece
        return tuple({piece: 1 - share, piece + 1: share}.get(i, 0.0) for i in range(n + 1))

    def describe(self) -> dict[str, Any]:
        """Provenance, with the keys of a plane's."""
        start, *others = (hash_tensors(p) for p in self.points)
        return {
            "kind": "between" if len(self.points) == 2 else f"{self.kind} curve",
            "bends": len(self.points) - 2,
            "cosine": None,
            "norms": [norm(difference(self.points[-1], self.points[0]))],
            "axis_labels": ["t"],
            "origin": None,
            "center_hash": start,
            "direction_hashes": others,
            "parameters": list(self.points[0]),
        }


def curve_plane(curve: Curve) -> Plane:
    """The plane of the ends and the middle control point: the first end at (0, 0), the last at (1, 0).

    The second axis is the bend, made orthogonal to the first and of its length, so a curve is drawn in its true shape.
    A curve of three points lies in this plane wholly (Garipov et al. 2018, arXiv 1802.10026, figure 1).

    Args:
        curve: with at least one control point between its ends.

    Returns:
        A plane of kind "between" through both ends, whose directions are orthogonal and of the length of the way between them.

    Raises:
        InputError: the bend lies on the straight line, which spans no plane.

    Example:
        >>> import torch
        >>> start, end, bend = ({"w": torch.tensor(point)} for point in ([0.0, 0.0], [4.0, 0.0], [1.0, 2.0]))
        >>> curve_plane(Curve("bezier", (start, bend, end))).project(bend).coordinates
        (0.25, 0.5)
    """
    start, end, middle = curve.points[0], curve.points[-1], curve.points[len(curve.points) // 2]
    along, aside = difference(end, start), difference(middle, start)
    length = norm(along)
    share = dot(aside, along) / length**2
    rest = {n: aside[n] - share * along[n] for n in aside}
    if norm(rest) <= 1e-9 * max(norm(aside), length):
        raise InputError("curve", "a bend on the straight line", "a curve with a bend beside the line", "Fit it first: fit_curve")
    scale = length / norm(rest)
    steps = (Direction(along, {"kind": "difference"}), Direction({n: scale * v for n, v in rest.items()}, {"kind": "bend"}))
    places = ((0.0, 0.0), (1.0, 0.0))
    models = tuple(PlaneModel(f"model {n}", p, buffers=b) for n, p, b in zip("ab", places, curve.buffers, strict=True))
    flat = Plane(start, steps, "between", ("a → b", "bend"), {"curve": curve.describe()}, places[0], models=models)
    points = project_curve_points(flat, curve, np.linspace(0, 1, CURVE_POINTS).tolist())[:, :2]
    return replace(flat, window=window_around(points))


def project_curve_points(plane: Plane, curve: Curve, ts: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Coordinates of the curve's points on a plane, and their distance from it: ``(len(ts), 3)``."""
    projections = [plane.project(curve.point(t)) for t in ts]
    return np.array([(*p.coordinates, p.residual) for p in projections])


def _points(models: tuple[Any, ...]) -> tuple[Params, ...]:
    if len(models) < 2:
        raise InputError("points", len(models), "at least the two ends")
    points = tuple(params_of(model) for model in models)
    for other in points[1:]:
        check_same_layout(points[0], other)
    return points
