"""The paper's schedule, trainings that learn, and stops that change no bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import lossatlas as la
from lossatlas.errors import InputError
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.cifar import LI_MEAN, LI_STD
from lossatlas.zoo.data.datasets import Images
from lossatlas.zoo.data.images import normalize
from lossatlas.zoo.networks import NETWORKS, network
from lossatlas.zoo.training import Training, loop, train
from lossatlas.zoo.training import batches as pictures
from lossatlas.zoo.training.batches import TrainingImages, batch_bounds, batches
from lossatlas.zoo.training.checkpoint import ADDED_SETTINGS, Checkpoint, read_training_checkpoint
from lossatlas.zoo.training.loop import make_optimizer
from lossatlas.zoo.training.settings import default_precision


def stripes(count: int, seed: int, shape: tuple[int, ...]) -> Images:
    """Ten classes of pictures: noise with a bright bar whose place is the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    images = rng.integers(0, 60, (count, *shape)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., 2 * label + 2 : 2 * label + 5, :] += 150
    return Images(images, labels.astype(np.int64))


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up pictures in the shapes of MNIST and CIFAR-10."""
    monkeypatch.setattr(pictures, "load_mnist", lambda root, split, count: stripes(count or 60, len(split), (28, 28)))
    monkeypatch.setattr(pictures, "load_cifar10", lambda root, split, count: stripes(count or 60, len(split), (3, 32, 32)))


LENET = Training("lenet", epochs=3, samples=50, test_samples=40, batch_size=16, optimizer="adam", seed=5)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(out / "weights.safetensors", network("lenet")).state_dict()


class TestSchedule:
    def test_the_paper(self) -> None:
        """The schedule of Li et al. 2018: lr 0.1, a tenth after epochs 150, 225, 275 of 300, weight decay 5e-4, batch 128, seed 0."""
        paper = Training("resnet56")
        assert (paper.epochs, paper.drops, paper.batch_size, paper.weight_decay, paper.seed) == (300, (150, 225, 275), 128, 5e-4, 0)
        rates = [paper.rate(epoch) for epoch in range(300)]
        assert [rates.count(rate) for rate in dict.fromkeys(rates)] == [150, 75, 50, 25]
        assert rates[0] == 0.1
        assert rates[-1] == pytest.approx(1e-4)
        assert Training("resnet110_noshort").learning_rate == 0.01
        assert Training("resnet56", optimizer="adam").learning_rate == 1e-3

    def test_one_cycle_rises_and_falls_along_straight_lines(self) -> None:
        """Areas of two triangles: the rates of 1,000 updates, taken at their middles, sum to half of the peak times their number."""
        cycle = Training("vgg9", epochs=10, learning_rate=0.4, schedule="one-cycle")
        rates = np.array([cycle.rate((update + 0.5) / 100) for update in range(1000)])
        assert rates.sum() == pytest.approx(0.4 * 1000 / 2)
        assert rates.max() == pytest.approx(0.4, rel=0.01)
        assert int(rates.argmax()) in (199, 200)
        assert rates.min() > 0
        assert cycle.drops == ()

    def test_optimizers_are_the_papers(self) -> None:
        model = torch.nn.Linear(2, 2)
        sgd = make_optimizer(model, Training("vgg9")).param_groups[0]
        assert (sgd["lr"], sgd["momentum"], sgd["nesterov"], sgd["weight_decay"]) == (0.1, 0.9, True, 5e-4)
        assert isinstance(make_optimizer(model, Training("vgg9", optimizer="adam")), torch.optim.Adam)

    @pytest.mark.parametrize("epochs", [1, 2, 3, 7])
    def test_short_trainings_start_at_the_full_rate(self, epochs: int) -> None:
        short = Training("vgg9", epochs=epochs)
        assert short.rate(0) == 0.1
        assert all(0 < drop < epochs for drop in short.drops)

    @pytest.mark.parametrize(("amx", "avx512"), [(True, False), (False, True), (False, False), (None, None)])
    def test_half_precision_where_the_processor_multiplies_in_it(
        self, amx: bool | None, avx512: bool | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """None: a PyTorch that cannot be asked."""
        for name, supported in (("_is_amx_tile_supported", amx), ("_is_avx512_bf16_supported", avx512)):
            monkeypatch.delattr(torch.cpu, name, raising=False)
            if supported is not None:
                monkeypatch.setattr(torch.cpu, name, lambda supported=supported: supported, raising=False)
        assert default_precision() == ("bfloat16" if amx or avx512 else "float32")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"network": "resnet21"}, "network"),
            ({"optimizer": "sgdm"}, "optimizer"),
            ({"epochs": 0}, "epochs"),
            ({"batch_size": 1}, "batch_size"),
            ({"learning_rate": -1.0}, "learning_rate"),
            ({"learning_rate": float("nan")}, "learning_rate"),
            ({"weight_decay": -1.0}, "weight_decay"),
            ({"seed": -1}, "seed"),
            ({"schedule": "cosine"}, "schedule"),
            ({"precision": "float8"}, "precision"),
        ],
    )
    def test_bad_words(self, words: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Training(**{"network": "lenet", **words})  # type: ignore[arg-type]


class TestBatches:
    def test_the_memory_layout_changes_no_value(self) -> None:
        data = stripes(7, 0, (3, 32, 32))
        shown = TrainingImages(data.images, data.labels, (0.5, 0.4, 0.3), (0.2, 0.1, 0.3))
        plain, last = (next(batches(shown, Training("vgg9", batch_size=7, channels_last=flag), 1, 0, "cpu")) for flag in (False, True))
        assert torch.equal(plain[0], last[0])
        assert last[0].is_contiguous(memory_format=torch.channels_last)

    def test_normalization_is_that_of_planes(self) -> None:
        data = stripes(5, 0, (3, 32, 32))
        data.images.flags.writeable = False
        x, y = TrainingImages(data.images, data.labels, LI_MEAN, LI_STD).tensors(4)
        np.testing.assert_allclose(
            x.numpy(), normalize(data.images[:4], LI_MEAN, LI_STD), rtol=1e-6, atol=1e-6
        )  # a float32 rounding or two
        assert y.tolist() == data.labels[:4].tolist()

    def test_every_picture_once_an_epoch_and_in_a_new_order(self) -> None:
        count = 33
        numbered = TrainingImages(np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1), np.arange(count), (0.0,), (1.0,))
        plain = Training("lenet", batch_size=8)
        orders = [[int(i) for _, y in batches(numbered, plain, epoch, 0, "cpu") for i in y] for epoch in (0, 1)]
        assert [sorted(order) for order in orders] == [list(range(count))] * 2
        assert orders[0] != orders[1]
        x, y = next(iter(batches(numbered, plain, 0, 0, "cpu")))
        assert torch.allclose(x.flatten() * 255, y.float(), atol=1e-4)

    def test_an_epoch_can_be_entered_at_any_batch(self) -> None:
        data = stripes(20, 0, (3, 32, 32))
        shown, colored = TrainingImages(data.images, data.labels, (0.5,) * 3, (0.2,) * 3), Training("vgg9", batch_size=6)
        whole = list(batches(shown, colored, 4, 0, "cpu"))
        entered = list(batches(shown, colored, 4, 2, "cpu"))
        assert len(whole) == len(batch_bounds(20, 6)) == 4
        assert all(torch.equal(a, b) for left, right in zip(whole[2:], entered, strict=True) for a, b in zip(left, right, strict=True))

    def test_colored_pictures_are_augmented_and_digits_are_not(self) -> None:
        assert Training("resnet20").augment
        assert not Training("lenet").augment


@pytest.mark.usefixtures("data")
class TestTrain:
    def test_the_first_update_is_the_textbooks(self, tmp_path: Path) -> None:
        """One step of Nesterov SGD from zero momentum: w - lr (1 + 0.9) (g + wd w), with the gradient taken by hand."""
        one = Training("lenet", epochs=1, samples=8, test_samples=8, batch_size=8, learning_rate=0.05, weight_decay=0.01, seed=2)
        train(one, tmp_path)
        model = network("lenet", 2)
        x, y = TrainingImages(*_arrays(8), (0.1307,), (0.3081,)).tensors()
        F.cross_entropy(model(x), y).backward()
        for name, p in model.named_parameters():
            assert p.grad is not None
            expected = p - 0.05 * 1.9 * (p.grad + 0.01 * p)
            torch.testing.assert_close(weights(tmp_path)[name], expected.detach(), rtol=1e-5, atol=1e-7)

    @pytest.mark.slow
    def test_an_update_in_bfloat16_is_that_in_float32_but_for_rounding(self, tmp_path: Path) -> None:
        """Eight bits of mantissa round each product by up to 0.4 %; a few layers of them leave an update right to some percent."""
        one = Training("lenet", epochs=1, samples=32, test_samples=8, batch_size=32, learning_rate=0.05, seed=2)
        for name, training in {"exact": one, "half": replace(one, precision="bfloat16", channels_last=True)}.items():
            train(training, tmp_path / name)
        start = torch.cat([p.detach().flatten() for p in network("lenet", 2).parameters()])
        exact, half = (torch.cat([p.flatten() for p in weights(tmp_path / name).values()]) - start for name in ("exact", "half"))
        assert 0 < float((half - exact).norm() / exact.norm()) < 0.05
        assert half.dtype == torch.float32

    def test_checkpoints_of_before_a_setting_existed_go_on(self, tmp_path: Path) -> None:
        settings = {k: v for k, v in LENET.as_dict().items() if k not in ADDED_SETTINGS} | {"samples": 50}
        Checkpoint(4, settings, {}, {}, torch.get_rng_state(), 1.0).write(tmp_path / "checkpoint.pt")
        checkpoint = read_training_checkpoint(tmp_path / "checkpoint.pt", LENET, 50)
        assert checkpoint is not None
        assert checkpoint.step == 4
        with pytest.raises(InputError, match="schedule steps instead of one-cycle"):
            read_training_checkpoint(tmp_path / "checkpoint.pt", replace(LENET, schedule="one-cycle"), 50)

    @pytest.mark.slow
    def test_it_learns_and_says_how_well(self, tmp_path: Path) -> None:
        longer = Training("lenet", epochs=25, samples=200, test_samples=100, batch_size=20, optimizer="adam", learning_rate=3e-3)
        summary = train(longer, tmp_path)
        assert summary["test_accuracy"] > 0.9
        assert json.loads((tmp_path / "summary.json").read_text()) == summary
        model = load_checkpoint(tmp_path / "weights.safetensors", network("lenet")).eval()
        x, y = TrainingImages(*_arrays(100, "test"), (0.1307,), (0.3081,)).tensors()
        with torch.no_grad():
            assert float((model(x).argmax(1) == y).double().mean()) == pytest.approx(summary["test_accuracy"])
            assert float(F.cross_entropy(model(x), y)) == pytest.approx(summary["test_loss"], rel=1e-5)

    @pytest.mark.slow
    @pytest.mark.parametrize("stop", [1, 5, 8])
    def test_a_killed_training_ends_as_the_uninterrupted_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
        """Bit for bit: the weights, and every stored row of the trajectory."""
        train(LENET, tmp_path / "whole", checkpoint_seconds=0)
        with monkeypatch.context() as patch:
            _die_after(patch, stop)
            with pytest.raises(SystemExit):
                train(LENET, tmp_path / "killed", checkpoint_seconds=0)
        train(LENET, tmp_path / "killed", checkpoint_seconds=0)
        whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
        assert all(torch.equal(whole[name], killed[name]) for name in whole)
        first, second = (la.Trajectory.open(tmp_path / out / "archive.zarr", "lenet") for out in ("whole", "killed"))
        assert first.steps.tolist() == second.steps.tolist() == [0, 4, 8, 12]
        for name in ("batch_loss", "path_loss", "test_accuracy", "weight_norm"):
            np.testing.assert_array_equal(first.dataset[name].values, second.dataset[name].values)
        np.testing.assert_array_equal(first.vector(-1), second.vector(-1))

    @pytest.mark.slow
    def test_batch_norm_networks_continue_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(NETWORKS, "vgg9", Tiny)
        colored = Training("vgg9", epochs=3, samples=24, test_samples=12, batch_size=8)
        whole = train(colored, tmp_path / "whole", checkpoint_seconds=0)
        with monkeypatch.context() as patch:
            _die_after(patch, 4)
            with pytest.raises(SystemExit):
                train(colored, tmp_path / "killed", checkpoint_seconds=0)
        killed = train(colored, tmp_path / "killed")
        assert {**whole, "seconds": 0} == {**killed, "seconds": 0}

    @pytest.mark.slow
    def test_a_finished_training_is_only_measured_again(self, tmp_path: Path) -> None:
        assert train(LENET, tmp_path) == train(LENET, tmp_path)

    @pytest.mark.slow
    def test_the_folder_of_another_training_is_refused(self, tmp_path: Path) -> None:
        train(LENET, tmp_path)
        other = Training(**{**_words(LENET), "seed": 6})
        with pytest.raises(InputError, match="seed 5 instead of 6"):
            train(other, tmp_path)
        assert train(other, tmp_path, overwrite=True)["seed"] == 6

    def test_a_damaged_checkpoint_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
        with pytest.raises(InputError, match=r"checkpoint\.pt.*cannot be read"):
            train(LENET, tmp_path)

    def test_a_loss_that_leaves_the_numbers_stops_with_advice(self, tmp_path: Path) -> None:
        wild = Training("lenet", epochs=4, samples=32, test_samples=8, batch_size=8, learning_rate=1e20)
        with pytest.raises(InputError, match="Lower --learning-rate"):
            train(wild, tmp_path)

    def test_an_unknown_device(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="device"):
            train(LENET, tmp_path, device="abacus")


def _words(training: Training) -> dict[str, object]:
    return {name: value for name, value in training.as_dict().items() if name != "augment"}


def _arrays(count: int, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    made = stripes(count, len(split), (28, 28))
    return made.images[:, None], made.labels


def _die_after(patch: pytest.MonkeyPatch, updates: int) -> None:
    """End the process's training after so many updates, as a kill between two of them would."""
    real, made = loop._Run._update, []

    def update(self: object, *arguments: object) -> None:
        if len(made) == updates:
            raise SystemExit(9)
        made.append(1)
        real(self, *arguments)  # type: ignore[arg-type]

    patch.setattr(loop._Run, "_update", update)


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(F.relu(self.bn(self.conv(x))).mean(dim=(2, 3)))
