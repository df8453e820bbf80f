"""Surfaces that other software computed, recomputed here from the stored weights and directions, and from the seed alone.

The files are those of mbrar8/loss-landscape (data/README.md, surfaces_mnist_mbrar8): float32, all 60,000 train images
of MNIST, mean loss, percent right. The README's own check found 1e-6 relative a fair bound, and at most one image of
60,000 that is judged otherwise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

import lossatlas as la
from lossatlas.formats.li_directions import by_name, read_directions
from lossatlas.formats.li_h5 import read_surface
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import load_mnist, normalize

SAMPLES = 60_000
RELATIVE = 1e-6
SEED_TOLERANCE = 4e-6
"""Twice what docs/format.md measured between instruction sets: `torch.randn` is not the same to the last bit on all of them."""


class Dense(nn.Module):
    """784-64-64-64-10 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3, self.fc4 = nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc4(F.relu(self.fc3(F.relu(self.fc2(x)))))


class Convolutional(nn.Module):
    """Two 3x3 convolutions, each with ReLU and a max pool of 3, then linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.fc1 = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 5, 3), nn.Linear(20, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 3)
        return self.fc1(F.max_pool2d(F.relu(self.conv2(x)), 3).flatten(1))


CASES = {
    "dense_entropy": (Dense, "model_10.pt", F.cross_entropy),
    "cnn_entropy": (Convolutional, "model_4.pt", F.cross_entropy),
    "dense_margin": (Dense, "model_10.pt", F.multi_margin_loss),
}

EVERY = ["dense_entropy", pytest.param("cnn_entropy", marks=pytest.mark.slow), "dense_margin"]
"""Convolutions over 60,000 images take half a minute on one thread."""

POINTS = [
    # data/README.md: folder, row (y), column (x), loss, right of 60,000
    ("dense_entropy", 12, 12, 0.223015285, 56063),
    ("dense_entropy", 0, 24, 6.551354332, 12545),
    ("dense_entropy", 24, 0, 9.060204445, 14161),
    ("dense_entropy", 12, 24, 2.647325813, 22355),
    ("dense_entropy", 24, 12, 2.627058237, 19131),
    ("dense_entropy", 3, 20, 3.432411101, 19774),
    ("cnn_entropy", 12, 12, 1.165675733, 41762),
    ("cnn_entropy", 0, 24, 6.224565216, 7228),
    ("cnn_entropy", 24, 0, 8.027258470, 8437),
    ("cnn_entropy", 12, 24, 2.112713027, 21942),
    ("cnn_entropy", 24, 12, 3.832467061, 14802),
    ("cnn_entropy", 3, 20, 3.525142177, 6680),
    ("dense_margin", 7, 7, 0.031844265, 55778),
    ("dense_margin", 0, 14, 0.998850332, 15555),
    ("dense_margin", 14, 0, 2.039183648, 8111),
    ("dense_margin", 7, 14, 0.571445012, 28009),
    ("dense_margin", 14, 7, 1.035546800, 5792),
    ("dense_margin", 3, 10, 0.174142096, 35801),
]


@pytest.fixture(scope="module")
def mnist(data_root: Path) -> tuple[torch.Tensor, torch.Tensor]:
    data = load_mnist(data_root, download=False)
    return torch.from_numpy(normalize(data.images, (0.5,), (0.5,))), torch.from_numpy(data.labels)


def model_of(data_root: Path, case: str) -> nn.Module:
    network, file, _ = CASES[case]
    return load_checkpoint(data_root / "surfaces_mnist_mbrar8" / case / file, network()).eval()


def objective_of(data_root: Path, case: str, mnist: tuple[torch.Tensor, torch.Tensor]) -> la.Objective:
    return la.Objective(model_of(data_root, case), CASES[case][2], mnist, split="train")


def stored_plane(data_root: Path, case: str, model: nn.Module | la.Objective) -> la.Plane:
    module = model if isinstance(model, nn.Module) else model.module
    assert module is not None
    stored = read_directions(data_root / "surfaces_mnist_mbrar8" / case / "directions.h5")
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert stored.y is not None
    d, e = ({n: torch.from_numpy(a) for n, a in by_name(arrays, shapes).items()} for arrays in (stored.x, stored.y))
    return la.Plane.from_directions(model, d, e)


def seeded_plane(model: nn.Module | la.Objective) -> la.Plane:
    return la.random_plane(model, seed=123, normalize="filter")


def stored_surface(data_root: Path, case: str) -> xr.Dataset:
    return read_surface(next((data_root / "surfaces_mnist_mbrar8" / case).glob("surface_*.h5")))


def assert_same(ours: xr.Dataset, theirs: xr.Dataset) -> None:
    np.testing.assert_allclose(ours.loss.values, theirs.loss.values, rtol=RELATIVE)
    np.testing.assert_allclose(ours.accuracy.values * SAMPLES, theirs.accuracy.values * SAMPLES, atol=1 + 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_the_seed_gives_the_stored_directions(case: str, data_root: Path) -> None:
    model = model_of(data_root, case)
    for ours, theirs in zip(seeded_plane(model).directions, stored_plane(data_root, case, model).directions, strict=True):
        for name, stored in theirs.params.items():
            if stored.dim() == 1:
                assert not stored.any()
                assert name not in ours.params
            else:
                spread = float((stored.flatten(1).norm(dim=1) / stored[0].numel() ** 0.5).max())  # of a Gaussian number, normalized
                torch.testing.assert_close(ours.params[name], stored, rtol=0, atol=SEED_TOLERANCE * spread)


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERY)
def test_corners_edges_and_center_from_the_seed(case: str, data_root: Path, mnist: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Nine points of the plane in one go, five of them in the README's table."""
    theirs = stored_surface(data_root, case)
    middle = len(theirs.alpha) // 2
    objective = objective_of(data_root, case, mnist)
    ours = la.evaluate(objective, seeded_plane(objective), bounds=(-1, 1), resolution=3, metrics=("loss", "accuracy"), progress=False)
    assert_same(ours, theirs.isel(alpha=[0, middle, -1], beta=[0, middle, -1]))
    for folder, row, column, loss, right in POINTS:
        if folder == case and {row, column} <= {0, middle, 2 * middle}:
            cell = ours.isel(alpha=column // middle, beta=row // middle)
            assert float(cell.loss) == pytest.approx(loss, rel=RELATIVE)
            assert float(cell.accuracy) * SAMPLES == pytest.approx(right, abs=1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERY)
def test_a_point_off_every_axis_from_the_stored_directions(case: str, data_root: Path, mnist: tuple[torch.Tensor, torch.Tensor]) -> None:
    theirs = stored_surface(data_root, case)
    folder, row, column, loss, right = next(point for point in POINTS if point[0] == case and point[1] == 3)
    objective = objective_of(data_root, case, mnist)
    alpha, beta = float(theirs.alpha[column]), float(theirs.beta[row])
    plane = stored_plane(data_root, folder, objective)
    ours = la.evaluate(objective, plane, bounds=((alpha, 1), (beta, 1)), resolution=2, metrics=("loss", "accuracy"), progress=False)
    assert_same(ours, theirs.isel(alpha=[column, -1], beta=[row, -1]))
    assert float(ours.loss[0, 0]) == pytest.approx(loss, rel=RELATIVE)
    assert float(ours.accuracy[0, 0]) * SAMPLES == pytest.approx(right, abs=1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "every"), [("dense_entropy", 1), ("dense_margin", 1), ("cnn_entropy", 6)])
