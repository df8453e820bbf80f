"""Number of samples that each cell needs, from a pilot: the same few samples at every cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from lossatlas.analysis.multilevel.lattice import LatticeHierarchy

Array = NDArray[np.float64]

FEWEST = 32
"""Samples drawn at every cell beside the pilot."""
CONFIDENCE = 1.96
"""Standard errors in half a 95 % interval."""
ALL_SHARE = 0.6
"""A cell that needs more of the samples than this gets them all, and its value is no estimate any more."""
SAFETY = 1.3
"""Pilots of a few dozen samples underestimate the variance of skewed losses more often than not."""
SMALLEST_SHARE = 0.02
"""Of the variance that a level may contribute."""
LOOSER = 4.0
"""Parents whose own variance may be so much larger than a cell's help it no further (near a minimum on a log scale)."""


@dataclass(frozen=True, eq=False)
class Allocation:
    """Number of samples to draw at every cell, and how to use them.

    Attributes:
        draws: samples at each cell, flat, beside the pilot; one of `ladder(remaining)`. 0 where the pilot itself shows that the mean
            is not finite.
        corrected: whether the cell is predicted by its parents and corrected, or the plain mean of its draws.
        target: standard error asked for at each cell, in the units of the values.
    """

    draws: NDArray[np.int64]
    corrected: NDArray[np.bool_]
    target: Array

    @property
    def total(self) -> int:
        """Evaluations of a sample at a cell, the pilot's apart."""
        return int(self.draws.sum())


def ladder(remaining: int) -> NDArray[np.int64]:
    """Numbers of draws that a cell may get: 32, 64, 128, ... and all that remain beside the pilot.

    >>> ladder(100).tolist(), ladder(10).tolist()
    ([32, 64, 100], [10])
    """
    steps = [FEWEST << k for k in range(64) if FEWEST << k < remaining]
    return np.array([*steps, remaining], np.int64)


def allocate(
    hierarchy: LatticeHierarchy, shape: tuple[int, ...], pilot: Array, remaining: int, tol: float, scale: str = "linear"
) -> Allocation:
    """The cheapest numbers of draws whose estimates are expected to err by at most `tol` in 95 of 100 cells.

    A cell's variance is that of the pilot there and at its neighbors together, plain and about the prediction. What the levels may
    contribute to the variance of the finest is shared out in proportion to ``sqrt(cells x variance)``, which costs least (Giles
    2008, eq. 3.1), and each cell takes the cheaper of the two ways.

    Args:
        hierarchy: of the grid.
        shape: of the grid, ``(na,)`` or ``(na, nb)``.
        pilot: ``(cells, samples)``, the same samples at every cell.
        remaining: samples of the data that are not in the pilot.
        tol: half the 95 % interval, as a fraction of the surface's range in `scale`.
        scale: "linear"; "log" takes the range of the logarithm and lets a cell err by a fraction of its own value; "robust" is
            linear, over the range between the 5th and the 95th percentile of the cells.

    Returns:
        The allocation. Where the pilot is not finite the mean is not either, and nothing is drawn.
    """
    finite: NDArray[np.bool_] = np.all(np.isfinite(pilot), axis=1, keepdims=True)[:, 0]
    values = np.where(finite[:, None], pilot, 0.0)
    target = target_standard_errors(np.where(finite, values.mean(1), np.nan), tol, scale, shape)
    predicted = finite & (hierarchy.level > 0) & (hierarchy.parents @ (~finite).astype(np.int64) == 0)
    plain = _pooled_variance(values, finite, shape)
    about = np.where(predicted, _pooled_variance(values - hierarchy.weights @ values, predicted, shape), np.inf)
    shares = _level_shares(hierarchy, plain, about, target, remaining)
    wanted_plain = SAFETY * plain / target**2
    # On a log scale a parent's target may be far looser than its child's: then the prediction is too noisy to correct.
    looser = _largest_parent(hierarchy, target) ** 2 > LOOSER * target**2
    with np.errstate(invalid="ignore"):
        wanted = np.where(hierarchy.level == 0, wanted_plain / shares[0], SAFETY * about / (shares[hierarchy.level] * target**2))
    corrected = predicted & ~looser & (wanted < wanted_plain)
    wanted = np.where(corrected | (hierarchy.level == 0), wanted, wanted_plain)
    draws = _rounded_up(_with_finite_population(wanted, remaining), ladder(remaining))
    draws = _raise_parents(hierarchy, draws, corrected)
    complete = draws == remaining
    return Allocation(np.where(finite, draws, 0), corrected & ~complete, target)


