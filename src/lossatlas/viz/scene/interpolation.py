"""Monotone cubic interpolation of a grid (Fritsch and Carlson 1980, with the harmonic slopes of Fritsch and Butland 1984).

The drawn surface passes through every computed value and never rises above or falls below its neighbors along a grid
line, so it shows no minimum that was not computed. The browser draws the same surface (`viewer/src/math/interpolation.ts`);
``viewer/test/fixtures/interpolation.json`` holds both to the same numbers.
"""

from __future__ import annotations

import numpy as np

from lossatlas._util.arrays import BoolArray, FloatArray, fill_nearest

LOG_RATIO = 20.0
"""Positive values whose largest is more than this many times the smallest are interpolated (and coded) as logarithms."""


def spans_decades(low: float, high: float) -> bool:
    """Whether values of this range are interpolated as logarithms, by figures and pages alike.

    >>> spans_decades(0.1, 3.0), spans_decades(0.1, 1.0), spans_decades(-1.0, 100.0)
    (True, False, False)
    """
    return bool(low > 0 and high / low > LOG_RATIO)


def interpolate_grid(values: FloatArray, alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """The monotone cubic at every pair of fractional indices, first along beta, then along alpha.

    A grid square that touches a hole (a value that is not finite) has no cubic: there the surface is bilinear, the hole
    taking its nearest neighbor's value, and the slopes of the squares beside it are one-sided.

    >>> interpolate_grid(np.array([[0.0, 1.0, 4.0], [1.0, 2.0, 5.0]]), np.array([0.0, 0.5]), np.array([0.5, 1.0])).tolist()
    [[0.4375, 1.0], [0.9375, 1.5]]

    Args:
        values: (na, nb). alpha, beta: indices between 0 and na - 1, nb - 1, of any lengths.
    """
    holes = ~np.isfinite(values)
    across, across_holes = _interpolate_last_axis(fill_nearest(values, holes), holes, beta)
    along, _ = _interpolate_last_axis(across.T, across_holes.T, alpha)
    return along.T


def _interpolate_last_axis(values: FloatArray, holes: BoolArray, positions: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Each row at the positions, and where a hole stands at either end of the interval that was used."""
    count = values.shape[-1]
    if count == 1:
        return np.repeat(values, len(positions), axis=-1), np.repeat(holes, len(positions), axis=-1)
    cell = np.clip(np.floor(positions).astype(int), 0, count - 2)
    t = positions - cell
    derivatives = _limited_slopes(values, holes)
    low, high = values[:, cell], values[:, cell + 1]
    broken = (holes[:, cell] & (t < 1)) | (holes[:, cell + 1] & (t > 0))
    cubic = low * (2 * t**3 - 3 * t**2 + 1) + high * (3 * t**2 - 2 * t**3)
    cubic += derivatives[:, cell] * (t**3 - 2 * t**2 + t) + derivatives[:, cell + 1] * (t**3 - t**2)
    return np.where(broken, low * (1 - t) + high * t, cubic), broken


def _limited_slopes(values: FloatArray, holes: BoolArray) -> FloatArray:
    """Harmonic mean of the differences to both sides, zero at an extremum; one-sided at an end and beside a hole."""
    secants = np.where(holes[:, 1:] | holes[:, :-1], np.nan, np.diff(values, axis=-1))
    rim = np.full((len(values), 1), np.nan)
    before, after = np.hstack([rim, secants]), np.hstack([secants, rim])
    with np.errstate(invalid="ignore", divide="ignore"):
        harmonic = np.where(before * after > 0, 2 * before * after / (before + after), 0.0)
    one_sided = np.where(np.isnan(before), after, before)
    return np.nan_to_num(np.where(np.isnan(before) | np.isnan(after), one_sided, harmonic))
