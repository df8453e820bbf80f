"""Networks of the comparison and their sources: published weights, a published surface, or a short training.

Every network says what it is. A published surface tells nothing of test images, so its accuracy stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from lossatlas._util.text import format_percent
from lossatlas.compute.evaluation.single_point import evaluate_point
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import InputError
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import IMAGENET_MEAN, IMAGENET_STD, LI_MEAN, LI_STD, data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network
from lossatlas.zoo.training import Training, train

Origin = Literal["trained weights", "imported surface", "short training"]

LI, AKAMASTER, SURFACES = "nets_cifar10_li2018", "nets_cifar10_akamaster", "surfaces_cifar10_viewer"
BATCH = 50
"""Small, for an objective tries its first batch several times before it measures."""


@dataclass(frozen=True)
class Entry:
    """A network of the comparison.

    Attributes:
        name: in summary and archive.
        label: on figures.
        network: in the zoo.
        weights: published weights below the data root, if any.
        surface: a published surface below the data root, drawn where there are no weights.
        mean, std: the normalization under which the weights were trained.
    """

    name: str
    label: str
    network: str
    weights: str = ""
    surface: str = ""
    mean: tuple[float, ...] = LI_MEAN
    std: tuple[float, ...] = LI_STD


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "resnet20",
            "ResNet-20",
            "resnet20_a",
            f"{AKAMASTER}/resnet20-12fca82f.th",
            f"{SURFACES}/resnet20_low_res.npz",
            IMAGENET_MEAN,
            IMAGENET_STD,
        ),
        Entry("resnet20_noshort", "ResNet-20, no shortcuts", "resnet20_noshort", surface=f"{SURFACES}/resnet20_no_skip_low_res.npz"),
        Entry("vgg16", "VGG-16", "vgg16"),
        Entry("resnet56", "ResNet-56", "resnet56", f"{LI}/resnet56_model_300.t7", f"{SURFACES}/resnet56_skip.npz"),
        Entry(
            "resnet56_noshort",
            "ResNet-56, no shortcuts",
            "resnet56_noshort",
            f"{LI}/resnet56_noshort_model_300.t7",
            f"{SURFACES}/resnet56_no_skip.npz",
        ),
        Entry("densenet121", "DenseNet-121", "densenet121", surface=f"{SURFACES}/densenet121.npz"),
    )
}


@dataclass(frozen=True, eq=False)
class Member:
    """An entry as it was found: a model with its test numbers, or the file of a surface."""

    entry: Entry
    origin: Origin
    model: nn.Module | None = None
    file: Path | None = None
    test: dict[str, Any] | None = None
    training: dict[str, Any] | None = None

    @property
    def title(self) -> str:
        """Description in one line, for figures."""
        return f"{self.entry.label} · {self.origin} · {self._error}"

    @property
    def note(self) -> str:
        """Caveat for the reader, beside the title; "" for trained weights."""
        if self.file is not None:
            return f"{self.entry.label}: a surface that others computed, read from {self.file.name}"
        if self.training is None:
            return ""
        return (
            f"{self.entry.label}: trained here, for {self.training['epochs']} epochs on {self.training['samples']:,} images only, "
            f"not to the end (guessing errs in 90 %)"
        )

    @property
    def _error(self) -> str:
        return "test error unknown" if self.test is None else f"test error {format_percent(1 - self.test['accuracy'])}"

    def objective(self, data: Path | None, count: int, device: str) -> Objective:
        """Cross-entropy over the first `count` training images, not augmented."""
        return _objective(self.entry, _a_model(self.model), data, "train", count, device)

    def summary(self) -> dict[str, Any]:
        """Origin and test numbers; None where a published surface does not tell them."""
        test = self.test or {"accuracy": None, "loss": None, "samples": None}
        result = {"source": self.origin, "test_accuracy": test["accuracy"], "test_loss": test["loss"], "test_samples": test["samples"]}
        if self.file is not None:
            result["file"] = self.file.name
        return result if self.training is None else {**result, "training": self.training}


def chosen_entries(names: str | Iterable[str] | None) -> tuple[Entry, ...]:
    """Entries by name, in the order of the figure; None takes all.

    >>> [entry.name for entry in chosen_entries("vgg16,resnet20")]
    ['resnet20', 'vgg16']

    Raises:
        InputError: an unknown name.
    """
    wanted = list(ENTRIES) if names is None else names.split(",") if isinstance(names, str) else list(names)
    if unknown := [name for name in wanted if name not in ENTRIES]:
        raise InputError("networks", ", ".join(unknown), "any of " + ", ".join(ENTRIES))
    return tuple(entry for entry in ENTRIES.values() if entry.name in wanted)


def gather(
    entry: Entry, out: Path, data: Path | None, training: Training, test_images: int | None, device: str, progress: bool | None = None
) -> Member:
    """Published weights where the data root has them, else a published surface, else a short training in `out`."""
    root = data_root(data)
    if entry.weights and (root / entry.weights).is_file():
        model = load_checkpoint(root / entry.weights, network(entry.network, 0)).eval()
        return Member(entry, "trained weights", model, test=_test(entry, model, data, test_images, device))
    if entry.surface and (root / entry.surface).is_file():
        return Member(entry, "imported surface", file=root / entry.surface)
    summary = train(training, out, data, device=device, progress=progress)
    model = load_checkpoint(out / "weights.safetensors", network(entry.network, 0)).eval()
    keys = ("samples", "epochs", "optimizer", "learning_rate", "batch_size", "seed", "train_accuracy", "train_loss")
    trained = Entry(entry.name, entry.label, entry.network)
    return Member(
        trained, "short training", model, test=_test(trained, model, data, test_images, device), training={k: summary[k] for k in keys}
    )


def _test(entry: Entry, model: nn.Module, data: Path | None, count: int | None, device: str) -> dict[str, Any]:
    objective = _objective(entry, model, data, "test", count, device)
    return {**evaluate_point(objective, metrics=("loss", "accuracy")), "samples": objective.samples}


def _objective(entry: Entry, model: nn.Module, data: Path | None, split: str, count: int | None, device: str) -> Objective:
    images = load_cifar10(data, split, count)
    x = torch.from_numpy(normalize(images.images, entry.mean, entry.std))
    return Objective(
        model, torch.nn.functional.cross_entropy, (x, torch.from_numpy(images.labels)), batch_size=BATCH, split=split, device=device
    )


def _a_model(model: nn.Module | None) -> nn.Module:
    assert model is not None, "an imported surface has no model"
    return model
