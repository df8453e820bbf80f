"""Sharpness, the largest Hessian eigenvalue, cheap enough to follow during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from lossatlas._util.arrays import FloatArray
from lossatlas.compute.curvature.operators import CurvatureOperator, hessian_at
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.params import Params


@dataclass(frozen=True, eq=False)
class Sharpness:
    """The largest eigenvalue of the Hessian of the mean loss, and its unit eigenvector, ``(parameters,)``."""

    value: float
    vector: FloatArray


def largest_eigenvalue(
    objective: Objective,
    params: Params | None = None,
    *,
    names: tuple[str, ...] | None = None,
    start: FloatArray | None = None,
    tol: float = 1e-3,
    seed: int = 0,
) -> Sharpness:
    """Find the largest (algebraic) Hessian eigenvalue of the mean loss by one run of restarted Lanczos (ARPACK).

    Stability is about all that is trained, so one-dimensional tensors belong to it here, unlike to the curvature of a plane.

    Args:
        objective: the loss; its data are the fixed subset on which curvature is measured.
        params: where; the objective's own parameters where None. May hold buffers too.
        names: parameters that span the Hessian; every floating-point parameter of the objective where None, frozen ones too,
            for an objective does not know which are trained.
        start: a warm start, such as the vector found at the step before; a seeded random one where None or of other length.
        tol: relative accuracy of the eigenvalue.
        seed: of the random start.

    Returns:
        The eigenvalue, NaN where weights or Hessian products are not finite, and where nothing spans the Hessian.

    Example:
        >>> bowl = Objective(lambda p, batch: (p["w"] ** 2 * torch.tensor([1.0, 3.0])).sum(), params={"w": torch.ones(2)})
        >>> round(largest_eigenvalue(bowl).value, 6)
        6.0
    """
    point = cast_like({**objective.params, **(params or {})}, objective.state)
    span = names if names is not None else tuple(n for n, p in objective.params.items() if p.is_floating_point())
    size = sum(point[n].numel() for n in span)
    if not size or not all(bool(torch.isfinite(point[n]).all()) for n in span):
        return Sharpness(float("nan"), np.zeros(size))
    matrix = _FiniteProducts(hessian_at(objective, point, span))
    guess = np.random.default_rng(seed).standard_normal(size) / np.sqrt(size)
    if start is not None and start.size == size and start.any():
        # A little of everything, or a start that is an eigenvector would hide a larger eigenvalue for ever.
        guess = start + 1e-3 * guess
    try:
        return _largest(matrix, guess, tol)
    except (ArpackNoConvergence, _NotFiniteError):
        return Sharpness(float("nan"), np.zeros(size))


def _largest(matrix: LinearOperator, start: FloatArray, tolerance: float) -> Sharpness:
    if len(start) <= 2:
        values, vectors = np.linalg.eigh(matrix.matmat(np.eye(len(start))))
        return Sharpness(float(values[-1]), vectors[:, -1])
    if not matrix.matvec(start).any():
        return Sharpness(0.0, start / np.linalg.norm(start))
    solve: Any = eigsh  # SciPy's stubs take an integer tolerance only
    values, vectors = solve(matrix, k=1, which="LA", v0=start, tol=tolerance)
    return Sharpness(float(values[0]), np.asarray(vectors[:, 0]))


def stability_limit(optimizer: torch.optim.Optimizer) -> float:
    """The largest Hessian eigenvalue at which full-batch descent on a quadratic stays stable; NaN where there is no such rule.

    ``2 / lr`` for plain descent, ``(2 + 2 b) / lr`` with heavy-ball momentum b, ``(2 + 2 b) / ((1 + 2 b) lr)`` with
    Nesterov's (Cohen et al. 2021, arXiv 2103.00065, equation 1 and appendix B). Weight decay w is left out: it adds w to every
    eigenvalue, so the limit on the loss's own Hessian is lower by w. NaN also where parameter groups differ in rate or
    momentum, for then no single number divides stable from unstable.

    Example:
        >>> stability_limit(torch.optim.SGD([torch.zeros(1)], lr=0.5, momentum=0.5))
        6.0
    """
    if not isinstance(optimizer, torch.optim.SGD):
        return float("nan")
    rules = {(float(g["lr"]), g["momentum"], g["nesterov"], g["dampening"], g["maximize"]) for g in optimizer.param_groups}
    rate, b, nesterov, dampening, maximize = next(iter(rules))
    if len(rules) > 1 or rate <= 0 or dampening or maximize:
        return float("nan")
    return (2 + 2 * b) / (rate * (1 + 2 * b if nesterov else 1))


class _NotFiniteError(ArithmeticError):
    pass


class _FiniteProducts(LinearOperator):
    """A Hessian that stops the solver at a product that is not finite; ARPACK would go on with NaN."""

    def __init__(self, matrix: CurvatureOperator) -> None:
        super().__init__(matrix.dtype, matrix.shape)
        self._matrix = matrix

    def _matvec(self, x: FloatArray) -> FloatArray:
        product = self._matrix.matvec(np.ravel(x))
        if not np.isfinite(product).all():
            raise _NotFiniteError
        return product
