"""Relief pane: a hill-shaded surface in 3-D with contour lines, holes on the floor, and paths.

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
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.tri import Triangulation
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from lossatlas.viz.colors import HOLE, HOLE_EDGE, colormap, norm_of
from lossatlas.viz.mpl.artists import markers as marks
from lossatlas.viz.mpl.artists.cell_squares import cell_rectangles
from lossatlas.viz.mpl.artists.occlusion import Projection3D, projection_of
from lossatlas.viz.mpl.artists.path import PathArtist, add_path, add_stems, kept_points, path_handles, stem_handle
from lossatlas.viz.mpl.artists.relief_mesh import (
    MESH_LINES_ANIMATED,
    MESH_LINES_STILL,
    ReliefMesh,
    build_relief_mesh,
    face_colors,
    level_below,
    sample,
    shaded,
    triangles,
)
from lossatlas.viz.mpl.panes.base import PaneArtists, changes, step_at
from lossatlas.viz.mpl.panes.contour import add_arrow, mapped_surface, show_arrows
from lossatlas.viz.mpl.panes.relief_box import BOX_HEIGHT, FLOOR_GAP, draw_box_edges, set_up_box
from lossatlas.viz.mpl.style import Palette
from lossatlas.viz.scene.cell_masks import CellMasks, classify_cells
from lossatlas.viz.scene.footnotes import is_off_plane, outside_window
from lossatlas.viz.scene.model import Arrow, BoolArray, FloatArray, Pane, PathData, Scene, Surface
from lossatlas.viz.scene.value_ranges import heights_of, interpolates_logarithms, levels_of, limits_of

FLOOR_OPACITY = 0.38
FLOOR_LINES = 90
MOST_STEMS = 25
"""Of a path; more would be a hedge."""
DROP: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.6, "linestyle": (0, (2, 2))}
"""The line from a mark down to the floor."""

Drawings = tuple[list[Artist], list[PathArtist], list[Artist]]
"""All that is drawn on the box, and of it the paths and the arrows."""


def draw(axes: Any, scene: Scene, pane: Pane) -> PaneArtists:
    """Draw the first surface of the pane as a relief over (alpha, beta); on a log scale the height is the logarithm."""
    surface = mapped_surface(scene, pane)
    turning = scene.timeline is not None and scene.timeline.rotation is not None
    volatile = turning or changes(scene, pane)
    set_up_box(axes, scene, pane, surface)
    drawn: list[Artist] = []
    tracks: list[PathArtist] = []
    arrows: list[Artist] = []

    def redraw(frame: int) -> None:
        for artist in drawn:
            artist.remove()
        if turning and scene.timeline is not None and scene.timeline.rotation is not None:
            axes.view_init(elev=pane.camera.elevation, azim=float(scene.timeline.rotation[frame]))
        drawn[:], tracks[:], arrows[:] = _draw_all(
            axes, scene, pane, surface, frame, MESH_LINES_ANIMATED if volatile else _mesh_lines(scene)
        )

    def show(frame: int | None) -> None:
        if volatile and frame is not None:
            redraw(frame)
        for track in tracks:
            track.show(step_at(scene, frame))
        show_arrows(scene, arrows, frame)

    redraw(0)
    color = scene.color_of(pane)
    return PaneArtists(
        pane,
        axes,
        show,
        moving=[artist for track in tracks for artist in track.moving] + arrows,
        redraws_every_frame=volatile,
        mappable=ScalarMappable(norm_of(color, limits_of(scene, pane)), colormap(color.colormap)),
        handles=_handles(scene, pane, surface),
        tracks=tracks,
    )


def _mesh_lines(scene: Scene) -> int:
    """A relief that fills the figure needs a finer mesh than one of a gallery."""
    reliefs = sum(pane.kind == "surface" for pane in scene.panes)
    return int(np.clip(MESH_LINES_STILL / np.sqrt(reliefs) * 1.4, MESH_LINES_STILL // 2, MESH_LINES_STILL))


def _handles(scene: Scene, pane: Pane, surface: Surface) -> list[Artist]:
    marked = [] if changes(scene, pane) or not pane.marks else marks.handles_of(marks.marks_of(surface, pane.quantity))
    holes = marks.hole_handles(classify_cells(surface, scene.color_of(pane), pane.quantity))
    stems = [stem_handle(scene, name) for name in pane.paths if has_stems(scene, pane, scene.path(name))][:1]
    return [*path_handles(scene, pane.paths), *stems, *marked, *holes]


def _draw_all(axes: Any, scene: Scene, pane: Pane, surface: Surface, frame: int, fine: int) -> Drawings:
    color, projection = scene.color_of(pane), projection_of(axes)
    cells = classify_cells(surface, color, pane.quantity, frame)
    relief = _relief(scene, pane, surface, cells, fine)
    artists = [
        *draw_box_edges(axes, projection),
        *_floor_map(axes, scene, pane, relief, projection),
        *_floor(axes, surface, cells, projection),
        *_faces(axes, scene, pane, relief, projection),
        *_isolines(axes, scene, pane, relief, projection),
    ]
    artists += _marks(axes, scene, surface, pane, relief, projection)
    tracks = [_add_path(axes, scene, surface, relief, projection, pane, scene.path(name)) for name in pane.paths]
    arrows = [_add_arrow(axes, relief, projection, arrow) for arrow in scene.arrows] if pane.arrows else []
    drawn = [*artists, *(artist for track in tracks for artist in (*track.moving, track.start)), *arrows]
    for artist in drawn:
        artist.set_clip_on(False)  # seen from high above, the box is larger than its axes
    return drawn, tracks, arrows


def _relief(scene: Scene, pane: Pane, surface: Surface, cells: CellMasks, fine: int) -> ReliefMesh:
    """The mesh of a frame, level where the values lie below the scale."""
    color, logarithmic = scene.color_of(pane), interpolates_logarithms(surface, pane.quantity)
    relief = build_relief_mesh(surface.alpha, _beta(surface), cells, color, fine, logarithmic)
    return level_below(relief, _bottom(scene, pane))


def _bottom(scene: Scene, pane: Pane) -> float:
    """Height of the lowest value of the scale."""
    return float(heights_of(np.array(limits_of(scene, pane)[0]), scene.color_of(pane)))


class _Faces(TriMesh):
    """Triangles already projected and sorted from far to near, colors blending between their corners."""

    def do_3d_projection(self) -> float:
        """3-D axes ask this of every collection."""
        return 0.0


def _faces(axes: Any, scene: Scene, pane: Pane, relief: ReliefMesh, projection: Projection3D) -> list[Artist]:
    color, limits = scene.color_of(pane), limits_of(scene, pane)
    corners, faces = triangles(relief, float(heights_of(np.array(limits[1]), color)))
    if not len(faces):
        return []
    x, y, depth = projection.project_with_depth(*corners.T)
    faces = faces[_has_area(x[faces], y[faces])]
    if not len(faces):
        return []
    far_to_near = np.argsort(-depth[faces].mean(axis=1), kind="stable")
    mesh = _Faces(Triangulation(x, y, faces[far_to_near]), facecolors=_colors(scene, pane, relief, corners, axes.azim), zorder=2)
    mesh.set_transform(axes.transData)
    mesh.set_rasterized(True)
    axes.add_artist(mesh)
    return [mesh]


def _has_area(x: FloatArray, y: FloatArray) -> BoolArray:
    """Whether each triangle (t, 3) is more than a sliver on the sheet: matplotlib draws slivers as long spikes."""
    dx, dy = x - np.roll(x, 1, axis=1), y - np.roll(y, 1, axis=1)
    longest = np.hypot(dx, dy).max(axis=1)
    thickness = np.abs(dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]) / np.maximum(longest, 1e-300)
    return thickness > 0.05 * np.median(longest)


def _colors(scene: Scene, pane: Pane, relief: ReliefMesh, corners: FloatArray, azimuth: float) -> FloatArray:
    """Hill-shaded color of each corner, (k, 3); the light stands to the left of the camera and turns with it."""
    color, limits = scene.color_of(pane), limits_of(scene, pane)
    bottom, top = heights_of(np.array(limits), color)
    slope = np.stack([sample(relief, part, corners[:, 0], corners[:, 1]) for part in relief.slope])
    slope *= (BOX_HEIGHT / (1 + FLOOR_GAP) / (top - bottom)) * np.array([[np.ptp(relief.x)], [np.ptp(relief.y)]])
    rgb = face_colors(corners[:, 2], color, norm_of(color, limits), colormap(color.colormap))
    return shaded(rgb, slope, light=(azimuth - 55.0, 50.0))


def _flat(relief: ReliefMesh) -> ReliefMesh:
    """The mesh without its heights, of at most about `FLOOR_LINES` lines a side: on a floor no slope needs more."""
    i, j = (np.unique(np.linspace(0, len(nodes) - 1, FLOOR_LINES).round().astype(int)) for nodes in (relief.x, relief.y))
    solid = relief.solid[np.ix_(i, j)]
    faces = solid[1:, 1:] & solid[1:, :-1] & solid[:-1, 1:] & solid[:-1, :-1]
    return ReliefMesh(relief.x[i], relief.y[j], np.zeros(solid.shape), solid, faces, relief.slope[:, i][:, :, j])


def _floor_map(axes: Any, scene: Scene, pane: Pane, relief: ReliefMesh, projection: Projection3D) -> list[Artist]:
    """The map in pale colors on the floor of the box, with every other contour line."""
    from contourpy import contour_generator

    color, limits = scene.color_of(pane), limits_of(scene, pane)
    bottom, top = (float(height) for height in heights_of(np.array(limits), color))
    corners, faces = triangles(_flat(relief), 1.0)
    if not len(faces):
        return []
    heights = np.clip(sample(relief, relief.height, corners[:, 0], corners[:, 1]), bottom, top)
    x, y = projection.project(corners[:, 0], corners[:, 1], np.full(len(corners), projection.low))
    background = np.array(to_rgb(Palette.current().background))
    rgb = FLOOR_OPACITY * face_colors(heights, color, norm_of(color, limits), colormap(color.colormap)) + (1 - FLOOR_OPACITY) * background
    mesh = _Faces(Triangulation(x, y, faces), facecolors=rgb, zorder=0.5)
    mesh.set_transform(axes.transData)
    mesh.set_rasterized(True)
    axes.add_artist(mesh)
    lines = contour_generator(relief.x, relief.y, np.ma.masked_array(relief.height, ~relief.solid).T)
    points: list[FloatArray] = []
    for level in heights_of(levels_of(color, limits), color)[1:-1:2]:
        points += [part for line in lines.lines(float(level)) for part in (np.asarray(line), np.full((1, 2), np.nan))]
    if not points:
        return [mesh]
    flat_x, flat_y = np.concatenate(points).T
    u, v = projection.project(flat_x, flat_y, np.full(len(flat_x), projection.low))
    isolines = Line2D(u, v, color=Palette.current().ink, transform=axes.transData, zorder=0.6, alpha=0.25, linewidth=0.4)
    axes.add_artist(isolines)
    return [mesh, isolines]


def _floor(axes: Any, surface: Surface, cells: CellMasks, projection: Projection3D) -> list[Artist]:
    """The holes, cell by cell, as hatched squares on the floor of the box."""
    artists: list[Artist] = []
    for kind, hatch in marks.HATCHES.items():
        flat = cell_rectangles(surface.alpha, _beta(surface), getattr(cells, kind))
        if len(flat):
            corners = np.concatenate([flat, np.full((*flat.shape[:2], 1), projection.low)], axis=-1)
            squares = Poly3DCollection(corners, facecolors=HOLE, edgecolors=HOLE_EDGE, linewidths=0.2, hatch=hatch, zorder=1.0)
            axes.add_collection3d(squares, autolim=False)
            artists.append(squares)
    return artists


def _isolines(axes: Any, scene: Scene, pane: Pane, relief: ReliefMesh, projection: Projection3D) -> list[Artist]:
    """Contour lines on the relief, at the levels of the map, only where the camera sees them; and the surface's rim."""
    from contourpy import contour_generator

    color, limits = scene.color_of(pane), limits_of(scene, pane)
    heights = np.ma.masked_array(relief.height, ~relief.solid)
    lines = contour_generator(relief.x, relief.y, heights.T)
    points: list[FloatArray] = []
    levels = heights_of(levels_of(color, limits), color)[1:-1]
    noise = 1e-9 * (1 + np.abs(relief.height).max())
    for level in levels[(levels > relief.height.min() + noise) & (levels < relief.height.max() - noise)]:
        for line in lines.lines(float(level)):
            assert isinstance(line, np.ndarray)
            points += [np.column_stack([line, np.full(len(line), level)]), np.full((1, 3), np.nan)]
    isolines = _seen_line(axes, relief, projection, points, alpha=0.42, linewidth=0.4)
    return [*isolines, *_seen_line(axes, relief, projection, _rim(relief, projection), alpha=0.65, linewidth=0.6)]


