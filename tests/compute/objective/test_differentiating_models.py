"""Models that differentiate in their forward pass, such as forces from an energy: measured like any other, sample by sample too."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from cases import F64

X, Y = torch.randn(2, 11, 3, dtype=F64, generator=torch.Generator().manual_seed(0)).unbind()
GRID: dict[str, Any] = {"bounds": (-1.0, 1.0), "resolution": (4, 3)}


class Forces(nn.Module):
    """Minus the gradient of an energy in its input; with gradients turned on by the model itself, or by its caller.

    Args:
        keeps: the graph through the derivative, as training needs it.
        turns_on: gradients in the forward pass.
        drops: units, at random also in eval mode.
    """

    def __init__(self, keeps: bool, turns_on: bool, drops: bool = False) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        self.keeps, self.turns_on, self.drops = keeps, turns_on, drops

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        with torch.enable_grad() if self.turns_on else nullcontext():
            energy = F.dropout(self.net(x), 0.5 * self.drops).sum()
            (slope,) = torch.autograd.grad(energy, x, create_graph=self.keeps)
        return -slope


def forces(**options: bool) -> Forces:
    torch.manual_seed(0)
    return Forces(**options).to(F64)


def by_hand(params: dict[str, Tensor]) -> np.ndarray:
    """Mean squared error of each sample's forces: ``-W1^T ((1 - tanh^2) * w2)``, without autograd."""
    inner, outer = params["net.0.weight"], params["net.2.weight"]
    hidden = torch.tanh(X @ inner.T + params["net.0.bias"])
    found = -((1 - hidden**2) * outer) @ inner
    return ((found - Y) ** 2).mean(1).numpy()


@pytest.mark.parametrize("turns_on", [True, False])
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("loss", [F.mse_loss, nn.MSELoss(), lambda o, y: ((o - y) ** 2).mean(1)], ids=["function", "module", "own"])
@pytest.mark.parametrize("evaluator", ["loop", "auto"])
def test_sample_loss_is_the_loss_of_every_sample(turns_on: bool, keeps: bool, loss: Any, evaluator: str) -> None:
    model, archive = forces(keeps=keeps, turns_on=turns_on), la.open_archive(None, "a")
    objective = la.Objective(model, loss, (X, Y), batch_size=4)
    plane = la.random_plane(objective)
    surface = la.evaluate(objective, plane, **GRID, metrics=("loss", "sample_loss"), archive=archive, engine=la.Engine(evaluator=evaluator))
    stored = np.asarray(archive.samples()["sample_loss"][...])
    expected = np.array([[by_hand(plane.point(a, b)) for b in np.linspace(-1, 1, 3)] for a in np.linspace(-1, 1, 4)])
    np.testing.assert_allclose(stored, expected, rtol=1e-11)
    np.testing.assert_allclose(surface.loss, expected.mean(-1), rtol=1e-11)


def test_a_physics_informed_residual_is_kept_sample_by_sample() -> None:
    """``(u' + u)^2`` of ``u = w sin x + v cos x``, a callable: the samples' values in closed form at every cell."""
    x = torch.linspace(0, 3, 7, dtype=F64)

    def residual(params: Any, batch: Tensor) -> Tensor:
        t = batch.clone().requires_grad_()
        u = params["w"][0] * t.sin() + params["w"][1] * t.cos()
        (slope,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        return (slope + u) ** 2

    objective = la.Objective(residual, data=x, params={"w": torch.tensor([0.5, 2.0], dtype=F64)}, batch_size=3)
    archive = la.open_archive(None, "a")
    la.evaluate(objective, la.weight_plane(objective, ("w", 0), ("w", 1)), **GRID, metrics=("loss", "sample_loss"), archive=archive)
    w, v = np.linspace(-1, 1, 4)[:, None, None], np.linspace(-1, 1, 3)[None, :, None]
    expected = ((w - v) * np.sin(x.numpy()) + (w + v) * np.cos(x.numpy())) ** 2
    np.testing.assert_allclose(np.asarray(archive.samples()["sample_loss"][...]), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.filterwarnings("ignore:The model is random in eval mode")
def test_noise_in_such_a_model_is_found_and_held() -> None:
    model = forces(keeps=True, turns_on=False, drops=True)
    objective = la.Objective(model, F.mse_loss, (X, Y))
    assert objective.loss() == objective.loss()
    assert "random in eval mode" in objective.description["note"]


def test_the_callers_model_and_its_gradients_are_left_alone() -> None:
    model = forces(keeps=True, turns_on=False)
    before = copy.deepcopy(model.state_dict())
    objective = la.Objective(model, F.mse_loss, (X, Y), batch_size=4)
    la.evaluate(objective, la.random_plane(objective), **GRID, metrics=("loss", "sample_loss"))
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())
