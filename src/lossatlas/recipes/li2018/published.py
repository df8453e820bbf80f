"""Trained weights and surfaces that others published, where the data folder has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lossatlas.zoo.data.fetch import data_root


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

SURFACES = {
    "resnet110": "resnet110_skip_low_res",
    "resnet20_noshort": "resnet20_no_skip_low_res",
    "resnet110_noshort": "resnet110_no_skip_low_res",
    "densenet121": "densenet121",
}
"""Surfaces of networks whose weights nobody published."""


def published_file(data: Path | None, name: str) -> Path | None:
    """The file of a network's published weights; None where there is none."""
    known = PUBLISHED.get(name)
    path = data_root(data) / known.file if known else None
    return path if path is not None and path.is_file() else None


def surface_file(data: Path | None, name: str) -> Path | None:
    """The file of another's surface of a network; None where there is none."""
    path = data_root(data) / "surfaces_cifar10_viewer" / f"{SURFACES[name]}.npz" if name in SURFACES else None
    return path if path is not None and path.is_file() else None