def same_draws(hierarchy: LatticeHierarchy, allocation: Allocation, shape: tuple[int, ...], pilot: Array) -> Allocation:
    """The allocation of another metric, which gets the samples that `allocation` draws: corrected where its pilot says that this helps."""
    finite: NDArray[np.bool_] = np.all(np.isfinite(pilot), axis=1, keepdims=True)[:, 0]
    values = np.where(finite[:, None], pilot, 0.0)
    about = _pooled_variance(values - hierarchy.weights @ values, finite, shape)
    corrected = allocation.corrected & finite & (about < _pooled_variance(values, finite, shape))
    return Allocation(np.where(finite, allocation.draws, 0), corrected, np.full(len(values), np.inf))


def target_standard_errors(means: Array, tol: float, scale: str, shape: tuple[int, ...]) -> Array:
    """Standard error asked for at each cell, from a first look at the means."""
    known = means[np.isfinite(means)]
    least = max(1e-12 * float(np.abs(known).max(initial=0.0)), 1e-100)
    if scale == "log":
        smooth = _neighborhood_mean(np.nan_to_num(means), np.isfinite(means), shape)
        smallest = float(known[known > 0].min(initial=np.inf))
        positive = np.where(smooth > 0, smooth, smallest)
        span = float(np.ptp(np.log(known[known > 0]))) if (known > 0).any() else 0.0
        return np.maximum(tol * span * positive / CONFIDENCE, least) if span else np.full(len(means), least)
    low, high = (np.percentile(known, [5, 95]) if scale == "robust" else (known.min(), known.max())) if known.size else (0.0, 0.0)
    return np.full(len(means), max(tol * float(high - low) / CONFIDENCE, least))


def _level_shares(hierarchy: LatticeHierarchy, plain: Array, about: Array, target: Array, remaining: int) -> Array:
    """Share of each level in the variance of the finest: in proportion to ``sqrt(cells x variance)``, relative to the target.

    A level of which most cells would get all samples errs nowhere, and the others share its part.
    """
    relative = SAFETY * np.where(hierarchy.level == 0, plain, about) / target**2
    typical, shares = np.zeros(hierarchy.levels), np.zeros(hierarchy.levels)
    cells = np.bincount(hierarchy.level, minlength=hierarchy.levels)
    for level in range(hierarchy.levels):
        known = relative[(hierarchy.level == level) & np.isfinite(relative)]
        typical[level] = float(np.median(known)) if known.size else 0.0
    complete = np.zeros(hierarchy.levels, bool)
    while not complete.all():
        weights = np.where(complete, 0.0, np.sqrt(cells * typical))
        shares = np.maximum(weights / weights.sum() if weights.any() else np.ones(hierarchy.levels) / hierarchy.levels, SMALLEST_SHARE)
        fresh = ~complete & (_with_finite_population(typical / shares, remaining) > ALL_SHARE * remaining)
        if not fresh.any():
            break
        complete |= fresh
    return shares


def _with_finite_population(wanted: Array, remaining: int) -> Array:
    """Draws without replacement that are worth `wanted` draws from an endless supply."""
    return np.where(np.isfinite(wanted), wanted / (1 + wanted / max(remaining, 1)), np.inf)


def _pooled_variance(values: Array, usable: NDArray[np.bool_], shape: tuple[int, ...]) -> Array:
    """Variance over the pilot, averaged with the neighbors' in a square of three."""
    variance = values.var(1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values))
    return np.maximum(variance, _neighborhood_mean(np.where(usable, variance, 0.0), usable, shape))


def _neighborhood_mean(values: Array, usable: NDArray[np.bool_], shape: tuple[int, ...]) -> Array:
    """Mean over usable cells in a square of three around each."""
    total = uniform_filter(np.where(usable, values, 0.0).reshape(shape), 3, mode="constant")
    count = uniform_filter(usable.astype(float).reshape(shape), 3, mode="constant")
    return np.where(count > 1e-9, total / np.maximum(count, 1e-9), 0.0).ravel()


def _largest_parent(hierarchy: LatticeHierarchy, values: Array) -> Array:
    children, parents = hierarchy.weights.nonzero()
    largest = np.zeros(len(values))
    np.maximum.at(largest, children, values[parents])
    return largest


def _rounded_up(wanted: Array, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """To the next number of the ladder; most of them are all."""
    index = np.searchsorted(steps, np.minimum(np.nan_to_num(wanted, nan=np.inf), steps[-1]))
    index = np.where(wanted > ALL_SHARE * steps[-1], len(steps) - 1, index)
    return steps[index]


def _raise_parents(hierarchy: LatticeHierarchy, draws: NDArray[np.int64], corrected: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A correction needs its parents' values of the same samples: finest level first, so that it reaches the coarsest."""
    raised = draws.copy()
    for level in range(hierarchy.levels - 1, 0, -1):
        for cell in np.flatnonzero((hierarchy.level == level) & corrected):
            of_cell = hierarchy.weights.indices[hierarchy.weights.indptr[cell] : hierarchy.weights.indptr[cell + 1]]
            raised[of_cell] = np.maximum(raised[of_cell], raised[cell])
    return raised
