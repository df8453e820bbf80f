"""Grids: endpoints, an exact center, and an order that visits each cell once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lossatlas as la
from cases import case
from lossatlas.analysis.grid import Grid, tiles


@given(na=st.integers(2, 40), nb=st.integers(2, 40), tile=st.integers(1, 99))
def test_every_cell_is_visited_once_coarse_first(na: int, nb: int, tile: int) -> None:
    grid = Grid.make((-1, 1), (na, nb), 2)
    order = grid.order()
    assert sorted(order.tolist()) == list(range(na * nb))
    assert np.concatenate(list(tiles(order, tile))).tolist() == order.tolist()
    first = set(map(tuple, grid.points(grid.levels()[0]).tolist()))
    assert {(-1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, -1.0)} <= first


@given(n=st.integers(1, 200), bound=st.floats(0.1, 1e6))
def test_a_symmetric_axis_of_odd_length_holds_zero_exactly(n: int, bound: float) -> None:
    (axis,) = Grid.make((-bound, bound), 2 * n + 1, 1).axes
    assert axis[n] == 0.0
    assert (axis[0], axis[-1]) == (-bound, bound)
    np.testing.assert_array_equal(axis, -axis[::-1])


def test_endpoints_are_included() -> None:
    grid = Grid.make(((-15, 17), (-15, 18)), 40, 2)
    np.testing.assert_array_equal(grid.axes[0], np.linspace(-15, 17, 40))
    assert grid.bounds == [[-15.0, 17.0], [-15.0, 18.0]]


UNITS = st.sampled_from((0.1, 0.05, 1 / 3, 1e-3, 7e5))


@given(below=st.integers(1, 60), above=st.integers(1, 60), unit=UNITS, cut=st.integers(1, 7))
def test_a_coordinate_that_is_zero_by_arithmetic_is_zero(below: int, above: int, unit: float, cut: int) -> None:
    """Bounds `below` and `above` units from zero, with `cut` points a unit."""
    low, high, n = -below * unit, above * unit, cut * (below + above) + 1
    (axis,) = Grid.make((low, high), n, 1).axes
    assert np.flatnonzero(axis == 0).tolist() == [cut * below]
    assert not np.signbit(axis[cut * below])
    assert (axis[0], axis[-1]) == (low, high)
    assert (np.diff(axis) > 0).all()
    np.testing.assert_allclose(axis, np.linspace(low, high, n), rtol=0, atol=1e-15 * max(-low, high))


@given(low=st.integers(1, 999), high=st.integers(1, 999), n=st.integers(2, 400))
def test_a_coordinate_that_is_not_zero_stays_so(low: int, high: int, n: int) -> None:
    (axis,) = Grid.make((-low / 10, high / 10), n, 1).axes
    assert (axis == 0).sum() == (Fraction(low * (n - 1), low + high).denominator == 1)


@given(below=st.integers(1, 60), above=st.integers(11, 60), cut=st.integers(1, 7))
def test_the_second_model_of_a_line_stands_at_one(below: int, above: int, cut: int) -> None:
    (axis,) = Grid.make((-below / 10, above / 10), cut * (below + above) + 1, 1).axes
    assert np.flatnonzero(axis == 1).tolist() == [cut * (below + 10)]


def test_no_coordinate_is_moved_that_rounding_alone_would_not_move() -> None:
    (axis,) = Grid.make((-1e-9, 1.0), 12, 1).axes
    np.testing.assert_array_equal(axis, np.linspace(-1e-9, 1.0, 12))


@pytest.mark.parametrize("bounds", [(1.0, 1.0 + 1e-14), (0.0, 5e-324), (-1.7e308, 1.7e308)])
def test_an_interval_that_cannot_hold_so_many_numbers_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(la.InputError, match="bounds"):
        Grid.make(bounds, 101, 1)


@pytest.mark.slow
def test_the_cell_at_zero_is_the_models_own_loss_to_the_last_bit() -> None:
    bounds, cell = ((-0.3, 0.8), (-0.7, 0.9)), (6, 7)
    assert np.linspace(-0.3, 0.8, 23)[6] != 0, "the case is one that rounding alone misses"
    objective = case("relu")
    for evaluator in ("loop", "auto"):
        surface = la.evaluate(objective, la.random_plane(objective), bounds, (23, 17), engine=la.Engine(evaluator=evaluator))
        assert float(surface.loss[cell]) == objective.loss()