def _rim(relief: ReliefMesh, projection: Projection3D) -> list[FloatArray]:
    """The four edges of the surface, NaN where it has holes or leaves the box."""
    last = (len(relief.x) - 1, len(relief.y) - 1)
    edges = [(slice(None), 0), (slice(None), last[1]), (0, slice(None)), (last[0], slice(None))]
    grid = np.stack([*np.meshgrid(relief.x, relief.y, indexing="ij"), relief.height], axis=-1)
    usable = relief.solid & (relief.height <= projection.high)
    grid[~usable] = np.nan
    return [part for edge in edges for part in (grid[edge], np.full((1, 3), np.nan))]


def _seen_line(axes: Any, relief: ReliefMesh, projection: Projection3D, points: list[FloatArray], **style: Any) -> list[Artist]:
    if not points:
        return []
    x, y, z = np.concatenate(points).T
    u, v = projection.project(x, y, z)
    v = np.where(projection.hidden(relief, x, y, z, lift=0.004), np.nan, v)
    line = Line2D(u, v, color="black", transform=axes.transData, zorder=3, solid_capstyle="butt", **style)
    axes.add_artist(line)
    return [line]


def _marks(axes: Any, scene: Scene, surface: Surface, pane: Pane, relief: ReliefMesh, projection: Projection3D) -> list[Artist]:
    """The model itself and the minimum, each with a line down to its place on the floor."""
    if surface.fields[pane.quantity].values.ndim == 3 or not pane.marks:
        return []
    artists: list[Artist] = []
    color = scene.color_of(pane)
    for mark in marks.marks_of(surface, pane.quantity):
        x, y, z = (np.array([part]) for part in (mark.alpha, mark.beta, float(heights_of(np.array(mark.value), color))))
        if not np.isfinite(z).all() or z[0] > projection.high:
            continue
        z = np.maximum(z, _bottom(scene, pane))
        (u, foot_u), (v, foot_v) = projection.project(np.repeat(x, 2), np.repeat(y, 2), np.array([z[0], projection.low]))
        drop = Line2D([u, foot_u], [v, foot_v], transform=axes.transData, color=Palette.current().ink, zorder=1.9, **DROP)
        faint = 0.45 if projection.hidden(relief, x, y, z)[0] else 1.0
        artists += [axes.add_artist(drop), axes.add_artist(mark.at(u, v, transform=axes.transData, alpha=faint))]
        beside = mark.annotate(axes, u, v)
        artists += [] if beside is None else [beside]
    return artists


