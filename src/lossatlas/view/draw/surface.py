"""The relief: a hill-shaded surface in 3-D with contour lines, its holes on the floor, and paths that never vanish wrongly.

Only the shaded faces are rasterized in PDF and SVG. Lines, paths and marks are laid over them flat, already projected,
because matplotlib sorts whole artists by depth and would hide a path behind the surface it runs on; `sight` tells
which of their parts a ridge really hides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.cm import ScalarMappable
from matplotlib.collections import TriMesh
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.tri import Triangulation
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from lossatlas.view.cells import Cells, cells_of, heights_of, levels_of, limits_of
from lossatlas.view.colors import HOLE, HOLE_EDGE, colormap, norm_of
from lossatlas.view.draw import marks
from lossatlas.view.draw.contour import cell_rectangles, mapped_surface
from lossatlas.view.draw.mesh import FINE, Relief, face_colors, refine, sample, shaded, triangles
from lossatlas.view.draw.pane import Drawn, changes, step_at
from lossatlas.view.draw.sight import Sight, sight_of
from lossatlas.view.draw.style import FAINT, GRID, INK, PANEL
from lossatlas.view.draw.track import Track, add_track, kept_points, path_handle
from lossatlas.view.honesty import is_off_plane, outside_window
from lossatlas.view.scene import FloatArray, Pane, Path, Scene, Surface

BOX_HEIGHT = 0.72
"""Height of the box in units of its longer side."""


def draw(axes: Any, scene: Scene, pane: Pane) -> Drawn:
    """Draw the first surface of the pane as a relief over (alpha, beta); on a log scale the height is the logarithm."""
    surface = mapped_surface(scene, pane)
    turning = scene.timeline is not None and scene.timeline.rotation is not None
    volatile = turning or changes(scene, pane)
    _furnish(axes, scene, pane, surface)
    drawn: list[Artist] = []
    tracks: list[Track] = []

    def redraw(frame: int) -> None:
        for artist in drawn:
            artist.remove()
        if turning and scene.timeline is not None and scene.timeline.rotation is not None:
            axes.view_init(elev=pane.camera.elevation, azim=float(scene.timeline.rotation[frame]))
        drawn[:], tracks[:] = _draw_all(axes, scene, pane, surface, frame, FINE if not volatile else FINE // 2)

    def show(frame: int | None) -> None:
        if volatile and frame is not None:
            redraw(frame)
        for track in tracks:
            track.show(step_at(scene, frame))

    redraw(0)
    color = scene.color_of(pane)
    return Drawn(
        pane,
        axes,
        show,
        moving=[artist for track in tracks for artist in track.moving],
        volatile=volatile,
        mappable=ScalarMappable(norm_of(color, limits_of(scene, pane)), colormap(color.colormap)),
        handles=_handles(scene, pane, surface),
    )


def _handles(scene: Scene, pane: Pane, surface: Surface) -> list[Artist]:
    handles: list[Artist] = [path_handle(scene, scene.path(name)) for name in pane.paths]
    if np.isfinite(surface.minimum(pane.quantity)[2]) and pane.quantity != "accuracy" and not changes(scene, pane):
        handles.append(marks.star_handle())
    return [*handles, *marks.hole_handles(cells_of(surface, scene.color_of(pane), pane.quantity))]


def _furnish(axes: Any, scene: Scene, pane: Pane, surface: Surface) -> None:
    """Box, camera, walls, grid, labels and ticks."""
    low, high = _box(scene, pane)
    beta = _beta(surface)
    axes.computed_zorder = False
    axes.patch.set_visible(False)
    axes.set_xlim(surface.alpha[0], surface.alpha[-1], view_margin=0)
    axes.set_ylim(beta[0], beta[-1], view_margin=0)
    axes.set_zlim(low, high, view_margin=0)
    axes.set_box_aspect((*_footprint(surface), BOX_HEIGHT), zoom=pane.camera.zoom)
    axes.set_proj_type("persp", focal_length=1.6)
    axes.view_init(elev=pane.camera.elevation, azim=pane.camera.azimuth)
    _furnish_axis(axes, pane, surface, scene)


def _furnish_axis(axes: Any, pane: Pane, surface: Surface, scene: Scene) -> None:
    color = scene.color_of(pane)
    label = surface.fields[pane.quantity].label if pane.quantity in surface.fields else pane.quantity
    axes.set_xlabel(pane.x_label or surface.alpha_label, labelpad=1)
    axes.set_ylabel(pane.y_label or surface.beta_label, labelpad=1)
    axes.set_zlabel(f"{label}, log scale" if color.scale == "log" else label, labelpad=2)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_ticks(inner_ticks(*axis.get_view_interval()))
        axis.set_pane_color(PANEL)
        axis.line.set(color=FAINT, linewidth=0.6)
        axis._axinfo["grid"].update(color=GRID, linewidth=0.5)
        axis._axinfo["tick"].update(color=INK, inward_factor=0.0, outward_factor=0.25)
    axes.tick_params(pad=0)
    axes.zaxis.set_tick_params(pad=2)
    if color.scale == "log":
        _log_ticks(axes, limits_of(scene, pane))


def inner_ticks(low: float, high: float) -> FloatArray:
    """Round values that keep clear of the ends, where the labels of two axes would meet.

    >>> inner_ticks(-1.0, 1.0)
    array([-0.5,  0. ,  0.5])
    """
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inside = ticks[(ticks >= low) & (ticks <= high)]
    clear = inside[(inside - low > 0.04 * (high - low)) & (high - inside > 0.04 * (high - low))]
    return clear if len(clear) >= 2 else inside


def _log_ticks(axes: Any, limits: tuple[float, float]) -> None:
    """Ticks at round losses, although the axis counts in decades."""
    ticks = log_ticks(limits)
    axes.zaxis.set_ticks(np.log10(ticks))
    axes.zaxis.set_major_formatter(FuncFormatter(lambda height, _: f"{10**height:.4g}"))


def log_ticks(limits: tuple[float, float], most: int = 8) -> FloatArray:
    """Round numbers from low to high, about evenly spaced in their logarithm.

    >>> log_ticks((0.1, 10.0))
    array([ 0.1,  0.2,  0.5,  1. ,  2. ,  5. , 10. ])
    """
    low, high = limits
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for digits in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = np.unique([float(f"{d * k:.6g}") for d in decades for k in digits])
        ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        if 2 <= len(ticks) <= most:
            return ticks
    if len(ticks) > most:
        return ticks[:: int(np.ceil(len(ticks) / most))]
    return np.geomspace(low, high, 4)


def _box(scene: Scene, pane: Pane) -> tuple[float, float]:
    """Heights of floor and lid: the limits with a little room, so that the floor shows what holes it holds."""
    low, high = (float(height) for height in heights_of(np.array(limits_of(scene, pane)), scene.color_of(pane)))
    return low - 0.04 * (high - low), high + 0.02 * (high - low)


def _footprint(surface: Surface) -> tuple[float, float]:
    """Sides of the box: true to the data where they are alike, square where one is over twice the other."""
    width, depth = float(np.ptp(surface.alpha)), float(np.ptp(_beta(surface)))
    if not 0.5 <= width / depth <= 2:
        return 1.0, 1.0
    return width / max(width, depth), depth / max(width, depth)


def _draw_all(axes: Any, scene: Scene, pane: Pane, surface: Surface, frame: int, fine: int) -> tuple[list[Artist], list[Track]]:
    color, sight = scene.color_of(pane), sight_of(axes)
    cells = cells_of(surface, color, pane.quantity, frame)
    relief = refine(surface.alpha, _beta(surface), cells, color, fine)
    artists = [
        *_floor(axes, surface, cells, sight),
        *_faces(axes, scene, pane, relief, sight),
        *_isolines(axes, scene, pane, relief, sight),
    ]
    artists += _star(axes, surface, pane, color, relief, sight, frame)
    tracks = [_add_path(axes, scene, surface, relief, sight, pane, scene.path(name)) for name in pane.paths]
    return [*artists, *(artist for track in tracks for artist in (*track.moving, track.start))], tracks


class _Faces(TriMesh):
    """Triangles already projected and sorted from far to near, colors blending between their corners."""

    def do_3d_projection(self) -> float:
        """3-D axes ask this of every collection."""
        return 0.0


def _faces(axes: Any, scene: Scene, pane: Pane, relief: Relief, sight: Sight) -> list[Artist]:
    color, limits = scene.color_of(pane), limits_of(scene, pane)
    bottom, top = heights_of(np.array(limits), color)
    corners, faces = triangles(relief, float(top), float(bottom))
    if not len(faces):
        return []
    x, y, depth = sight.place(*corners.T)
    far_to_near = np.argsort(-depth[faces].mean(axis=1), kind="stable")
    mesh = _Faces(Triangulation(x, y, faces[far_to_near]), facecolors=_colors(scene, pane, relief, corners, axes.azim), zorder=2)
    mesh.set_transform(axes.transData)
    mesh.set_rasterized(True)
    axes.add_artist(mesh)
    return [mesh]


def _colors(scene: Scene, pane: Pane, relief: Relief, corners: FloatArray, azimuth: float) -> FloatArray:
    """Hill-shaded color of each corner, (k, 3); the light stands to the left of the camera and turns with it."""
    color, limits = scene.color_of(pane), limits_of(scene, pane)
    bottom, top = heights_of(np.array(limits), color)
    slope = np.stack([sample(relief, part, corners[:, 0], corners[:, 1]) for part in relief.slope])
    slope *= (BOX_HEIGHT / (top - bottom)) * np.array([[np.ptp(relief.x)], [np.ptp(relief.y)]])
    rgb = face_colors(corners[:, 2], color, norm_of(color, limits), colormap(color.colormap))
    return shaded(rgb, slope, light=(azimuth - 55.0, 50.0))


def _floor(axes: Any, surface: Surface, cells: Cells, sight: Sight) -> list[Artist]:
    """The holes, cell by cell, as hatched squares on the floor of the box."""
    artists: list[Artist] = []
    for kind, hatch in marks.HATCHES.items():
        flat = cell_rectangles(surface.alpha, _beta(surface), getattr(cells, kind))
        if len(flat):
            corners = np.concatenate([flat, np.full((*flat.shape[:2], 1), sight.low)], axis=-1)
            squares = Poly3DCollection(corners, facecolors=HOLE, edgecolors=HOLE_EDGE, linewidths=0.2, hatch=hatch, zorder=1)
            axes.add_collection3d(squares, autolim=False)
            artists.append(squares)
    return artists


def _isolines(axes: Any, scene: Scene, pane: Pane, relief: Relief, sight: Sight) -> list[Artist]:
    """Contour lines on the relief, at the levels of the map, only where the camera sees them; and the surface's rim."""
    from contourpy import contour_generator

    color, limits = scene.color_of(pane), limits_of(scene, pane)
    heights = np.ma.masked_array(relief.height, ~relief.solid)
    lines = contour_generator(relief.x, relief.y, heights.T)
    points: list[FloatArray] = []
    for level in heights_of(levels_of(color, limits), color)[1:-1]:
        for line in lines.lines(float(level)):
            assert isinstance(line, np.ndarray)
            points += [np.column_stack([line, np.full(len(line), level)]), np.full((1, 3), np.nan)]
    isolines = _seen_line(axes, relief, sight, points, alpha=0.42, linewidth=0.4)
    return [*isolines, *_seen_line(axes, relief, sight, _rim(relief, sight), alpha=0.65, linewidth=0.6)]


