"""Camera of a relief: a direction from which its deepest and its highest point are seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import map_coordinates

from lossatlas._util.arrays import fill_nearest
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.model import Camera, ColorScale, FloatArray, PathData, Surface
from lossatlas.viz.scene.value_ranges import heights_of

HEIGHT = 0.62
"""Height of a relief in units of its longer side, as matplotlib and the page draw it."""
_AZIMUTHS = tuple(quarter + turn for quarter in (-90, 0, 90, 180) for turn in (30, 45, 60))
"""No side is seen head on, where a box looks flat."""
_ELEVATIONS = (30.0, 36.0, 42.0)
_USUAL = -60.0


def choose_camera(surfaces: Sequence[Surface], color: ColorScale, paths: Sequence[PathData] = ()) -> Camera:
    """The flattest and most usual of the directions from which most is seen of all the reliefs: minima, maxima, and paths.

    Args:
        surfaces: planes that are compared, so that one camera shows all of them.
        color: scale and clip of the heights.
        paths: over the planes.
    """
    reliefs = [_unit_heights(surface, color) for surface in surfaces if color.quantity in surface.fields]
    if not reliefs:
        return Camera()
    places = [_places(surface, heights, paths) for surface, heights in zip(surfaces, reliefs, strict=False)]
    scores = {
        (elevation, azimuth): np.mean([_seen(h, p, elevation, azimuth) for h, p in zip(reliefs, places, strict=True)])
        - 0.002 * (elevation - _ELEVATIONS[0])
        - 0.0006 * abs((azimuth - _USUAL + 180) % 360 - 180)
        for elevation in _ELEVATIONS
        for azimuth in _AZIMUTHS
    }
    elevation, azimuth = max(scores, key=lambda view: scores[view])
    return Camera(elevation, float(azimuth))


def _unit_heights(surface: Surface, color: ColorScale) -> FloatArray:
    """Heights between 0 and `HEIGHT`, holes filled, (na, nb)."""
    cells = classify_cells(surface, color, color.quantity)
    heights = heights_of(cells.values, color)
    if not np.isfinite(heights).any():
        return np.zeros(heights.shape)
    heights = fill_nearest(heights, ~np.isfinite(heights))
    highest = min((limit for limit in (color.clip, color.high) if limit is not None), default=None)
    if highest is not None:
        heights = np.minimum(heights, float(heights_of(np.array(highest), color)))
    if color.low is not None:
        heights = np.maximum(heights, float(heights_of(np.array(color.low), color)))
    span = float(np.ptp(heights))
    return HEIGHT * (heights - heights.min()) / span if span else np.zeros(heights.shape)


def _places(surface: Surface, heights: FloatArray, paths: Sequence[PathData]) -> FloatArray:
    """Points of the unit square that should be seen, with weights: the minimum and the paths' points more than the maximum, (n, 3)."""
    scale = np.array(heights.shape) - 1
    low, high = (np.array(np.unravel_index(f(heights), heights.shape)) / scale for f in (np.argmin, np.argmax))
    places = [np.array([[*low, 1.0], [*high, 0.5]])]
    for path in paths:
        if surface.beta is not None and len(path.alpha):
            chosen = np.unique(np.linspace(0, len(path.alpha) - 1, 12).astype(int))
            x = (path.alpha[chosen] - surface.alpha[0]) / np.ptp(surface.alpha)
            y = (path.beta[chosen] - surface.beta[0]) / np.ptp(surface.beta)
            inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
            places.append(np.column_stack([x[inside], y[inside], np.full(int(inside.sum()), 0.8 / (len(chosen) * len(paths)))]))
    return np.concatenate(places)


def _seen(heights: FloatArray, places: FloatArray, elevation: float, azimuth: float) -> float:
    """Weighted mean over the places, looking from far away: 1 where nothing stands before one, less the deeper it is hidden."""
    turn, slope = np.radians(azimuth), np.tan(np.radians(elevation))
    away = np.linspace(0.02, 1.5, 90)[:, None]
    x, y = places[:, 0] + away * np.cos(turn), places[:, 1] + away * np.sin(turn)
    level = _height_at(heights, places[:, 0], places[:, 1]) + away * slope + 0.01
    outside = (x < 0) | (x > 1) | (y < 0) | (y > 1)
    ground = np.where(outside, -1.0, _height_at(heights, np.clip(x, 0, 1), np.clip(y, 0, 1)))
    depth = np.clip((ground - level).max(axis=0), 0, None) / HEIGHT
    return float((places[:, 2] * np.where(depth > 0, 0.7 * (1 - depth), 1.0)).sum() / places[:, 2].sum())


def _height_at(heights: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    rows, columns = heights.shape
    return map_coordinates(heights, [x * (rows - 1), y * (columns - 1)], order=1, mode="nearest")
