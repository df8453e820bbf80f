"""Networks of the comparison and their sources: a training on all of CIFAR-10, published weights or surfaces, a short training.

Every network says what it is. A published surface tells nothing of test images, so its accuracy stays unknown.
"""

from __future__ import annotations

import json
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

Origin = Literal["laptop training", "trained weights", "imported surface", "short training"]
"""Networks trained here on all of CIFAR-10, published weights, published surfaces, networks trained here on some images."""
WHOLE = 50_000
"""Training images of CIFAR-10."""
TRAINING_KEYS = ("samples", "epochs", "optimizer", "learning_rate", "batch_size", "seed", "train_accuracy", "train_loss")

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
        if self.origin == "laptop training":
            return f"{self.entry.label}: trained here, for {self.training['epochs']} epochs on all of CIFAR-10"
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
    entry: Entry,
    folders: tuple[Path, Path],
    data: Path | None,
    training: Training,
    test_images: int | None,
    device: str,
    progress: bool | None = None,
) -> Member:
    """A network trained here on all of CIFAR-10, else published weights, else a published surface, else a training.

    Args:
        folders: of a training by this recipe, and by `li2018`.
    """
    root, out = data_root(data), folders[0]
    for folder in folders:
        if (summary := _whole_training(folder, entry)) is not None:
            return _trained(entry, folder, summary, data, test_images, device)
    if entry.weights and (root / entry.weights).is_file():
        model = load_checkpoint(root / entry.weights, network(entry.network, 0)).eval()
        return Member(entry, "trained weights", model, test=_test(entry, model, data, test_images, device))
    if entry.surface and (root / entry.surface).is_file():
        return Member(entry, "imported surface", file=root / entry.surface)
    summary = train(training, out, data, device=device, progress=progress)
    return _trained(entry, out, summary, data, test_images, device)


def _trained(entry: Entry, folder: Path, summary: dict[str, Any], data: Path | None, test_images: int | None, device: str) -> Member:
    trained = Entry(entry.name, entry.label, summary["network"])
    model = load_checkpoint(folder / "weights.safetensors", network(trained.network, 0)).eval()
    origin: Origin = "laptop training" if summary["samples"] == WHOLE else "short training"
    test = _test(trained, model, data, test_images, device)
    return Member(trained, origin, model, test=test, training={key: summary[key] for key in TRAINING_KEYS})


def _whole_training(folder: Path, entry: Entry) -> dict[str, Any] | None:
    """Numbers of a finished training of the entry's network on all of CIFAR-10 in a folder; None where there is none."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        whole = summary["samples"] == WHOLE and summary["network"] in (entry.network, entry.name)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if whole and (folder / "weights.safetensors").is_file() else None


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
