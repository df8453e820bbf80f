"""Trainings of a run: their plan, their sizes, and weights from an archive in place of training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import lossatlas as la
from lossatlas.archive import as_archive
from lossatlas.recipes import recipe_named
from lossatlas.recipes.li2018 import trainings
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures.trainings import _pane_title
from lossatlas.recipes.li2018.run import run
from lossatlas.recipes.li2018.sizes import FULL, LAPTOP, QUICK, SIZES, RunSize, size_named, with_planes
from lossatlas.recipes.li2018.trainings import (
    is_done,
    network_training,
    planned_trainings,
    recorded_trainings,
    solution_training,
    train_once,
    unpack_weights,
)
from lossatlas.zoo.networks import network
from lossatlas.zoo.weight_archive import pack_trainings


def setting_of(out: Path, size: RunSize = LAPTOP) -> RunConfig:
    return RunConfig(out, as_archive(None), out, size, precision="bfloat16")


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object, **__: object) -> None:
        raise AssertionError("a training began")

    monkeypatch.setattr(trainings, "train", train)


def finish(setting: RunConfig, plan: trainings.PlannedTraining, seed: int = 3) -> dict[str, torch.Tensor]:
    """Leave what a finished training leaves, but for its path."""
    out = trainings.folder(setting, plan.key)
    out.mkdir(parents=True)
    weights = network(plan.training.network, seed).state_dict()
    save_file(weights, out / "weights.safetensors")
    (out / "summary.json").write_text(json.dumps({**plan.training.as_dict(), "steps": 10}))
    return weights


class TestPlan:
    def test_a_laptop_trains_each_network_once_minima_first(self, tmp_path: Path) -> None:
        plans = planned_trainings(setting_of(tmp_path), [str(figure) for figure in range(1, 10)] + ["repeat"])
        keys = [plan.key for plan in plans]
        assert len(set(keys)) == len(keys)
        assert [key.split("_")[3] for key in keys[:4]] == ["batch128", "batch2048"] * 2
        assert keys[4:6] == ["resnet20", "resnet20_noshort"]
        assert {"wrn8_1", "wrn8_1_noshort", "wrn8_2", "wrn8_2_noshort"} < set(keys)
        assert not any("_adam_" in key for key in keys)
        assert all(plan.training.samples == 50_000 and plan.training.augment for plan in plans)

    def test_it_fits_eight_hours_of_one_core(self, tmp_path: Path) -> None:
        plans = planned_trainings(setting_of(tmp_path), [str(figure) for figure in range(1, 10)])
        minutes = [plan.core_minutes for plan in plans]
        assert all(one is not None and one < 120 for one in minutes)
        assert sum(one or 0.0 for one in minutes) < 8 * 60
        slow = planned_trainings(replace(setting_of(tmp_path), precision="float32"), ["2"])[0].core_minutes
        assert slow == pytest.approx(trainings.FLOAT32_FACTOR * (minutes[0] or 0.0))

    def test_only_what_a_figure_needs(self, tmp_path: Path) -> None:
        setting = setting_of(tmp_path)
        assert [plan.key for plan in planned_trainings(setting, ["7"])] == ["resnet20", "resnet20_noshort"]
        assert [plan.training.batch_size for plan in planned_trainings(setting, ["8"])] == [128, 2048]
        assert planned_trainings(setting, ["8"])[0].training.weight_decay == 5e-4

    def test_published_weights_and_surfaces_spare_trainings(self, tmp_path: Path) -> None:
        for name in ("nets_cifar10_li2018/resnet56_model_300.t7", "nets_cifar10_li2018/resnet56_noshort_model_300.t7"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "surfaces_cifar10_viewer").mkdir()
        (tmp_path / "surfaces_cifar10_viewer" / "densenet121.npz").touch()
        keys = {size: [plan.key for plan in planned_trainings(setting_of(tmp_path, SIZES[size]), ["1", "4", "5"])] for size in SIZES}
        assert keys["laptop"] == ["resnet20", "resnet20_noshort"]
        assert "densenet121" in keys["full"]
        assert "densenet121" not in keys["quick"]
        assert not {"resnet56", "resnet56_noshort"} & {key for several in keys.values() for key in several}

    def test_the_paper_and_the_quick_form_are_as_before(self, tmp_path: Path) -> None:
        full = solution_training(replace(setting_of(tmp_path, FULL), precision="float32"), 8192, 5e-4).training
        assert (full.network, full.epochs, full.learning_rate, full.schedule) == ("vgg9", 300, 0.1, "steps")
        assert not full.channels_last
        quick = network_training(replace(setting_of(tmp_path, QUICK), precision="float32"), "wrn8_2").training
        assert (quick.epochs, quick.samples, quick.precision) == (6, 1000, "float32")

    def test_a_dry_run_names_trainings_and_leaves_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_training: None
    ) -> None:
        run(tmp_path / "out", tmp_path, size="laptop", figure=7, precision="bfloat16", dry_run=True)
        printed = " ".join(capsys.readouterr().err.split())
        assert "resnet20: 16 epochs of 50,000 pictures, batch 128, sgd, one-cycle, rate 0.3, bfloat16: about 18 minutes" in printed
        assert "Nothing was trained" in printed
        assert not (tmp_path / "out").exists()


class TestSizes:
    def test_quick_is_a_word_for_the_first(self) -> None:
        assert size_named("quick", False) == size_named(None, True) == QUICK
        for size, quick in (("laptop", True), ("huge", False)):
            with pytest.raises(la.InputError, match="--size"):
                size_named(size, quick)

    def test_planes_of_another_fineness(self) -> None:
        made = with_planes(LAPTOP, "all", 0.02, 101)
        assert (made.samples, made.tol, made.resolution) == (50_000, 0.02, 101)
        assert replace(made, samples=LAPTOP.samples, tol=LAPTOP.tol, resolution=LAPTOP.resolution) == LAPTOP
        assert with_planes(QUICK, None, None, None) == QUICK
        assert with_planes(QUICK, "500", None, None).samples == with_planes(QUICK, 500, None, None).samples == 500
        for options, named in (
            (("every", None, None), "--images"),
            ((50_001, None, None), "--images"),
            ((None, 0.0, None), "--tol"),
            ((None, None, 2), "--resolution"),
        ):
            with pytest.raises(la.InputError, match=named):
                with_planes(QUICK, *options)

    def test_options_without_values(self) -> None:
        parsed = recipe_named("li2018").parse(["--size", "laptop", "--dry-run", "--figure=2,3"])
        assert parsed == {"size": "laptop", "dry_run": True, "figure": "2,3"}
        with pytest.raises(la.InputError, match="options"):
            recipe_named("li2018").parse(["--dry-run=yes"])

    def test_an_unknown_precision(self, tmp_path: Path) -> None:
        with pytest.raises(la.InputError, match="--precision"):
            run(tmp_path, size="laptop", precision="float8")


@pytest.mark.usefixtures("no_training")
class TestWeights:
    def test_a_finished_training_is_read_not_repeated(self, tmp_path: Path) -> None:
        setting, plan = setting_of(tmp_path), network_training(setting_of(tmp_path), "resnet20")
        weights = finish(setting, plan)
        assert is_done(setting, plan)
        assert not is_done(setting, plan, needs_path=True)
        other_rounding = network_training(replace(setting, precision="float32"), "resnet20")
        read = train_once(setting, other_rounding).state_dict()
        assert all(torch.equal(read[name], weights[name]) for name in weights)

    def test_an_archive_stands_in_for_trainings(self, tmp_path: Path) -> None:
        made, setting = setting_of(tmp_path / "made"), setting_of(tmp_path / "used")
        plans = planned_trainings(setting, ["7"])
        weights = {plan.key: finish(made, plan, seed) for seed, plan in enumerate(plans)}
        finish(made, network_training(made, "resnet32"))
        checksum = pack_trainings(made.out / "trainings", tmp_path / "weights.zip")
        unpack_weights(setting, plans, f"{tmp_path / 'weights.zip'}#sha256={checksum}")
        assert sorted(path.name for path in (setting.out / "trainings").iterdir()) == ["resnet20", "resnet20_noshort"]
        for plan in plans:
            read = train_once(setting, plan).state_dict()
            assert all(torch.equal(read[name], tensor) for name, tensor in weights[plan.key].items())

    def test_another_training_in_the_folder_is_refused(self, tmp_path: Path) -> None:
        setting = setting_of(tmp_path)
        plan = network_training(setting, "resnet20")
        finish(setting, plan)
        longer = replace(plan, training=replace(plan.training, epochs=41))
        with pytest.raises(la.InputError, match="epochs 16 instead of 41"):
            train_once(setting, longer)

    def test_only_recorded_trainings_of_this_run_have_curves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One with its path, one with weights alone, one of other settings."""
        setting = setting_of(tmp_path)
        plain, bare, other = (network_training(setting, name) for name in ("resnet20", "resnet20_noshort", "wrn8_1"))
        for plan in (plain, bare, replace(other, training=replace(other.training, epochs=41))):
            finish(setting, plan)
        monkeypatch.setattr(trainings, "_has_whole_path", lambda archive, *_: archive.parent.name != bare.key)
        assert [plan.key for plan in recorded_trainings(setting)] == [plain.key]

    def test_curves_of_every_kind_of_network_have_a_pane(self, tmp_path: Path) -> None:
        setting = setting_of(tmp_path)
        for size, expected in ((LAPTOP, 3), (FULL, 4)):
            plans = planned_trainings(replace(setting, size=size), trainings.NEEDS)
            assert len({_pane_title(replace(setting, size=size), plan) for plan in plans}) == expected

    def test_nothing_is_fetched_unasked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fetched: list[str] = []
        monkeypatch.setattr(trainings, "fetch_archive", fetched.append)
        monkeypatch.setattr(trainings, "unpack_trainings", lambda *_: ())
        unpack_weights(setting_of(tmp_path), (), None)
        assert fetched == []
        monkeypatch.setattr(trainings, "PUBLISHED_ARCHIVES", ("https://example.org/weights.zip",))
        for size in (QUICK, FULL, LAPTOP):
            unpack_weights(setting_of(tmp_path, size), (), None)
        assert fetched == ["https://example.org/weights.zip"]
