"""Accuracy is a share of answers; an output that is NaN is none, and no share of it is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from cases import F64, case
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec, Loop
from lossatlas.compute.evaluation.evaluators.affine.evaluator import Affine
from lossatlas.compute.evaluation.evaluators.vmap import Vmap
from lossatlas.compute.evaluation.single_point import evaluate_point
from lossatlas.compute.metrics import metrics_named
from lossatlas.compute.metrics.accuracy import correct
from lossatlas.compute.objective.loss_functions import Scores
from lossatlas.viz.scene.provenance_text import surface_notes

NAN = math.nan
POINTS = np.random.default_rng(0).uniform(-1, 1, (5, 2))


def test_an_answer_with_nan_in_it_is_neither_right_nor_wrong() -> None:
    """Wherever the NaN is: `argmax` would name its place, whether the target is there or not."""
    outputs = torch.tensor([[0.0, 1.0, 2.0], [NAN, 1.0, 2.0], [0.0, 1.0, NAN], [NAN] * 3, [0.0, math.inf, 2.0]])
    found = correct(Scores(torch.zeros(5), outputs, torch.tensor([2, 0, 2, 1, 0])))
    np.testing.assert_array_equal(found.numpy(), [1, NAN, NAN, NAN, 0])


def test_labels_that_do_not_count_may_have_nan_outputs() -> None:
    outputs = torch.tensor([[[1.0, NAN], [0.0, 1.0]], [[0.0, 0.0], [1.0, NAN]]])  # (samples, classes, places)
    objective = la.Objective(Constant(outputs), nn.CrossEntropyLoss(), (torch.zeros(2, 1), torch.tensor([[0, -100], [1, -100]])))
    assert evaluate_point(objective, metrics=("accuracy",)) == {"accuracy": 1.0}
    mixed = la.Objective(Constant(outputs), nn.CrossEntropyLoss(), (torch.zeros(2, 1), torch.tensor([[0, 1], [1, -100]])))
    assert math.isnan(evaluate_point(mixed, metrics=("accuracy",))["accuracy"])


class Constant(nn.Module):
    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs, self.shift = outputs, nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs[: len(x)] + self.shift


def tasks(name: str) -> EvaluationProblem:
    """A case with one sample that is NaN, so that every cell has one answer that is none."""
    given = case(name)
    assert given.module is not None
    batches = [tuple(t.clone() for t in batch) for batch in given.data.batches]
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    x[3] = NAN
    objective = la.Objective(given.module, F.cross_entropy, (x, y), batch_size=5)
    return EvaluationProblem.make(objective, la.random_plane(objective, seed=1), metrics_named("accuracy"))


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("relu", EvaluatorSpec("loop")),
        ("relu", EvaluatorSpec("vmap", 3)),
        ("relu", EvaluatorSpec("affine", None)),
        ("relu", EvaluatorSpec("loop", layout="features_first")),
        ("relu", EvaluatorSpec("vmap", 2, layout="features_first")),
        ("conv-batchnorm", EvaluatorSpec("loop", layout="folded")),
        ("conv-batchnorm", EvaluatorSpec("loop", layout="channels_last")),
    ],
    ids=lambda part: part if isinstance(part, str) else f"{part.evaluator}-{part.layout}",
)
def test_every_evaluator_says_so(name: str, choice: EvaluatorSpec) -> None:
    task = tasks(name)
    fast = choice.unchecked(task)
    assert isinstance(fast, Loop | Vmap | Affine)
    found = fast(POINTS).values
    np.testing.assert_array_equal(found["accuracy"], np.full(5, NAN))
    np.testing.assert_array_equal(found["accuracy_standard_error"], np.full(5, NAN))


class Logarithm(nn.Module):
    """NaN wherever some output of the inner layer lies below -1."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(1 + self.inner(x))


@pytest.mark.parametrize("options", [{"evaluator": "loop"}, {"evaluator": "vmap", "chunk": 4}, {"evaluator": "affine"}, {}], ids=str)
def test_cells_beyond_the_models_reach_have_no_accuracy(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = Logarithm().to(F64)
    x, y = torch.rand(14, 4, dtype=F64), torch.arange(14) % 3
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=5)
    plane = la.random_plane(objective, seed=2)
    surface = la.evaluate(objective, plane, (-2, 2), (7, 5), ("loss", "accuracy"), engine=la.Engine(**options))
    expected = np.empty((7, 5))
    for i, a in enumerate(np.linspace(-2, 2, 7)):
        for j, b in enumerate(np.linspace(-2, 2, 5)):
            outputs = torch.func.functional_call(model, plane.point(a, b), (x,)).detach().numpy()
            expected[i, j] = NAN if np.isnan(outputs).any() else (outputs.argmax(1) == y.numpy()).mean()
    assert 0 < np.isnan(expected).sum() < expected.size - 3
    np.testing.assert_allclose(surface.accuracy, expected, rtol=1e-14)
    np.testing.assert_array_equal(np.isnan(surface.accuracy), np.isnan(surface.loss))


def test_a_line_through_such_a_cell_has_no_barrier_and_no_note_of_one() -> None:
    torch.manual_seed(0)
    a, b = Logarithm().to(F64), Logarithm().to(F64)
    with torch.no_grad():
        b.inner.weight.fill_(-3.0)
    x, y = torch.rand(9, 4, dtype=F64), torch.arange(9) % 3
    line = la.barrier(la.Objective(a, F.cross_entropy, (x, y)), a, b, resolution=5, metrics=("loss", "accuracy"))
    assert math.isnan(line.attrs["barrier"]["error"])
    assert not any("nan" in note for note in surface_notes(line))
