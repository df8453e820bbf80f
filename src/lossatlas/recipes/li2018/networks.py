"""The networks under the figures: trained weights where the data folder has them, short trainings for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from lossatlas.compute.objective import Objective
from lossatlas.compute.score import score
from lossatlas.errors import InputError
from lossatlas.recipes.li2018.setting import Setting
from lossatlas.recipes.li2018.training import Plan, train
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.fetch import data_root
from lossatlas.zoo.networks import ResNet, network

BATCH = 64


@dataclass(frozen=True)
class Published:
    """A file of trained weights, the zoo's name of its network and the normalization it was trained under."""

    file: str
    network: str
    normalization: str
    label: str


PUBLISHED = {
    "resnet56": Published("nets_cifar10_li2018/resnet56_model_300.t7", "resnet56", "li", "ResNet-56"),
    "resnet56_noshort": Published(
        "nets_cifar10_li2018/resnet56_noshort_model_300.t7", "resnet56_noshort", "li", "ResNet-56 without shortcuts"
    ),
    "resnet56_a": Published("nets_cifar10_akamaster/resnet56-4bfd9763.th", "resnet56_a", "imagenet", "ResNet-56, shortcuts A"),
    "resnet20": Published("nets_cifar10_akamaster/resnet20-12fca82f.th", "resnet20_a", "imagenet", "ResNet-20"),
}


@dataclass(frozen=True)
class Net:
    """A trained network and how well it does on test pictures it has not seen.

    Attributes:
        source: "trained weights" or "short training" (or "full training", after the paper's schedule).
        test_accuracy, test_loss: on the first `test_samples` test pictures.
    """

    name: str
    label: str
    module: torch.nn.Module
    normalization: str
    source: str
    test_accuracy: float
    test_loss: float
    test_samples: int

    def objective(self, setting: Setting, samples: int, split: str = "train", batch: int = BATCH) -> Objective:
        """Cross-entropy on the first pictures of a split, without augmentation, in eval mode (METHODS.md A.3)."""
        pictures = setting.pictures(split, samples, self.normalization)
        return Objective(self.module, F.cross_entropy, pictures, batch_size=batch, split=split, device=setting.device)

    @property
    def title(self) -> str:
        """Such as "ResNet-56\\ntrained weights, test error 6.3 %"."""
        return f"{self.label}\n{self.source}, test error {100 * (1 - self.test_accuracy):.1f} %"

    def summary(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "test_accuracy": self.test_accuracy,
            "test_loss": self.test_loss,
            "test_samples": self.test_samples,
            "parameters": sum(p.numel() for p in self.module.parameters()),
        }


def net(setting: Setting, name: str) -> Net:
    """The published weights of `name`, else a training of it.

    Args:
        setting: of the run.
        name: of `PUBLISHED`, of the zoo's networks, or ``resnet8_w2`` and ``resnet8_w2_noshort``.
    """
    if (known := PUBLISHED.get(name)) is not None and (path := data_root(setting.data) / known.file).is_file():
        module = load_checkpoint(path, network(known.network, seed=0)).eval()
        return scored(setting, name, known.label, module, known.normalization, "trained weights")
    return trained(setting, name)


def trained(setting: Setting, name: str) -> Net:
    """A network trained here: the paper's schedule in a full run, a few epochs on a few pictures in a quick one."""
    module, label = built(name)
    module = train(setting, name, module, Plan.of(setting))
    return scored(setting, name, label, module, "li", "short training" if setting.quick else "full training")


def built(name: str) -> tuple[torch.nn.Module, str]:
    """A fresh network and its words; ``resnet8_w2_noshort`` is of depth 8 and twice the width."""
    parts = name.split("_")
    if parts[0].startswith("resnet") and len(parts) > 1 and parts[1].startswith("w"):
        depth, width = int(parts[0].removeprefix("resnet")), int(parts[1][1:])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = ResNet(depth, "none" if parts[-1] == "noshort" else "B", width=width)
        return module, f"ResNet-{depth}, width x{width}" + (", no shortcuts" if parts[-1] == "noshort" else "")
    label = name.removesuffix("_noshort").replace("resnet", "ResNet-").replace("vgg", "VGG-").replace("densenet", "DenseNet-")
    return network(name, seed=0), label + (" without shortcuts" if name.endswith("_noshort") else "")


def scored(setting: Setting, name: str, label: str, module: torch.nn.Module, normalization: str, source: str) -> Net:
    """The network with its test accuracy and loss."""
    count = setting.size.test_samples
    unscored = Net(name, label, module, normalization, source, float("nan"), float("nan"), count)
    found = score(unscored.objective(setting, count, "test", 250), None, ("loss", "accuracy"))
    return Net(name, label, module, normalization, source, found["accuracy"], found["loss"], count)


def require_pictures(setting: Setting) -> None:
    """Say at once, not after minutes, that CIFAR-10 is missing.

    Raises:
        InputError: no CIFAR-10 under the data folder and no network to fetch it.
    """
    try:
        setting.raw("test", 10)
    except InputError as error:
        raise InputError("--data", str(setting.data), "a folder with CIFAR-10", str(error)) from error
