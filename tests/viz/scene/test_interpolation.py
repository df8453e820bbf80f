"""Interpolation of a drawn surface: the browser's numbers, closed forms, and no value beyond its neighbors'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossatlas.viz.scene.interpolation import interpolate_grid
from lossatlas.viz.scene.model import Field, Surface
from lossatlas.viz.scene.value_ranges import interpolates_logarithms

FIXTURE = Path(__file__).parents[3] / "viewer" / "test" / "fixtures" / "interpolation.json"
CASES: dict[str, Any] = json.loads(FIXTURE.read_text())


def positions(count: int, parts: int) -> np.ndarray:
    return np.arange((count - 1) * parts + 1) / parts


@pytest.mark.parametrize("name", list(CASES))
def test_figures_and_the_browser_draw_the_same_surface(name: str) -> None:
    case = CASES[name]
    (na, nb), (fa, fb) = case["shape"], case["factors"]
    values = np.array([float(v) for v in case["values"]]).reshape(na, nb)
    drawn = np.array([float(v) for v in case["drawn"]]).reshape((na - 1) * fa + 1, (nb - 1) * fb + 1)
    surface = Surface("s", np.arange(float(na)), np.arange(float(nb)), {"loss": Field(values, "loss")})
    logarithmic = interpolates_logarithms(surface, "loss")
    assert logarithmic == (name == "decades")
    refined = interpolate_grid(np.log(values) if logarithmic else values, positions(na, fa), positions(nb, fb))
    refined = np.exp(refined) if logarithmic else refined
    solid = np.isfinite(drawn)
    # The browser computes in float32: 2**-24 a step, some ten steps, a few more in the exponential.
    np.testing.assert_allclose(refined[solid], drawn[solid], rtol=0, atol=2**-19 * np.abs(drawn[solid]).max())
    assert np.isfinite(refined).all() and (name == "hole") == (not solid.all())


def test_a_plane_is_reproduced_and_a_parabola_met_within_the_error_of_harmonic_slopes() -> None:
    x, y = positions(6, 5), positions(9, 3)
    grid = 0.3 + 2 * np.arange(6)[:, None] - 0.7 * np.arange(9)
    np.testing.assert_allclose(interpolate_grid(grid, x, y), 0.3 + 2 * x[:, None] - 0.7 * y, rtol=0, atol=1e-13)
    k = np.arange(1, 6)
    # f(k) = k**2 has slopes 2k - 1/(2k): in the middle of cell k the cubic lies 1/(16 k (k + 1)) below the parabola.
    middle = interpolate_grid((np.arange(8.0) ** 2)[None, :], np.zeros(1), np.asarray(k + 0.5, float))[0]
    np.testing.assert_allclose(middle, (k + 0.5) ** 2 - 1 / (16 * k * (k + 1)), rtol=1e-13)


@pytest.mark.parametrize("holes", [False, True])
def test_no_value_lies_beyond_the_corners_of_its_square(holes: bool) -> None:
    rng = np.random.default_rng(3)
    values = 10 * rng.random((8, 5)) ** 4
    if holes:
        values[rng.random(values.shape) < 0.2] = np.nan
    parts = 6
    fine = interpolate_grid(values, positions(8, parts), positions(5, parts))
    np.testing.assert_allclose(fine[::parts, ::parts][np.isfinite(values)], values[np.isfinite(values)], rtol=1e-15)
    for i in range(7):
        for j in range(4):
            corners = fine[i * parts : (i + 1) * parts + 1 : parts, j * parts : (j + 1) * parts + 1 : parts]
            square = fine[i * parts : (i + 1) * parts + 1, j * parts : (j + 1) * parts + 1]
            assert corners.min() - 1e-12 <= square.min() and square.max() <= corners.max() + 1e-12


def test_one_cell_and_no_cell_are_constant() -> None:
    assert interpolate_grid(np.array([[2.5]]), np.zeros(3), np.zeros(2)).tolist() == [[2.5, 2.5]] * 3
    assert not interpolate_grid(np.full((3, 2), np.nan), positions(3, 4), positions(2, 4)).any()
