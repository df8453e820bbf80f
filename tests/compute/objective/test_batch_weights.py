"""What a batch counts for: the surface equals the loss of all samples together, computed by copying the weights in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.evaluation.evaluators.accumulators import MeanAccumulator
from lossatlas.compute.evaluation.single_point import evaluate_point
from oracles import by_loading, classifier

F64 = torch.float64
RARE = torch.tensor([1.0, 1.0, 10.0], dtype=F64)
HALF = torch.tensor([0.5, 1.5, 1.0], dtype=F64)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(F64)


def sorted_data(samples: int = 100) -> tuple[Tensor, Tensor]:
    """The last tenth is of class 2, which no earlier batch has."""
    x = torch.randn(samples, 4, dtype=F64, generator=torch.Generator().manual_seed(1))
    y = torch.arange(samples) % 2
    y[-samples // 10 :] = 2
    return x, y


def check(model: nn.Module, loss: Any, data: Any, run: Callable[[nn.Module], Tensor], **options: Any) -> la.Objective:
    objective = la.Objective(model, loss, data, **options)
    plane = la.random_plane(objective, seed=1)
    for evaluator in ("loop",) if "MultiMargin" in str(loss) else ("loop", "vmap"):
        surface = la.evaluate(
            objective, plane, resolution=(2, 3), engine=la.Engine(evaluator=evaluator, chunk=5 if evaluator == "vmap" else None)
        )
        points = [(a, b) for a in surface.alpha.values for b in surface.beta.values]
        assert surface.loss.values.ravel() == pytest.approx(by_loading(model, plane, run, points), rel=1e-12)
    assert evaluate_point(objective)["loss"] == objective.loss() == pytest.approx(float(run(model).detach()), rel=1e-12)
    return objective


@pytest.mark.parametrize("size", [100, 30, 7])
@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=RARE),
        nn.CrossEntropyLoss(weight=HALF),  # its first batch is balanced, so that the mean of weighted losses looks right there
        nn.CrossEntropyLoss(weight=RARE, label_smoothing=0.2, ignore_index=1),
        functools.partial(F.cross_entropy, weight=RARE),
    ],
)
def test_classes_of_other_weights(loss: Any, size: int) -> None:
    x, y = sorted_data()
    objective = check(net(), loss, (x, y), lambda m: loss(m(x), y), batch_size=size)
    assert not objective.per_sample


def test_weights_of_margin_losses_and_of_shares_keep_the_form_per_sample() -> None:
    x, y = sorted_data()
    shares = F.one_hot(y, 3).to(F64)
    for loss, target in ((nn.MultiMarginLoss(weight=RARE), y), (nn.CrossEntropyLoss(weight=RARE), shares)):
        assert check(net(), loss, (x, target), lambda m, f=loss, t=target: f(m(x), t), batch_size=30).per_sample


def test_a_loss_of_ones_own_with_class_weights_is_taken_as_it_is() -> None:
    class Focal(nn.Module):
        def __init__(self, reduction: str = "mean") -> None:
            super().__init__()
            self.weight, self.reduction = HALF, reduction

        def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
            each = self.weight[targets] * F.cross_entropy(outputs, targets, reduction="none")
            return each if self.reduction == "none" else each.sum() / self.weight[targets].sum()

    x, y = sorted_data()
    with pytest.warns(UserWarning, match="share a batch"):
        objective = la.Objective(net(), Focal(), (x, y), batch_size=30)
    assert not objective.per_sample


@pytest.mark.parametrize(
    "loss",
    [
        lambda o, t: F.cross_entropy(o, t, ignore_index=2),
        lambda o, t: F.cross_entropy(o, t, weight=RARE),
        lambda o, t: ((o @ o.T) ** 2).mean(),
    ],
)
def test_a_loss_that_depends_on_the_batches_says_so_and_one_batch_is_right(loss: Any) -> None:
    x, y = sorted_data()
    with pytest.warns(UserWarning, match="batch_size=len.data.") as found:
        objective = la.Objective(net(), loss, (x, y), batch_size=30)
    assert len(found) == 1
    assert "share a batch" in objective.description["note"]
    check(net(), loss, (x, y), lambda m: loss(m(x), y), batch_size=100)


def test_a_sum_over_several_batches_is_refused() -> None:
    x, y = sorted_data()
    for loss in (lambda o, t: F.cross_entropy(o, t, reduction="sum"), lambda o, t: ((o - 1) ** 2).sum()):
        with pytest.raises(la.InputError, match="sum over the batch"):
            la.Objective(net(), loss, (x, y), batch_size=30)
    with pytest.raises(la.InputError, match="sum over the batch"):
        la.Objective(lambda p, batch: (p["w"] * batch).sum(), data=x, params={"w": torch.ones(1, dtype=F64)}, batch_size=30)


def test_means_that_add_up_are_silent() -> None:
    x, y = sorted_data(95)
    check(net(), lambda o, t: F.cross_entropy(o, t), (x, y), lambda m: F.cross_entropy(m(x), y), batch_size=30)
    y[::3] = -100
    check(net(), lambda o, t: F.cross_entropy(o, t), (x, y), lambda m: F.cross_entropy(m(x), y), batch_size=30)


@pytest.mark.parametrize("empty", [slice(0, 30), slice(30, 60), slice(90, 100)])
def test_a_batch_without_labels_that_count_has_no_say(empty: slice) -> None:
    x, y = sorted_data()
    y[empty] = -100
    objective = check(net(), nn.CrossEntropyLoss(), (x, y), lambda m: F.cross_entropy(m(x), y), batch_size=30)
    archive = la.open_archive(None, "a")
    surface = la.evaluate(objective, la.random_plane(objective), resolution=3, metrics=("loss", "sample_loss"), archive=archive)
    stored = la.SampleLossArray.open(archive)
    np.testing.assert_allclose(stored.statistics().loss, surface.loss, rtol=1e-12)
    np.testing.assert_allclose(stored.surfaces([[0, 1, 2, 3]])[0], surface.loss, rtol=1e-12)


# -- accuracy ---------------------------------------------------------------------------------------------


def accuracy(objective: la.Objective) -> tuple[float, float]:
    for evaluator in ("loop", "vmap"):
        options: dict[str, Any] = {"resolution": 3, "metrics": ("loss", "accuracy"), "engine": la.Engine(evaluator=evaluator, chunk=4)}
        surface = la.evaluate(objective, la.random_plane(objective), **options)
        assert evaluate_point(objective, None, ("accuracy",))["accuracy"] == pytest.approx(float(surface.accuracy[1, 1]), rel=1e-12)
    return float(surface.accuracy[1, 1]), float(surface.accuracy_standard_error[1, 1])


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(weight=RARE), lambda o, t: F.cross_entropy(o, t)])
def test_ignored_labels_are_no_wrong_answers(loss: Any) -> None:
    x, y = sorted_data()
    y[10:45] = -100
    model = net()
    found, error = accuracy(la.Objective(model, loss, (x, y), batch_size=17))
    right = (model(x).argmax(1) == y)[y != -100].double()
    assert found == pytest.approx(float(right.mean()), rel=1e-12)
    assert error == pytest.approx(float(right.std()) / len(right) ** 0.5, rel=1e-9)


def test_ignored_tokens_are_left_out_and_their_neighbours_count_one_each() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).transpose(1, 2)

    torch.manual_seed(0)
    model, x, y = Tagger().to(F64), torch.randn(30, 5, 4, dtype=F64), torch.randint(0, 5, (30, 5))
    y[12:, 2:] = -100
    found, error = accuracy(la.Objective(model, F.cross_entropy, (x, y), batch_size=7))
    assert found == pytest.approx(float((model(x).argmax(1) == y)[y != -100].double().mean()), rel=1e-12)
    assert np.isnan(error), "tokens of a sequence depend on each other"


def test_accuracy_is_refused_where_nobody_knows_the_classes() -> None:
    x, y = sorted_data()
    with pytest.raises(la.InputError, match="values, not classes"):
        accuracy(la.Objective(net(), F.mse_loss, (x, torch.randn(100, 3, dtype=F64))))
    with pytest.raises(la.InputError, match="numbers of type"):
        accuracy(la.Objective(net(), lambda o, t: (o[:, 0] - t).square(), (x, y.to(F64))))
    square = torch.randn(20, 5, 4, dtype=F64), torch.randint(0, 5, (20, 5))
    objective = la.Objective(nn.Linear(4, 5).to(F64), lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten()), square)
    with pytest.raises(la.InputError, match="axis 1 or the last"):
        accuracy(objective)


def test_shares_of_classes_have_an_accuracy() -> None:
    x, y = sorted_data()
    model, shares = net(), 0.9 * F.one_hot(y, 3).to(F64) + 0.1 / 3
    assert accuracy(la.Objective(model, F.cross_entropy, (x, shares)))[0] == pytest.approx(float((model(x).argmax(1) == y).double().mean()))


# -- standard errors and chosen samples -------------------------------------------------------------------


def test_the_spread_of_huge_losses_is_not_rounded_away() -> None:
    each = 1e9 + torch.randn(1000, dtype=F64, generator=torch.Generator().manual_seed(0))
    sums = MeanAccumulator(1, torch.device("cpu"))
    for part in each.split(64):
        sums.add(0, part, len(part))
    assert sums.standard_error(1000)[0] == pytest.approx(float((each - 1e9).std()) / 1000**0.5, rel=1e-5)


def test_samples_are_chosen_by_a_mask_or_by_number() -> None:
    model, x, y = classifier()
    archive = la.open_archive(None, "a")
    objective = la.Objective(model, F.cross_entropy, (x, y))
    la.evaluate(objective, la.random_plane(objective), resolution=3, metrics=("loss", "sample_loss"), archive=archive)
    losses = la.SampleLossArray.open(archive)
    mask = np.arange(60) % 7 == 3
    expected = F.cross_entropy(model(x), y, reduction="none").detach().numpy()[mask].mean()
    assert float(losses.surfaces([mask])[0, 1, 1]) == pytest.approx(expected, rel=1e-12)
    assert losses.batch_surface(mask).attrs["objective"]["samples"] == mask.sum()
    for wrong in (mask[:-1], np.array([0.5, 1.0]), np.array([], np.int64)):
        with pytest.raises(la.InputError, match="batches"):
            losses.surfaces([wrong])
