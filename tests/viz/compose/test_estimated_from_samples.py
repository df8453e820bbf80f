"""Surfaces estimated from samples: what misses the tolerance that was asked for is hatched and explained, and nothing else is."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection

import lossatlas as la
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.mpl.artists.markers import marks_of
from lossatlas.viz.scene import uncertainty
from lossatlas.viz.scene.footnotes import footnotes
from lossatlas.viz.web.payload import encode

A, B = np.linspace(-1, 1, 5), np.linspace(-1, 1, 4)
VALUES = 0.1 + np.add.outer(A**2, 3 * B**2)


def sampled(error: np.ndarray, tol: float, scale: str) -> xr.Dataset:
    empty, dims = np.full(VALUES.shape, np.nan), ("alpha", "beta")
    variables = {"loss": empty, "loss_filled": VALUES, "loss_filled_standard_error": error, "done": np.isfinite(empty)}
    variables |= {"accuracy": empty, "accuracy_filled": VALUES, "accuracy_filled_standard_error": np.full(VALUES.shape, 0.3)}
    attrs = {"sampling": {"samples": 50_000, "share": 0.024, "scale": scale}, "tol": tol, "estimated_error": 0.03}
    return xr.Dataset({k: (dims, v) for k, v in variables.items()}, {"alpha": A, "beta": B}, attrs)


def errors_of(shares: np.ndarray, scale: str) -> np.ndarray:
    """Standard errors whose 95 % intervals are `shares` of the range to either side."""
    if scale == "log":
        return shares * VALUES * np.log(VALUES.max() / VALUES.min()) / 1.96
    low, high = np.percentile(VALUES, [5, 95]) if scale == "robust" else (VALUES.min(), VALUES.max())
    return shares * (high - low) / 1.96


@pytest.mark.parametrize("scale", ["linear", "log", "robust"])
def test_cells_beyond_the_tolerance_are_marked_on_the_scale_asked_for(scale: str) -> None:
    """Beyond by a tenth: what a standard error of some dozens of samples is worth. Other metrics have no tolerance."""
    shares = np.full(VALUES.shape, 0.0209)
    shares[1, 2], shares[4, 3], shares[0, 0] = 0.0239, 0.05, 0.0
    surface = surface_from(sampled(errors_of(shares, scale), 0.02, scale))
    marked = surface.fields["loss"].imprecise
    assert marked is not None and np.argwhere(marked.mask).tolist() == [[1, 2], [4, 3]]
    assert ("log" in marked.label) == (scale == "log") and "2 %" in marked.label
    assert surface.fields["accuracy"].imprecise is None
    assert surface_from(sampled(errors_of(0.4 * shares, scale), 0.02, scale)).fields["loss"].imprecise is None


def test_maps_hatch_them_and_the_legend_says_what_it_is() -> None:
    shares = np.where(VALUES > 2, 0.05, 0.01)
    for error, count in ((errors_of(shares, "linear"), int((VALUES > 2).sum())), (errors_of(np.full(VALUES.shape, 0.01), "linear"), 0)):
        axes = plt.figure().add_subplot()
        drawn = la.plot_contour(sampled(error, 0.02, "linear"), axes)
        hatched = [c for c in axes.collections if isinstance(c, PolyCollection) and c.get_hatch() == "////"]
        assert sum(len(c.get_paths()) for c in hatched) == count
        labels = [str(handle.get_label()) for handle in drawn.handles]
        assert ("less certain than the 2 % of the range asked for" in labels) == (count > 0)
        plt.close()


@pytest.mark.parametrize("share", [0.0005, 0.3])
def test_a_minimum_is_marked_where_the_samples_tell_it_from_the_other_cells(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncertainty, "LOCATED_WITHIN", 1)  # of five cells
    scene = compose(sampled(errors_of(np.full(VALUES.shape, share), "linear"), 0.5, "linear"))
    (surface,) = scene.surfaces
    located = share < 0.01
    assert surface.fields["loss"].is_minimum_located == located
    assert [mark.kind for mark in marks_of(surface, "loss")] == (["minimum"] if located else [])
    said = " ".join(footnotes(scene))
    assert ("minimum on this grid" in said) == located
    assert ("which the samples do not tell from others" in said) != located
    assert ('"minimum_located":false' in encode(scene).json()) != located
