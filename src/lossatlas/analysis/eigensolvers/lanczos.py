"""Lanczos tridiagonalization with full re-orthogonalization.

Lanczos 1950; Golub and Van Loan, Matrix Computations, section 10.1. Without re-orthogonalization converged
eigenvalues come back as copies ("ghosts"); at the few dozen steps used here the extra inner products cost far less than one
Hessian-vector product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lossatlas._util.arrays import FloatArray
from lossatlas.errors import InputError

Matrix = LinearOperator | NDArray[Any]
"""A real symmetric matrix: a SciPy `LinearOperator` such as `hessian_operator` returns, or a dense NumPy array ``(size, size)``."""


def as_operator(matrix: Matrix) -> LinearOperator:
    """The matrix as a SciPy `LinearOperator`; one that is an operator already is returned as it is.

    Raises:
        InputError: neither an operator nor an array, not square, or complex. Symmetry is not checked: it would take ``size`` products.

    Example:
        >>> as_operator(np.diag([1.0, 2.0])) @ np.ones(2)
        array([1., 2.])
    """
    allowed = "a SciPy LinearOperator or a NumPy array, real, symmetric and square"
    try:
        operator = aslinearoperator(cast(Any, matrix))
    except (TypeError, ValueError) as error:
        raise InputError("matrix", type(matrix).__name__, allowed, "Wrap a product in scipy.sparse.linalg.LinearOperator") from error
    if operator.shape[0] != operator.shape[1] or not operator.shape[0]:
        raise InputError("matrix", f"shape {tuple(operator.shape)}", allowed)
    if np.issubdtype(operator.dtype, np.complexfloating):
        raise InputError("matrix", f"dtype {operator.dtype}", allowed)
    return operator


@dataclass(frozen=True, eq=False)
class Tridiagonal:
    """Tridiagonal matrix and orthonormal basis after m Lanczos steps.

    Attributes:
        diagonal: ``(m,)``.
        off_diagonal: ``(m - 1,)``.
        basis: orthonormal columns ``(size, m)``; the tridiagonal matrix is ``basis.T @ H @ basis``.
    """

    diagonal: FloatArray
    off_diagonal: FloatArray
    basis: FloatArray

    def eigh(self) -> tuple[FloatArray, FloatArray]:
        """Ritz values in ascending order, and their coordinates in `basis` as columns."""
        from scipy.linalg import eigh_tridiagonal

        result: Any = eigh_tridiagonal(self.diagonal, self.off_diagonal)
        return result[0], result[1]


def lanczos(matrix: Matrix, start: FloatArray, steps: int) -> Tridiagonal:
    """Run Lanczos from `start`, re-orthogonalized against all earlier vectors.

    Args:
        matrix: symmetric, ``(size, size)``.
        start: not zero, ``(size,)``.
        steps: products at most; fewer are made where `start` lies in an invariant subspace of lower dimension.

    Raises:
        InputError: `matrix` is no real square operator.

    Example:
        >>> lanczos(np.diag([1.0, 3.0]), np.ones(2), steps=5).eigh()[0].round(9).tolist()
        [1.0, 3.0]
    """
    matrix = as_operator(matrix)
    size = matrix.shape[0]
    basis, diagonal, off = [start / np.linalg.norm(start)], [], []
    scale = 0.0
    for step in range(min(steps, size)):
        product = matrix.matvec(basis[-1])
        diagonal.append(float(basis[-1] @ product))
        rest = orthogonal_to(product, basis)
        length = float(np.linalg.norm(rest))
        scale = max(scale, abs(diagonal[-1]), length)
        if step + 1 == min(steps, size) or length <= 1e-10 * scale:
            break
        off.append(length)
        basis.append(rest / length)
    return Tridiagonal(np.array(diagonal), np.array(off), np.stack(basis, axis=1))


def orthogonal_to(vector: FloatArray, basis: list[FloatArray]) -> FloatArray:
    """Subtract from `vector` its projection on orthonormal vectors; twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6.9)."""
    columns = np.stack(basis, axis=1)
    for _ in range(2):
        vector = vector - columns @ (columns.T @ vector)
    return vector
