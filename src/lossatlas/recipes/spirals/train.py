"""Networks of the recipe and their recorded trainings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from lossatlas.archive import Archive
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.recipes.spirals.data import CLASSES, Spiral

LEARNING_RATE = 5e-3
"""Of Adam, loss-landscape-anim's default; the article does not state its own."""


@dataclass(frozen=True)
class Network:
    """A ReLU network of `depth` hidden layers, `width` neurons each; depth 0 is logistic regression."""

    depth: int
    width: int

    @property
    def name(self) -> str:
        return f"{self.depth}x{self.width}" if self.depth else "logistic"

    @property
    def label(self) -> str:
        if not self.depth:
            return "logistic regression"
        return f"{self.depth} hidden layer{'s' if self.depth > 1 else ''} of {self.width}"

    def build(self, seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        sizes = [2, *[self.width] * self.depth, CLASSES]
        layers = [layer for a, b in pairwise(sizes) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
        return torch.nn.Sequential(*layers[:-1])


NETWORKS = (Network(0, 0), *(Network(depth, width) for depth in (1, 5, 10) for width in (5, 20, 100)), Network(20, 5))
QUICK_NETWORKS = (Network(0, 0), Network(1, 5), Network(5, 20), Network(20, 5))


@dataclass(frozen=True)
class Optimizer:
    """A named optimizer with the learning rate it is compared at."""

    name: str
    label: str
    make: Callable[..., torch.optim.Optimizer]
    color: str


OPTIMIZERS = (
    Optimizer("sgd", "SGD, lr 0.5", lambda p: torch.optim.SGD(p, lr=0.5), "#111111"),
    Optimizer("momentum", "momentum 0.9, lr 0.1", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), "#d55e00"),
    Optimizer("adagrad", "Adagrad, lr 0.05", lambda p: torch.optim.Adagrad(p, lr=0.05), "#0072b2"),
    Optimizer("rmsprop", "RMSprop, lr 0.005", lambda p: torch.optim.RMSprop(p, lr=0.005), "#cc79a7"),
    Optimizer("adam", "Adam, lr 0.01", lambda p: torch.optim.Adam(p, lr=0.01), "#e6b800"),
)


@dataclass(frozen=True)
class Run:
    """A recorded training and the objective it descended."""

    name: str
    label: str
    trajectory: Trajectory
    objective: Objective


def adam(params: object) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, lr=LEARNING_RATE)  # type: ignore[arg-type]


def record(
    archive: Archive,
    name: str,
    label: str,
    model: torch.nn.Module,
    make: Callable[..., torch.optim.Optimizer],
    spiral: Spiral,
    epochs: int,
    at: Sequence[int],
) -> Run:
    """Train with the full batch, so that a step is an epoch, and record the weights at the steps of the frames."""
    optimizer = make(model.parameters())
    objective = Objective(model, F.cross_entropy, spiral.train, batch_size=2048, split="train")
    test = Objective(model, F.cross_entropy, spiral.test, batch_size=2048, split="test")
    options = {"at": at, "steps_per_epoch": 1, "objective": objective, "test_objective": test, "overwrite": True}
    with Recorder(archive, model, optimizer, name=name, label=label, **options) as recorder:
        for _ in range(epochs):
            loss = F.cross_entropy(model(spiral.x), spiral.y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
    return Run(name, label, recorder.trajectory, objective)


def frame_steps(epochs: int, frames: int) -> list[int]:
    """Steps from the first to the very last, one a frame.

    >>> frame_steps(300, 4)
    [0, 100, 200, 300]
    """
    return [int(step) for step in np.linspace(0, epochs, frames).round()]
