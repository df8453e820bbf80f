"""Stems show how far a projected path lies off the plane, and legends keep clear of curves that have yet to grow."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossatlas.errors import InputError
from lossatlas.viz.compose.from_datasets import areas_from, path_from
from lossatlas.viz.mpl import figure as drawing
from lossatlas.viz.mpl.artists.stems import LABEL
from lossatlas.viz.mpl.legend import place_legend
from lossatlas.viz.scene.model import Field, Pane, PathData, Scene, Surface, Timeline


def scene(stem: np.ndarray | None) -> Scene:
    axis = np.linspace(-1, 1, 5)
    surface = Surface("s", axis, axis, {"loss": Field(np.add.outer(axis**2, axis**2), "loss")})
    way = np.array([-0.8, -0.3, 0.0])
    path = PathData("p", way, 0.5 * way, np.array([0, 5, 9]), residual=np.array([0.4, 0.2, 0.0]), stem=stem)
    return Scene((Pane("contour", ("s",), ("p",)),), (surface,), (path,), timeline=Timeline(np.array([0, 9]), ("a", "b")))


def lines(figure: Figure) -> list[np.ndarray]:
    return [line.get_xydata() for line in figure.axes[0].lines if line.get_marker() == "o" and line.get_markersize() == 2.0]


def test_stems_rise_from_each_point_by_its_distance() -> None:
    drawn = drawing.figure(scene(np.array([0.4, 0.2, 0.0])))
    (heads,) = lines(drawn)
    np.testing.assert_allclose(heads, [[-0.8, 0.0], [-0.3, 0.05], [0.0, 0.0]], atol=1e-12)
    assert LABEL in [text.get_text() for text in drawn.legends[0].get_texts()]


def test_stems_grow_with_the_timeline() -> None:
    (heads,) = lines(drawing.figure(scene(np.array([0.4, 0.2, 0.0])), frame=0))
    assert len(heads) == 1


def test_without_lengths_no_stems() -> None:
    assert not lines(drawing.figure(scene(None)))


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
