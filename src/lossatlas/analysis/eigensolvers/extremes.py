"""Extreme eigenvalues: the largest and smallest eigenpairs of a symmetric operator, each with its residual.

The two ends of a net's Hessian often differ by orders of magnitude, and a smallest eigenvalue of exactly zero can
never be found relative to itself. So each residual is measured against its own eigenvalue or 1 % of the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from lossatlas._util.argument_checks import check_choice, check_integer, check_number
from lossatlas._util.arrays import FloatArray
from lossatlas.analysis.eigensolvers.davidson import FLOOR, EigenPairs, allowed_residuals, rayleigh_ritz
from lossatlas.analysis.eigensolvers.lanczos import Matrix, as_operator, lanczos
from lossatlas.errors import InputError

Solver = Literal["auto", "eigsh", "ritz"]
SMALL = 40
"""Up to this size the dense matrix is no dearer than an iteration."""


@dataclass(frozen=True, eq=False)
class ExtremeEigenvalues:
    """The `k` largest and the `k` smallest eigenvalues of a symmetric matrix.

    Attributes:
        largest: ``(k,)``, the largest first, in the units of the matrix (for a Hessian those of the loss).
        smallest: ``(k,)``, the smallest first, in the same units.
        largest_vectors: unit columns ``(size, k)``.
        smallest_vectors: unit columns ``(size, k)``.
        largest_residuals: ``|H v - lambda v|``, ``(k,)``: some eigenvalue lies no farther than this from the value.
        smallest_residuals: ``(k,)``.
        products: matrix-vector products spent.
        solver: "dense", "eigsh" or "ritz".
        converged: whether every residual is within the tolerance.
    """

    largest: FloatArray
    smallest: FloatArray
    largest_vectors: FloatArray
    smallest_vectors: FloatArray
    largest_residuals: FloatArray
    smallest_residuals: FloatArray
    products: int
    solver: str
    converged: bool

    @property
    def lambda_max(self) -> float:
        """The largest eigenvalue."""
        return float(self.largest[0])

    @property
    def lambda_min(self) -> float:
        """The smallest eigenvalue."""
        return float(self.smallest[0])

    @property
    def ratio(self) -> float:
        """``|lambda_min / lambda_max|`` of Li et al. 2018, figure 7; NaN where both are zero."""
        return curvature_ratio(self.lambda_min, self.lambda_max)


def curvature_ratio(smallest: float, largest: float) -> float:
    """Absolute ratio ``|smallest / largest|`` of the extreme eigenvalues, infinite where only the largest is zero.

    >>> curvature_ratio(-1.0, 4.0), curvature_ratio(-1.0, 0.0)
    (0.25, inf)
    """
    if largest == 0:
        return float("nan") if smallest == 0 else float("inf")
    return abs(smallest / largest)


def extreme_eigenvalues(
    matrix: Matrix,
    k: int = 1,
    tol: float = 1e-3,
    *,
    start: Sequence[FloatArray] = (),
    solver: Solver = "auto",
    seed: int = 0,
    limit: int = 2000,
) -> ExtremeEigenvalues:
    """Find the `k` largest and `k` smallest eigenvalues, with eigenvectors and residuals.

    Args:
        matrix: symmetric, ``(size, size)``: a SciPy `LinearOperator` such as `hessian_operator` returns, or a dense array.
        k: how many at each end.
        tol: a residual may be this share of its eigenvalue, or of 1 % of the largest where that is more.
        start: vectors ``(size,)`` near the ones looked for, such as a neighboring point's; makes "auto" choose "ritz".
        solver: "eigsh" is SciPy's implicitly restarted Lanczos (ARPACK, Lehoucq et al. 1998), both ends; "ritz" grows one
            subspace for both ends and gains most from `start`.
        seed: of the random start.
        limit: products after which to stop, converged or not.

    Raises:
        InputError: k is not between 1 and half the size, or `matrix` is no real square operator.

    Example:
        >>> ends = extreme_eigenvalues(np.diag(np.linspace(-2, 8, 100)), tol=1e-6)
        >>> round(ends.lambda_max, 6), round(ends.lambda_min, 6), round(ends.ratio, 6)
        (8.0, -2.0, 0.25)
    """
    check_choice("solver", solver, get_args(Solver))
    check_integer("k", k)
    check_number("tol", tol, above=0)
    check_integer("seed", seed, least=0)
    check_integer("limit", limit, least=1)
    matrix = as_operator(matrix)
    size = matrix.shape[0]
    if not 1 <= k <= max(1, size // 2):
        raise InputError("k", k, f"1 to {max(1, size // 2)} for {size} parameters")
    if size <= max(SMALL, 4 * k):
        return _dense(matrix, k)
    first = _combined_start([*start, np.random.default_rng(seed).standard_normal(size)])
    if solver == "ritz" or (solver == "auto" and len(start)):
        top, bottom, products = rayleigh_ritz(matrix, [first], k, tol, limit)
        return _extremes(top, bottom, products, "ritz", tol)
    return _arpack(matrix, k, tol, first, limit)


def _combined_start(vectors: list[FloatArray]) -> FloatArray:
    """One start that leans towards all of them. One vector costs one product and its Krylov space serves both ends;
    measured on a ResNet-20 that saves two to three products a point against starting from the vectors side by side."""
    return np.sum([v / max(float(np.linalg.norm(v)), 1e-300) for v in vectors], axis=0)


def _dense(matrix: LinearOperator, k: int) -> ExtremeEigenvalues:
    columns = matrix.matmat(np.eye(matrix.shape[0]))
    values, vectors = np.linalg.eigh((columns + columns.T) / 2)
    residuals = np.linalg.norm(columns @ vectors - vectors * values, axis=0)
    top, bottom = (
        EigenPairs(values[::-1][:k], vectors[:, ::-1][:, :k], residuals[::-1][:k]),
        EigenPairs(values[:k], vectors[:, :k], residuals[:k]),
    )
    return _extremes(top, bottom, matrix.shape[0], "dense", 1e-3)


def _arpack(matrix: LinearOperator, k: int, tolerance: float, start: FloatArray, limit: int) -> ExtremeEigenvalues:
    """A few Lanczos steps tell the scale and a start; then each end, shifted by the floor of its tolerance."""
    rough = lanczos(matrix, start, 8)
    values, coordinates = rough.eigh()
    scale, spent = float(np.abs(values).max()), len(values)
    if scale == 0.0:
        zero = EigenPairs(np.zeros(k), np.eye(matrix.shape[0], k), np.zeros(k))
        return _extremes(zero, zero, spent, "eigsh", tolerance)
    ends = []
    for sign, first in ((1.0, coordinates[:, -1]), (-1.0, coordinates[:, 0])):
        pairs, products = _arpack_end(matrix, sign, FLOOR * scale, k, tolerance, rough.basis @ first, limit // 2)
        ends.append(pairs)
        spent += products
    return _extremes(ends[0], ends[1], spent, "eigsh", tolerance)


def _arpack_end(
    matrix: LinearOperator, sign: float, shift: float, k: int, tolerance: float, start: FloatArray, limit: int
) -> tuple[EigenPairs, int]:
    """The largest eigenvalues of ``shift + sign H``, given back as those of H."""
    count = [0]

    def multiply(vector: FloatArray) -> FloatArray:
        count[0] += 1
        flat = vector.reshape(-1)
        return shift * flat + sign * matrix.matvec(flat)

    operator = LinearOperator(matrix.shape, matvec=multiply, dtype=np.float64)  # type: ignore[call-arg]
    width = min(matrix.shape[0], max(2 * k + 1, 16))
    try:
        solve: Any = eigsh  # SciPy's stubs take an integer tolerance only
        _, vectors = solve(operator, k=k, which="LA", tol=tolerance / 2, v0=start, ncv=width, maxiter=max(1, limit // width))
    except ArpackNoConvergence:
        pairs, _, products = (
            rayleigh_ritz(matrix, [start], k, tolerance, limit) if sign > 0 else _two_sided(matrix, start, k, tolerance, limit)
        )
        return pairs, count[0] + products
    return _with_residuals(matrix, vectors, sign), count[0] + k


def _two_sided(matrix: LinearOperator, start: FloatArray, k: int, tolerance: float, limit: int) -> tuple[EigenPairs, EigenPairs, int]:
    top, bottom, products = rayleigh_ritz(matrix, [start], k, tolerance, limit)
    return bottom, top, products


def _with_residuals(matrix: LinearOperator, vectors: FloatArray, sign: float) -> EigenPairs:
    """Rayleigh quotients and residuals by products of their own, in order from the end inwards."""
    images = matrix.matmat(vectors)
    values = np.einsum("ij,ij->j", vectors, images)
    residuals = np.linalg.norm(images - vectors * values, axis=0)
    order = np.argsort(-sign * values)
    return EigenPairs(values[order], vectors[:, order], residuals[order])


def _extremes(top: EigenPairs, bottom: EigenPairs, products: int, solver: str, tolerance: float) -> ExtremeEigenvalues:
    allowed = allowed_residuals(np.concatenate([top.values, bottom.values]), tolerance)
    converged = bool((np.concatenate([top.residuals, bottom.residuals]) <= 1.5 * allowed).all())
    return ExtremeEigenvalues(
        top.values,
        bottom.values,
        top.vectors,
        bottom.vectors,
        top.residuals,
        bottom.residuals,
        products,
        solver,
        converged,
    )