def _add_path(
    axes: Any, scene: Scene, surface: Surface, relief: ReliefMesh, projection: Projection3D, pane: Pane, path: PathData
) -> PathArtist:
    indices = kept_points(scene, path)
    points = np.column_stack([path.alpha, path.beta, path_heights(path, relief, scene.color_of(pane), pane.quantity)])[indices]
    away = outside_window(path, surface)[indices] | ~(points[:, 2] <= projection.high)
    (x, y, z), away = _to_the_border(points, away, relief, projection.high)
    z = np.maximum(z, _bottom(scene, pane))
    hidden = projection.hidden(relief, x, y, np.where(away, np.nan, z)) & ~away
    u, v = projection.project(x, y, z)
    track = add_path(axes, scene, path, np.where(away, np.nan, u), np.where(away, np.nan, v), hidden, indices)
    if not has_stems(scene, pane, path):
        return track
    u_top, v_top = projection.project(x, y, np.where(away, np.nan, _stem_tops(scene, pane, path, indices, projection.high)))
    return add_stems(axes, track, np.stack([np.stack([u, v], axis=1), np.stack([u_top, v_top], axis=1)], axis=1))


def has_stems(scene: Scene, pane: Pane, path: PathData) -> bool:
    """Whether the iterates of a path are off the plane, with losses of their own that the pane shows."""
    return pane.stems and pane.quantity == "loss" and path.loss is not None and is_off_plane(path)


