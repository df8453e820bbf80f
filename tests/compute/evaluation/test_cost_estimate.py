"""The adviser predicts what evaluate then does."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import lossatlas as la
from cases import F64, case


def function(of: object) -> tuple[la.Objective, la.Plane]:
    with warnings.catch_warnings():  # a plateau around the start looks like a loss that ignores its parameters
        warnings.filterwarnings("ignore", "The loss does not change")
        objective = la.Objective(lambda p, _: of(p["w"][0], p["w"][1]), params={"w": torch.zeros(2, dtype=F64)})
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


def test_a_plan_reads_as_five_lines() -> None:
    text = str(la.estimate_cost(case("conv-batchnorm"), la.random_plane(case("conv-batchnorm")), resolution=(21, 11)))
    assert len(text.splitlines()) == 5
    assert text.startswith("231 cells, 231 passes over the data by the loop evaluator")
    assert "1 BatchNorm layers" in text and "tol=0.01" in text


def test_a_bowl_is_shown_linear_and_a_cliff_on_a_log_scale() -> None:
    assert la.estimate_cost(*function(lambda a, b: 1 + a**2 + b**2)).scale == "linear"
    steep = la.estimate_cost(*function(lambda a, b: torch.exp(12 * a**2) * 1e-3))
    assert steep.scale == "log" and steep.clip is None


def test_the_range_shrinks_to_where_the_loss_is_finite() -> None:
    found = la.estimate_cost(*function(lambda a, b: 1 - torch.log(0.6 - a) + b**2), bounds=(-1, 1))
    assert found.bounds == ((-0.5, 0.5), (-0.5, 0.5)) and "bounds=(-0.5, 0.5)," in str(found)


def test_every_axis_has_bounds_of_its_own() -> None:
    bowl, plane = function(lambda a, b: 1 + a**2 + b**2)
    assert "bounds=((-2, 2), (-1, 1))," in str(la.estimate_cost(bowl, plane, bounds=((-2, 2), (-1, 1))))
    walled, plane = function(lambda a, b: 1 - torch.log(1.2 - a) + b**2)
    found = la.estimate_cost(walled, plane, bounds=((-4, 2), (-1, 3)))
    assert found.bounds == ((-2.0, 1.0), (-0.5, 1.5)), "half of the way to the end that is not finite, and so on all axes"
    assert np.isfinite(la.evaluate(walled, plane, found.bounds, resolution=(5, 4)).loss).all()
    line = la.estimate_cost(case("relu"), la.random_plane(case("relu"), ndim=1), bounds=(-2, 3))
    assert line.bounds == ((-2.0, 3.0),) and "bounds=(-2, 3)," in str(line)


def test_nothing_is_written_and_the_probed_values_are_the_surface() -> None:
    objective, plane = function(lambda a, b: a**2 + 3 * b**2)
    for (a, b), value in la.estimate_cost(objective, plane, bounds=(-2, 2), resolution=5).values:
        assert value == pytest.approx(a**2 + 3 * b**2)
    assert np.isfinite(la.estimate_cost(objective, plane).seconds)


def test_a_line_can_be_planned() -> None:
    objective = case("relu")
    assert la.estimate_cost(objective, la.random_plane(objective, ndim=1), resolution=201).cells == 201


SURFACES = {
    "corners": lambda a, b: 1 + 8 * (a * b) ** 2,
    "one corner": lambda a, b: 1 + 9 * torch.exp(-60 * ((a - 1) ** 2 + (b + 1) ** 2)),
    "walls": lambda a, b: 1 + 20 * torch.sigmoid(40 * (a.abs() - 0.9)),
    "a spike at an edge": lambda a, b: 1 + 12 * torch.exp(-40 * ((a - 1) ** 2 + b**2)),
    "bowl": lambda a, b: 1 + a**2 + b**2,
    "plateau": lambda a, b: 11 - 10 * torch.exp(-8 * (a**2 + b**2)),
}


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("resolution", [(21, 14), (5, 9)])
def test_the_highest_place_is_probed_and_a_clip_hides_little(name: str, resolution: tuple[int, int]) -> None:
    """Against the whole surface: what is advised is read from a lattice, and has to hold for every cell."""
    objective, plane = function(SURFACES[name])
    found = la.estimate_cost(objective, plane, resolution=resolution)
    surface = la.evaluate(objective, plane, resolution=resolution).loss.values
    assert max(value for _, value in found.values) == pytest.approx(surface.max(), rel=1e-12)
    assert 0 <= found.hidden <= 0.05
    assert (found.clip is None) == (found.hidden == 0)
    if found.clip is not None:
        assert (surface > found.clip).mean() <= 0.1
        assert f"which hides {100 * found.hidden:.2g} % of the cells probed" in str(found)


def test_a_clip_is_advised_where_few_cells_take_up_most_of_the_range() -> None:
    assert la.estimate_cost(*function(SURFACES["one corner"])).clip is not None
    for name in ("bowl", "plateau", "walls", "corners"):
        assert la.estimate_cost(*function(SURFACES[name])).clip is None, name


def test_every_corner_and_edge_is_probed() -> None:
    objective, plane = function(lambda a, b: a - b)
    places = np.array([place for place, _ in la.estimate_cost(objective, plane, bounds=((-1, 2), (-3, 4)), resolution=(30, 11)).values])
    corners = {(a, b) for a in (-1.0, 2.0) for b in (-3.0, 4.0)}
    assert corners <= set(map(tuple, places))
    for axis, ends in enumerate(((-1.0, 2.0), (-3.0, 4.0))):
        for end in ends:
            assert len(places[places[:, axis] == end]) >= 5


def test_probes_that_are_not_finite_are_counted_and_a_surface_of_none_is_no_crash() -> None:
    part = str(la.estimate_cost(*function(lambda a, b: 1 - torch.log(0.6 - a) + b**2)))
    assert "not finite)" in part and "nan" not in part
    assert "nan" in str(la.estimate_cost(*function(lambda a, b: a * torch.nan)))
