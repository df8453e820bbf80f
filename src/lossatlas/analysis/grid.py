"""Grid of coordinates and their order, coarse first; it knows cells and tiles, not tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas.errors import InputError

Bounds = tuple[float, float] | Sequence[Sequence[float]]
MAX_CELLS = 2**26
ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Of the larger bound: how far rounding moves a coordinate (1.6 epsilons measured at 9,021 whole numbers on axes between tenths)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Axes of a surface, endpoints included.

    Attributes:
        axes: ``(alpha,)`` and ``(beta,)`` coordinates; one axis for a line.

    Example:
        >>> grid = Grid.make((-1, 1), (5, 3), ndim=2)
        >>> grid.shape, grid.points([7]).tolist()
        ((5, 3), [[0.0, 0.0]])
    """

    axes: tuple[NDArray[np.float64], ...]

    @classmethod
    def make(cls, bounds: Bounds, resolution: int | Sequence[int], ndim: int) -> Grid:
        """Equally spaced axes from ``(-1, 1)`` or ``((a0, a1), (b0, b1))`` and ``51`` or ``(na, nb)``.

        Raises:
            InputError: bounds reversed, equal, not finite or too close; fewer than two points an axis; too many cells.
        """
        intervals = _bounds(bounds, ndim)
        counts = _resolution(resolution, ndim)
        return cls(tuple(_axis(low, high, count) for (low, high), count in zip(intervals, counts, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis) for axis in self.axes)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def bounds(self) -> list[list[float]]:
        return [[float(axis[0]), float(axis[-1])] for axis in self.axes]

    def points(self, cells: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Coordinates of cells given by flat C-order index, shape ``(n, ndim)``."""
        where = np.unravel_index(np.asarray(cells, dtype=np.int64), self.shape)
        return np.stack([axis[i] for axis, i in zip(self.axes, where, strict=True)], axis=-1)

    def cell_at(self, coordinates: Sequence[float]) -> int | None:
        """The flat C-order index of the cell at exactly these coordinates, or None between cells.

        >>> Grid.make((-1, 1), (5, 3), ndim=2).cell_at((0.0, 0.0)), Grid.make((-1, 1), 4, ndim=1).cell_at((0.0,))
        (7, None)
        """
        matches = [np.flatnonzero(axis == value) for axis, value in zip(self.axes, coordinates, strict=True)]
        return int(np.ravel_multi_index([int(f[0]) for f in matches], self.shape)) if all(len(f) for f in matches) else None

    def levels(self, coarsest: int = 8) -> list[NDArray[np.int64]]:
        """Nested levels of cells, strides `coarsest`, …, 4, 2, 1: each holds what its stride adds, and together all cells.

        The last row and column belong to the coarsest level, so every level spans the whole grid.
        """
        seen, levels, stride = np.zeros(self.shape, bool), [], coarsest
        while stride >= 1:
            covered = np.zeros(self.shape, bool)
            covered[np.ix_(*(np.unique([*range(0, n, stride), n - 1]) for n in self.shape))] = True
            levels.append(np.flatnonzero(covered & ~seen))
            seen |= covered
            stride //= 2
        return levels

    def order(self) -> NDArray[np.int64]:
        """All cells, coarse level first: a picture of the whole stands early."""
        return np.concatenate(self.levels())


def tiles(cells: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Cut cells into tiles of at most `size`, in order.

    >>> [t.tolist() for t in tiles(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    for start in range(0, len(cells), size):
        yield cells[start : start + size]


def _axis(low: float, high: float, count: int) -> NDArray[np.float64]:
    """Equally spaced, ends included; a coordinate that is a whole number up to rounding is that number.

    Models stand at whole numbers: a plane's own at 0, those that it runs through at 0 and 1. A cell there must be the model itself.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        axis = np.linspace(low, high, count)
        axis = (axis - axis[::-1]) / 2 if low == -high else axis
        inside, whole = axis[1:-1], np.rint(axis[1:-1])
    # Bounds such as -0.3 and 0.7 are themselves rounded, the difference, the step and the sum once more each.
    near = np.abs(inside - whole) <= ROUNDING * max(abs(low), abs(high))
    axis[1:-1] = np.where(near, whole + 0.0, inside)  # + 0.0 takes the sign from -0.0
    if not (np.diff(axis) > 0).all():
        raise InputError("bounds", (low, high), f"an interval that {count} different numbers fit in", "Take a wider one, or fewer points")
    return axis


def _bounds(bounds: Any, ndim: int) -> list[tuple[float, float]]:
    example = "(-1, 1) for every axis" + (" or ((a0, a1), (b0, b1))" if ndim == 2 else "")
    try:
        array = np.asarray(bounds, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("bounds", bounds, example) from error
    if array.shape == (2,):
        array = np.tile(array, (ndim, 1))
    if array.shape != (ndim, 2) or not np.isfinite(array).all():
        raise InputError("bounds", bounds, f"{example}, finite numbers")
    if (array[:, 0] >= array[:, 1]).any():
        raise InputError("bounds", bounds, "the lower bound before the upper one", "Swap them, or widen an empty range")
    return [(float(low), float(high)) for low, high in array]


def _resolution(resolution: Any, ndim: int) -> tuple[int, ...]:
    counts = tuple(resolution) if isinstance(resolution, Sequence | np.ndarray) else (resolution,) * ndim
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in counts)
    if len(counts) != ndim or not whole or min(counts) < 2:
        raise InputError("resolution", resolution, f"an integer of at least 2{' or a pair of them' if ndim == 2 else ''}", "51 is usual")
    if math.prod(int(n) for n in counts) > MAX_CELLS:
        raise InputError("resolution", resolution, f"at most {MAX_CELLS:,} cells")
    return tuple(int(n) for n in counts)
