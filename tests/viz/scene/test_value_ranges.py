"""The automatic scale: log where a linear one would draw a dark pool, the same in figures, animations and pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from lossatlas.errors import InputError
from lossatlas.viz.api import plot
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.pages import combine
from lossatlas.viz.scene.captions import caption
from lossatlas.viz.scene.model import Field, Provenance, Surface
from lossatlas.viz.scene.value_ranges import automatic_scale

RADIUS = np.linspace(-1, 1, 9)[:, None] ** 2 + np.linspace(-1, 1, 21) ** 2
VALLEY = 0.01 + RADIUS**2


def surface(values: Any, **changes: Any) -> Surface:
    values = np.asarray(values, float)
    made = Surface("s", np.arange(float(len(values))), np.arange(float(values.shape[1])), {"loss": Field(values, "loss")})
    return replace(made, **changes)


def test_the_share_of_low_cells_decides() -> None:
    """Counted by a plain loop: a quadratic bowl has a sixth of its cells in the lowest tenth, a quartic one nearly half."""
    for values, expected in ((0.01 + RADIUS, "linear"), (VALLEY, "log")):
        limit = values.min() + 0.1 * (values.max() - values.min())
        share = sum(1 for row in values for value in row if value < limit) / values.size
        assert (share >= 0.25) == (expected == "log")
        assert automatic_scale([surface(values)]) == expected


@pytest.mark.parametrize("change", [lambda v: v - 0.01, lambda v: v - 1, lambda v: 0.5 + v, lambda v: np.full_like(v, 2.0)])
def test_zero_negative_narrow_and_constant_values_stay_linear(change: Callable[[Any], Any]) -> None:
    assert automatic_scale([surface(change(VALLEY))]) == "linear"


def test_what_is_not_finite_or_not_computed_does_not_count() -> None:
    values = VALLEY.copy()
    values[0, :3] = np.nan, np.inf, -np.inf
    assert automatic_scale([surface(values)]) == "log"
    done = np.ones(values.shape, bool)
    values[1, 1], done[1, 1] = -5.0, False
    assert automatic_scale([surface(values, done=done)]) == "log"
    assert automatic_scale([surface(values, done=np.zeros_like(done))]) == automatic_scale([]) == "linear"
    assert automatic_scale([surface(values)], "accuracy") == "linear"


def test_surfaces_on_one_scale_are_judged_together() -> None:
    assert automatic_scale([surface(VALLEY), surface(VALLEY - 0.01)]) == "linear"
    assert automatic_scale([surface(VALLEY), surface(100 + VALLEY)]) == "log"


def test_a_clip_ends_the_range() -> None:
    """Nearly every cell is low beside a peak of 1000; clipped at 1, few are."""
    values = 0.5 + RADIUS / 10
    values[0, 0] = 1000.0
    assert automatic_scale([surface(values)]) == "log"
    assert automatic_scale([surface(values)], clip=1.0) == "linear"


def test_a_line_is_read_off_its_axis() -> None:
    line = Surface("line", np.arange(99.0), None, {"loss": Field(0.01 + np.linspace(-1, 1, 99) ** 4, "loss")})
    assert automatic_scale([line]) == "linear"


def test_an_error_estimated_on_a_linear_scale_keeps_it() -> None:
    assert automatic_scale([surface(VALLEY, provenance=Provenance(estimated_on="linear"))]) == "linear"
    assert automatic_scale([surface(VALLEY, provenance=Provenance(estimated_on="log"))]) == "log"


@pytest.fixture
def valley() -> xr.Dataset:
    coordinates = {"alpha": np.linspace(-1, 1, 9), "beta": np.linspace(-1, 1, 21)}
    return xr.Dataset({"loss": (("alpha", "beta"), VALLEY), "accuracy": (("alpha", "beta"), 1 / (1 + RADIUS))}, coordinates)


def test_figures_and_pages_agree_and_the_bar_says_so(valley: xr.Dataset) -> None:
    assert compose(valley).colors[0].scale == "log"
    assert {color.quantity: color.scale for color in combine([valley]).colors} == {"loss": "log", "accuracy": "linear"}
    assert any("log scale" in axes.get_ylabel() for axes in plot(valley, kind="contour").axes)


def test_what_was_asked_for_is_drawn(valley: xr.Dataset) -> None:
    assert compose(valley, scale="linear").colors[0].scale == "linear"
    assert compose(valley, scale="log").colors[0].scale == "log"
    assert compose(valley, quantity="accuracy").colors[0].scale == "linear"
    with pytest.raises(InputError, match="auto, linear or log"):
        compose(valley, scale="symlog")  # pyright: ignore[reportArgumentType]


def test_an_adaptive_surface_is_not_drawn_on_a_scale_its_estimate_does_not_hold_on(valley: xr.Dataset) -> None:
    done = np.ones((9, 21), bool)
    done[1::2] = False
    partial = valley.assign(done=(("alpha", "beta"), done), loss_filled=valley.loss).assign_attrs(estimated_error=0.01)
    for scale, drawn in (("linear", "linear"), ("log", "log")):
        scene = compose(partial.assign_attrs(estimated_error_scale=scale))
        assert scene.colors[0].scale == drawn
        assert not any("estimated" in line for line in caption(scene))
