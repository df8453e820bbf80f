"""A coarse-to-fine surface is drawn whole, and says which cells were computed."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.mpl import figure as drawing


def coarse() -> xr.Dataset:
    alpha, beta = np.linspace(-1, 1, 5), np.linspace(0, 1, 3)
    whole = alpha[:, None] ** 2 + beta[None, :]
    done = np.zeros(whole.shape, bool)
    done[::2, ::2] = True
    filled = whole - 0.5 * ~done  # interpolation that undershoots
    data = {"loss": np.where(done, whole, np.nan), "loss_filled": filled, "done": done}
    return xr.Dataset({k: (("alpha", "beta"), v) for k, v in data.items()}, {"alpha": alpha, "beta": beta})


def test_interpolated_cells_are_drawn_and_computed_ones_marked() -> None:
    surface = surface_from(coarse())
    assert list(surface.fields) == ["loss"]
    assert surface.done is None
    assert surface.sampled is not None
    np.testing.assert_array_equal(surface.sampled, coarse().done)
    np.testing.assert_array_equal(surface.fields["loss"].values, coarse().loss_filled)


def test_the_lowest_cell_is_a_computed_one() -> None:
    surface = surface_from(coarse())
    assert float(surface.fields["loss"].values.min()) < 0
    assert surface.minimum() == (0.0, 0.0, 0.0)


def test_the_map_shows_a_dot_a_computed_cell() -> None:
    figure = drawing.figure(compose(coarse(), kind="contour"))
    dots = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 6]
    assert len(dots) == 1
    assert "computed; interpolated between" in [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_finished_surface_has_no_dots() -> None:
    whole = coarse()
    whole["done"] = whole.done | True
    assert surface_from(whole).sampled is None
