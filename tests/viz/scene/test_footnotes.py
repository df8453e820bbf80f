"""What the small print must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossatlas.errors import InputError
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.footnotes import footnotes
from lossatlas.viz.scene.model import ColorScale, Pane, Scene
from lossatlas.viz.scene.value_ranges import heights_of, levels_of, limits_of

Make = Callable[..., Any]


def scene_of(surface: Any, *paths: Any, **scale: Any) -> Scene:
    pane = Pane("contour", (surface.name,), tuple(path.name for path in paths))
    return Scene((pane,), (surface,), tuple(paths), colors=(ColorScale(**scale),))


def test_cells_are_sorted_by_why_they_are_holes(make_surface: Make) -> None:
    values = np.array([[1.0, np.nan, -1.0], [np.inf, 0.0, 2.0]])
    done = np.array([[True, True, True], [True, True, False]])
    cells = classify_cells(make_surface(values, done=done), ColorScale(scale="log"), "loss")
    assert [mask.tolist() for mask in (cells.missing, cells.not_finite, cells.not_positive)] == [
        [[False, False, False], [False, False, True]],
        [[False, True, False], [True, False, False]],
        [[False, False, True], [False, True, False]],
    ]
    assert cells.drawable.tolist() == [1.0]


def test_linear_scale_keeps_zero_and_negative_losses(make_surface: Make) -> None:
    assert not classify_cells(make_surface([[0.0, -1.0], [2.0, 3.0]]), ColorScale(), "loss").holes.any()


def test_an_unknown_quantity_names_those_there_are(make_surface: Make) -> None:
    with pytest.raises(InputError, match="loss"):
        classify_cells(make_surface(), ColorScale(), "hessian")


@pytest.mark.parametrize(
    ("value", "scale"), [(2.3, "linear"), (2.3, "log"), (0.0, "linear"), (0.0, "log"), (-4.0, "linear"), (-4.0, "log")]
)
def test_limits_of_a_constant_surface_are_never_empty(make_surface: Make, value: float, scale: Any) -> None:
    scene = scene_of(make_surface(np.full((3, 4), value)), scale=scale)
    low, high = limits_of(scene, scene.panes[0])
    assert low < high
    assert scale == "linear" or low > 0
    assert len(levels_of(scene.colors[0], (low, high))) == 21


def test_a_shared_scale_spans_every_pane_that_shares_it(make_surface: Make) -> None:
    small, large = make_surface([[0.0, 1], [1, 2]], name="small"), make_surface([[5.0, 6], [7, 9]], name="large")
    panes = (
        Pane("contour", ("small",)),
        Pane("surface", ("large",), column=1),
        Pane("contour", ("large",), color=ColorScale(colormap="terrain")),
    )
    scene = Scene(panes, (small, large))
    assert [limits_of(scene, pane) for pane in panes] == [(0, 9), (0, 9), (5, 9)]


def test_log_heights_are_decades() -> None:
    np.testing.assert_allclose(heights_of(np.array([0.1, 100.0, 0.0, -1.0]), ColorScale(scale="log")), [-1, 2, np.nan, np.nan])


def test_holes_and_the_lowest_cell_are_told(make_surface: Make) -> None:
    values = np.array([[1.0, np.nan, 3.0], [-4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    assert footnotes(scene_of(make_surface(values))) == (
        "1 of 9 cells NaN or infinite (xxx)",
        "minimum on this grid −4 at (0,\u00a0−2), on the edge of the window",
    )
    assert "1 of 9 cells ≤ 0, not shown on the log scale (...)" in footnotes(scene_of(make_surface(values), scale="log"))


def test_a_clipped_share_is_told(make_surface: Make) -> None:
    notes = footnotes(scene_of(make_surface(np.arange(20.0).reshape(4, 5)), clip=14.0))
    assert "25.0 % clipped above 14" in notes
    both = footnotes(scene_of(make_surface(np.arange(20.0).reshape(4, 5)), low=2.0, high=18.0))
    assert "5.0 % clipped above 18, 10.0 % clipped below 2" in both


def test_a_constant_surface_has_no_lowest_cell(make_surface: Make) -> None:
    assert footnotes(scene_of(make_surface(np.full((3, 4), 2.5)))) == ("every computed cell is 2.5",)


def test_cells_not_computed_are_counted_once(make_surface: Make) -> None:
    done = np.ones((9, 7), bool)
    done[:2] = False
    assert "14 of 63 cells not computed (///)" in footnotes(scene_of(make_surface(done=done)))
    told = footnotes(scene_of(make_surface(done=done, notes=("49 of 63 cells computed (77.8 %)",))))
    assert not any("not computed" in line for line in told)


def test_a_path_that_leaves_the_window_says_when(make_surface: Make, make_path: Make) -> None:
    path = make_path(start=(0, 0), end=(2, 0), steps=101)
    assert "leaves the window at step 51" in footnotes(scene_of(make_surface(), path))


def test_iterates_that_are_not_finite_are_counted_and_lie_nowhere(make_surface: Make, make_path: Make) -> None:
    path = make_path(start=(0, 0), end=(0.5, 0.5), steps=10, residual=np.r_[0.1 * np.ones(7), np.full(3, np.nan)])
    path.alpha[7:], path.beta[7:] = np.nan, np.nan
    notes = footnotes(scene_of(make_surface(), path))
    assert "weights are not finite at 3 of 10 iterates, first at step 7: they are not drawn" in notes
    assert not any("leaves the window" in note or "nan" in note for note in notes)


def test_a_path_off_the_plane_says_how_far(make_surface: Make, make_path: Make) -> None:
    ones = np.ones(50)
    path = make_path(residual=0.25 * ones, loss=2 * ones, plane_loss=1.5 * ones)
    (line,) = [note for note in footnotes(scene_of(make_surface(), path)) if "off the plane" in note]
    assert line == (
        "projected: the iterates lie up to 0.25 off the plane (0.25 at the end); their own loss ends at 2, the plane below reads 1.5"
    )
    rounding = make_path(residual=1e-9 * ones)
    assert not any("off the plane" in note for note in footnotes(scene_of(make_surface(), rounding)))


def test_what_holds_for_all_is_said_once_and_the_rest_names_its_owner(make_surface: Make) -> None:
    first = make_surface(name="a", label="N = 100", notes=("float64", "100 samples"))
    second = make_surface(name="b", label="N = 1,000", notes=("float64", "1,000 samples"))
    scene = Scene((Pane("contour", ("a",)), Pane("contour", ("b",), column=1)), (first, second))
    lowest = "minimum on this grid 0.5 at (0,\u00a00)"
    assert footnotes(scene) == ("float64", lowest, "N = 100: 100 samples", "N = 1,000: 1,000 samples")


def test_one_run_on_several_planes_is_told_apart_by_them(make_surface: Make, make_path: Make) -> None:
    paths = [replace(make_path(), name=f"p{i}", label="adam", notes=(f"note {i}",)) for i in range(2)]
    surfaces = [make_surface(name=f"s{i}", label=f"plane {i}") for i in range(2)]
    panes = tuple(Pane("contour", (f"s{i}",), (f"p{i}",)) for i in range(2))
    notes = footnotes(Scene(panes, tuple(surfaces), tuple(paths)))
    assert any(note.startswith("adam on plane 0: note 0") for note in notes)
    assert any(note.startswith("adam on plane 1: note 1") for note in notes)
