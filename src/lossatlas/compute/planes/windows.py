"""Windows of planes: the bounds that show what a plane is made of, where none are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.compute.params.arithmetic import norm

Window = tuple[tuple[float, float], ...]

UNIT = (-1.0, 1.0)
"""Around a model: a step of 1 is as long as the weights themselves (Li et al. 2018)."""
BETWEEN = (-0.25, 1.25)
"""From a model at 0 to another at 1, with a quarter of the way beyond each."""


def window_around(points: NDArray[np.float64], margin: float = 0.2, flattest: float = 0.7) -> Window:
    """Bounds that hold points with a margin on every side, rounded outwards to round numbers.

    Args:
        points: coordinates, ``(points, ndim)``; rows that are not finite are passed over.
        margin: on each side, as a share of the side.
        flattest: the narrower side is at least this share of the wider one.

    >>> window_around(np.array([[-8.31, 0.0], [0.0, 3.0]]))
    ((-10.0, 1.7), (-2.6, 5.6))
    """
    finite = points[np.isfinite(points).all(1)]
    if not len(finite):
        return (UNIT,) * points.shape[1]
    spans = [(float(axis.min()), float(axis.max())) for axis in finite.T]
    widest = max(high - low for low, high in spans) or 1.0
    return tuple(_rounded((low + high) / 2, (0.5 + margin) * max(high - low, flattest * widest)) for low, high in spans)


def window_of_weights(params: Mapping[str, Tensor], weights: Sequence[tuple[str, tuple[int, ...]]]) -> Window:
    """Bounds around the values of single weights: as far as twice the value and three root mean squares of its tensor reach.

    >>> import torch
    >>> window_of_weights({"w": torch.tensor([4.0, 0.0])}, [("w", (0,)), ("w", (1,))])
    ((-4.5, 12.5), (-8.5, 8.5))
    """
    windows = []
    for name, index in weights:
        value, spread = float(params[name][index].detach()), float(params[name].detach().double().square().mean().sqrt())
        reach = max(2 * abs(value), 3 * spread)
        reach = _ceiling(reach) if math.isfinite(reach) and reach > 0 else 1.0
        windows.append((value - reach, value + reach) if math.isfinite(value) else UNIT)
    return tuple(windows)


def window_of_random(normalize: str, center: Mapping[str, Tensor], directions: Sequence[Mapping[str, Tensor]]) -> Window | None:
    """Bounds for random directions: of normalized ones a step of 1; of others as far, in the norm of the weights that move."""
    if normalize != "none":
        return None
    lengths = [(norm({n: center[n] for n in direction}), norm(direction)) for direction in directions]
    reaches = [_ceiling(weights / step) if weights > 0 and step > 0 else 1.0 for weights, step in lengths]
    return tuple((-reach, reach) for reach in reaches)


def bounds_or_window(bounds: Any, plane: Any) -> Any:
    """The bounds that were given, or the plane's own window where none were."""
    return plane.window if bounds is None else bounds


def _rounded(middle: float, half: float) -> tuple[float, float]:
    quantum = _quantum(2 * half)
    low, high = math.floor((middle - half) / quantum + 1e-9), math.ceil((middle + half) / quantum - 1e-9)
    return float(f"{low * quantum:.12g}"), float(f"{high * quantum:.12g}")


def _ceiling(value: float) -> float:
    quantum = _quantum(2 * value)
    return float(f"{math.ceil(value / quantum - 1e-9) * quantum:.12g}")


def _quantum(width: float) -> float:
    """A power of ten between a twentieth of a width and a two-hundredth."""
    return 10.0 ** (math.floor(math.log10(width / 2)) - 1)
