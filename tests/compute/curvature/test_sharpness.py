"""Sharpness against the dense Hessian, and the edge of stability where theory puts it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd.functional import hessian
from torch.func import functional_call

from compute.curvature.cases import OnceOnly, convolutional
from lossatlas.compute.curvature import hessian_operator as hessian_operator
from lossatlas.compute.curvature.sharpness import largest_eigenvalue, stability_limit
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.recording.recorder import Recorder


def small_net() -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(20, 3, dtype=torch.float64)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).double()
    return model, x, (x[:, 0] * x[:, 1] > 0).long()


def test_sharpness_is_the_largest_eigenvalue_of_the_dense_hessian() -> None:
    model, x, y = small_net()
    names = [n for n, _ in model.named_parameters()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = torch.split(flat, [p.numel() for p in model.parameters()])
        params = {n: part.reshape(p.shape) for n, part, p in zip(names, parts, model.parameters(), strict=True)}
        return F.cross_entropy(functional_call(model, params, (x,)), y)

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    values, vectors = torch.linalg.eigh(hessian(loss, flat))
    objective = Objective(model, F.cross_entropy, (x, y), batch_size=7)
    found = largest_eigenvalue(objective, tol=1e-8)
    assert found.value == pytest.approx(float(values[-1]), rel=1e-7)
    assert abs(found.vector @ vectors[:, -1].numpy()) == pytest.approx(1, abs=1e-6)
    warm = largest_eigenvalue(objective, start=found.vector, tol=1e-8)
    assert warm.value == pytest.approx(found.value, rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(("factor", "stable"), [(0.99, True), (1.01, False)])
def test_descent_on_a_quadratic_crosses_where_theory_says(momentum: float, factor: float, stable: bool) -> None:
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    scales = torch.tensor([4.0, 1.0, 0.2], dtype=torch.float64)
    optimizer = torch.optim.SGD([w], lr=factor * (2 + 2 * momentum) / 4.0, momentum=momentum)
    sharpness = largest_eigenvalue(Objective(lambda p, batch: 0.5 * (scales * p["w"] ** 2).sum(), params={"w": w})).value
    assert sharpness == pytest.approx(4.0)
    assert (sharpness < stability_limit(optimizer)) == stable
    for _ in range(2000):
        optimizer.zero_grad()
        (0.5 * (scales * w**2).sum()).backward()
        optimizer.step()
    assert (float(w.detach().norm()) < 1.0) == stable


def test_stability_limits_by_optimizer() -> None:
    w = [torch.zeros(2)]
    assert stability_limit(torch.optim.SGD(w, lr=0.5)) == 4.0
    assert stability_limit(torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True)) == pytest.approx(3.8 / 0.28)
    assert np.isnan(stability_limit(torch.optim.Adam(w, lr=0.1)))


@pytest.mark.slow
def test_the_recorder_follows_sharpness_up_to_the_limit() -> None:
    """Full-batch descent sharpens past 2 / lr and is thrown back below it (Cohen et al. 2021)."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None]
    y = torch.sign(torch.sin(5 * x))
    model = torch.nn.Sequential(torch.nn.Linear(1, 12), torch.nn.Tanh(), torch.nn.Linear(12, 1)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    objective = Objective(model, F.mse_loss, (x, y))
    with Recorder(None, model, optimizer, every=50, objective=objective, sharpness=True) as recorder:
        for _ in range(1200):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
            recorder.step()
    sharpness, limit = (recorder.trajectory.dataset[name].values for name in ("sharpness", "stability_limit"))
    np.testing.assert_allclose(limit, 10)
    crossed = int(np.argmax(sharpness > 10))
    assert sharpness[0] < 10 and (np.diff(sharpness[2:crossed]) > 0).all()
    assert 10 < sharpness.max() < 12 and sharpness[crossed:].min() < 10


def test_a_loss_without_curvature_and_one_that_is_not_finite() -> None:
    flat = Objective(lambda p, batch: p["w"].sum(), params={"w": torch.ones(5)})
    assert largest_eigenvalue(flat).value == pytest.approx(0, abs=1e-12)
    hole = Objective(lambda p, batch: (p["w"] ** 3).sum() / 0.0, params={"w": torch.ones(5)})
    assert np.isnan(largest_eigenvalue(hole).value)
    assert np.isnan(largest_eigenvalue(flat, {"w": torch.full((5,), float("nan"))}).value)


def test_the_recorder_follows_the_curvature_of_trainable_parameters_only() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    x, y = torch.randn(30, 3), torch.randint(0, 2, (30,))
    model[0].requires_grad_(False)
    recorder = Recorder(None, model, every=1, objective=(objective := Objective(model, F.cross_entropy, (x, y))), sharpness=True)

    def head(flat: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(F.linear(model[1](model[0](x)), flat[:8].reshape(2, 4), flat[8:]), y)

    flat = torch.cat([p.detach().reshape(-1) for p in model[2].parameters()])
    dense = float(torch.linalg.eigvalsh(torch.func.hessian(head)(flat))[-1])
    assert recorder.trajectory.dataset.sharpness.values[0] == pytest.approx(dense, rel=1e-3)
    assert largest_eigenvalue(objective).value > 1.01 * dense, "the frozen layer would add to it"
    model.requires_grad_(False)
    recorder.step()
    assert np.isnan(recorder.trajectory.dataset.sharpness.values[1])
    model.requires_grad_(True)
    recorder.step()
    assert recorder.trajectory.dataset.sharpness.values[2] == pytest.approx(largest_eigenvalue(objective).value, rel=1e-3)


def test_sharpness_of_an_operation_that_is_differentiable_once_is_not_missing_a_part() -> None:
    """Double backward alone gives 0 here: autograd leaves out, without a word, what cannot be differentiated again."""
    torch.manual_seed(0)
    model, x, y = OnceOnly().double(), torch.randn(9, 3).double(), torch.randn(9, 2).double()
    plain = Objective(model.layer, lambda out, target: F.mse_loss((3 * out) ** 2, target), (x, y))
    found = largest_eigenvalue(Objective(model, F.mse_loss, (x, y)))
    assert found.value == pytest.approx(largest_eigenvalue(plain).value, rel=1e-5), "finite differences are right to about eps ** (2/3)"


@pytest.mark.slow
def test_buffers_of_the_point_count() -> None:
    objective = convolutional()
    dense = float(np.linalg.eigvalsh(hessian_operator(objective, biases=True).dense())[-1])
    assert largest_eigenvalue(objective, tol=1e-6).value == pytest.approx(dense, rel=1e-6)
    wide = {"1.running_var": 100 * dict(objective.module.named_buffers())["1.running_var"]}
    assert largest_eigenvalue(objective, wide).value != pytest.approx(dense, rel=0.1)


def test_groups_that_differ_have_no_one_stability_limit() -> None:
    w, v = torch.zeros(1), torch.zeros(1)
    assert np.isnan(stability_limit(torch.optim.SGD([{"params": [w], "lr": 1e-3}, {"params": [v], "lr": 1.0}])))
    assert np.isnan(stability_limit(torch.optim.SGD([{"params": [w], "momentum": 0.9}, {"params": [v]}], lr=0.5)))
    assert stability_limit(torch.optim.SGD([{"params": [w]}, {"params": [v], "weight_decay": 0.1}], lr=0.5)) == 4.0
