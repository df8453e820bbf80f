"""Null model for the explained variance of PCA planes: a high-dimensional random walk.

The principal components of a high-dimensional random walk are sinusoids and its projections Lissajous curves
(Antognini and Sohl-Dickstein 2018, arXiv 1806.08805): two components always seem to explain most of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossatlas.errors import InputError

_FLOPS = 2e9
"""Work that simulated walks may take, in multiplications."""


@dataclass(frozen=True)
class RandomWalkNull:
    """A random walk recorded at the same steps, in the limit of many dimensions.

    Attributes:
        ratio: its explained-variance ratios, largest first.
        scores: its principal components over the recorded points, ``(component, points)``, unit norm.
    """

    ratio: tuple[float, ...]
    scores: NDArray[np.float64]

    def correlation(self, scores: NDArray[np.float64]) -> tuple[float, ...]:
        """Absolute correlation of each row of `scores`, ``(component, points)``, with the walk's; NaN where one is constant."""
        return tuple(_correlation(score, null) for score, null in zip(scores, self.scores, strict=False))


def random_walk_null(steps: NDArray[np.int64] | int, centered: bool = False, components: int = 2) -> RandomWalkNull:
    """Result of principal component analysis on a random walk.

    Args:
        steps: the recorded steps, ``(points,)``, equally spaced or not; an integer means so many points at equal distances.
        centered: about the mean of the points; otherwise about the last one.
        components: how many.

    Raises:
        InputError: fewer than two points.

    Example:
        >>> centered, about_end = random_walk_null(1000, centered=True), random_walk_null(1000)
        >>> [round(r, 3) for r in centered.ratio], [round(r, 3) for r in about_end.ratio]
        ([0.608, 0.152], [0.811, 0.09])
    """
    times = np.arange(steps) if isinstance(steps, int) else np.asarray(steps)
    if times.ndim != 1 or len(times) < 2:
        raise InputError("steps", steps if isinstance(steps, int) else f"{times.size} points", "at least two points, in one row")
    times = times.astype(np.float64)
    # E[(x_i - x_n)·(x_k - x_n)] of a walk is proportional to the time that both still have before them.
    gram = times[-1] - np.maximum.outer(times, times)
    if centered:
        gram = gram - gram.mean(0, keepdims=True)
        gram = gram - gram.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(gram)
    total = values.sum()
    ratio = values[::-1][:components] / total if total > 0 else np.full(components, np.nan)
    return RandomWalkNull(tuple(float(r) for r in ratio), vectors[:, ::-1][:, :components].T)


def start_end_null(steps: NDArray[np.int64] | int) -> tuple[float, float]:
    """Shares of a random walk's squared distances from its end on its own start-end plane, in the limit of many dimensions.

    Such a plane is laid through both ends and then along the largest motion off that line, so it shows most of any walk.

    Args:
        steps: the recorded steps, ``(points,)``; an integer means so many points at equal distances.

    Example:
        >>> [round(share, 3) for share in start_end_null(1000)]
        [0.667, 0.202]
    """
    times = np.asarray(np.arange(steps) if isinstance(steps, int) else steps, dtype=np.float64)
    left = times[-1] - times
    if not left[0] > 0:
        return math.nan, math.nan
    # About its end a walk is a walk in the time that is left; off the line through its ends it is a Brownian bridge.
    along = left / math.sqrt(left[0])
    bridge = np.minimum.outer(left, left) - np.outer(along, along)
    return float(along @ along / left.sum()), float(np.linalg.eigvalsh(bridge)[-1] / left.sum())


@dataclass(frozen=True)
class JointRandomWalkNull:
    """Several random walks from one start on the two principal directions of all of them together.

    Attributes:
        ratio: shares of the squared motion of all walks, ``(2,)``.
        shares: of each walk's own squared motion, ``(walks, 2)``.
    """

    ratio: tuple[float, float]
    shares: tuple[tuple[float, float], ...]


def joint_random_walk_null(
    steps: Sequence[NDArray[np.int64] | Sequence[int]], spreads: Sequence[float], dimensions: int, seed: int = 0
) -> JointRandomWalkNull:
    """Null of a plane laid jointly through several runs from one start: its result if they were independent random walks.

    The null of a single walk does not hold here: unrelated walks share no direction, and two axes cannot follow five of them.
    Means over simulated walks, drawn exactly for any number of dimensions from the Wishart distribution of their increments'
    inner products (Bartlett 1933).

    Args:
        steps: of each run, increasing, the common start first.
        spreads: sum of the squared distances of each run's points from the start; the walks get the same.
        dimensions: of the weight space.
        seed: of the walks.

    Example:
        >>> null = joint_random_walk_null([range(15)] * 5, [1.0] * 5, 123)
        >>> [round(share, 2) for share in null.ratio]
        [0.21, 0.18]
    """
    rng = np.random.default_rng(seed)
    paths = [_summed(np.asarray(times, dtype=np.float64)) for times in steps]
    moves = [path.shape[1] for path in paths]
    draws = int(np.clip(_FLOPS / max(sum(moves), 1) ** 3, 1, 64))
    ratio, shares = np.zeros(2), np.zeros((len(paths), 2))
    ends = np.cumsum([0, *(len(path) for path in paths)])
    for _ in range(draws):
        increments = np.split(_increments(rng, sum(moves), dimensions), np.cumsum(moves)[:-1])
        walks = [path @ increment for path, increment in zip(paths, increments, strict=True)]
        walks = [
            sequence * math.sqrt(spread / max(float((sequence**2).sum()), 1e-300)) for sequence, spread in zip(walks, spreads, strict=True)
        ]
        rows = np.concatenate(walks)
        values, vectors = np.linalg.eigh(rows @ rows.T)
        top, scores = values[::-1][:2], vectors[:, ::-1][:, :2] ** 2 * values[::-1][:2]
        ratio += top / values.sum() / draws
        shares += np.stack([scores[a:b].sum(0) / max(s, 1e-300) for a, b, s in zip(ends, ends[1:], spreads, strict=False)]) / draws
    return JointRandomWalkNull((float(ratio[0]), float(ratio[1])), tuple((float(a), float(b)) for a, b in shares))


def _summed(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix that makes the recorded points of unit increments: ``(points, points - 1)``."""
    return np.tri(len(times), len(times) - 1, -1) * np.sqrt(np.diff(times))


def _increments(rng: np.random.Generator, count: int, dimensions: int) -> NDArray[np.float64]:
    """Rows with the inner products of `count` independent normal vectors; a square triangle where there are more dimensions."""
    if dimensions < count:
        return rng.standard_normal((count, dimensions))
    triangle = np.tril(rng.standard_normal((count, count)), -1)
    triangle[np.diag_indices(count)] = np.sqrt(rng.chisquare(dimensions - np.arange(count)))
    return triangle


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
