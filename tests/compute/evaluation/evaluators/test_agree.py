"""Every evaluator gives the loop's values on every case, or says why it cannot; the loop is checked against plain loading."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lossatlas as la
from cases import CASES, case
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec, Loop, measure
from lossatlas.compute.evaluation.evaluators.affine.evaluator import Affine
from lossatlas.compute.evaluation.evaluators.base import MemoryLayout, UnsupportedModel
from lossatlas.compute.evaluation.evaluators.batchnorm_folding import FoldedLoss
from lossatlas.compute.evaluation.evaluators.vmap import Vmap
from lossatlas.compute.metrics import metrics_named

POINTS = np.random.default_rng(0).uniform(-1, 1, (7, 2))


def task_of(name: str, params: str | None = None) -> EvaluationProblem:
    objective = case(name)
    return EvaluationProblem.make(objective, la.random_plane(objective, seed=1, params=params, biases=True), metrics_named("loss"))


def test_the_loop_equals_loading_the_weights_into_the_model() -> None:
    objective = case("conv-batchnorm")
    plane = la.random_plane(objective, seed=1)
    assert objective.module is not None
    model = copy.deepcopy(objective.module)
    for point, found in zip(POINTS, measure(objective, plane, POINTS, metrics_named("loss"))["loss"], strict=True):
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(plane.point(*point)[name])
            expected = np.mean([F.cross_entropy(model(x), y, reduction="none").numpy().sum() for x, y in objective.data.batches])
        assert found == pytest.approx(expected * len(objective.data.batches) / objective.samples, rel=1e-13)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("chunk", [1, 3, 16])
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_agrees_or_refuses(name: str, chunk: int) -> None:
    task = task_of(name)
    expected = Loop(task)(POINTS).values
    try:
        found = Vmap(task, chunk)(POINTS).values
    except UnsupportedModel as reason:
        assert name in ("lstm", "branching", "in-place"), reason
        return
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-12, atol=1e-12)


LAYERS = {
    "tutorial": "c.*",
    "relu": "2.*",
    "conv-batchnorm": "5.*",
    "groupnorm-transposed": "3.*",
    "tied": "encoder.*",
    "attention": "out.*",
    "lstm": "out.*",
    "branching": "second.*",
    "in-place": "second.*",
    "callable": "w",
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("whole", [True, False], ids=["all", "last-layer"])
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_affine_agrees_or_refuses(name: str, whole: bool) -> None:
    task = task_of(name, None if whole else LAYERS[name])
    expected = Loop(task)(POINTS).values
    try:
        found = Affine(task)(POINTS).values
    except UnsupportedModel as reason:
        assert name in ("lstm", "branching", "in-place", "attention"), reason
        assert whole or name == "in-place", reason
        return
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_features_first_agrees_or_refuses(name: str) -> None:
    task = task_of(name)
    expected, other = Loop(task)(POINTS).values, task.features_first()
    assert (other is not None) == (name in ("tutorial", "relu"))
    for evaluator in (Loop(other), Vmap(other, 4)) if other is not None else ():
        found = evaluator(POINTS).values
        for key in expected:
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_folded_batchnorm_agrees_or_is_not_offered(name: str) -> None:
    task = task_of(name)
    other = task.folded()
    assert (other is not None) == (name == "conv-batchnorm")
    if other is not None:
        expected = Loop(task)(POINTS).values
        for own in (task, task.thread_copy()):
            found = EvaluatorSpec(layout="folded").create(own)(POINTS).values
            for key in expected:
                np.testing.assert_allclose(found[key], expected[key], rtol=1e-11, atol=1e-13)
        assert task.objective.loss() == case(name).loss()


def test_folding_keeps_what_each_batch_counts_for() -> None:
    """Batches of a weighted mean count for the weights of their targets, in every layout."""
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64), label_smoothing=0.1)
    plain = case("conv-batchnorm")
    (x, y), module = (torch.cat(parts) for parts in zip(*plain.data.batches, strict=True)), plain.module
    assert module is not None
    objective = la.Objective(module, loss, (x, y), batch_size=5)
    assert not objective.per_sample
    task = EvaluationProblem.make(objective, la.random_plane(objective, seed=1), metrics_named("loss"))
    expected = Loop(task)(POINTS).values["loss"]
    assert objective.loss() == pytest.approx(float(loss(module(x), y)), rel=1e-12)
    np.testing.assert_allclose(EvaluatorSpec(layout="folded").create(task)(POINTS).values["loss"], expected, rtol=1e-11)


def test_a_deep_network_folds_every_batchnorm() -> None:
    from lossatlas.zoo.networks import network

    model = network("resnet20_a", seed=0).double()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_var is not None and module.running_mean is not None
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.normal_(module.weight)
    objective = la.Objective(model, F.cross_entropy, (torch.randn(6, 3, 16, 16, dtype=torch.float64), torch.arange(6)))
    task = EvaluationProblem.make(objective, la.random_plane(objective, seed=1, biases=True), metrics_named("loss"))
    other = task.folded()
    assert other is not None and isinstance(other.objective.function, FoldedLoss) and len(other.objective.function.pairs) == 19
    np.testing.assert_allclose(Loop(other)(POINTS[:3]).values["loss"], Loop(task)(POINTS[:3]).values["loss"], rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layout"), [("conv-batchnorm", "folded"), ("relu", "features_first"), ("conv-batchnorm", "channels_last")]
)
def test_threads_prepare_layouts_at_the_same_time(name: str, layout: MemoryLayout) -> None:
    task = task_of(name)
    expected = Loop(task)(POINTS).values["loss"]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: EvaluatorSpec(layout=layout).create(task.thread_copy())(POINTS).values["loss"], range(24)):
            np.testing.assert_allclose(found, expected, rtol=1e-11)


class Forked(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(F.gelu(self.one(x)) + x)


def test_features_first_takes_chains_alone() -> None:
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 3
    chain = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Dropout(0.5), torch.nn.Softplus(), torch.nn.Linear(5, 3, bias=False))
    soft = torch.softmax(torch.randn(9, 3, dtype=torch.float64), 1)
    shuffled = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))
    for model, target, works in ((chain, y, True), (chain, soft, True), (Forked(), y, False), (shuffled, y, False)):
        objective = la.Objective(model, F.cross_entropy, (x, target), dtype=torch.float64, batch_size=4)
        task = EvaluationProblem.make(objective, la.random_plane(objective, seed=1, biases=True), metrics_named(["loss", "accuracy"]))
        other = task.features_first()
        assert (other is not None) == works
        if other is not None:
            expected, found = Loop(task)(POINTS).values, Loop(other)(POINTS).values
            np.testing.assert_array_equal(found["accuracy"], expected["accuracy"])
            np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-13)


@pytest.mark.parametrize("loss", [F.mse_loss, torch.nn.L1Loss(), F.binary_cross_entropy_with_logits])
def test_features_first_takes_losses_of_several_outputs(loss: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(11, width, generator=generator, dtype=torch.float64) for width in (4, 2))
    chain = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).double()
    objective = la.Objective(chain, loss, (x, y), batch_size=4)
    task = EvaluationProblem.make(objective, la.random_plane(objective, seed=1, biases=True), metrics_named("loss"))
    other = task.features_first()
    assert other is not None
    expected = Loop(task)(POINTS).values["loss"]
    for evaluator in (Loop(other), Vmap(other, 4)):
        np.testing.assert_allclose(evaluator(POINTS).values["loss"], expected, rtol=1e-12)


def test_a_line_works_as_a_plane_does() -> None:
    objective = case("tutorial")
    task = EvaluationProblem.make(objective, la.weight_plane(objective, ("c.weight", (1, 2))), metrics_named("loss"))
    points = np.linspace(-3, 3, 5)[:, None]
    expected = Loop(task)(points).values["loss"]
    np.testing.assert_allclose(Affine(task)(points).values["loss"], expected, rtol=1e-13)
    np.testing.assert_allclose(Vmap(task, 4)(points).values["loss"], expected, rtol=1e-13)


def test_accuracy_comes_out_of_every_evaluator() -> None:
    objective = case("relu")
    task = EvaluationProblem.make(objective, la.random_plane(objective, seed=1, params="2.*"), metrics_named(["loss", "accuracy"]))
    expected = Loop(task)(POINTS).values
    for evaluator in (Vmap(task, 4), Affine(task)):
        found = evaluator(POINTS).values
        np.testing.assert_array_equal(found["accuracy"], expected["accuracy"])
        np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-12)