def test_the_whole_surface_from_the_stored_directions(
    case: str, every: int, data_root: Path, mnist: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """All cells of the dense networks; every sixth row and column of the convolutional one, which takes a second a cell."""
    theirs = stored_surface(data_root, case).isel(alpha=slice(None, None, every), beta=slice(None, None, every))
    objective = objective_of(data_root, case, mnist)
    ours = la.evaluate(
        objective,
        stored_plane(data_root, case, objective),
        bounds=(-1, 1),
        resolution=len(theirs.alpha),
        metrics=("loss", "accuracy"),
        progress=False,
    )
    np.testing.assert_allclose(ours.alpha, theirs.alpha, atol=1e-15)
    assert_same(ours, theirs)


@pytest.mark.slow
def test_the_recorded_trajectory_of_dense_margin(data_root: Path, mnist: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Ten epochs: train loss of each, and its distance to the last (data/README.md, six decimals)."""
    folder = data_root / "surfaces_mnist_mbrar8" / "dense_margin"
    models = [load_checkpoint(folder / f"model_{epoch}.pt", Dense()).eval() for epoch in range(1, 11)]
    objective = la.Objective(models[-1], F.multi_margin_loss, mnist)
    losses = [objective.loss(dict(model.named_parameters())) for model in models]
    published = "0.100802 0.066115 0.054612 0.048381 0.044250 0.040895 0.037862 0.035966 0.033681 0.031844"
    np.testing.assert_allclose(losses, [float(text) for text in published.split()], atol=6e-7)
    last = nn.utils.parameters_to_vector(models[-1].parameters()).double()
    distances = [float((nn.utils.parameters_to_vector(m.parameters()).double() - last).norm().detach()) for m in models]
    published = "4.115010 3.179617 2.527183 2.023755 1.618325 1.254290 0.900271 0.576092 0.278049 0"
    np.testing.assert_allclose(distances, [float(text) for text in published.split()], atol=6e-7)
