"""The null of every "two components explain x %": what a walk without any direction gives.

The principal components of a high-dimensional random walk are sinusoids and its projections Lissajous curves
(Antognini and Sohl-Dickstein 2018, arXiv 1806.08805): two components always seem to explain most of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WalkNull:
    """A random walk recorded at the same steps, in the limit of many dimensions.

    Attributes:
        ratio: its explained-variance ratios, largest first.
        scores: its principal components over the recorded points, ``(component, points)``, unit norm.
    """

    ratio: tuple[float, ...]
    scores: NDArray[np.float64]

    def correlation(self, scores: NDArray[np.float64]) -> tuple[float, ...]:
        """Absolute correlation of each row of `scores`, ``(component, points)``, with the walk's; NaN where one is constant."""
        return tuple(_correlation(mine, null) for mine, null in zip(scores, self.scores, strict=False))


def random_walk_null(steps: NDArray[np.int64] | int, centered: bool = False, components: int = 2) -> WalkNull:
    """What principal component analysis finds in a random walk.

    Args:
        steps: the recorded steps, ``(points,)``, equally spaced or not; an integer means so many points at equal distances.
        centered: about the mean of the points; otherwise about the last one.
        components: how many.

    Example:
        >>> centered, about_end = random_walk_null(1000, centered=True), random_walk_null(1000)
        >>> [round(r, 3) for r in centered.ratio], [round(r, 3) for r in about_end.ratio]
        ([0.608, 0.152], [0.811, 0.09])
    """
    times = np.arange(steps) if isinstance(steps, int) else np.asarray(steps)
    times = times.astype(np.float64)
    # E[(x_i - x_n)·(x_k - x_n)] of a walk is proportional to the time that both still have before them.
    gram = times[-1] - np.maximum.outer(times, times)
    if centered:
        gram = gram - gram.mean(0, keepdims=True)
        gram = gram - gram.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(gram)
    total = values.sum()
    ratio = values[::-1][:components] / total if total > 0 else np.full(components, np.nan)
    return WalkNull(tuple(float(r) for r in ratio), vectors[:, ::-1][:, :components].T)


def expected_cosine(dimensions: int) -> float:
    """Expected absolute cosine between two random directions, ``Gamma(n/2) / (sqrt(pi) Gamma((n+1)/2))``.

    Example:
        >>> round(expected_cosine(10), 4), round(expected_cosine(10_000), 4)
        (0.2587, 0.008)
    """
    half = dimensions / 2
    return math.exp(math.lgamma(half) - math.lgamma(half + 0.5)) / math.sqrt(math.pi)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(abs(np.corrcoef(a, b)[0, 1]))
