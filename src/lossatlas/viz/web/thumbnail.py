"""Thumbnail of a scene's first surface, for the moment before scripts run and for print."""

from __future__ import annotations

import io
import math

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lossatlas.viz.scene.model import Scene, Surface

SIDE = 420


def thumbnail_png(scene: Scene) -> bytes:
    """A hill-shaded color map of the first plane surface, as PNG; one blank pixel where the scene has none."""
    surface = next((s for s in scene.surfaces if not s.is_line and s.fields), None)
    picture = Image.new("RGB", (1, 1), "white") if surface is None else Image.fromarray(_shaded(surface))
    out = io.BytesIO()
    picture.quantize(128).save(out, "PNG", optimize=True)
    return out.getvalue()


def _shaded(surface: Surface) -> NDArray[np.uint8]:
    """Colors by rank-free log or linear share, lit from the north-west; rows run from high beta to low."""
    quantity = next(iter(surface.fields))
    share = _share(np.asarray(surface.frame_values(quantity), float))
    grid = _resize(share, SIDE).T[::-1]
    slope_y, slope_x = np.gradient(np.nan_to_num(grid))
    light: NDArray[np.float64] = np.asarray(np.clip(1 + 9 * (slope_x + slope_y), 0.7, 1.25))
    colors = np.asarray(matplotlib.colormaps["viridis"](np.nan_to_num(grid)))[..., :3]
    lit: NDArray[np.float64] = np.clip(colors * light.reshape(*light.shape, 1), 0, 1)
    lit[~np.isfinite(grid)] = 1.0
    return (lit * 255).astype(np.uint8)


def _share(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.where(np.isfinite(values), values, np.nan)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full(values.shape, np.nan)
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high / low > 20:
        with np.errstate(all="ignore"):
            values, low, high = np.log(values), math.log(low), math.log(high)
    return (values - low) / (high - low) if high > low else np.where(np.isfinite(values), 0.5, np.nan)


def _resize(grid: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Bilinear, to `side` pixels along the longer axis."""
    scale = side / max(grid.shape)
    shape = tuple(max(2, round(n * scale)) for n in grid.shape)
    rows, columns = (np.linspace(0, n - 1, m) for n, m in zip(grid.shape, shape, strict=True))
    i, j = np.minimum(rows.astype(int), grid.shape[0] - 2).clip(0), np.minimum(columns.astype(int), grid.shape[1] - 2).clip(0)
    s, t = (rows - i)[:, None], (columns - j)[None]
    i1, j1 = np.minimum(i + 1, grid.shape[0] - 1), np.minimum(j + 1, grid.shape[1] - 1)
    top = grid[np.ix_(i, j)] * (1 - t) + grid[np.ix_(i, j1)] * t
    return top * (1 - s) + (grid[np.ix_(i1, j)] * (1 - t) + grid[np.ix_(i1, j1)] * t) * s
