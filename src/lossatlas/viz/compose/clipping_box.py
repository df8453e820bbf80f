"""Outline of the box of allowed inputs on a plane in input space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from lossatlas.analysis.polygons import cut_by_half_plane, polygon_area
from lossatlas.viz.scene.model import FloatArray, Outline

LEAST_SHARE = 1e-6
"""Of the plane that is drawn; a smaller box is a point."""


def box_outlines(surfaces: Sequence[xr.Dataset]) -> tuple[Outline, ...]:
    """The box inside which no entry of the input leaves its range, cut to the plane that is drawn.

    Nothing is drawn where the box is a point, as it is of pictures with black pixels, where it holds the whole plane, and where surfaces
    of several boxes share a figure.
    """
    boxes = [(polygon, dataset) for dataset in surfaces if (polygon := _polygon(dataset.attrs.get("plane"))) is not None]
    if not boxes or len(boxes) < len(surfaces) or any(not np.array_equal(boxes[0][0], other) for other, _ in boxes):
        return ()
    polygon, dataset = boxes[0]
    if "beta" not in dataset.coords:
        return ()
    low, high = (np.array([float(f(dataset[axis])) for axis in ("alpha", "beta")]) for f in (np.min, np.max))
    inside = _within(polygon, low, high)
    share = polygon_area(inside) / float(np.prod(high - low))
    if not LEAST_SHARE < share < 1 - LEAST_SHARE:
        return ()
    box = dataset.attrs["plane"]["box"]
    return (Outline(inside[:, 0], inside[:, 1], f"inputs within [{box[0]:g}, {box[1]:g}]"),)


def _polygon(plane: Any) -> FloatArray | None:
    """Corners of the box; None where the plane has none."""
    corners = plane.get("box_polygon") if isinstance(plane, dict) else None
    try:
        polygon = np.asarray(corners, dtype=np.float64)
        box = np.asarray(plane["box"], dtype=np.float64)
    except (TypeError, ValueError, KeyError, IndexError):
        return None
    fits = polygon.ndim == 2 and polygon.shape[1] == 2 and box.shape == (2,)
    return polygon if fits and np.isfinite(polygon).all() and np.isfinite(box).all() else None


def _within(polygon: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """The part of a convex polygon inside a rectangle."""
    for axis, unit in enumerate(np.eye(2)):
        polygon = cut_by_half_plane(cut_by_half_plane(polygon, unit, float(high[axis])), -unit, -float(low[axis]))
    return polygon
