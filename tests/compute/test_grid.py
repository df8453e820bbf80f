"""Grids: endpoints, an exact center, and an order that visits each cell once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lossatlas.compute.grid import Grid, tiles


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
