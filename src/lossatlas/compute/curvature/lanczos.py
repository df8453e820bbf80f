"""Lanczos with full re-orthogonalization: a small tridiagonal matrix that stands for a large one.

Without re-orthogonalization converged eigenvalues come back as ghosts; at the few dozen steps used here the extra
inner products cost far less than one Hessian-vector product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lossatlas.compute.curvature.layout import Vector


class Operator(Protocol):
    """Anything that multiplies vectors: a `Curvature`, or a dense matrix in a test."""

    @property
    def size(self) -> int: ...

    def __matmul__(self, vector: Vector, /) -> Vector: ...


@dataclass(frozen=True, eq=False)
class Tridiagonal:
    """What m steps leave.

    Attributes:
        diagonal: ``(m,)``.
        off_diagonal: ``(m - 1,)``.
        basis: orthonormal columns ``(size, m)``; the matrix is ``basis.T @ H @ basis``.
    """

    diagonal: Vector
    off_diagonal: Vector
    basis: NDArray[np.float64]

    def eigh(self) -> tuple[Vector, NDArray[np.float64]]:
        """Ritz values in ascending order, and their coordinates in `basis` as columns."""
        from scipy.linalg import eigh_tridiagonal

        result: Any = eigh_tridiagonal(self.diagonal, self.off_diagonal)
        return result[0], result[1]


def lanczos(matrix: Operator, start: Vector, steps: int) -> Tridiagonal:
    """At most `steps` products; fewer where `start` lies in an invariant subspace of that dimension."""
    basis, diagonal, off = [start / np.linalg.norm(start)], [], []
    scale = 0.0
    for step in range(min(steps, matrix.size)):
        product = matrix @ basis[-1]
        diagonal.append(float(basis[-1] @ product))
        rest = orthogonal_to(product, basis)
        length = float(np.linalg.norm(rest))
        scale = max(scale, abs(diagonal[-1]), length)
        if step + 1 == min(steps, matrix.size) or length <= 1e-10 * scale:
            break
        off.append(length)
        basis.append(rest / length)
    return Tridiagonal(np.array(diagonal), np.array(off), np.stack(basis, axis=1))


def orthogonal_to(vector: Vector, basis: list[Vector]) -> Vector:
    """What is left of `vector` off an orthonormal basis; twice is enough (Parlett 1980)."""
    columns = np.stack(basis, axis=1)
    for _ in range(2):
        vector = vector - columns @ (columns.T @ vector)
    return vector
