"""The affine shortcut does less work, not other work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from cases import F64, Tutorial, case, squares
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, Loop
from lossatlas.compute.evaluation.evaluators.affine.evaluator import Affine, has_static_matrix, prepare
from lossatlas.compute.metrics import metrics_named
from oracles import linear_regression

POINTS = np.random.default_rng(0).uniform(-4, 4, (300, 2))


def tutorial(*weights: tuple[str, tuple[int, int]]) -> EvaluationProblem:
    objective = case("tutorial")
    return EvaluationProblem.make(objective, la.weight_plane(objective, *weights), metrics_named("loss"))


def test_two_weights_of_one_neuron_leave_one_column() -> None:
    task = tutorial(("c.weight", (2, 3)), ("c.weight", (2, 4)))
    play = prepare(task, task.objective.data.batches[0])
    assert [tuple(form.base.shape) for form in play.forms.values()] == [(9, 1)]
    np.testing.assert_allclose(Affine(task)(POINTS).values["loss"], Loop(task)(POINTS).values["loss"], atol=1e-12, rtol=0)


def test_weights_of_two_neurons_leave_two_columns() -> None:
    task = tutorial(("c.weight", (0, 3)), ("c.weight", (2, 4)))
    play = prepare(task, task.objective.data.batches[0])
    assert [tuple(form.base.shape) for form in play.forms.values()] == [(9, 2)]
    np.testing.assert_allclose(Affine(task)(POINTS).values["loss"], Loop(task)(POINTS).values["loss"], atol=1e-12, rtol=0)


def test_an_inner_layer_is_followed_by_all_columns_of_the_next() -> None:
    task = tutorial(("b.weight", (2, 3)), ("b.weight", (2, 4)))
    np.testing.assert_allclose(Affine(task)(POINTS).values["loss"], Loop(task)(POINTS).values["loss"], atol=1e-12, rtol=0)


def test_a_mean_over_columns_is_restricted_like_a_sum() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(6, 7, dtype=F64), torch.rand(6, 4, dtype=F64)
    objective = la.Objective(Tutorial().to(F64), lambda out, t: ((out - t).abs() * t).mean(-1), (x, y))
    task = EvaluationProblem.make(objective, la.weight_plane(objective, ("c.weight", (1, 2)), ("c.weight", (1, 3))), metrics_named("loss"))
    assert [tuple(form.base.shape) for form in prepare(task, objective.data.batches[0]).forms.values()] == [(6, 1)]
    np.testing.assert_allclose(Affine(task)(POINTS).values["loss"], Loop(task)(POINTS).values["loss"], atol=1e-13, rtol=0)


def test_columns_that_meet_are_not_cut() -> None:
    objective = case("relu")
    task = EvaluationProblem.make(objective, la.weight_plane(objective, ("2.weight", (1, 2)), ("2.weight", (1, 3))), metrics_named("loss"))
    assert [tuple(form.base.shape) for form in prepare(task, objective.data.batches[0]).forms.values()] == [(5, 3)]


def test_linear_regression_against_its_closed_form() -> None:
    objective, x, y = linear_regression()
    plane = la.weight_plane(objective, ("weight", (0, 1)), ("weight", (1, 2)))
    found = Affine(EvaluationProblem.make(objective, plane, metrics_named("loss")))(POINTS).values["loss"]
    weight = objective.params["weight"].numpy()
    for (alpha, beta), value in zip(POINTS[:40], found, strict=False):
        moved = weight.copy()
        moved[0, 1], moved[1, 2] = alpha, beta
        assert value == pytest.approx(((x @ moved.T - y) ** 2).mean(), rel=1e-12)


def test_nan_and_infinity_survive() -> None:
    objective = la.Objective(
        lambda p, x: torch.log(p["w"][0] * x), data=torch.tensor([1.0, 2.0], dtype=F64), params={"w": torch.ones(2, dtype=F64)}
    )
    task = EvaluationProblem.make(objective, la.weight_plane(objective, ("w", 0), ("w", 1)), metrics_named("loss"))
    values = Affine(task)(np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])).values["loss"]
    assert np.isnan(values[0]) and values[1] == -np.inf and values[2] == pytest.approx(np.log(2) / 2)


def test_a_plane_that_moves_every_matrix_is_not_tried() -> None:
    objective = case("relu")
    assert not has_static_matrix(EvaluationProblem.make(objective, la.random_plane(objective), metrics_named("loss")))
    assert has_static_matrix(EvaluationProblem.make(objective, la.random_plane(objective, params="2.*"), metrics_named("loss")))


def test_first_layers_run_once_a_batch_not_once_a_point() -> None:
    calls = 0

    class Counting(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return super().forward(input)

    model = nn.Sequential(Counting(7, 5), nn.Tanh(), nn.Linear(5, 2)).to(F64)
    objective = la.Objective(model, squares, (torch.rand(8, 7, dtype=F64), torch.rand(8, 2, dtype=F64)), batch_size=4)
    task = EvaluationProblem.make(objective, la.random_plane(objective, params="2.*"), metrics_named("loss"))
    calls = 0
    evaluator = Affine(task)
    evaluator(POINTS)
    evaluator(POINTS)
    assert calls == 2