def _rim(relief: Relief, sight: Sight) -> list[FloatArray]:
    """The four edges of the surface, NaN where it has holes or leaves the box."""
    last = (len(relief.x) - 1, len(relief.y) - 1)
    edges = [(slice(None), 0), (slice(None), last[1]), (0, slice(None)), (last[0], slice(None))]
    grid = np.stack([*np.meshgrid(relief.x, relief.y, indexing="ij"), relief.height], axis=-1)
    usable = relief.solid & (relief.height <= sight.high) & (relief.height >= sight.low)
    grid[~usable] = np.nan
    return [part for edge in edges for part in (grid[edge], np.full((1, 3), np.nan))]


def _seen_line(axes: Any, relief: Relief, sight: Sight, points: list[FloatArray], **style: Any) -> list[Artist]:
    if not points:
        return []
    x, y, z = np.concatenate(points).T
    u, v = sight.project(x, y, z)
    v = np.where(sight.hidden(relief, x, y, z, lift=0.004), np.nan, v)
    line = Line2D(u, v, color="black", transform=axes.transData, zorder=3, solid_capstyle="butt", **style)
    axes.add_artist(line)
    return [line]


def _star(axes: Any, surface: Surface, pane: Pane, color: Any, relief: Relief, sight: Sight, frame: int) -> list[Artist]:
    alpha, beta, value = surface.minimum(pane.quantity, frame)
    if not np.isfinite(value) or pane.quantity == "accuracy" or surface.fields[pane.quantity].values.ndim == 3:
        return []
    x, y, z = (np.array([part]) for part in (alpha, beta, float(heights_of(np.array(value), color))))
    if not np.isfinite(z).all():
        return []
    (u,), (v,) = sight.project(x, y, z)
    star = marks.star(u, v, transform=axes.transData, alpha=0.45 if sight.hidden(relief, x, y, z)[0] else 1.0)
    axes.add_artist(star)
    return [star]


