"""A small training that every test of recording repeats bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.recording.recorder import Recorder


@dataclass(frozen=True)
class Training:
    """A two-layer classifier with BatchNorm on 40 fixed points, full batch."""

    x: torch.Tensor
    y: torch.Tensor

    def model(self, batchnorm: bool = True) -> torch.nn.Module:
        torch.manual_seed(3)
        middle = [torch.nn.BatchNorm1d(6)] if batchnorm else []
        return torch.nn.Sequential(torch.nn.Linear(2, 6), *middle, torch.nn.Tanh(), torch.nn.Linear(6, 3))

    def objective(self, model: torch.nn.Module, **options: Any) -> Objective:
        return Objective(model, F.cross_entropy, (self.x, self.y), **options)

    def optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)

    def steps(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, count: int, after: Callable[[float], object] = lambda loss: None
    ) -> list[float]:
        losses = []
        for _ in range(count):
            loss = F.cross_entropy(model(self.x), self.y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            after(losses[-1])
        return losses

    def record(self, archive: Any, count: int, batchnorm: bool = True, **options: Any) -> tuple[Recorder, torch.nn.Module, list[float]]:
        model = self.model(batchnorm)
        optimizer = self.optimizer(model)
        with Recorder(archive, model, optimizer, **options) as recorder:
            losses = self.steps(model, optimizer, count, recorder.step)
        return recorder, model, losses


@pytest.fixture
def training() -> Training:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 2, generator=generator)
    return Training(x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long())
