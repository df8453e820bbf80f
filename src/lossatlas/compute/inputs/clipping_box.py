"""The part of an input-space plane on which no entry leaves its box: a convex polygon."""

from __future__ import annotations

import numpy as np

from lossatlas._util.arrays import FloatArray
from lossatlas.analysis.polygons import cut_by_half_plane

LARGEST = 1e4
"""Half the side of the square that is cut down: where no entry limits a direction, the polygon ends there."""


def polygon_inside(x: FloatArray, d: FloatArray, e: FloatArray, box: tuple[float, float]) -> FloatArray:
    """Corners ``(corners, 2)``, in order, of the set of (alpha, beta) with ``low <= x + alpha d + beta e <= high`` entry by entry.

    A square is cut by the half-plane of each entry and side; ``x`` lies in the box, so the set holds
    (0, 0). It is a single point, or empty of area, where entries on the border of the box move out of it in every direction.

    >>> polygon_inside(np.array([0.5, 0.25]), np.array([1.0, 0.0]), np.array([0.0, 1.0]), (0.0, 1.0)).round(6).tolist()
    [[0.5, -0.25], [0.5, 0.75], [-0.5, 0.75], [-0.5, -0.25]]
    """
    low, high = box
    rows = np.concatenate([np.stack([d, e], axis=1), np.stack([-d, -e], axis=1)])
    limits = np.concatenate([high - x, x - low])
    moving = np.abs(rows).max(1) > 0
    polygon = LARGEST * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    for normal, limit in zip(rows[moving], limits[moving], strict=True):
        polygon = cut_by_half_plane(polygon, normal, max(float(limit), 0.0))
    return polygon
