"""A path fades with its distance from the plane, and legends keep clear of curves that have yet to grow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossatlas.errors import InputError
from lossatlas.viz.compose.from_datasets import areas_from, path_from
from lossatlas.viz.mpl import figure as drawing
from lossatlas.viz.mpl.artists.path import FADED_LABEL, FAINTEST, FadingLine, opacity_of
from lossatlas.viz.mpl.legends.placement import place_legend
from lossatlas.viz.scene.model import Field, Pane, PathData, Scene, Surface, Timeline


def scene(stem: np.ndarray | None) -> Scene:
    axis = np.linspace(-1, 1, 5)
    surface = Surface("s", axis, axis, {"loss": Field(np.add.outer(axis**2, axis**2), "loss")})
    way = np.array([-0.8, -0.3, 0.0])
    path = PathData("p", way, 0.5 * way, np.array([0, 5, 9]), residual=np.array([0.4, 0.2, 0.0]), stem=stem)
    return Scene((Pane("contour", ("s",), ("p",)),), (surface,), (path,), timeline=Timeline(np.array([0, 9]), ("a", "b")))


def fading(figure: Figure) -> list[FadingLine]:
    """Without the white halos."""
    return [one for one in figure.axes[0].collections if isinstance(one, FadingLine) and one.rgb != (1, 1, 1)]


def test_a_path_is_opaque_on_the_plane_and_faintest_where_it_is_as_far_off_as_it_is_long() -> None:
    path = scene(np.array([0.8, 0.2, 0.0])).paths[0]
    np.testing.assert_allclose(opacity_of(path), [FAINTEST, 1 - (1 - FAINTEST) * 0.25, 1.0])  # the way is 0.8 long
    np.testing.assert_allclose(opacity_of(scene(None).paths[0]), [FAINTEST, 1 - (1 - FAINTEST) * 0.5, 1.0])  # its largest distance is 0.4


def test_each_piece_is_drawn_with_its_opacity_and_the_legend_says_so() -> None:
    drawn = drawing.figure(scene(np.array([0.8, 0.2, 0.0])))
    (line,) = fading(drawn)
    each = np.array([FAINTEST, 1 - (1 - FAINTEST) * 0.25, 1.0])
    np.testing.assert_allclose(np.asarray(line.get_colors())[:, 3], (each[1:] + each[:-1]) / 2)
    assert [piece.tolist() for piece in line.get_segments()] == [[[-0.8, -0.4], [-0.3, -0.15]], [[-0.3, -0.15], [0.0, 0.0]]]
    assert FADED_LABEL in [text.get_text() for text in drawn.legends[0].get_texts()]


def test_a_fading_path_grows_with_the_timeline() -> None:
    (line,) = fading(drawing.figure(scene(np.array([0.4, 0.2, 0.0])), frame=0))
    assert len(line.get_segments()) == 0 and len(line.get_xdata()) == 1


def test_a_path_on_the_plane_is_one_line() -> None:
    assert opacity_of(replace(scene(None).paths[0], residual=np.full(3, 1e-12))) is None


def test_stems_are_in_units_of_the_second_axis() -> None:
    columns = {"path_alpha": [0.0, 1.0], "path_beta": [0.0, 1.0], "path_residual": [3.0, 0.0]}
    dataset = xr.Dataset({n: ("step", v) for n, v in columns.items()}, {"step": [0, 1]}, {"plane": {"norms": [1.0, 2.0]}})
    stem = path_from(dataset).stem
    assert stem is not None and stem.tolist() == [1.5, 0.0]
    dataset.attrs["captured_share"] = 0.01
    assert path_from(dataset).stem is None, "stems longer than the way pass for it"
    del dataset.attrs["plane"], dataset.attrs["captured_share"]
    assert path_from(dataset).stem is None


def covered(curves: list[list[float]], twin: list[float] | None = None) -> tuple[int, Figure]:
    """Points of dense lines under the settled legend of a pane, in pixels."""
    drawn = Figure(figsize=(5, 3))
    axes = drawn.add_subplot()
    for y in curves:
        axes.plot(np.linspace(0, 10, len(y)), y)
    axes.set_ylim(0, 1)
    right = axes.twinx() if twin is not None else None
    if right is not None:
        right.plot(np.linspace(0, 10, len(twin or [])), twin or [])
        right.set_ylim(0, 1)
    owner = right or axes
    legend = owner.legend(handles=[Line2D([], [], label="a curve of some words") for _ in range(2)])
    place_legend(legend, axes, right)
    box, x = legend.get_window_extent(), np.linspace(0, 10, 5000)
    count = 0
    for line in (*axes.lines, *(right.lines if right is not None else ())):
        y = np.interp(x, np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        count += int(np.sum([box.contains(*p) for p in line.get_transform().transform(np.stack([x, y], 1))]))
    return count, drawn


@pytest.mark.parametrize(
    ("curves", "twin"),
    [
        ([[0.9, 0.9]], [0.1, 0.1]),
        ([[0.1, 0.9, 0.95, 1.0]], None),
        ([[0.0, 0.6, 0.9, 0.95, 1.0], [0.1, 0.0, 0.05, 0.2, 0.4, 0.0]], None),
    ],
)
def test_a_legend_covers_no_curve_of_either_axis(curves: list[list[float]], twin: list[float] | None) -> None:
    count, drawn = covered(curves, twin)
    assert count == 0 and drawn.axes[0].get_ylim() == (0, 1)


def test_where_a_pane_is_full_it_grows_upward_to_hold_its_legend() -> None:
    count, drawn = covered([[0.0, 1.0] * 12, [0.3, 0.3]])
    low, high = drawn.axes[0].get_ylim()
    assert count == 0 and low == 0 and high > 1.1 and max(drawn.axes[0].get_yticks()) <= 1


def test_areas_of_an_archive_become_areas_of_a_scene() -> None:
    with pytest.raises(InputError, match="decision_regions"):
        areas_from(xr.Dataset())
