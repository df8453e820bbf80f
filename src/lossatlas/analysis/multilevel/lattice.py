"""Nested lattices of a grid's cells, and the weights that predict a cell from the next coarser lattice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from lossatlas.analysis.adaptive_refinement import lattice_levels

NODES = 4
"""Along each axis: cubic Lagrange interpolation, whose error falls with the fourth power of the spacing."""


@dataclass(frozen=True, eq=False)
class LatticeHierarchy:
    """Cells by level, coarsest first, and what predicts each of them.

    Attributes:
        level: of every cell, flat; 0 is the coarsest lattice.
        weights: ``(cells, cells)`` sparse; row c holds the interpolation weights of c's parents, cells of coarser levels. Rows of
            level 0 are empty, the others add up to one.

    Example:
        >>> line = LatticeHierarchy.of_grid((9,))
        >>> line.level.tolist(), float((line.weights @ np.arange(9.0) ** 3)[4])
        ([0, 3, 2, 3, 1, 3, 2, 3, 0], 256.0)
    """

    level: NDArray[np.int64]
    weights: sparse.csr_array

    @classmethod
    def of_grid(cls, shape: tuple[int, ...]) -> LatticeHierarchy:
        """For a grid of ``(na,)`` or ``(na, nb)`` cells."""
        lattices = [lattice for _, lattice in lattice_levels(shape)]
        level = np.full(shape, len(lattices) - 1, np.int64)
        for number in range(len(lattices) - 1, -1, -1):
            level[np.ix_(*lattices[number])] = number
        total = sparse.csr_array((int(np.prod(shape)),) * 2)
        for number, (coarse, fine) in enumerate(pairwise(lattices), start=1):
            along = [_axis_weights(c, f, n) for c, f, n in zip(coarse, fine, shape, strict=True)]
            matrix = along[0] if len(along) == 1 else sparse.kron(along[0], along[1], format="csr")
            total = total + diagonal(level.ravel() == number) @ matrix
        return cls(level.ravel(), sparse.csr_array(total))

    @property
    def levels(self) -> int:
        return int(self.level.max()) + 1

    @cached_property
    def parents(self) -> sparse.csr_array:
        """Pattern of the predictions, ``(cells, cells)`` of 0 and 1: row c marks the parents of c."""
        ones = np.ones(len(self.weights.indices), np.int64)
        return sparse.csr_array((ones, self.weights.indices, self.weights.indptr), shape=self.weights.shape)


def diagonal(values: NDArray[np.generic]) -> sparse.csr_array:
    """A square matrix with `values` on its diagonal."""
    rows = np.arange(len(values))
    return sparse.csr_array((values.astype(float), (rows, rows)), shape=(len(values), len(values)))


def _axis_weights(coarse: NDArray[np.int64], fine: NDArray[np.int64], size: int) -> sparse.csr_array:
    """``(size, size)``: each fine index from its nearest coarse ones by Lagrange polynomials; a coarse index is itself."""
    rows, columns, values = [], [], []
    for index in fine:
        nodes = _nearest(coarse, int(index))
        for node in nodes:
            others = nodes[nodes != node]
            rows.append(int(index))
            columns.append(int(node))
            values.append(float(np.prod((index - others) / (node - others))))
    nonzero = np.array(values) != 0
    places = np.array(rows)[nonzero], np.array(columns)[nonzero]
    return sparse.csr_array((np.array(values)[nonzero], places), shape=(size, size))


def _nearest(coarse: NDArray[np.int64], index: int) -> NDArray[np.int64]:
    """The two neighbors on either side, or as many as there are; the index alone where it is one of them."""
    if index in coarse:
        return np.array([index])
    right = int(np.searchsorted(coarse, index))
    start = int(np.clip(right - NODES // 2, 0, max(0, len(coarse) - NODES)))
    return coarse[start : start + NODES]
