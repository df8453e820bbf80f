"""Problems: logistic regression on two clouds of points as in the article, on digits, and small MNIST networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossatlas.compute.minibatch.batches import random_subset
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.constructors import weight_plane
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError
from lossatlas.zoo.data.datasets import load_digits, load_mnist

LossForm = Literal["exact", "clipped"]
CLIP = 1e-7
"""Where the article's library cuts probabilities; its losses end at -ln(1e-7) = 16.118, which makes flat tops."""
CEILING = -math.log(CLIP)
BOUNDS = (-20.0, 20.0)
PER_BLOB, DATA_SEED, SUBSET_SEED = 500, 0, 4
DIGITS = (3, 8)
"""Two digits that are not easy to tell apart; 0 and 1 leave no noise to look at."""


@dataclass(frozen=True)
class Problem:
    """A landscape made of samples.

    Attributes:
        objective: per-sample losses.
        plane: where they are drawn.
        bounds: of the plane.
        title: for figures.
    """

    objective: Objective
    plane: Plane
    bounds: tuple[tuple[float, float], tuple[float, float]]
    title: str


def linear_part(z: Tensor, y: Tensor) -> Tensor:
    """The part of a sample's loss that is linear in the weights, ``(1 - y) z``."""
    return (1 - y) * z


def softplus_part(z: Tensor) -> Tensor:
    """``ln(1 + exp(-z))``, without overflow or cancellation for any z."""
    return torch.logaddexp(torch.zeros_like(z), -z)


class LogisticRegression(nn.Module):
    """``z = x'w``, without a bias."""

    def __init__(self, weights: NDArray[np.float64]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.from_numpy(np.array(weights, np.float64)))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w


def logistic_loss(z: Tensor, y: Tensor) -> Tensor:
    """``e(x, y) = (1 - y) z + ln(1 + exp(-z))``, one a sample: cross-entropy of logistic regression."""
    return linear_part(z, y) + softplus_part(z)


def clipped_logistic_loss(z: Tensor, y: Tensor) -> Tensor:
    """The same loss as the article's library computes it, with probabilities kept from `CLIP` to 1 - `CLIP`."""
    p = torch.sigmoid(z).clamp(CLIP, 1 - CLIP)
    return -(y * torch.log(p) + (1 - y) * torch.log1p(-p))


def logistic(x: NDArray[np.float64], y: NDArray[np.float64], form: str, subset: int | None = None) -> Objective:
    """Logistic regression without a bias on classes 0 and 1, from zero weights; on a random `subset` where that is a number.

    Raises:
        InputError: an unknown form of the loss, or one class only.
    """
    forms = {"exact": logistic_loss, "clipped": clipped_logistic_loss}
    if form not in forms:
        raise InputError("loss", form, '"exact" or "clipped"')
    if len(np.unique(y)) < 2:
        raise InputError("data", f"only class {y.ravel()[0]:g}", "samples of both classes", "One class alone has its minimum at infinity")
    everything = torch.from_numpy(x), torch.from_numpy(y)
    chosen = everything if subset is None else random_subset(everything, subset, seed=SUBSET_SEED)
    return Objective(LogisticRegression(np.zeros(x.shape[1])), forms[form], chosen, split="train", units="nats")


def blobs(per_blob: int = PER_BLOB, seed: int = DATA_SEED) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two clouds of unit spread about (0, 0) and (0, 3), classes 0 and 1; rows of both come in turn."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(per_blob, 2, 2)) + np.array([[0.0, 0.0], [0.0, 3.0]])
    return points.reshape(-1, 2), np.tile([0.0, 1.0], per_blob)


def blob_problem(form: str) -> Problem:
    """The article's landscape: both weights from -20 to 20."""
    objective = logistic(*blobs(), form)
    plane = weight_plane(objective, ("w", 0), ("w", 1), labels=("W₁", "W₂"))
    return Problem(objective, plane, (BOUNDS, BOUNDS), "Logistic regression, two clouds of points")


def digit_data() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Threes and eights of scikit-learn, pixels from -1 to 1, without the pixels that never change."""
    digits = load_digits()
    chosen = np.isin(digits.labels, DIGITS)
    x = digits.images[chosen].reshape(int(chosen.sum()), -1) / 8.0 - 1.0
    return x[:, x.std(0) > 0], (digits.labels[chosen] == DIGITS[1]).astype(float)


def dense_network(hidden: int = 32) -> nn.Module:
    """784-`hidden`-10 with ReLU; 25,450 weights."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def convolutional_network() -> nn.Module:
    """Two strided convolutions and a linear layer; 3,826 weights."""
    convolutions = nn.Conv2d(1, 6, 5, stride=2), nn.ReLU(), nn.Conv2d(6, 12, 3, stride=2), nn.ReLU()
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(12 * 5 * 5, 10))


def mnist_objective(root: Path | None, samples: int, make: Callable[[], nn.Module] = dense_network, seed: int = 0) -> Objective:
    """A network on the first `samples` training images, its weights by PyTorch's own rule."""
    images = load_mnist(root, "train", samples)
    x = torch.from_numpy((images.images[:, None].astype(np.float32) / 255.0 - 0.1307) / 0.3081)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make()
    return Objective(network, nn.functional.cross_entropy, (x, torch.from_numpy(images.labels.copy())), split="train")