def _stem_tops(scene: Scene, pane: Pane, path: PathData, indices: np.ndarray, top: float) -> FloatArray:
    """Heights within the box of the losses of `MOST_STEMS` iterates at most, (n,) for the points drawn; NaN for the others."""
    assert path.loss is not None
    tops = np.clip(heights_of(path.loss, scene.color_of(pane)), _bottom(scene, pane), top)[indices]
    chosen = np.linspace(0, len(tops) - 1, min(MOST_STEMS, len(tops))).round().astype(int)
    return np.where(np.isin(np.arange(len(tops)), chosen), tops, np.nan)


def _to_the_border(points: FloatArray, away: BoolArray, relief: ReliefMesh, top: float) -> tuple[FloatArray, BoolArray]:
    """A path (n, 3) that is seen leaving the window or passing its `top`: the point next to one inside moves to where it crosses.

    Returns:
        The coordinates, (3, n), and which points stay outside.
    """
    points, border = points.copy(), away.copy()
    for neighbor, k in ((k + step, k) for step in (1, -1) for k in np.flatnonzero(away)):
        if not 0 <= neighbor < len(points) or away[neighbor] or not border[k] or not np.isfinite(points[[neighbor, k], :2]).all():
            continue
        start, way = points[neighbor], points[k] - points[neighbor]
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.where(way[:2] > 0, [relief.x[-1], relief.y[-1]], [relief.x[0], relief.y[0]])
            share = float(np.nanmin(np.where(way[:2] != 0, (ends - start[:2]) / way[:2], 1.0).clip(0, 1)))
        at = np.append(start[:2] + share * way[:2], 0.0)
        at[2] = sample(relief, relief.height, at[:1], at[1:2])[0] if share < 1 else points[k, 2]
        if not np.isfinite(at[2]):
            continue
        points[k] = start + (at - start) * ((top - start[2]) / (at[2] - start[2]) if at[2] > top else 1.0)
        border[k] = False
    return points.T, border