def _add_path(axes: Any, scene: Scene, surface: Surface, relief: Relief, sight: Sight, pane: Pane, path: Path) -> Track:
    kept = kept_points(scene, path)
    x, y = path.alpha[kept], path.beta[kept]
    z = path_heights(path, relief, scene.color_of(pane), pane.quantity)[kept]
    away = outside_window(path, surface)[kept] | ~(z <= sight.high) | ~(z >= sight.low)
    hidden = sight.hidden(relief, x, y, np.where(away, np.nan, z)) & ~away
    u, v = sight.project(x, y, z)
    return add_track(axes, scene, path, np.where(away, np.nan, u), np.where(away, np.nan, v), hidden, kept)


def path_heights(path: Path, relief: Relief, color: Any, quantity: str) -> FloatArray:
    """Where a path runs: at its own loss on the plane, and on the surface itself when it was projected from off the plane."""
    own = path.plane_loss if is_off_plane(path) else path.loss
    if quantity != "loss" or own is None:
        return sample(relief, relief.height, path.alpha, path.beta)
    heights = heights_of(own, color)
    return np.where(np.isfinite(heights), heights, sample(relief, relief.height, path.alpha, path.beta))


def _beta(surface: Surface) -> FloatArray:
    assert surface.beta is not None
    return surface.beta
