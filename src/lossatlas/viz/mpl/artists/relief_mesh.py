"""Relief mesh: a height field as colored, hill-shaded triangles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.colors import Colormap, LightSource, Normalize
from numpy.typing import NDArray

from lossatlas._util.arrays import fill_nearest
from lossatlas.viz.scene.cell_masks import CellMasks
from lossatlas.viz.scene.interpolation import interpolate_grid
from lossatlas.viz.scene.model import BoolArray, ColorScale, FloatArray
from lossatlas.viz.scene.value_ranges import heights_of

MESH_LINES_STILL = 260
"""Mesh lines a side of a still figure: with smoothed normals a 40 x 40 grid then shows no facets in print, nor
matplotlib's blur of half a pixel round every triangle on a steep slope."""
MESH_LINES_ANIMATED = 90
"""The same where every frame is drawn anew."""
MESH_LINES_MAX = 400


@dataclass(frozen=True)
class ReliefMesh:
    """A refined height field.

    Attributes:
        x: (n,). y: (m,). height: (n, m), finite everywhere. solid: (n, m), False inside holes.
        faces: (n - 1, m - 1), whether a mesh square lies in the square of a cell that can be drawn.
        slope: d height / dx and d height / dy, (2, n, m), interpolated between cells for smooth shading.
    """

    x: FloatArray
    y: FloatArray
    height: FloatArray
    solid: BoolArray
    faces: BoolArray
    slope: FloatArray


def build_relief_mesh(
    x: FloatArray, y: FloatArray, cells: CellMasks, color: ColorScale, fine: int = MESH_LINES_STILL, logarithmic: bool = False
) -> ReliefMesh:
    """Heights on a mesh of about `fine` lines a side that holds every node of the grid (unless it has over 400 a side).

    Between the nodes they are the monotone cubic that the browser draws, of the values or, with `logarithmic`, of their
    logarithms.
    """
    holes = cells.holes
    # Holes take their neighbors' heights, so that slopes beside them stay finite; they are never drawn.
    heights = fill_nearest(heights_of(cells.values, color), holes)
    slope = np.stack([np.gradient(heights, x, axis=0), np.gradient(heights, y, axis=1)])
    at_x, at_y = _mesh_positions(len(x), fine), _mesh_positions(len(y), fine)
    xs, ys = np.interp(at_x, np.arange(len(x)), x), np.interp(at_y, np.arange(len(y)), y)
    to_x, to_y = _weights(x, xs), _weights(y, ys)
    solid = ~holes[np.ix_(_nearest(x, xs), _nearest(y, ys))]
    faces = ~holes[np.ix_(_nearest(x, (xs[1:] + xs[:-1]) / 2), _nearest(y, (ys[1:] + ys[:-1]) / 2))]
    values = interpolate_grid(np.log(cells.values) if logarithmic else cells.values, at_x, at_y)
    fine_heights = heights_of(np.exp(values) if logarithmic else values, color)
    return ReliefMesh(xs, ys, np.nan_to_num(fine_heights), solid, faces, to_x @ slope @ to_y.T)


def level_below(relief: ReliefMesh, bottom: float) -> ReliefMesh:
    """The mesh with level ground where it would lie below `bottom`, as a map fills what is below its lowest color."""
    above = relief.height > bottom
    return replace(relief, height=np.where(above, relief.height, bottom), slope=np.where(above, relief.slope, 0.0))


def triangles(relief: ReliefMesh, top: float) -> tuple[FloatArray, NDArray[np.int64]]:
    """The solid mesh below `top` as triangles, cut along that level.

    Returns:
        corners ``(k, 3)`` and the indices of three of them for each triangle, ``(t, 3)``.
    """
    i, j = np.nonzero(relief.faces)
    width = len(relief.y)
    a, b, c, d = i * width + j, (i + 1) * width + j, (i + 1) * width + j + 1, i * width + j + 1
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    grid = np.stack([*np.meshgrid(relief.x, relief.y, indexing="ij"), relief.height], axis=-1).reshape(-1, 3)
    heights = grid[faces, 2]
    inside = (heights <= top).all(axis=1)
    crossing = ~inside & (heights < top).any(axis=1)
    rim = [part for face in faces[crossing] for part in _cut(grid[face], top)]
    if not rim:
        return grid, faces[inside]
    return np.concatenate([grid, *rim]), np.concatenate([faces[inside], len(grid) + np.arange(3 * len(rim)).reshape(-1, 3)])


def shaded(rgb: FloatArray, slope: FloatArray, light: tuple[float, float], strength: float = 0.55) -> FloatArray:
    """Colors under a light; level ground keeps its exact color, so the color bar stays true.

    Args:
        rgb: (k, 3) in [0, 1].
        slope: gradient of the height, (2, k), in units where the plotted box is one wide and as high as drawn.
        light: azimuth and altitude of the light in degrees.
    """
    azimuth, altitude = np.radians(light)
    toward = np.array([np.cos(azimuth) * np.cos(altitude), np.sin(azimuth) * np.cos(altitude), np.sin(altitude)])
    normal = np.stack([-slope[0], -slope[1], np.ones_like(slope[0])])
    normal /= np.linalg.norm(normal, axis=0)
    intensity = np.clip(0.5 + strength * (np.tensordot(toward, normal, 1) - toward[2]), 0.12, 1)
    return np.clip(LightSource().blend_soft_light(rgb, intensity[:, None]), 0, 1)


def face_colors(heights: FloatArray, color: ColorScale, norm: Normalize, cmap: Colormap) -> FloatArray:
    """Unshaded colors of faces at these heights, (k, 3)."""
    values = heights if color.scale == "linear" else 10.0**heights
    return np.asarray(cmap(norm(values)))[..., :3]


def sample(relief: ReliefMesh, field: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """A field of the mesh at any points inside it, bilinear."""
    from scipy.ndimage import map_coordinates

    i = np.interp(x, relief.x, np.arange(len(relief.x)))
    j = np.interp(y, relief.y, np.arange(len(relief.y)))
    return map_coordinates(field, [i, j], order=1, mode="nearest")


def _cut(face: FloatArray, top: float) -> list[FloatArray]:
    """Part of the face below the level, as a fan of triangles (Sutherland and Hodgman's clipping)."""
    polygon: list[FloatArray] = []
    for here, after in zip(face, np.roll(face, -1, axis=0), strict=True):
        if here[2] <= top:
            polygon.append(here)
        if (here[2] <= top) != (after[2] <= top):
            polygon.append(here + (after - here) * (top - here[2]) / (after[2] - here[2]))
    return [np.array([polygon[0], polygon[k], polygon[k + 1]]) for k in range(1, len(polygon) - 1)]


def _mesh_positions(count: int, fine: int) -> FloatArray:
    """Fractional indices of the nodes and of equally many points between each pair; a grid too fine to draw is thinned."""
    if count > MESH_LINES_MAX:
        return np.linspace(0, count - 1, MESH_LINES_MAX)
    # An even number of parts puts a mesh line on the edge of every cell's own square, where holes end.
    parts = max(2, 2 * round(fine / (count - 1) / 2)) if count <= MESH_LINES_MAX // 2 else 1
    return np.arange(parts * (count - 1) + 1) / parts


def _weights(nodes: FloatArray, points: FloatArray) -> FloatArray:
    """Linear interpolation as a matrix, (points, nodes)."""
    return np.stack([np.interp(points, nodes, row) for row in np.eye(len(nodes))], axis=1)


def _nearest(nodes: FloatArray, points: FloatArray) -> np.ndarray:
    return np.argmin(np.abs(points[:, None] - nodes[None, :]), axis=1)
