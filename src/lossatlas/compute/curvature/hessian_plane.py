"""Planes along Hessian eigenvectors, which show saddles that a random plane averages away (Boettcher and Wheeler, arXiv 2208.13219)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from lossatlas._util.arrays import FloatArray
from lossatlas.analysis.eigensolvers.extremes import ExtremeEigenvalues, extreme_eigenvalues
from lossatlas.compute.curvature.operators import CurvatureOperator, Method, hessian_operator
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import norm
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.direction import Direction
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError


def hessian_plane(
    objective: Objective,
    axes: Literal["extremes", "top"] = "extremes",
    scale: Literal["unit", "norm", "curvature"] = "norm",
    *,
    params: str | Iterable[str] | None = None,
    biases: bool = False,
    tol: float = 1e-3,
    method: Method = "auto",
    seed: int = 0,
    workers: int = 1,
) -> Plane:
    """Make the plane through the model along eigenvectors of its Hessian.

    Args:
        objective: the model at the center, and the data whose Hessian is meant.
        axes: "extremes" takes the eigenvectors of the largest and the smallest eigenvalue, "top" of the two largest.
        scale: length of the directions: "unit" is 1 in weight space, "norm" the norm of the moved weights (as long as a
            filter-normalized direction, so the two kinds of plane can share their bounds), "curvature"
            ``1/sqrt|lambda|`` (one unit of alpha changes the loss by 1/2).
        params: names, modules or globs to move; None takes all.
        biases: also move one-dimensional tensors.
        tol: of the eigenpairs, as in `extreme_eigenvalues`.
        method: of the Hessian products.
        seed: of the start.
        workers: threads over batches.

    Each eigenvector's sign is fixed so that its slope ``<v, gradient>`` is not negative. Eigenvalues and residuals are
    in `plane.construction`.

    Raises:
        InputError: an unknown choice; "curvature" along an eigenvalue of zero.

    Example:
        >>> import torch
        >>> objective = Objective(lambda p, _: p["x"] ** 2 - 3 * p["y"] ** 2, params={"x": torch.tensor(0.0), "y": torch.tensor(0.0)})
        >>> [round(value, 6) for value in hessian_plane(objective, scale="unit", biases=True).construction["eigenvalues"]]
        [2.0, -6.0]
    """
    if axes not in ("extremes", "top") or scale not in ("unit", "norm", "curvature"):
        raise InputError("axes, scale", (axes, scale), '"extremes" or "top", and "unit", "norm" or "curvature"')
    matrix = hessian_operator(objective, params=params, biases=biases, method=method, workers=workers)
    if matrix.size < 2:
        raise InputError("params", f"{matrix.size} parameter", "at least two parameters to span a plane")
    extremes = extreme_eigenvalues(matrix, k=2 if axes == "top" and matrix.size >= 4 else 1, tol=tol, seed=seed)
    pairs = _chosen(extremes, axes)
    slope = _gradient(objective, matrix)
    steps = tuple(_direction(matrix, v * _sign(v, slope), value, scale) for value, _, v in pairs)
    recipe = {
        "axes": axes,
        "scale": scale,
        "biases": biases,
        "seed": seed,
        "normalize": None,
        "eigenvalues": [value for value, _, _ in pairs],
        "residuals": [residual for _, residual, _ in pairs],
        "method": matrix.method,
        "data_hash": objective.data.hash,
    }
    labels = ("v max (λ = {:.3g})", "v min (λ = {:.3g})") if axes == "extremes" else ("v 1 (λ = {:.3g})", "v 2 (λ = {:.3g})")
    axis_labels = tuple(label.format(value) for label, (value, _, _) in zip(labels, pairs, strict=True))
    return Plane(dict(objective.params), steps, "hessian", axis_labels, recipe, (0.0, 0.0))


def _chosen(extremes: ExtremeEigenvalues, axes: str) -> list[tuple[float, float, FloatArray]]:
    """Value, residual and vector of the two axes."""
    top = [
        (float(v), float(r), x) for v, r, x in zip(extremes.largest, extremes.largest_residuals, extremes.largest_vectors.T, strict=True)
    ]
    low = (extremes.lambda_min, float(extremes.smallest_residuals[0]), extremes.smallest_vectors[:, 0])
    return top[:2] if axes == "top" and len(top) > 1 else [top[0], low]


def _gradient(objective: Objective, matrix: CurvatureOperator) -> FloatArray:
    leaves: Params = {n: p.detach().clone().requires_grad_() for n, p in matrix.point.items()}
    objective.differentiable_loss(leaves).backward()
    return matrix.layout.flatten({n: leaf.grad for n, leaf in leaves.items() if leaf.grad is not None}, partial=True)


def _sign(vector: FloatArray, slope: FloatArray) -> float:
    """An eigenvector has no sign of its own: uphill, or a positive largest entry where the gradient is zero."""
    along = float(vector @ slope)
    if abs(along) > 1e-12 * float(np.linalg.norm(slope)):
        return 1.0 if along > 0 else -1.0
    return 1.0 if vector[np.abs(vector).argmax()] > 0 else -1.0


def _direction(matrix: CurvatureOperator, vector: FloatArray, value: float, scale: str) -> Direction:
    step = matrix.layout.unflatten(vector / np.linalg.norm(vector) * _length(matrix, value, scale), like=matrix.point)
    return Direction(step, {"kind": "hessian", "eigenvalue": value})


def _length(matrix: CurvatureOperator, value: float, scale: str) -> float:
    if scale == "unit":
        return 1.0
    if scale == "norm":
        return norm(matrix.point) or 1.0
    if abs(value) < 1e-12:
        raise InputError("scale", "curvature", "eigenvalues that are not zero", 'Pass scale="norm"')
    return abs(value) ** -0.5
