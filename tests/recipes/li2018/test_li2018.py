"""The recipe on a toy scale: every figure is drawn from real pictures and published weights, and says what it is."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import lossatlas as la
from lossatlas.recipes import recipe_named
from lossatlas.recipes.li2018 import sizes
from lossatlas.recipes.li2018.figures.planes import hatched_on
from lossatlas.recipes.li2018.networks import architecture_label
from lossatlas.recipes.li2018.training_paths import _window
from lossatlas.viz.scene.model import ColorScale, Field, HatchedCells, Surface

recipe = importlib.import_module("lossatlas.recipes.li2018.run")  # the package's own name is the function

TINY = replace(
    sizes.QUICK,
    samples=8,
    test_samples=40,
    resolution=4,
    line=10,
    train_samples=40,
    epochs=1,
    vgg_epochs=3,
    small_batch=10,
    large_batch=20,
    ratio_samples=2,
    ratio_resolution=2,
    widths=("wrn8_1",),
    seeds=2,
    seed_resolution=3,
    directions=2,
)


def test_the_recipe_is_registered_with_its_options() -> None:
    found = recipe_named("li2018")
    assert found.parse(["--figure", "1,5"]) == {"figure": "1,5"}
    assert "figure" in found.text()


def test_figures_are_chosen_by_number() -> None:
    assert recipe._wanted(None) == ("1", "2", "3", "4", "5", "6", "7", "8", "9", "repeat")
    assert recipe._wanted(7) == ("7",)
    assert recipe._wanted("2, repeat") == ("2", "repeat")
    with pytest.raises(la.InputError, match="--figure: got 12"):
        recipe._wanted("12")


def test_networks_are_named_in_words() -> None:
    assert architecture_label("resnet110_noshort") == "ResNet-110 without shortcuts"
    assert architecture_label("wrn56_4") == "ResNet-56 x4"
    assert architecture_label("densenet121") == "DenseNet-121"


def test_the_window_of_a_path_holds_it_and_the_model() -> None:
    path = xr.Dataset({"path_alpha": ("step", [2.0, 4.0]), "path_beta": ("step", [-1.0, -1.0])})
    assert _window(path) == [[-1.0, 5.0], [-1.25, 0.25]]
    alike = xr.Dataset({"path_alpha": ("step", [0.0, 4.0]), "path_beta": ("step", [0.0, -2.0])})
    assert _window(alike) == [[-1.0, 5.0], [-4.0, 2.0]]


def test_hatches_stay_where_the_scale_that_panes_share_needs_them() -> None:
    """An error of 2 % of the loss: beyond 3 % of a log range of 0.1, within 3 % of one of ln 100."""
    values, errors = np.exp(np.linspace(0.0, 0.1, 6).reshape(2, 3)), np.full((2, 3), 0.02)
    marked = HatchedCells(np.array([[True, True, False], [False, False, False]]), "less certain")
    flat = Surface("flat", np.arange(2.0), np.arange(3.0), {"loss": Field(values, "loss", standard_error=errors, imprecise=marked)})
    wide = hatched_on(ColorScale(low=1.0, high=100.0), flat, 0.03).fields["loss"].imprecise
    narrow = hatched_on(ColorScale(low=1.0, high=np.exp(0.1)), flat, 0.03).fields["loss"].imprecise
    assert wide is None
    assert narrow is not None
    assert (narrow.mask == marked.mask).all()
    assert hatched_on(ColorScale(), flat, 0.03) is flat
    assert hatched_on(ColorScale(low=1.0, high=2.0), flat, None) is flat


def test_figures_drawn_before_stay_in_the_summary_of_the_same_kind_of_run(tmp_path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"recipe": "li2018", "size": "quick", "seed": 0, "figures": {"5": {"a": 1}, "x": 2}}))
    assert recipe._earlier_numbers(tmp_path, "quick", 0) == {"5": {"a": 1}}
    assert recipe._earlier_numbers(tmp_path, "full", 0) == recipe._earlier_numbers(tmp_path, "quick", 1) == {}
    (tmp_path / "summary.json").write_text("half a f")
    assert recipe._earlier_numbers(tmp_path, "quick", 0) == {}


def test_missing_pictures_are_earlier_numbers_any_work(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LOSSATLAS_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr("lossatlas.zoo.data.fetch.fetch", lambda *_: None)
    monkeypatch.setattr("lossatlas.zoo.data.fetch.cache_root", lambda: tmp_path / "cache")
    with pytest.raises(la.InputError, match="CIFAR-10"):
        recipe.run(tmp_path / "out", tmp_path / "nothing", quick=True, figure=2, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["1", "2", "3", "4", "5", "6", "7", "8", "9", "repeat"])
def test_every_figure_is_drawn_and_told(figure, tmp_path, data_root, monkeypatch) -> None:
    monkeypatch.setitem(sizes.SIZES, "quick", TINY)
    summary = recipe.run(tmp_path, data_root, quick=True, figure=figure, progress=False)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    file = tmp_path / ("repeatability.png" if figure == "repeat" else f"figure{figure}.png")
    assert file.stat().st_size > 10_000
    assert (tmp_path / "trainings.png").exists() == any((tmp_path / "trainings").glob("*/summary.json"))
    told = summary["figures"][figure]
    for numbers in told.get("networks", {}).values():
        assert numbers["source"] in ("trained weights", "short training", "imported surface")
    if figure == "1":
        assert (tmp_path / "figure1_numbers.png").stat().st_size > 10_000
        for one in told["roughness"].values():
            assert len(one["planes"]) == TINY.seeds
            assert one["mean"]["rim_median"] == pytest.approx(np.mean([p["rim_median"] for p in one["planes"]]))
        assert "does not prove convexity" in told["curvature"]["resnet56"]["sentence"]
    if figure == "2":
        assert all(np.isfinite(barrier["loss"]) for barrier in told["barriers"].values())
    if figure == "4":
        assert {n["source"] for n in told["networks"].values()} == {"imported surface"}
    if figure == "5":
        assert told["networks"]["resnet56"]["source"] == "trained weights"
        assert told["networks"]["resnet56"]["test_accuracy"] > 0.8
        assert told["networks"]["resnet110"]["test_accuracy"] is None
    if figure == "7":
        center = told["networks"]["resnet20"]["center"]
        assert center["hessian_ratio"] == pytest.approx(abs(center["lambda_min"] / center["lambda_max"]), rel=1e-6)
    if figure == "8":
        shares = told["captured_share"]
        assert shares["random"] < 0.01 < shares["principal"]
    if figure == "repeat":
        assert all(len(widths) == TINY.directions and min(widths) >= 0 for widths in told["width"].values())
    if figure == "9":
        assert all(np.isfinite(run["explained_variance_ratio"]).all() for run in told.values())


@pytest.mark.slow
def test_a_second_run_trains_nothing_anew_and_draws_the_same(tmp_path, data_root, monkeypatch) -> None:
    monkeypatch.setitem(sizes.SIZES, "quick", TINY)
    first = recipe.run(tmp_path, data_root, quick=True, figure="2", progress=False)
    weights = {p: p.stat().st_mtime_ns for p in tmp_path.glob("trainings/*/checkpoint.pt")}
    again = recipe.run(tmp_path, data_root, quick=True, figure="2", progress=False)
    assert weights
    assert weights == {p: p.stat().st_mtime_ns for p in tmp_path.glob("trainings/*/checkpoint.pt")}
    assert first == again
