"""Networks of the figures: published weights where the data folder has them, short trainings otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F

from lossatlas._util.text import format_percent
from lossatlas.compute.evaluation.single_point import evaluate_point
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import InputError
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.published import PUBLISHED, published_file
from lossatlas.recipes.li2018.trainings import network_training, train_once
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.networks import network

BATCH = 64
KINDS = {"wrn": "ResNet-", "resnet": "ResNet-", "vgg": "VGG-", "densenet": "DenseNet-"}


@dataclass(frozen=True)
class Net:
    """A trained network and how well it does on test pictures it has not seen.

    Attributes:
        source: "trained weights", or "short", "laptop" or "full training", the last after the paper's schedule.
        test_accuracy, test_loss: on the first `test_samples` test pictures.
    """

    name: str
    label: str
    module: torch.nn.Module
    normalization: str
    source: str
    test_samples: int
    test_accuracy: float = float("nan")
    test_loss: float = float("nan")

    def objective(self, setting: RunConfig, samples: int, split: str = "train", batch: int = BATCH) -> Objective:
        """Cross-entropy on the first pictures of a split, without augmentation, in eval mode."""
        pictures = setting.pictures(split, samples, self.normalization)
        return Objective(self.module, F.cross_entropy, pictures, batch_size=batch, split=split, device=setting.device, mode="eval")

    @property
    def title(self) -> str:
        """Such as "ResNet-56\\ntrained weights, test error 6.3 %"."""
        return f"{self.label}\n{self.source}, test error {format_percent(1 - self.test_accuracy)}"

    def summary(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "test_accuracy": self.test_accuracy,
            "test_loss": self.test_loss,
            "test_samples": self.test_samples,
            "parameters": sum(p.numel() for p in self.module.parameters()),
        }


def net(setting: RunConfig, name: str) -> Net:
    """The published weights of `name`, else a training of it; on a laptop the training where it has one.

    Args:
        setting: of the run.
        name: of `PUBLISHED` or of the zoo's networks.
    """
    if name not in setting.size.trainings and (path := published_file(setting.data, name)) is not None:
        known = PUBLISHED[name]
        module = load_checkpoint(path, network(known.network, seed=0)).eval()
        return scored(setting, Net(name, known.label, module, known.normalization, "trained weights", setting.size.test_samples))
    return trained(setting, name)


def trained(setting: RunConfig, name: str) -> Net:
    """A network trained here."""
    module = train_once(setting, network_training(setting, name))
    return scored(setting, Net(name, architecture_label(name), module, "li", training_label(setting), setting.size.test_samples))


def training_label(setting: RunConfig) -> str:
    return {"quick": "short training", "laptop": "laptop training", "full": "full training"}[setting.size.name]


def architecture_label(name: str) -> str:
    """Such as "ResNet-8 x2 without shortcuts" for ``wrn8_2_noshort``."""
    parts = name.removesuffix("_noshort").split("_")
    kind = re.sub(r"^(wrn|resnet|vgg|densenet)", lambda m: KINDS[m.group()], parts[0])
    width = f" x{parts[1]}" if parts[0].startswith("wrn") else ""
    return kind + width + (" without shortcuts" if name.endswith("_noshort") else "")


def scored(setting: RunConfig, net: Net) -> Net:
    """The network with its test accuracy and loss."""
    scores = evaluate_point(net.objective(setting, net.test_samples, "test", 250), None, ("loss", "accuracy"))
    return replace(net, test_accuracy=scores["accuracy"], test_loss=scores["loss"])


def require_pictures(setting: RunConfig) -> None:
    """Say at once, not after minutes, that CIFAR-10 is missing.

    Raises:
        InputError: no CIFAR-10 under the data folder and no network to fetch it.
    """
    try:
        setting.raw("test", 10)
    except InputError as error:
        raise InputError("--data", str(setting.data), "a folder with CIFAR-10", str(error)) from error
