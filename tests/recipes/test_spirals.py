"""The recipe `spirals`: its data, its numbers, and one whole quick run."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lossatlas.archive import open_archive
from lossatlas.recipes import recipe_named
from lossatlas.recipes.spirals.data import make_spiral
from lossatlas.recipes.spirals.train import NETWORKS, frame_steps


def test_the_spiral_is_that_of_cs231n_standardized() -> None:
    spiral = make_spiral()
    np.testing.assert_allclose(spiral.x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(spiral.x.std(0, correction=0), 1, rtol=1e-6)
    assert torch.bincount(spiral.y).tolist() == [361] * 3 and torch.bincount(spiral.test_y).tolist() == [139] * 3
    everything = torch.cat([spiral.x, spiral.test_x])
    assert len(torch.unique(everything, dim=0)) >= 1498  # all three arms begin at the origin
    # The packaged sample reaches out to 2.49 standard deviations.
    assert 2.3 < float(everything.norm(dim=1).max()) < 2.7


def test_the_eleven_networks_of_the_article() -> None:
    assert [n.name for n in NETWORKS] == ["logistic", "1x5", "1x20", "1x100", "5x5", "5x20", "5x100", "10x5", "10x20", "10x100", "20x5"]
    for network in NETWORKS:
        model = network.build(0)
        linear = [m for m in model if isinstance(m, torch.nn.Linear)]
        assert len(linear) == network.depth + 1 and {m.out_features for m in linear[:-1]} <= {network.width}
        assert model(torch.zeros(4, 2)).shape == (4, 3)


def test_frames_hold_the_first_and_the_very_last_step() -> None:
    steps = frame_steps(300, 50)
    assert len(steps) == len(set(steps)) == 50 and (steps[0], steps[-1]) == (0, 300)


@pytest.mark.slow
def test_a_page_that_cannot_be_written_does_not_lose_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lossatlas.recipes.spirals import figures
    from lossatlas.recipes.spirals.run import RunSize

    def missing(*_: object) -> None:
        raise FileNotFoundError("viewer.js")

    monkeypatch.setattr(figures, "page", missing)
    small = RunSize((NETWORKS[0], NETWORKS[5]), 6, 4, 5, 8)
    monkeypatch.setattr(sys.modules[RunSize.__module__], "QUICK", small)
    with pytest.raises(FileNotFoundError):
        recipe_named("spirals").load()(tmp_path, quick=True, progress=False)
    assert len(json.loads((tmp_path / "summary.json").read_text())["paths"]) == 7


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_quick_run_leaves_numbers_figures_and_an_archive(tmp_path: Path) -> None:
    recipe_named("spirals").load()(tmp_path, quick=True, progress=False)
    summary = json.loads((tmp_path / "summary.json").read_text())
    paths = summary["paths"]
    networks = ["logistic", "1x5", "5x20", "20x5"]
    assert list(paths) == [*networks, *(f"optimizer-{name}" for name in ("sgd", "momentum", "adagrad", "rmsprop", "adam"))]
    for numbers in paths.values():
        assert 0 < sum(numbers["explained_variance_ratio"]) <= 1 + 1e-9
        assert 0 <= numbers["residual_norm"]["mean"] <= numbers["residual_norm"]["largest"] <= 1
        assert numbers["last_loss"] < numbers["first_loss"]
    optimizers = {name: numbers for name, numbers in paths.items() if name.startswith("optimizer-")}
    assert len({tuple(numbers["explained_variance_ratio"]) for numbers in optimizers.values()}) == 5, "each its own"
    assert len({tuple(numbers["joint_explained_variance_ratio"]) for numbers in optimizers.values()}) == 1
    for numbers in optimizers.values():
        assert sum(numbers["explained_variance_ratio"]) == pytest.approx(numbers["captured_share"], abs=1e-5)
        own = numbers["own_principal_plane"]
        assert own["random_walk_null"] == pytest.approx([0.81, 0.09], abs=0.01)
        # Five unrelated walks share no direction: what two axes show of them is far below what they show of one.
        assert 0.3 < sum(numbers["joint_random_walk_null"]) < 0.6 < sum(numbers["joint_explained_variance_ratio"])
    for name in networks:
        assert paths[name]["random_walk_null"] == pytest.approx([0.81, 0.09], abs=0.01)
        # The last point is on its own plane, so there the plane tells the truth.
        assert paths[name]["last_plane_loss"] == pytest.approx(paths[name]["last_loss"], rel=1e-5)
        assert paths[name]["captured_share"] == pytest.approx(sum(paths[name]["explained_variance_ratio"]), abs=1e-4)
    # The article: logistic regression cannot, five layers of 20 can, twenty layers of 5 are stuck at chance.
    assert paths["logistic"]["final_accuracy"] < 0.6 and paths["5x20"]["final_accuracy"] > 0.95
    assert paths["20x5"]["last_loss"] == pytest.approx(math.log(3), abs=1e-3)
    planes = summary["planes"]
    assert sum(planes["start_end"]["random_walk_null"]) == pytest.approx(0.87, abs=0.03)
    assert planes["start_end"]["captured_share"] <= planes["pca"]["captured_share"], "about the same point"
    assert summary["planes"]["random"]["captured_share"] < 0.02 < 0.9 < summary["planes"]["pca"]["captured_share"]
    assert summary["interpolation"]["logistic"]["monotone"] is True
    _check_files(tmp_path, networks, frames=15)


def _check_files(out: Path, networks: list[str], frames: int) -> None:
    for name in ("overview", "planes", "interpolation", "optimizers"):
        with Image.open(out / f"{name}.png") as image:
            assert min(image.size) > 300
    for name in (*(f"path_{n}" for n in networks), "optimizers"):
        with Image.open(out / f"{name}.gif") as image:
            assert image.n_frames == frames
    archive = open_archive(out / "archive.zarr")
    assert {*networks, "optimizers", "plane-random", "plane-start_end", "plane-pca"} == set(archive.surfaces)
    path = archive.trajectory("5x20")
    assert path.attrs["surface"] == "5x20" and path.area_class.sizes["step"] == path.sizes["step"] == frames
    assert path.step.values[[0, -1]].tolist() == [0, 300]
