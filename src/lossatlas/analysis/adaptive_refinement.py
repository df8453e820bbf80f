"""Adaptive grid refinement: a coarse lattice first, finer only where interpolation erred, with an error estimate.

Lattices have strides 8, 4, 2, 1 and are nested, so every computed value is exact and the full grid is the last level.
A cell is computed when a cell within one stride, one level up, differed from its bicubic prediction by more than
twice the tolerance. On trained networks that saves 13-14x at 1 % of the range (measured on spirals,
LeNet and ResNet-20), while the same test on a log scale saves 5-8x.

The estimate of the error halves a surprise from one level to the next: right for kinks, careful for smooth surfaces,
where it falls sixteenfold. It is an estimate, not a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, RectBivariateSpline
from scipy.ndimage import maximum_filter

from lossatlas._util.arrays import fill_nearest
from lossatlas.analysis.grid import Grid
from lossatlas.errors import InputError

Scale = Literal["linear", "log", "robust"]
Array = NDArray[np.float64]
COARSEST = 8


@dataclass(frozen=True)
class RefinementStep:
    """State of a coarse-to-fine run.

    Attributes:
        wanted: cells to compute next, flat C-order indices; empty when the tolerance is met.
        filled: the whole surface, computed where it is and interpolated elsewhere; NaN before the coarse levels stand.
        estimated_error: largest expected error of an interpolated cell, as a fraction of the range in the scale used.
    """

    wanted: NDArray[np.int64]
    filled: Array
    estimated_error: float


def refine(grid: Grid, values: Array, done: NDArray[np.bool_], tol: float, scale: Scale = "linear") -> RefinementStep:
    """The next cells to compute. It looks only at what is done, so a stopped run goes on where it was.

    Args:
        grid: the full grid.
        values: of the grid's shape; read only where `done`.
        done: computed cells.
        tol: wanted error of interpolated cells, as a fraction of the range of the surface in `scale`.
        scale: "linear" or "log", the scale in which the surface will be shown.

    Example:
        >>> grid = Grid.make((-1, 1), 33, ndim=1)
        >>> result = refine(grid, grid.axes[0] ** 2, np.ones(33, bool), tol=0.01)
        >>> len(result.wanted), result.estimated_error
        (0, 0.0)
    """
    shown = np.where(done, _to_scale(values, scale), np.nan)
    low_high = shown[np.isfinite(shown)]
    span = _span(low_high, scale)
    limit = max(2 * tol * span, 1e-12 * float(np.abs(low_high).max(initial=0.0)))
    filled, surprise, empty = np.full(grid.shape, np.nan), np.zeros(grid.shape), np.empty(0, np.int64)
    levels = lattice_levels(grid.shape)
    for level, (_, lattice) in enumerate(levels):
        where = np.ix_(*lattice)
        fresh = np.zeros(grid.shape, bool)
        fresh[where] = True
        if level:
            stride, coarse = levels[level - 1]
            fresh[np.ix_(*coarse)] = False
            near = _max_nearby_surprise(surprise, stride)
            predicted = np.full(grid.shape, np.nan)
            predicted[where] = _interpolated(coarse, filled[np.ix_(*coarse)], lattice)
            needed = fresh & ~done & ((near > limit) | (level < 2 and np.isfinite(tol)))
        else:
            near, predicted, needed = surprise, filled.copy(), fresh & ~done
        if needed.any():
            return RefinementStep(np.flatnonzero(needed), np.where(done, values, _from_scale(filled, scale)), np.inf)
        filled = np.where(fresh, np.where(done, shown, predicted), filled)
        surprise = np.where(fresh & done & (level > 0), _difference(shown, predicted), np.where(fresh, near / 2, surprise))
    missing = surprise[~done]
    error = float(missing.max(initial=0.0)) / span if span else 0.0
    return RefinementStep(empty, np.where(done, values, _from_scale(filled, scale)), error)


def fill(grid: Grid, values: Array, done: NDArray[np.bool_], scale: Scale = "linear") -> tuple[Array, float]:
    """Computed values where they are, bicubic interpolation between them elsewhere; what nothing surrounds stays NaN.

    On a linear scale a spline rings: beside a steep wall it dips below zero, which a figure on a log scale would show as pits
    and holes. Between positive values the interpolation of their logarithms stands instead where it is as good, that is
    within a quarter of the estimated error, and wherever the other is not positive.

    Returns:
        The filled surface, and the estimated error of what was filled, as a fraction of the range in `scale`.
    """
    preview = refine(grid, values, done, tol=np.inf, scale=scale)
    seen = values[done & np.isfinite(values)]
    if scale == "log" or not seen.size or seen.min() <= 0:
        return preview.filled, preview.estimated_error
    smooth = refine(grid, values, done, tol=np.inf, scale="log").filled
    as_good = np.abs(smooth - preview.filled) <= 0.25 * preview.estimated_error * np.ptp(seen)
    return np.where(~done & (as_good | (preview.filled <= 0)), smooth, preview.filled), preview.estimated_error


def smallest_resolved_width(shape: tuple[int, ...]) -> int:
    """Cells between those that are always computed: what is narrower may be missed, however small the estimated error."""
    levels = lattice_levels(shape)
    return levels[min(1, len(levels) - 1)][0]


def check_refinement(tol: float | None, scale: str) -> None:
    """Refuse what cannot be meant.

    Raises:
        InputError: a tolerance that is not a positive fraction, or an unknown scale.
    """
    if scale not in get_args(Scale):
        raise InputError("scale", scale, '"linear", "log" or "robust"')
    if tol is not None and not 0 < tol < 1:
        raise InputError("tol", tol, "a fraction of the surface's range between 0 and 1, such as 0.01", "None computes every cell")


def strides() -> tuple[int, ...]:
    """Of the nested lattices, coarse first."""
    return tuple(COARSEST >> k for k in range(COARSEST.bit_length()))


def lattice_levels(shape: tuple[int, ...]) -> list[tuple[int, tuple[NDArray[np.int64], ...]]]:
    """Strides and their lattices, coarse first. On a small grid coarse strides meet the same cells: only the finest of them
    counts, for the first two levels are always computed, and without a second one nothing would have been predicted."""
    levels = [(stride, _lattice(shape, stride)) for stride in strides()]
    sizes = [tuple(map(len, lattice)) for _, lattice in levels]
    return [level for level, size, finer in zip(levels, sizes, [*sizes[1:], None], strict=True) if size != finer]


def _lattice(shape: tuple[int, ...], stride: int) -> tuple[NDArray[np.int64], ...]:
    """Indices along every axis; the last row and column always belong."""
    return tuple(np.unique([*range(0, n, stride), n - 1]) for n in shape)


def _max_nearby_surprise(surprise: Array, stride: int) -> Array:
    """The largest surprise within one stride of every cell."""
    return maximum_filter(surprise, size=2 * stride + 1, mode="constant", cval=0.0)


def _interpolated(coarse: tuple[NDArray[np.int64], ...], values: Array, fine: tuple[NDArray[np.int64], ...]) -> Array:
    """Bicubic (cubic on a line) from lattice to lattice; holes are bridged with their nearest neighbor's value."""
    known = fill_nearest(values, ~np.isfinite(values))
    if known.ndim == 1:
        return np.asarray(CubicSpline(coarse[0], known)(fine[0])) if len(known) > 1 else np.full(len(fine[0]), known[0])
    x, y = coarse
    return np.asarray(RectBivariateSpline(x, y, known, kx=min(3, len(x) - 1), ky=min(3, len(y) - 1))(fine[0], fine[1]))


def _difference(shown: Array, predicted: Array) -> Array:
    """Absolute difference of a value from its prediction; infinite at a hole, so that its surroundings are always computed."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(shown), np.abs(shown - predicted), np.inf)


def _span(values: Array, scale: Scale) -> float:
    """The range that a tolerance is a fraction of; "robust" leaves the extreme twentieths of the cells out."""
    if not values.size:
        return 0.0
    return float(np.ptp(np.percentile(values, [5, 95]) if scale == "robust" else values))


def _to_scale(values: Array, scale: Scale) -> Array:
    if scale != "log":
        return np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log10(values), np.nan)


def _from_scale(filled: Array, scale: Scale) -> Array:
    return 10.0**filled if scale == "log" else filled
