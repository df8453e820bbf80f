"""Block Davidson eigensolver for both ends of a spectrum, which can be warm-started.

The subspace is enlarged by the residual of its worst wanted pair. From one random vector this is Lanczos; from the eigenvectors of a
neighboring point it often needs a handful of products: Davidson's method (J. Comput. Phys. 17, 87, 1975) without a preconditioner.
SciPy's eigsh must build its whole basis before it looks, whatever the start; its lobpcg takes as many products or up to twice as many,
one run an end, and at loose tolerances it mistakes the bulk for the lower end (measured in docs/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from lossatlas._util.arrays import FloatArray
from lossatlas.analysis.eigensolvers.lanczos import Matrix, as_operator

WIDTH = 40
"""Vectors the subspace may hold before it is folded onto its outermost ones."""
FLOOR = 1e-2
"""Eigenvalues below this share of the largest need no relative accuracy."""
STAGNATION_STEPS = 4
"""Steps over which a value may no longer move."""


@dataclass(frozen=True, eq=False)
class EigenPairs:
    """Eigenpairs at one end, the outermost first: values ``(k,)``, unit columns ``(size, k)``, residuals ``(k,)``."""

    values: FloatArray
    vectors: FloatArray
    residuals: FloatArray


def rayleigh_ritz(matrix: Matrix, start: Sequence[FloatArray], k: int, tolerance: float, limit: int) -> tuple[EigenPairs, EigenPairs, int]:
    """Find the `k` largest and `k` smallest eigenpairs by Rayleigh-Ritz in a growing subspace.

    A small residual alone proves little at the lower end: any vector of a Hessian's bulk, whose eigenvalues are nearly
    zero, has one. So the values must also have settled while the subspace grew.

    Args:
        matrix: symmetric, ``(size, size)``: a `LinearOperator` or a dense array.
        start: vectors ``(size,)`` that span the first subspace; a random one among them keeps a nearly right start from
            overlooking a direction that none of them has.
        k: how many at each end.
        tolerance: as in `allowed_residuals`.
        limit: products after which to stop.

    Returns:
        The upper end, the lower end, and the products spent.

    Raises:
        InputError: `matrix` is no real square operator.
        numpy.linalg.LinAlgError: a product is not finite.
    """
    matrix = as_operator(matrix)
    space = Subspace(matrix, max(WIDTH + 4 * k, len(start) + 2 * k + 1))
    for vector in start:
        space.add(vector)
    history: list[FloatArray] = []
    while True:
        values, coordinates = space.ritz()
        top, bottom = _both_ends(space, values, coordinates, k)
        outer = np.concatenate([top.values, bottom.values])
        allowed = allowed_residuals(outer, tolerance)
        shares = np.concatenate([top.residuals, bottom.residuals]) / allowed
        history.append(outer)
        settled = (
            len(history) > STAGNATION_STEPS
            and len(history[-1 - STAGNATION_STEPS]) == len(outer)
            and bool((abs(outer - history[-1 - STAGNATION_STEPS]) <= allowed).all())
        )
        if (settled and shares.max() <= 1) or space.products >= limit or space.count >= matrix.shape[0]:
            return top, bottom, space.products
        worst = int(shares.argmax())
        column = len(values) - 1 - worst if worst < len(top.values) else worst - len(top.values)
        rest = space.residual(float(values[column]), coordinates[:, column])
        if space.full:
            keep = WIDTH // 5 + k
            space.restart(np.concatenate([coordinates[:, :keep], coordinates[:, -keep:]], axis=1))
        if not space.add(rest):
            return top, bottom, space.products


def allowed_residuals(values: FloatArray, tolerance: float) -> FloatArray:
    """Upper limit of each residual: a share of its own eigenvalue, or of 1 % of the largest where that is more.

    >>> allowed_residuals(np.array([100.0, -20.0, 0.0]), 0.1).round(9).tolist()
    [10.0, 2.0, 0.1]
    """
    scale = float(np.abs(values).max())
    return tolerance * np.maximum(np.abs(values), FLOOR * scale) + 1e-300


def _both_ends(space: Subspace, values: FloatArray, coordinates: FloatArray, k: int) -> tuple[EigenPairs, EigenPairs]:
    count = min(k, len(values))
    top = space.pairs(values[::-1][:count], coordinates[:, ::-1][:, :count])
    return top, space.pairs(values[:count], coordinates[:, :count])


class Subspace:
    """Orthonormal vectors as rows, their images under the matrix, and the small matrix between them."""

    def __init__(self, matrix: LinearOperator, width: int) -> None:
        self.matrix = matrix
        self.products = 0
        self.count = 0
        self._basis = np.empty((width, matrix.shape[0]))
        self._images = np.empty((width, matrix.shape[0]))
        self._small = np.zeros((width, width))

    @property
    def full(self) -> bool:
        return self.count == len(self._basis)

    def add(self, vector: FloatArray) -> bool:
        """Take what of `vector` is new, by one product; False where nothing is."""
        rest, basis = vector / max(float(np.linalg.norm(vector)), 1e-300), self._basis[: self.count]
        for _ in range(2):
            rest = rest - (basis @ rest) @ basis
        left = float(np.linalg.norm(rest))
        if not np.isfinite(left) or left < 1e-10 or self.count == self.matrix.shape[0]:
            return False
        n = self.count
        self._basis[n] = rest / left
        self._images[n] = self.matrix.matvec(self._basis[n])
        row = self._basis[: n + 1] @ self._images[n]
        self._small[n, : n + 1], self._small[: n + 1, n] = row, row
        self.count, self.products = n + 1, self.products + 1
        return True

    def ritz(self) -> tuple[FloatArray, FloatArray]:
        """Ritz values in ascending order and their coordinates as columns."""
        return np.linalg.eigh(self._small[: self.count, : self.count])

    def pairs(self, values: FloatArray, coordinates: FloatArray) -> EigenPairs:
        residuals = [float(np.linalg.norm(self.residual(v, c))) for v, c in zip(values, coordinates.T, strict=True)]
        return EigenPairs(values.copy(), self._basis[: self.count].T @ coordinates, np.array(residuals))

    def residual(self, value: float, coordinates: FloatArray) -> FloatArray:
        """``H v - value v``, without a product."""
        return coordinates @ self._images[: self.count] - value * (coordinates @ self._basis[: self.count])

    def restart(self, coordinates: FloatArray) -> None:
        """Keep only the combinations given as columns; no product is needed."""
        n, size = self.count, coordinates.shape[1]
        self._basis[:size], self._images[:size] = coordinates.T @ self._basis[:n], coordinates.T @ self._images[:n]
        self._small[:size, :size] = coordinates.T @ self._small[:n, :n] @ coordinates
        self.count = size