def add_path_to(axes: Any, scene: Scene, pane: Pane, path: PathData) -> PathArtist:
    """A path over the relief that the pane drew on these axes."""
    surface = mapped_surface(scene, pane)
    cells = classify_cells(surface, scene.color_of(pane), pane.quantity)
    relief = _relief(scene, pane, surface, cells, MESH_LINES_ANIMATED)
    return _add_path(axes, scene, surface, relief, projection_of(axes), pane, path)


def _add_arrow(axes: Any, relief: ReliefMesh, projection: Projection3D, arrow: Arrow) -> Artist:
    """An arrow from one place on the surface to another."""
    x, y = np.array([arrow.start, arrow.end]).T
    u, v = projection.project(x, y, sample(relief, relief.height, x, y))
    return add_arrow(axes, arrow, (u[0], v[0]), (u[1], v[1]))


def path_heights(path: PathData, relief: ReliefMesh, color: Any, quantity: str) -> FloatArray:
    """Heights of a path: its own loss on the plane, and those of the surface itself when it was projected from off the plane."""
    loss = path.plane_loss if is_off_plane(path) else path.loss
    if quantity != "loss" or loss is None:
        return sample(relief, relief.height, path.alpha, path.beta)
    heights = heights_of(loss, color)
    return np.where(np.isfinite(heights), heights, sample(relief, relief.height, path.alpha, path.beta))


def _beta(surface: Surface) -> FloatArray:
    assert surface.beta is not None
    return surface.beta
