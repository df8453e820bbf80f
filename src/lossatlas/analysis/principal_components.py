"""Coordinates of points on the plane of their first two principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def principal_coordinates(points: Array, reference: int = -1) -> tuple[Array, Array]:
    """Coordinates on the plane through one of the points, and the share of the motion that each axis shows.

    The matrix holds theta_i - theta_reference (Li et al. 2018, section 7.2), as for `la.pca_plane`, whose coordinates these are where
    all weights are given. Points that do not span a plane have zeros in the second column; one with a NaN has NaN coordinates.

    Args:
        points: ``(n, entries)``.
        reference: the point at the origin; -1 is the last.

    Returns:
        Coordinates ``(n, 2)`` and shares ``(2,)``, NaN for points that stand still.

    >>> coordinates, shares = principal_coordinates(np.array([[-4.0, 0.0], [-2.0, 0.5], [0.0, 0.0]]))
    >>> coordinates.round(2).tolist()[0], round(float(shares.sum()), 6)
    ([-3.99, -0.2], 1.0)
    """
    coordinates = np.full((len(points), 2), np.nan)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    rows = np.flatnonzero(finite)
    if not len(rows):
        return coordinates, np.full(2, np.nan)
    center = points[reference] if finite[reference] else points[rows[-1]]
    offsets = points[rows] - center
    gram = offsets @ offsets.T
    values, vectors = np.linalg.eigh(gram)
    values, vectors = np.maximum(values[::-1][:2], 0.0), vectors[:, ::-1][:, :2]
    scores = np.zeros((len(rows), 2))
    scores[:, : len(values)] = vectors * np.sqrt(values)
    for axis in range(2):  # the path runs toward larger coordinates, as on the planes of la.pca_plane
        way = scores[-1, axis] - scores[0, axis]
        largest = np.abs(scores[:, axis]).max()
        decisive = way if abs(way) > 1e-6 * largest else scores[np.argmax(np.abs(scores[:, axis])), axis]
        scores[:, axis] *= 1.0 if decisive >= 0 else -1.0
    coordinates[rows] = scores
    total, shares = float(np.trace(gram)), np.zeros(2)
    shares[: len(values)] = values
    return coordinates, shares / total if total > 0 else np.full(2, np.nan)
