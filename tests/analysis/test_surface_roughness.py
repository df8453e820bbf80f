"""Basins and curvature of functions whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import lossatlas as la
from lossatlas.analysis.surface_roughness import persistence, roughness


def over(function, alpha, beta) -> xr.Dataset:
    x, y = np.meshgrid(alpha, beta, indexing="ij")
    return xr.Dataset({"loss": (("alpha", "beta"), function(x, y))}, {"alpha": alpha, "beta": beta})


@pytest.mark.slow
def test_himmelblau_has_four_basins_of_known_depth() -> None:
    axis = np.linspace(-5, 5, 201)
    surface = over(lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2, axis, axis)
    assert roughness(surface).basins == 4
    assert persistence(surface.loss.values)[:3] == pytest.approx([104.0, 67.7, 13.3], abs=0.11)
    assert roughness(surface, floor=50.0).basins == 3


def test_the_double_well_has_persistence_one() -> None:
    surface = over(lambda x, y: (x**2 - 1) ** 2 + y**2, np.linspace(-2, 2, 41), np.linspace(-1, 1, 21))
    assert persistence(surface.loss.values) == pytest.approx([1.0])
    found = roughness(surface)
    assert (found.basins, found.rim_max) == (2, pytest.approx(10.0))


def test_a_bowl_is_convex_and_a_saddle_is_not() -> None:
    axes = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
    assert roughness(over(lambda x, y: x**2 + x * y + y**2, *axes)).negative_share == 0
    assert roughness(over(lambda x, y: x * y, *axes)).negative_share == 1
    assert roughness(over(lambda x, y: x**3 + y**2, *axes)).negative_share == pytest.approx(3 / 7)


def test_near_the_center_is_within_half_of_the_bounds() -> None:
    """x^3 + y^2 bends down where x < 0: 3 of 7 inner columns, 2 of the 5 with |x| <= 1/2."""
    found = roughness(over(lambda x, y: x**3 + y**2, np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)))
    assert found.negative_share_center == pytest.approx(2 / 5)
    ripples = roughness(over(lambda x, y: np.where(np.hypot(x, y) < 0.7, 0, np.cos(40 * x)) + x**2 + y**2, *[np.linspace(-1, 1, 41)] * 2))
    assert ripples.negative_share_center < 0.1 < ripples.negative_share


def test_the_rim_of_a_pyramid_is_level_and_of_a_slope_is_not() -> None:
    axes = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
    pyramid = roughness(over(lambda x, y: np.maximum(abs(x), abs(y)), *axes))
    assert (pyramid.rim_median, pyramid.rim_max, pyramid.center) == (1.0, 1.0, 0.0)
    slope = roughness(over(lambda x, y: x + 2 * y, *axes))
    assert (slope.rim_median, slope.rim_max, slope.center) == pytest.approx((0.0, 3.0, -3.0))


def test_holes_do_not_join_basins() -> None:
    values = np.array([[0.0, np.nan, 1.0], [2.0, np.nan, 2.0], [9.0, 3.0, 9.0]])
    assert persistence(values) == [2.0]


def test_what_is_not_a_whole_plane_is_refused() -> None:
    surface = over(lambda x, y: x * y, np.linspace(-1, 1, 4), np.linspace(-1, 1, 4))
    with pytest.raises(la.InputError, match="3x3"):
        roughness(surface.isel(beta=0))
    surface["done"] = (("alpha", "beta"), np.eye(4, dtype=bool))
    with pytest.raises(la.InputError, match="all cells"):
        roughness(surface)
