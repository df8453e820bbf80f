"""The tutorial on real MNIST gives the numbers of two independent recomputations, to a millionth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.special import expit

import lossatlas as la
from lossatlas.recipes.tutorial import _setting, run
from lossatlas.recipes.tutorial.network import Setting, article_gradient

pytestmark = pytest.mark.slow

SMALL = 1e-6


@pytest.fixture(scope="module")
def setting(data_root: Path) -> Setting:
    return _setting(data_root, 10_000)


@pytest.fixture(scope="module")
def surface(setting: Setting) -> xr.Dataset:
    tail = setting.tail(135, 100)
    return la.evaluate(tail, setting.plane(tail), setting.bounds, 40)


def test_surface_of_one_hundred_images(surface: xr.Dataset) -> None:
    loss = surface.loss
    assert float(loss.min()) == pytest.approx(4.751313, abs=SMALL)
    low = loss.isel(loss.argmin(...))
    assert (float(low.alpha), float(low.beta)) == (17.0, pytest.approx(7.8462, abs=1e-4))
    assert float(loss.max()) == pytest.approx(4.812063, abs=SMALL)
    corners = {(-15, -15): 4.768677, (17, -15): 4.758677, (-15, 18): 4.812063, (17, 18): 4.802658}
    for (a, b), value in corners.items():
        assert float(loss.sel(alpha=a, beta=b)) == pytest.approx(value, abs=SMALL)


def test_the_cached_prefix_changes_nothing(setting: Setting, surface: xr.Dataset) -> None:
    whole = setting.objective(135, 100)
    plane = setting.plane(whole)
    for a, b in ((0, 0), (39, 0), (7, 31)):
        place = float(surface.alpha[a]), float(surface.beta[b])
        assert whole.loss(plane.point(*place)) == pytest.approx(float(surface.loss[a, b]), abs=1e-12)


def test_every_cell_equals_the_articles_own_formula(setting: Setting, surface: xr.Dataset) -> None:
    """NumPy, expit and matrices as the article writes them, at random cells."""
    random = np.random.RandomState(135)
    w0, w1, w2 = random.randn(50, 784), random.randn(500, 50), random.randn(10, 500)
    a1 = expit(w1 @ expit(w0 @ setting.inputs[:100].T))
    chosen = np.random.default_rng(0).integers(0, 40, (20, 2))
    for i, j in chosen:
        w2[5, 250], w2[5, 251] = surface.alpha[i], surface.beta[j]
        cost = np.mean(np.sum((setting.targets[:100].T - expit(w2 @ a1)) ** 2, axis=0))
        assert float(surface.loss[i, j]) == pytest.approx(cost, abs=1e-12)


PATHS = {
    (-9.0, 15.0): {
        "loss": {0: 4.800724, 1000: 4.765589, 8900: 4.751761, 9999: 4.751011},
        "places": {1: (-8.99277, 14.98939), 8901: (15.8228, 8.1749), 10000: (17.8177, 7.8021)},
    },
    (-10.1, 15.0): {
        "loss": {0: 4.801830, 1000: 4.776274, 8900: 4.758757, 9999: 4.758743},
        "places": {1: (-10.09678, 14.98749), 10000: (4.2477, -5.2092)},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("start", list(PATHS))
def test_descents_of_the_article(setting: Setting, start: tuple[float, float]) -> None:
    tail = setting.tail(135, 100)
    path = la.optimize_on_plane(tail, setting.plane(tail), start, learning_rate=10, steps=10_000, gradient=article_gradient(tail))
    for step, value in PATHS[start]["loss"].items():
        assert float(path.path_loss[step]) == pytest.approx(value, abs=SMALL)
    for step, place in PATHS[start]["places"].items():
        np.testing.assert_allclose([path.path_alpha[step], path.path_beta[step]], place, atol=6e-5)
    if start == (-9.0, 15.0):
        assert int(np.argmax(path.path_alpha.values > 17.0)) == 9540  # index 9539 in the article, which counts from the first update


def test_the_articles_gradient_is_half_the_true_one(setting: Setting) -> None:
    tail = setting.tail(135, 100)
    plane = setting.plane(tail)
    options = {"learning_rate": 1.0, "steps": 1}
    article = la.optimize_on_plane(tail, plane, (-9.0, 15.0), gradient=article_gradient(tail), **options)
    true = la.optimize_on_plane(tail, plane, (-9.0, 15.0), **options)
    for axis in ("path_alpha", "path_beta"):
        moved = [float(path[axis][0] - path[axis][1]) for path in (article, true)]
        assert moved[1] / moved[0] == pytest.approx(2.0, abs=1e-9)


@pytest.mark.slow
def test_the_recipe_leaves_what_it_promises(data_root: Path, tmp_path: Path) -> None:
    summary = run(tmp_path, data_root, quick=True, resolution=9, gradient="true", progress=False)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert (summary["recipe"], summary["version"]) == ("tutorial", la.__version__)
    assert {"n100", "n10000", "figure7-seed3", "figure8-seed158"} <= set(summary["surfaces"])
    assert summary["surfaces"]["n100"]["shape"] == [9, 9]
    assert summary["surfaces"]["n100"]["cells_done"] == 81
    assert summary["surfaces"]["n100"]["corners"]["-15,-15"] == pytest.approx(4.768677, abs=SMALL)
    assert {"article:-9,15", "article:-10.1,15", "article:-11,15", "true:-9,15", "adam:-9,15"} <= set(summary["paths"])
    assert summary["paths"]["article:-9,15"]["loss"]["1000"] == pytest.approx(4.765589, abs=SMALL)
    assert summary["paths"]["true:-9,15"]["end"] != summary["paths"]["article:-9,15"]["end"]
    figures = (
        "figure3.png",
        "figure4.png",
        "descents.png",
        "optimizers.png",
        "figure7.png",
        "figure8.png",
        "animation1.gif",
        "animation2.gif",
    )
    for name in figures:
        assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.parametrize("options", [{"gradient": "best"}, {"sample_size": 0}])
def test_bad_options_are_named(tmp_path: Path, options: dict) -> None:
    with pytest.raises(la.InputError):
        run(tmp_path, tmp_path, **options)
