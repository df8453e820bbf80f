"""The physics-informed network against autograd, finite differences and the exact solution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.recipes import pinn

X = torch.linspace(0, 1, 9, dtype=torch.float64)


def test_the_second_derivative_is_that_of_autograd() -> None:
    module = pinn.Network(width=5, seed=1)
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(x)[:, 0].sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(module(x)[:, 1], second, rtol=1e-11, atol=1e-11)


def test_the_exact_solution_has_no_residual() -> None:
    class Exact(pinn.Network):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            u = torch.sin(torch.pi * x)
            return torch.stack([u, -(torch.pi**2) * u], dim=1)

    loss = pinn.PoissonLoss(Exact())
    assert float(loss({}, X)["loss"].abs().max()) < 1e-24
    assert float(loss.solution_errors({}, X).max()) == 0.0


def test_terms_add_up_to_the_loss_at_every_cell() -> None:
    objective, error = pinn.make_objective(pinn.Network(width=4), X)
    surface = la.evaluate(objective, la.random_plane(objective, seed=1), resolution=(4, 3), metrics=("loss", error), progress=False)
    np.testing.assert_allclose(surface.term_residual + surface.term_boundary, surface.loss, rtol=1e-12)
    assert (surface.solution_error > 0).all()


@pytest.mark.slow
def test_the_recipe_finds_the_solution(tmp_path: Path) -> None:
    summary = pinn.run(tmp_path, quick=True, progress=False)
    assert summary["relative_error_of_solution"] < 0.15
    assert summary["loss_at_end"] < 1e-2 * summary["loss_at_start"]
    assert summary["largest_gap_between_loss_and_terms"] < 1e-12
    assert all((tmp_path / name).stat().st_size for name in ("terms.png", "solution.png", "index.html", "summary.json"))
