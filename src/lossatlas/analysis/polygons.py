"""Convex polygons: cutting by a half-plane, and area."""

from __future__ import annotations

import numpy as np

from lossatlas._util.arrays import FloatArray


def cut_by_half_plane(polygon: FloatArray, normal: FloatArray, limit: float) -> FloatArray:
    """The part of a convex polygon ``(corners, 2)`` with ``normal @ point <= limit`` (Sutherland and Hodgman 1974).

    >>> cut_by_half_plane(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]), np.array([1.0, 0.0]), 0.5).tolist()
    [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
    """
    heights = polygon @ normal - limit
    if (heights <= 0).all():
        return polygon
    corners = list[FloatArray]()
    for i, (point, height) in enumerate(zip(polygon, heights, strict=True)):
        after, height_after = polygon[(i + 1) % len(polygon)], heights[(i + 1) % len(polygon)]
        if height <= 0:
            corners.append(point)
        if (height < 0 < height_after) or (height_after < 0 < height):
            corners.append(point + (after - point) * (height / (height - height_after)))
    return np.array(corners).reshape(-1, 2)


def polygon_area(polygon: FloatArray) -> float:
    """Area by the shoelace formula; 0 of fewer than three corners.

    >>> polygon_area(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]))
    2.0
    """
    x, y = polygon.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
