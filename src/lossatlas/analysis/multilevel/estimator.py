"""Estimated means over all samples and their standard errors, from the values of the samples that were drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from lossatlas.analysis.multilevel.allocation import Allocation
from lossatlas.analysis.multilevel.lattice import LatticeHierarchy, diagonal

Array = NDArray[np.float64]
Block = tuple[NDArray[np.int64], Array]
"""Cells ``(k,)`` and their values of some consecutive samples ``(k, samples)``; later blocks hold fewer cells."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Means over all samples of the data.

    Attributes:
        mean: of every cell, flat; NaN or infinite where a value is.
        standard_error: of the mean against the mean over all samples; 0 where all were drawn.
    """

    mean: Array
    standard_error: Array


def estimate(hierarchy: LatticeHierarchy, allocation: Allocation, pilot: Array, blocks: Sequence[Block], samples: int) -> Estimate:
    """The estimate at every cell.

    A corrected cell is the mean of its draws' differences from the prediction, plus the prediction from its parents' estimates; so
    an estimate is linear in the values, and a sample's share in it follows from level to level. The sum of squares of these shares
    is the variance. The pilot is a part of the data that is known completely.

    Args:
        hierarchy: of the grid.
        allocation: what was drawn.
        pilot: ``(cells, P)`` values of the pilot's samples.
        blocks: values of the draws, in the order of the samples.
        samples: of the data, the pilot's among them.
    """
    draws, remaining = allocation.draws, samples - pilot.shape[1]
    with np.errstate(invalid="ignore", over="ignore"):
        pilot_sum = pilot.sum(1)
    finite = np.isfinite(pilot_sum)
    usable = np.array(finite & (draws > 0))
    for cells, values in blocks:
        usable[cells] &= np.isfinite(values).all(1)
    weights = _usable_weights(hierarchy, allocation, usable)
    mean, centers, spread = _moments(hierarchy, weights, draws, blocks)
    known = np.where(finite[:, None], pilot, 0.0)
    pooled = _pooled(spread, draws, (known - weights @ known).var(1) * pilot.shape[1], pilot.shape[1])
    variance = _variances(hierarchy, weights, draws, blocks, centers, pooled, remaining)
    share = remaining / samples
    estimated, error = pilot_sum / samples + share * mean, share * np.sqrt(variance)
    complete = draws == remaining
    error = np.where(complete, 0.0, error)
    return Estimate(np.where(finite, np.where(usable, estimated, np.nan), pilot_sum / samples), np.where(usable, error, np.nan))


def _usable_weights(hierarchy: LatticeHierarchy, allocation: Allocation, usable: NDArray[np.bool_]) -> sparse.csr_array:
    """Prediction weights of the corrected cells; a cell whose parents turned out not to be finite is a plain mean."""
    spoiled = hierarchy.parents @ (~usable).astype(np.int64) > 0
    rows = (allocation.corrected & usable & ~spoiled).astype(float)
    return sparse.csr_array(diagonal(rows) @ hierarchy.weights)


def _differences(weights: sparse.csr_array, cells: NDArray[np.int64], values: Array) -> Array:
    """Values less their predictions, ``(k, samples)``; the parents of corrected cells among `cells` are among them too."""
    among = weights[cells][:, cells]
    with np.errstate(invalid="ignore"):
        known = np.where(np.isfinite(values), values, 0.0)
    return known - among @ known


def _moments(
    hierarchy: LatticeHierarchy, weights: sparse.csr_array, draws: NDArray[np.int64], blocks: Iterable[Block]
) -> tuple[Array, Array, Array]:
    """Estimated mean of every cell, its mean difference from the prediction, and the sum of squares about that."""
    total, squares = np.zeros(len(draws)), np.zeros(len(draws))
    for cells, values in blocks:
        total[cells] += _differences(weights, cells, values).sum(1)
    centers = total / np.maximum(draws, 1)
    for cells, values in blocks:
        squares[cells] += ((_differences(weights, cells, values) - centers[cells, None]) ** 2).sum(1)
    return _propagated(hierarchy, weights, centers[:, None])[:, 0], centers, squares


def _pooled(squares: Array, draws: NDArray[np.int64], pilot_squares: Array, pilot: int) -> Array:
    """Variance of a sample's difference from the prediction, from the draws and the pilot together, and its share of the draws' own.

    Returns:
        ``(2, cells)``: the variance, and the factor from the draws' mean square to it.
    """
    variance = (squares + pilot_squares) / np.maximum(draws + pilot - 2, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([variance, np.where(squares > 0, variance * draws / squares, 0.0)])


def _variances(
    hierarchy: LatticeHierarchy,
    weights: sparse.csr_array,
    draws: NDArray[np.int64],
    blocks: Iterable[Block],
    centers: Array,
    pooled: Array,
    remaining: int,
) -> Array:
    """Variance of the estimates about the mean over all `remaining` samples.

    With d the differences from the prediction and A what is left of them in a descendant's estimate, its error is the sum over samples
    i and cells c of ``A d_ci (1/m_c - 1/M)``, the first term only where i was drawn at c. Squares are summed sample by sample, for the
    draws of all cells are the same samples; what was not drawn, at ``1/M`` each, counts by its variance.
    """
    variance = np.zeros(len(draws))
    factor = (1 / np.maximum(draws, 1) - 1 / max(remaining, 1)) * np.sqrt(pooled[1])
    influence = _influence(hierarchy, weights)
    for cells, values in blocks:
        shares = (_differences(weights, cells, values) - centers[cells, None]) * factor[cells, None]
        if shares.shape[1] <= 2 * len(cells):
            whole = np.zeros((len(draws), shares.shape[1]))
            whole[cells] = shares
            variance += (_propagated(hierarchy, weights, whole) ** 2).sum(1)
        else:
            reach = influence[:, cells].toarray()
            variance += ((reach @ (shares @ shares.T)) * reach).sum(1)
    return variance + influence.power(2) @ (pooled[0] * (remaining - draws) / max(remaining, 1) ** 2)


def _propagated(hierarchy: LatticeHierarchy, weights: sparse.csr_array, terms: Array) -> Array:
    """Every cell's own term plus the prediction from its parents' sums, coarsest level first."""
    sums = terms.copy()
    for level in range(1, hierarchy.levels):
        here = np.flatnonzero(hierarchy.level == level)
        sums[here] += weights[here] @ sums
    return sums


def _influence(hierarchy: LatticeHierarchy, weights: sparse.csr_array) -> sparse.csr_array:
    """``(cells, cells)``: how much of each cell's own term is in the estimate of each other one."""
    reach = sparse.csr_array(sparse.identity(len(hierarchy.level), format="csr"))
    for level in range(1, hierarchy.levels):
        reach = reach + diagonal(hierarchy.level == level) @ weights @ reach
    return sparse.csr_array(reach)
