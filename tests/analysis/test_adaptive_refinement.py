"""Coarse to fine: computed values are exact, nothing is computed twice, and the estimate is held against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lossatlas as la
from cases import case
from lossatlas.analysis.adaptive_refinement import fill, refine, smallest_resolved_width
from lossatlas.analysis.grid import Grid
from lossatlas.errors import InputError
from oracles import quadratic

GRID = Grid.make((-1, 1), (49, 51), 2)
A, B = np.meshgrid(*GRID.axes, indexing="ij")
SURFACES = {
    "bowl": A**2 + 3 * B**2,
    "valley": (1 - 2 * A) ** 2 + 100 * (2 * B - 4 * A**2) ** 2,
    "kink": np.abs(A - 0.3 * B) + 0.2 * np.abs(B),
    "cliff": np.tanh(5 * (A + B)),
    "wave": np.sin(5 * A) * np.cos(4 * B),
    "flat": np.ones(GRID.shape),
}
WORST_RATIO = 4.0
"""Largest true error over its estimate that these surfaces show (3.3, the kink): an estimate, not a bound."""


def run(truth: np.ndarray, tol: float, scale: str) -> tuple[np.ndarray, np.ndarray, float]:
    done = np.zeros(GRID.shape, bool)
    while True:
        found = refine(GRID, np.where(done, truth, np.nan), done, tol, scale)
        assert not done.ravel()[found.wanted].any(), "a computed cell was asked for again"
        if not len(found.wanted):
            return done, found.filled, found.estimated_error
        done.ravel()[found.wanted] = True


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("name", SURFACES)
def test_the_estimate_against_the_truth(name: str, scale: str) -> None:
    truth = SURFACES[name] if scale == "linear" else np.abs(SURFACES[name]) + 0.05
    done, filled, estimate = run(truth, 0.01, scale)
    np.testing.assert_array_equal(filled[done], truth[done])
    shown = (truth, filled) if scale == "linear" else (np.log10(truth), np.log10(filled))
    error = np.abs(shown[0] - shown[1]).max() / max(np.ptp(shown[0]), 1e-9)
    assert estimate <= 0.01
    assert error <= max(WORST_RATIO * estimate, 1e-3)


STEEP = {
    "wall": 1e-3 * np.exp(8 * (A**2 + B**2)),
    "quartic": 1e-4 + (A**2 + 2 * B**2) ** 2,
    "hinge": 0.01 + np.log1p(np.exp(20 * (A + 0.3 * B))),
}


@pytest.mark.parametrize("name", STEEP)
def test_what_is_filled_beside_a_wall_stays_positive_and_smooth(name: str) -> None:
    """A spline of the values rings by 2 decades and below zero there; the tolerance on the linear scale holds all the same."""
    truth = STEEP[name]
    done, ringing, estimate = run(truth, 0.01, "linear")
    filled, again = fill(GRID, np.where(done, truth, np.nan), done)
    assert (ringing <= 0).any() and filled.min() > 0 and again == estimate
    np.testing.assert_array_equal(filled[done], truth[done])
    assert np.abs(filled - truth).max() <= 0.01 * np.ptp(truth)
    assert np.abs(np.log10(filled / truth)).max() < 0.25


def test_what_is_narrower_than_the_second_lattice_may_be_missed() -> None:
    assert smallest_resolved_width((49, 51)) == 4 and smallest_resolved_width((2, 50)) == 4 and smallest_resolved_width((3, 3)) <= 2
    spike = np.zeros(GRID.shape)
    spike[22, 26] = 1.0
    done, _, estimate = run(A**2 + spike, 0.01, "linear")
    assert not done[22, 26] and estimate < 1e-9, "the estimate cannot know: the figure has to say so"


def test_a_smooth_surface_needs_few_cells() -> None:
    done, _, _ = run(SURFACES["bowl"], 0.01, "linear")
    assert done.mean() < 0.08


def test_a_surface_rougher_than_the_grid_is_computed_whole() -> None:
    done, filled, estimate = run(np.random.default_rng(0).normal(size=GRID.shape), 0.01, "linear")
    assert done.mean() > 0.98 and estimate < 0.01
    assert np.isfinite(filled).all()


def test_holes_stay_holes_and_are_surrounded_by_computed_cells() -> None:
    truth = np.where(A**2 + B**2 > 1.2, np.nan, A**2)
    done, filled, _ = run(truth, 0.01, "linear")
    np.testing.assert_array_equal(np.isnan(filled), np.isnan(truth) & done)


@given(st.data())
def test_fill_never_touches_a_computed_value(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(2, 20)), data.draw(st.integers(2, 20)))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    grid, truth = Grid.make((-1, 1), shape, 2), random.normal(size=shape)
    done = np.zeros(shape, bool)
    done.ravel()[np.concatenate(grid.levels()[:2])] = True
    done |= random.random(shape) < 0.3
    filled, _ = fill(grid, np.where(done, truth, np.nan), done)
    np.testing.assert_array_equal(filled[done], truth[done])
    assert np.isfinite(filled).all()


def test_a_quadratic_is_filled_exactly() -> None:
    objective, _, _ = quadratic()
    plane = la.Plane.from_directions(objective, {"t": objective.params["t"] * 0 + 1.0}, {"t": objective.params["t"]})
    whole = la.evaluate(objective, plane, resolution=(33, 41))
    early = la.evaluate(objective, plane, resolution=(33, 41), tol=0.01)
    done = early.done.values
    assert done.mean() < 0.12 and early.attrs["cells_done"] == done.sum()
    np.testing.assert_array_equal(early.loss.values[done], whole.loss.values[done])
    assert np.isnan(early.loss.values[~done]).all(), "an interpolated value must never stand among computed ones"
    np.testing.assert_allclose(early.loss_filled, whole.loss, rtol=1e-9, atol=1e-9)
    assert early.attrs["estimated_error"] < 1e-9
    assert early.loss_filled.attrs["long_name"] == "loss, interpolated between computed cells"


def test_the_same_archive_goes_on_to_the_full_grid() -> None:
    objective = case("tutorial")
    plane = la.random_plane(objective, seed=2)
    archive = la.open_archive(None, "a")
    problem: Any = {"objective": objective, "plane": plane, "resolution": (33, 29), "engine": la.Engine(evaluator="affine")}
    early = la.evaluate(**problem, archive=archive, tol=0.02)
    finer = la.evaluate(**problem, archive=archive, tol=0.0005)
    assert 0 < early.done.sum() <= finer.done.sum() < early.done.size
    whole = la.evaluate(**problem, archive=archive)
    assert whole.done.all() and "loss_filled" not in whole and whole.attrs["estimated_error"] == 0.0
    np.testing.assert_allclose(whole.loss, la.evaluate(**problem).loss, rtol=1e-12)


def test_the_models_own_cell_is_always_computed() -> None:
    objective = case("relu")
    surface = la.evaluate(objective, la.random_plane(objective, seed=1), resolution=(35, 51), tol=0.5)
    assert int(surface.done.sum()) < surface.done.size
    assert float(surface.loss.sel(alpha=0, beta=0)) == objective.loss()


def test_a_line_is_refined_too() -> None:
    objective, _, _ = quadratic()
    line = la.Plane.from_directions(objective, {"t": objective.params["t"] * 0 + 1.0})
    early = la.evaluate(objective, line, resolution=201, tol=0.01)
    assert 50 <= early.done.sum() <= 60
    np.testing.assert_allclose(early.loss_filled, la.evaluate(objective, line, resolution=201).loss, rtol=1e-9)


def test_what_cannot_be_meant_is_refused() -> None:
    objective, _, _ = quadratic()
    line = la.Plane.from_directions(objective, {"t": objective.params["t"]})
    for wrong in (0.0, -1.0, 1.0):
        with pytest.raises(InputError, match="tol"):
            la.evaluate(objective, line, resolution=9, tol=wrong)
    with pytest.raises(InputError, match="scale"):
        la.evaluate(objective, line, resolution=9, tol=0.01, tol_scale="cube")


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (3, 8), (2, 7)])
def test_small_grids_are_tested_before_they_are_trusted(shape: tuple[int, int]) -> None:
    """Corners alone predict nothing: a bump between them must be found."""
    grid = Grid.make((-1, 1), shape, 2)
    alpha, beta = np.meshgrid(*grid.axes, indexing="ij")
    values, done = np.exp(-4 * (alpha**2 + beta**2)), np.zeros(shape, bool)
    while len((found := refine(grid, values, done, 0.01)).wanted):
        done.ravel()[found.wanted] = True
    assert done.sum() > 4
    np.testing.assert_allclose(found.filled, values, atol=0.05)
