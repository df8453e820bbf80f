"""BatchNorm and dropout modes, each against plain PyTorch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from cases import F64, case
from lossatlas.compute.evaluation.batchnorm_modes import compare_batchnorm_modes
from lossatlas.errors import InputError


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).to(
        F64
    )
    with torch.no_grad():
        for _ in range(30):
            model.train()(torch.randn(16, 4, dtype=F64) * 2 + 1)
    return model.eval()


X = torch.randn(24, 4, dtype=F64, generator=torch.Generator().manual_seed(3))
Y = torch.arange(24) % 3


def objective_of(mode: str, batch_size: int = 24, model: nn.Module | None = None) -> la.Objective:
    return la.Objective(model or network(), F.cross_entropy, (X, Y), mode=mode, batch_size=batch_size)


def by_hand(model: nn.Module, train: bool, batch_size: int) -> float:
    model = copy.deepcopy(model).train(train)
    with torch.no_grad():
        return float(
            sum(F.cross_entropy(model(x), y, reduction="sum") for x, y in zip(X.split(batch_size), Y.split(batch_size), strict=True)) / 24
        )


@pytest.mark.parametrize("batch_size", [24, 7])
def test_eval_and_batch_are_what_pytorch_does(batch_size: int) -> None:
    model = network()
    assert objective_of("eval", batch_size).loss() == pytest.approx(by_hand(model, False, batch_size), rel=1e-13)
    assert objective_of("batch", batch_size).loss() == pytest.approx(by_hand(model, True, batch_size), rel=1e-12)
    assert objective_of("train", batch_size).loss() == pytest.approx(by_hand(model, True, batch_size), rel=1e-12)


def test_recalibrated_equals_batch_mode_on_the_whole_set() -> None:
    plane = la.random_plane(objective_of("eval"), seed=1)
    surfaces = {mode: la.evaluate(objective_of(mode), plane, resolution=(4, 3)) for mode in ("eval", "batch", "recalibrated")}
    np.testing.assert_allclose(surfaces["recalibrated"].loss, surfaces["batch"].loss, rtol=1e-11)
    assert (np.abs(surfaces["eval"].loss - surfaces["batch"].loss) > 1e-3).any()


def test_recalibrated_equals_update_bn_up_to_the_unbiased_variance() -> None:
    model = network()
    averaged = copy.deepcopy(model)
    torch.optim.swa_utils.update_bn([X], averaged)
    for layer in (averaged[1], averaged[4]):
        layer.running_var.mul_(23 / 24)
    assert objective_of("recalibrated").loss() == pytest.approx(by_hand(averaged, False, 24), rel=1e-12)


def test_interpolated_takes_the_statistics_along() -> None:
    a, b = network(0), network(1)
    objective = la.Objective(a, F.cross_entropy, (X, Y), mode="interpolated")
    line = la.evaluate(objective, la.plane_through(a, b), bounds=(0, 1), resolution=3)
    halfway = copy.deepcopy(a)
    with torch.no_grad():
        for (name, value), other in zip(halfway.state_dict().items(), b.state_dict().values(), strict=True):
            if value.is_floating_point():
                halfway.state_dict()[name].copy_((value + other) / 2)
    assert line.loss.values == pytest.approx([by_hand(a, False, 24), by_hand(halfway, False, 24), by_hand(b, False, 24)], rel=1e-12)
    wrong = la.evaluate(objective_of("eval", model=a), la.plane_through(a, b), bounds=(0, 1), resolution=3)
    assert abs(float(wrong.loss[-1]) - by_hand(b, False, 24)) > 1e-3, "weights alone do not arrive at the other model"


def test_interpolated_needs_a_plane_that_knows_statistics() -> None:
    with pytest.raises(InputError, match="between"):
        la.evaluate(objective_of("interpolated"), la.random_plane(objective_of("eval")), resolution=3)


@pytest.mark.parametrize("mode", ["eval", "batch", "recalibrated", "train"])
def test_the_model_given_is_untouched_and_values_repeat(mode: str) -> None:
    model = network().train()
    before = copy.deepcopy(model.state_dict())
    objective = objective_of(mode, 7, model)
    plane = la.random_plane(objective, seed=1)
    first, second = (la.evaluate(objective, plane, resolution=(3, 4), engine=la.Engine(evaluator="loop")).loss.values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    threads = la.evaluate(objective, plane, resolution=(3, 4), engine=la.Engine(evaluator="loop", executor="threads", workers=3, tile=1))
    # BLAS orders its sums by the alignment of its operands, which other tests in the process shift.
    np.testing.assert_allclose(first, threads.loss, rtol=1e-12)
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_dropout_is_off_but_in_train_mode_and_then_the_same_everywhere() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Linear(50, 3)).to(F64)
    losses = {mode: objective_of(mode, model=model).loss() for mode in ("eval", "batch", "recalibrated", "train")}
    assert losses["eval"] == losses["batch"] == losses["recalibrated"] == pytest.approx(by_hand(model, False, 24), rel=1e-13)
    assert losses["train"] != losses["eval"]
    state = torch.get_rng_state()
    assert objective_of("train", model=model).loss() == losses["train"]
    assert torch.equal(state, torch.get_rng_state())


def test_batch_mode_may_be_taken_many_at_a_time() -> None:
    objective = case("conv-batchnorm").with_mode("batch")
    plane = la.random_plane(objective, seed=1)
    loop = la.evaluate(objective, plane, resolution=(5, 4), engine=la.Engine(evaluator="loop"))
    np.testing.assert_allclose(
        la.evaluate(objective, plane, resolution=(5, 4), engine=la.Engine(evaluator="vmap")).loss, loop.loss, rtol=1e-11
    )


def test_modes_side_by_side() -> None:
    archive = la.open_archive(None, "a")
    found = compare_batchnorm_modes(objective_of("eval"), la.random_plane(objective_of("eval")), archive=archive, resolution=3)
    assert archive.surfaces == ("surface-batch", "surface-eval", "surface-recalibrated")
    assert {mode: surface.attrs["objective"]["mode"] for mode, surface in found.items()} == {m: m for m in found}


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match="recalibrated"):
        objective_of("bn")
    with pytest.raises(InputError, match=r"nn\.Module"):
        case("callable").with_mode("batch")


def test_figures_speak_of_layers_only_where_there_are_some() -> None:
    for name, expected in (("conv-batchnorm", ["BatchNorm"]), ("groupnorm-transposed", ["dropout"]), ("relu", []), ("callable", [])):
        assert case(name).description["mode_layers"] == expected


@pytest.mark.slow
def test_another_mode_keeps_the_batches_that_were_given() -> None:
    """Micro-batches of 16 suit eval mode only: batch statistics are those of the batches handed over."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 24 * 24, 3)).double()
    x, y = torch.randn(96, 1, 24, 24, dtype=torch.float64), torch.randint(0, 3, (96,))
    made = {mode: la.Objective(model, F.cross_entropy, (x, y), mode=mode, batch_size=48) for mode in ("eval", "batch", "recalibrated")}
    assert max(made["eval"].data.counts) < 48, "the example is cut"
    with torch.no_grad():
        batch = copy.deepcopy(model).train()
        expected = np.mean([float(F.cross_entropy(batch(x[i : i + 48]), y[i : i + 48])) for i in (0, 48)])
    assert made["eval"].with_mode("batch").loss() == pytest.approx(expected, rel=1e-12)
    for mode, objective in made.items():
        for other in made.values():
            assert other.with_mode(mode).loss() == pytest.approx(objective.loss(), rel=1e-12)
    assert made["batch"].with_mode("eval").data.counts == made["eval"].data.counts


def test_a_model_that_raises_everywhere_is_an_error_and_no_empty_surface() -> None:
    """Batches of one sample have no batch statistics."""
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    objective = la.Objective(model, F.cross_entropy, (torch.randn(33, 4), torch.arange(33) % 3), batch_size=1)
    for call in (
        lambda: la.evaluate(objective.with_mode("batch"), la.random_plane(objective), resolution=3),
        lambda: compare_batchnorm_modes(objective, la.random_plane(objective), resolution=3),
    ):
        with pytest.raises(InputError, match=r"more than 1 value per channel.*another batch_size"):
            call()
