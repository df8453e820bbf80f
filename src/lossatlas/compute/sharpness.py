"""Sharpness, the largest Hessian eigenvalue, cheap enough to follow along a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch.nn.attention import SDPBackend, sdpa_kernel

from lossatlas.compute.objective import Objective
from lossatlas.compute.params import Params


@dataclass(frozen=True, eq=False)
class Sharpness:
    """The largest eigenvalue of the Hessian of the mean loss, and its unit eigenvector, ``(parameters,)``."""

    value: float
    vector: NDArray[np.float64]


def largest_eigenvalue(
    objective: Objective,
    params: Params | None = None,
    *,
    names: tuple[str, ...] | None = None,
    start: NDArray[np.float64] | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Sharpness:
    """Largest (algebraic) Hessian eigenvalue by Lanczos with double backward.

    Args:
        objective: the loss; its data are the fixed subset on which curvature is measured.
        params: where; the objective's own parameters where None. May hold buffers too.
        names: parameters that span the Hessian; every floating-point parameter of the objective where None, frozen ones too,
            for an objective does not know which are trained.
        start: a warm start, such as the vector found at the step before; a seeded random one where None or of other length.
        tolerance: relative accuracy of the eigenvalue.
        seed: of the random start.

    Returns:
        The eigenvalue, NaN where weights or Hessian products are not finite, and where nothing spans the Hessian.

    Example:
        >>> bowl = Objective(lambda p, batch: (p["w"] ** 2 * torch.tensor([1.0, 3.0])).sum(), params={"w": torch.ones(2)})
        >>> round(largest_eigenvalue(bowl).value, 6)
        6.0
    """
    point = {**objective.params, **(params or {})}
    span = names if names is not None else tuple(n for n, p in objective.params.items() if p.is_floating_point())
    size = sum(point[n].numel() for n in span)
    if not size or not all(bool(torch.isfinite(point[n]).all()) for n in span):
        return Sharpness(float("nan"), np.zeros(size))
    multiply = _hessian_product(objective, point, span)
    if size <= 2:
        values, vectors = np.linalg.eigh(np.stack([multiply(e) for e in np.eye(size)]))
        return Sharpness(float(values[-1]), vectors[:, -1])
    guess = np.random.default_rng(seed).standard_normal(size) / np.sqrt(size)
    if start is not None and start.size == size and start.any():
        # A little of everything, or a start that is an eigenvector would hide a larger eigenvalue for ever.
        guess = start + 1e-3 * guess
    try:
        if not multiply(guess).any():
            return Sharpness(0.0, guess / np.linalg.norm(guess))
        operator: Any = LinearOperator((size, size), matvec=multiply, dtype=np.float64)  # type: ignore[call-arg]
        values, vectors = eigsh(operator, k=1, which="LA", v0=guess, tol=tolerance)  # type: ignore[arg-type]
    except (ArpackNoConvergence, _NotFiniteError):
        return Sharpness(float("nan"), np.zeros(size))
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


def _hessian_product(objective: Objective, point: Params, span: tuple[str, ...]):
    def multiply(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        # The flash kernel has no second derivative.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            leaves = [point[n].detach().clone().requires_grad_() for n in span]
            loss = objective.differentiable_loss({**point, **dict(zip(span, leaves, strict=True))})
            slopes = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
            parts = torch.split(torch.from_numpy(np.array(vector).ravel()), [leaf.numel() for leaf in leaves])
            steps = [part.reshape(leaf.shape).to(leaf) for part, leaf in zip(parts, leaves, strict=True)]
            inner = sum(((s * v).sum() for s, v in zip(slopes, steps, strict=True)), start=torch.zeros(()))
            if not inner.requires_grad:
                return np.zeros(vector.size)
            products = torch.autograd.grad(inner, leaves, materialize_grads=True)
        flat = torch.cat([p.double().reshape(-1).cpu() for p in products]).numpy()
        if not np.isfinite(flat).all():
            raise _NotFiniteError
        return flat

    return multiply
