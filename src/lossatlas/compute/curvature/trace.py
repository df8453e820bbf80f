"""The trace of a matrix known by its products: Hutchinson's mean, and Hutch++ which takes the large part exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lossatlas.compute.curvature.lanczos import Operator
from lossatlas.compute.curvature.layout import Vector
from lossatlas.errors import InputError


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error (NaN from a single probe) and what it cost."""

    value: float
    standard_error: float
    products: int

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.standard_error:.2g}"


def trace(matrix: Operator, products: int = 30, method: Literal["hutch++", "hutchinson"] = "hutch++", seed: int = 0) -> Estimate:
    """The trace, estimated from Rademacher probes.

    Args:
        matrix: a `Curvature`, or anything with ``size`` and ``@``.
        products: to spend; as many as the size or more give the exact trace.
        method: "hutchinson" averages ``z' H z`` (variance ``2 (|H|_F^2 - sum H_ii^2)`` a probe); "hutch++" (Meyer et al.
            2021, arXiv 2010.09649) takes a third of the products to find the dominant range, a third for its exact
            trace and a third for what is left; it is exact where the rank is at most a third of `products`.
        seed: of the probes.

    Raises:
        InputError: fewer than 3 products, or an unknown method.

    Example:
        >>> class Ones:
        ...     size = 50
        ...     def __matmul__(self, v): return np.full(50, v.sum())
        >>> round(trace(Ones(), products=9).value, 9)
        50.0
    """
    if products < 3:
        raise InputError("products", products, "at least 3")
    if method not in ("hutch++", "hutchinson"):
        raise InputError("method", method, '"hutch++" or "hutchinson"')
    if products >= matrix.size:
        exact = sum(float(row @ (matrix @ row)) for row in np.eye(matrix.size))
        return Estimate(exact, 0.0, matrix.size)
    rng = np.random.default_rng(seed)
    if method == "hutchinson":
        return _hutchinson([float(z @ (matrix @ z)) for z in _probes(rng, products, matrix.size)], 0.0, products)
    return _hutch_plus_plus(matrix, products, rng)


def _hutch_plus_plus(matrix: Operator, products: int, rng: np.random.Generator) -> Estimate:
    third = products // 3
    sketch = np.stack([matrix @ z for z in _probes(rng, third, matrix.size)], axis=1)
    basis = np.linalg.qr(sketch)[0]
    exact = sum(float(column @ (matrix @ column)) for column in basis.T)
    rest = products - 2 * third
    probes = [z - basis @ (basis.T @ z) for z in _probes(rng, rest, matrix.size)]
    return _hutchinson([float(z @ (matrix @ z)) for z in probes], exact, products)


def _hutchinson(values: list[float], exact: float, products: int) -> Estimate:
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return Estimate(exact + float(np.mean(values)), error, products)


def _probes(rng: np.random.Generator, count: int, size: int) -> list[Vector]:
    probes: NDArray[np.float64] = rng.choice([-1.0, 1.0], size=(count, size))
    return list(probes)
