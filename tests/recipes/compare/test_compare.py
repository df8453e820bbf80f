"""The comparison on the real networks: each is named as what it is, with the numbers that its README states."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lossatlas as la
from lossatlas.errors import InputError
from lossatlas.recipes.compare import figures, networks, run
from lossatlas.recipes.compare.networks import ENTRIES, TRAINING_KEYS, chosen_entries, gather
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import IMAGENET_MEAN, IMAGENET_STD, load_cifar10, normalize
from lossatlas.zoo.networks import network
from lossatlas.zoo.training import Training
from numbers_in import numbers_after

recipe = importlib.import_module("lossatlas.recipes.compare")
TINY = {"images": 4, "test_images": 60, "resolution": 5, "samples": 8, "epochs": 1}


@pytest.fixture(scope="module")
def out(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    run(folder, data_root, quick=True, networks="resnet20,resnet20_noshort,vgg16,densenet121", **TINY)  # type: ignore[arg-type]
    return folder


def test_all_six_are_named() -> None:
    assert {"resnet56", "resnet56_noshort", "resnet20", "resnet20_noshort", "vgg16", "densenet121"} == set(ENTRIES)


def test_an_unknown_network() -> None:
    with pytest.raises(InputError, match="alexnet"):
        chosen_entries("resnet20,alexnet")


def test_a_number_that_is_not_positive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images"):
        run(tmp_path, quick=True, images=0)


def _leave_training(folder: Path, samples: int, seed: int) -> torch.nn.Module:
    """Leave what a finished training of ResNet-20 without shortcuts leaves."""
    folder.mkdir(parents=True)
    model = network("resnet20_noshort", seed)
    save_file(model.state_dict(), folder / "weights.safetensors")
    numbers = dict.fromkeys(TRAINING_KEYS, 0) | {"network": "resnet20_noshort", "samples": samples, "epochs": 40}
    (folder / "summary.json").write_text(json.dumps(numbers))
    return model


def test_a_training_on_all_images_comes_before_what_others_published(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "_test", lambda *_: {"accuracy": 0.9, "loss": 0.3, "samples": 10})  # measured in TestRun
    entry, short, whole = ENTRIES["resnet20_noshort"], tmp_path / "compare", tmp_path / "li2018"
    _leave_training(short, 500, seed=1)
    settings = Training("resnet20_noshort")
    assert gather(entry, (short, whole), data_root, settings, 10, "cpu").origin == "imported surface"
    model = _leave_training(whole, 50_000, seed=2)
    member = gather(entry, (short, whole), data_root, settings, 10, "cpu")
    assert member.origin == "laptop training"
    assert "40 epochs on all of CIFAR-10" in member.note
    assert member.model is not None
    assert torch.equal(member.model.state_dict()["conv1.weight"], model.state_dict()["conv1.weight"])
    assert member.summary()["training"]["epochs"] == 40


def test_a_laptop_trains_vgg_on_all_images_in_one_cycle() -> None:
    laptop = recipe._training("vgg16", recipe.LAPTOP, 3)
    assert (laptop.samples, laptop.schedule, laptop.optimizer, laptop.seed) == (50_000, "one-cycle", "sgd", 3)
    quick = recipe._training("vgg16", recipe.QUICK, 3)
    assert (quick.samples, quick.schedule, quick.optimizer, quick.precision) == (500, "steps", "adam", "float32")
    with pytest.raises(InputError, match="--size"):
        run(Path("never"), quick=True, size="laptop")


@pytest.mark.slow
class TestRun:
    def test_every_network_says_where_it_is_from(self, out: Path) -> None:
        networks = json.loads((out / "summary.json").read_text())["networks"]
        assert {name: n["source"] for name, n in networks.items()} == {
            "resnet20": "trained weights",
            "resnet20_noshort": "imported surface",
            "vgg16": "short training",
            "densenet121": "imported surface",
        }
        titles = {name: la.open_archive(out / "archive.zarr").surface(name).attrs["title"] for name in networks}
        assert all(networks[name]["source"] in title for name, title in titles.items())

    def test_numbers_are_measured_or_told_to_be_unknown(self, out: Path, data_root: Path) -> None:
        """The first 60 test images, counted here with torch alone."""
        networks = json.loads((out / "summary.json").read_text())["networks"]
        images = load_cifar10(data_root, "test", 60)
        model = load_checkpoint(data_root / ENTRIES["resnet20"].weights, network("resnet20_a")).eval()
        with torch.no_grad():
            logits = model(torch.from_numpy(normalize(images.images, IMAGENET_MEAN, IMAGENET_STD)))
        right = (logits.argmax(1).numpy() == images.labels).mean()
        assert networks["resnet20"]["test_accuracy"] == pytest.approx(right)
        assert networks["densenet121"]["test_accuracy"] is None
        assert networks["densenet121"]["center_loss"] == pytest.approx(0.000807417, abs=1e-9)
        assert networks["vgg16"]["test_accuracy"] < 0.3
        assert networks["vgg16"]["training"]["samples"] == 8

    def test_what_holds_for_all_is_told_once(self, out: Path) -> None:
        archive = la.open_archive(out / "archive.zarr")
        surfaces = {name: archive.surface(name) for name in ("resnet20", "vgg16", "densenet121")}
        axes, loss, cells = figures.unique_notes(surfaces)
        assert "random directions (seed 0), filter-normalized" in axes
        assert "first 4 training images" in loss
        assert numbers_after("ResNet-20", cells) == [pytest.approx(100 * float(surfaces["resnet20"].done.mean()), abs=0.5)]
        assert " %, VGG-16" in cells
        assert "DenseNet" not in cells
        assert figures.unique_notes({"densenet121": surfaces["densenet121"]}) == ()

    def test_the_same_call_continues_and_changes_nothing(self, out: Path, data_root: Path, tmp_path: Path) -> None:
        again = shutil.copytree(out, tmp_path / "again")
        before = la.open_archive(out / "archive.zarr").surface("vgg16").loss.values
        run(again, data_root, quick=True, networks="vgg16", **TINY)  # type: ignore[arg-type]
        np.testing.assert_array_equal(before, la.open_archive(again / "archive.zarr").surface("vgg16").loss.values)

    def test_figures_and_one_page(self, out: Path) -> None:
        for name in ("panels.png", "reliefs.png", "scales.png"):
            assert (out / name).stat().st_size > 20_000
        words = (out / "index.html").read_text()
        for label in ("ResNet-20 · trained", "DenseNet-121 · imported", "VGG-16 · short training"):
            assert label in words
        assert "http://" not in words.split("<script>")[0]
