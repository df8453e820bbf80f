"""The geometry of reliefs, against what is known exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import proj3d

from lossatlas.viz.mpl.artists.occlusion import Projection3D, projection_of
from lossatlas.viz.mpl.artists.relief_mesh import MESH_LINES_MAX, ReliefMesh, build_relief_mesh, level_below, sample, shaded, triangles
from lossatlas.viz.mpl.figure import draw
from lossatlas.viz.mpl.panes.surface import _to_the_border
from lossatlas.viz.mpl.style import styled
from lossatlas.viz.scene.cell_masks import CellMasks
from lossatlas.viz.scene.model import ColorScale, Field, Pane, PathData, Scene, Surface


def cells(values: np.ndarray, holes: np.ndarray | None = None) -> CellMasks:
    none = np.zeros(values.shape, bool)
    return CellMasks(np.where(none if holes is None else holes, np.nan, values), none if holes is None else holes, none, none)


def relief_of(values: np.ndarray, holes: np.ndarray | None = None) -> ReliefMesh:
    return build_relief_mesh(
        np.linspace(0, 1, values.shape[0]), np.linspace(0, 2, values.shape[1]), cells(values, holes), ColorScale(), fine=40
    )


def test_every_node_keeps_its_height_and_nothing_lies_beyond_its_neighbors() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4))
    relief = relief_of(values)
    x, y = np.linspace(0, 1, 5), np.linspace(0, 2, 4)
    np.testing.assert_allclose(sample(relief, relief.height, *np.meshgrid(x, y, indexing="ij")), values, atol=1e-12)
    square = relief.height[(relief.x >= x[1]) & (relief.x <= x[2])][:, relief.y <= y[1]]
    assert values[1:3, :2].min() <= square.min() and square.max() <= values[1:3, :2].max()


def test_positive_values_that_span_decades_are_interpolated_as_logarithms() -> None:
    x, y = np.linspace(0, 1, 6), np.linspace(0, 2, 4)
    values = np.exp(5 * x[:, None] - y)
    for color, height in ((ColorScale(), np.exp), (ColorScale(scale="log"), lambda exponent: exponent / np.log(10))):
        relief = build_relief_mesh(x, y, cells(values), color, fine=40, logarithmic=True)
        np.testing.assert_allclose(relief.height, height(5 * relief.x[:, None] - relief.y), rtol=1e-12, atol=1e-12)


def test_a_plane_has_its_own_slope_everywhere() -> None:
    x, y = np.linspace(0, 1, 6), np.linspace(0, 2, 4)
    relief = relief_of(3 * x[:, None] - 0.5 * y[None, :])
    np.testing.assert_allclose(relief.slope[0], 3)
    np.testing.assert_allclose(relief.slope[1], -0.5)


def test_a_hole_takes_the_square_of_its_own_cell() -> None:
    holes = np.zeros((5, 5), bool)
    holes[2, 2] = True
    relief = relief_of(np.ones((5, 5)), holes)
    corners, faces = triangles(relief, 2.0)
    assert _area(corners, faces) == pytest.approx(2 * (1 - 1 / 16))
    middle = np.stack([corners[faces].mean(axis=1)[:, 0] - 0.5, (corners[faces].mean(axis=1)[:, 1] - 1) / 2])
    assert np.abs(middle).max(axis=0).min() > 0.11


def test_triangles_are_cut_exactly_at_the_clip_level() -> None:
    x = np.linspace(0, 1, 5)
    relief = relief_of(np.broadcast_to(x[:, None], (5, 4)).copy())
    corners, faces = triangles(relief, 0.63)
    assert corners[np.unique(faces), 2].max() == pytest.approx(0.63)
    assert _area(corners, faces) == pytest.approx(2 * 0.63)


def test_ground_below_the_scale_is_level_and_has_no_slope() -> None:
    x = np.linspace(0, 1, 5)
    relief = relief_of(np.broadcast_to(x[:, None], (5, 4)).copy())
    level = level_below(relief, 0.21)
    below = relief.x <= 0.21
    np.testing.assert_array_equal(level.height[below], 0.21)
    np.testing.assert_array_equal(level.slope[:, below], 0)
    np.testing.assert_array_equal(level.height[~below], relief.height[~below])
    corners, faces = triangles(level, 0.63)
    assert _area(corners, faces) == pytest.approx(2 * 0.63), "no hole in the middle of a valley"


def _area(corners: np.ndarray, faces: np.ndarray) -> float:
    """Area of triangles seen from above."""
    a, b, c = (corners[faces[:, k]] for k in range(3))
    return float(0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).sum())


def test_only_holes_give_no_triangles() -> None:
    holes = np.ones((3, 4), bool)
    relief = relief_of(np.ones((3, 4)), holes)
    assert len(triangles(relief, 2.0)[1]) == 0
    assert np.isfinite(relief.height).all()


def test_a_grid_too_fine_to_draw_is_thinned() -> None:
    relief = build_relief_mesh(np.linspace(0, 1, 900), np.linspace(0, 1, 5), cells(np.zeros((900, 5))), ColorScale())
    assert len(relief.x) == MESH_LINES_MAX


def test_level_ground_keeps_the_exact_color_and_slopes_do_not() -> None:
    rgb = np.array([[0.2, 0.5, 0.7]] * 3)
    lit = shaded(rgb, np.array([[0.0, -1.0, 1.0], [0.0, 0.0, 0.0]]), light=(0.0, 45.0))
    np.testing.assert_allclose(lit[0], rgb[0], atol=1e-12)
    assert lit[1].sum() > rgb[1].sum() > lit[2].sum()


@pytest.fixture
def box() -> object:
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection="3d")
    axes.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1))
    axes.view_init(elev=20, azim=-90)
    return axes


def test_the_eye_is_the_point_that_cannot_be_placed(box: object) -> None:
    sight = projection_of(box)
    eye = sight.camera_position[:3] / sight.camera_position[3]
    assert eye[1] < 0  # azimuth -90 looks along beta from below
    np.testing.assert_allclose(sight.matrix[[0, 1, 3]] @ np.append(eye, 1), 0, atol=1e-12)


def test_projection_is_matplotlibs(box: object) -> None:
    sight, points = projection_of(box), np.random.default_rng(1).uniform(size=(3, 7))
    np.testing.assert_allclose(sight.project(*points), proj3d.proj_transform(*points, sight.matrix)[:2])


@pytest.mark.parametrize("projection", ["persp", "ortho"])
def test_a_wall_hides_what_stands_behind_it(box: object, projection: str) -> None:
    box.set_proj_type(projection)  # pyright: ignore[reportAttributeAccessIssue]
    line = np.linspace(0, 1, 41)
    height = np.where(np.abs(line - 0.5) < 0.03, 0.9, 0.0)[None, :] * np.ones((41, 1))
    relief = ReliefMesh(line, line, height, np.ones((41, 41), bool), np.ones((40, 40), bool), np.zeros((2, 41, 41)))
    x, y, z = np.array([0.5, 0.5, 0.5, 0.5]), np.array([0.2, 0.7, 0.7, np.nan]), np.array([0.0, 0.0, 0.95, 0.0])
    assert projection_of(box).hidden(relief, x, y, z).tolist() == [False, True, False, False]
    holes = ReliefMesh(line, line, height, height == 0, relief.faces, relief.slope)
    assert not projection_of(box).hidden(holes, x, y, z).any(), "one looks through holes"


def test_nothing_to_see_is_no_error(box: object) -> None:
    sight: Projection3D = projection_of(box)
    empty = np.array([])
    relief = relief_of(np.zeros((3, 3)))
    assert sight.hidden(relief, empty, empty, empty).shape == (0,)


def test_a_path_runs_to_the_border_and_to_the_top_of_its_relief() -> None:
    x = np.linspace(0, 1, 5)
    relief = relief_of(np.broadcast_to(10 * x[:, None], (5, 4)).copy())  # a slope of ten over [0, 1] x [0, 2]
    ways = {
        "leaves": ([0.5, 0.9, 1.7, 3.0], [1.0, 1.0, 1.4, 1.0], (2, [1.0, 1.05, 10.0])),
        "comes back": ([3.0, 1.5, 0.5, 0.4], [1.0, 1.0, 1.0, 1.0], (1, [1.0, 1.0, 10.0])),
        "leaves across the corner": ([0.5, 0.5, 1.5, 1.5], [1.0, 1.0, 4.0, 9.0], (2, [0.5 + 1 / 3, 2.0, 25 / 3])),
    }
    for name, (alpha, beta, (moved, place)) in ways.items():
        points = np.column_stack([alpha, beta, sample(relief, relief.height, np.array(alpha), np.array(beta))])
        away = (points[:, 0] > 1) | (points[:, 1] > 2)
        (ax, ay, az), outside = _to_the_border(points, away, relief, 10.0)
        assert outside.sum() == away.sum() - 1 and not outside[moved], name
        np.testing.assert_allclose([ax[moved], ay[moved], az[moved]], place, atol=1e-9, err_msg=name)
    rising = np.array([[0.2, 1.0, 2.0], [0.6, 1.0, 6.0], [0.8, 1.0, 8.0]])
    (ax, _, az), outside = _to_the_border(rising, np.array([False, True, True]), relief, 5.0)
    assert outside.tolist() == [False, False, True]
    np.testing.assert_allclose([ax[1], az[1]], [0.5, 5.0], atol=1e-9)


def test_a_path_with_no_way_in_stays_outside() -> None:
    relief = relief_of(np.zeros((3, 4)))
    points = np.array([[5.0, 1.0, 0.0], [np.nan, 1.0, np.nan], [0.5, 1.0, 0.0]])
    _, outside = _to_the_border(points, np.array([True, True, False]), relief, 1.0)
    assert outside.tolist() == [True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_stems_stand_between_a_path_and_the_loss_of_its_iterates(scale: Any) -> None:
    """A plane that reads 1 + alpha below iterates that lose 2: heights by hand."""
    x, t = np.linspace(-1, 1, 9), np.linspace(0, 1, 60)
    loss = np.broadcast_to(1.5 + x[:, None], (9, 7)).copy()
    way = {"alpha": t - 0.5, "beta": 0 * t, "step": np.arange(60), "loss": 0 * t + 2, "plane_loss": 1 + t, "residual": 0 * t + 1}
    pane = Pane("surface", ("s",), ("p",), stems=True)
    scene = Scene(
        (pane, replace(pane, stems=False, column=1)),
        (Surface("s", x, np.linspace(-1, 1, 7), {"loss": Field(loss, "loss")}),),
        (PathData("p", label="SGD", **way),),
        colors=(ColorScale(scale=scale),),
    )
    with styled():
        stemmed, plain = draw(scene).panes
    assert plain.tracks[0].stems is None
    drawn, chosen = stemmed.tracks[0].stem_ends, np.linspace(0, 59, 25).round().astype(int)
    assert np.isfinite(drawn).all(axis=(1, 2)).nonzero()[0].tolist() == chosen.tolist()
    sight, height = projection_of(stemmed.axes), (np.log10 if scale == "log" else np.asarray)
    for k, values in enumerate((way["plane_loss"], way["loss"])):
        expected = np.column_stack(sight.project(way["alpha"], way["beta"], height(values)))
        np.testing.assert_allclose(drawn[chosen, k], expected[chosen], atol=1e-9)
    stemmed.show(None)
    assert stemmed.tracks[0].stems is not None and len(stemmed.tracks[0].stems.get_segments()) == 25
    assert any("own loss" in handle.get_label() for handle in stemmed.handles)
