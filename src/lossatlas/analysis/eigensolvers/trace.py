"""Stochastic trace estimation: Hutchinson and Hutch++."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse.linalg import LinearOperator

from lossatlas._util.arrays import FloatArray
from lossatlas.analysis.eigensolvers.lanczos import Matrix, as_operator
from lossatlas.errors import InputError


@dataclass(frozen=True)
class TraceEstimate:
    """An estimated trace.

    Attributes:
        value: the estimate, in the units of the matrix (for a Hessian those of the loss).
        standard_error: of `value`, from the spread of the probes; 0 where the trace is exact, NaN from a single probe.
        products: matrix-vector products spent.
    """

    value: float
    standard_error: float
    products: int

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.standard_error:.2g}"


def estimate_trace(matrix: Matrix, budget: int = 30, method: Literal["hutch++", "hutchinson"] = "hutch++", seed: int = 0) -> TraceEstimate:
    """Estimate the trace from Rademacher probes.

    Args:
        matrix: symmetric, ``(size, size)``: a SciPy `LinearOperator` such as `hessian_operator` returns, or a dense array.
        budget: products to spend; as many as the size or more give the exact trace.
        method: "hutchinson" averages ``z' H z`` (variance ``2 (|H|_F^2 - sum H_ii^2)`` a probe; Hutchinson 1990); "hutch++" (Meyer et
            al. 2021, arXiv 2010.09649, algorithm 1) takes a third of the products to find the dominant range, a third for its
            exact trace and a third for what is left; it is exact where the rank is at most a third of `budget`.
        seed: of the probes.

    Raises:
        InputError: fewer than 3 products, an unknown method, or `matrix` is no real square operator.

    Example:
        >>> round(estimate_trace(np.ones((50, 50)), budget=9).value, 9)
        50.0
    """
    matrix = as_operator(matrix)
    size = matrix.shape[0]
    if budget < 3:
        raise InputError("budget", budget, "at least 3")
    if method not in ("hutch++", "hutchinson"):
        raise InputError("method", method, '"hutch++" or "hutchinson"')
    if budget >= size:
        return TraceEstimate(sum(float(row @ matrix.matvec(row)) for row in np.eye(size)), 0.0, size)
    rng = np.random.default_rng(seed)
    if method == "hutchinson":
        return _hutchinson([float(z @ matrix.matvec(z)) for z in _probes(rng, budget, size)], 0.0, budget)
    return _hutch_plus_plus(matrix, budget, rng)


def _hutch_plus_plus(matrix: LinearOperator, products: int, rng: np.random.Generator) -> TraceEstimate:
    third = products // 3
    sketch = np.stack([matrix.matvec(z) for z in _probes(rng, third, matrix.shape[0])], axis=1)
    basis = np.linalg.qr(sketch)[0]
    exact = sum(float(column @ matrix.matvec(column)) for column in basis.T)
    rest = products - 2 * third
    probes = [z - basis @ (basis.T @ z) for z in _probes(rng, rest, matrix.shape[0])]
    return _hutchinson([float(z @ matrix.matvec(z)) for z in probes], exact, products)


def _hutchinson(values: list[float], exact: float, products: int) -> TraceEstimate:
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return TraceEstimate(exact + float(np.mean(values)), error, products)


def _probes(rng: np.random.Generator, count: int, size: int) -> list[FloatArray]:
    return list(rng.choice([-1.0, 1.0], size=(count, size)))
