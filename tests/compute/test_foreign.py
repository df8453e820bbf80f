"""Surfaces that other software computed, again: from its stored directions, and from the seed alone.

The networks, directions and surfaces are those of a fork of Li et al.'s code; the data's README states their
conventions, the points and a bound of 1e-6 relative in float32.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.zoo.datasets import load_mnist

h5py = pytest.importorskip("h5py")

POINTS = {
    "dense_entropy": [(12, 12, 56063), (0, 24, 12545), (24, 0, 14161), (12, 24, 22355), (24, 12, 19131), (3, 20, 19774)],
    "cnn_entropy": [(12, 12, 41762), (0, 24, 7228), (24, 0, 8437), (3, 20, 6680)],
    "dense_margin": [(7, 7, 55778), (0, 14, 15555), (14, 0, 8111), (7, 14, 28009), (14, 7, 5792), (3, 10, 35801)],
}
FILES = {"dense_entropy": ("model_10.pt", 25), "cnn_entropy": ("model_4.pt", 25), "dense_margin": ("model_10.pt", 15)}


def dense() -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for index, (inputs, outputs) in enumerate(((784, 64), (64, 64), (64, 64), (64, 10)), start=1):
        layers[f"fc{index}"] = nn.Linear(inputs, outputs)
        if index < 4:
            layers[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(layers)


def load(folder: Path) -> nn.Module:
    """The stored weights in a network of the README's shape; the CNN's names are taken in order."""
    state = torch.load(folder / FILES[folder.name][0], map_location="cpu", weights_only=True)
    model: nn.Module = dense()
    if folder.name == "cnn_entropy":
        block = [
            nn.Conv2d(1, 3, 3),
            nn.ReLU(),
            nn.MaxPool2d(3),
            nn.Conv2d(3, 5, 3),
            nn.ReLU(),
            nn.MaxPool2d(3),
            nn.Flatten(),
            nn.Linear(20, 10),
        ]
        model = nn.Sequential(*block)
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return model


@pytest.fixture(scope="module")
def pictures(data_root: Path) -> tuple[torch.Tensor, torch.Tensor]:
    mnist = load_mnist(data_root, "train")
    x = (torch.from_numpy(mnist.images).float()[:, None] / 255 - 0.5) / 0.5
    return x, torch.from_numpy(mnist.labels.astype(np.int64))


@pytest.mark.slow
@pytest.mark.parametrize("source", ["stored", "seed"])
@pytest.mark.parametrize("name", list(POINTS))
def test_foreign_surfaces_are_reproduced(data_root: Path, pictures: tuple[torch.Tensor, torch.Tensor], name: str, source: str) -> None:
    folder = data_root / "surfaces_mnist_mbrar8" / name
    model = load(folder)
    loss = nn.MultiMarginLoss() if name == "dense_margin" else nn.CrossEntropyLoss()
    objective = la.Objective(model, loss, pictures, batch_size=2000)
    with h5py.File(folder / "directions.h5") as file:
        stored = [
            {n: torch.from_numpy(np.array(file[g][str(i)])) for i, n in enumerate(objective.params)} for g in ("xdirection", "ydirection")
        ]
    seeded = la.random_plane(objective, seed=123, normalize="filter")
    for direction, other in zip(seeded.directions, stored, strict=True):
        for parameter, step in direction.params.items():
            torch.testing.assert_close(step, other[parameter], rtol=0, atol=2e-7)
    plane = seeded if source == "seed" else la.plane(objective, *stored)
    with h5py.File(folder / f"surface_{FILES[name][1]}x{FILES[name][1]}.h5") as file:
        x, y, losses, accuracy = (np.array(file[key]) for key in ("xcoordinates", "ycoordinates", "train_loss", "train_acc"))
    for i, j, right in POINTS[name]:
        cell = la.evaluate(objective, plane, ((x[j], x[j] + 1), (y[i], y[i] + 1)), 2, metrics=("loss", "accuracy")).isel(alpha=0, beta=0)
        assert float(cell.loss) == pytest.approx(losses[i, j], rel=1e-6)
        assert float(cell.accuracy) * 60_000 == pytest.approx(right, abs=1)
        assert float(cell.accuracy) * 100 == pytest.approx(accuracy[i, j], abs=0.002)
