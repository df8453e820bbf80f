"""Plane and objective in different dtypes: the surface is that of the weights, cast to the objective's dtype."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.connectivity.interpolation import barrier
from lossatlas.compute.evaluation.single_point import evaluate_point
from oracles import by_loading, classifier


def two(dtype: torch.dtype) -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    a, x, y = classifier(0)
    return a.to(dtype), classifier(1)[0].to(dtype), x, y


@pytest.mark.parametrize("evaluator", ["loop", "vmap"])
@pytest.mark.parametrize(("own", "other", "rel"), [(torch.float64, torch.float32, 1e-6), (torch.float32, torch.float64, 1e-5)])
def test_a_plane_of_another_dtype_is_cast(own: torch.dtype, other: torch.dtype, rel: float, evaluator: str) -> None:
    a, b, x, y = two(other)
    objective = la.Objective(a, F.cross_entropy, (x, y), dtype=own)
    explicit = la.Plane.from_directions(objective, {n: p.detach() for n, p in b.named_parameters()})
    regrown = la.random_plane(a, ndim=1, lazy=evaluator == "loop")  # vmap refuses to draw
    for plane in (la.plane_through(a, b), la.random_plane(a, ndim=1), regrown, explicit):
        surface = la.evaluate(objective, plane, (-1, 1), 3, engine=la.Engine(evaluator=evaluator, chunk=2 if evaluator == "vmap" else None))
        exact = copy.deepcopy(a).double()
        expected = by_loading(exact, plane, lambda m: F.cross_entropy(m(x), y), [(c,) for c in surface.alpha.values])
        assert surface.loss.values == pytest.approx(expected, rel=rel)
        if not plane.origin or not any(plane.origin):
            assert float(surface.loss[1]) == objective.loss()


def test_barriers_scores_and_descents_take_models_of_another_dtype() -> None:
    a, b, x, y = two(torch.float32)
    objective = la.Objective(a, F.cross_entropy, (x, y), dtype=torch.float64)
    exact = copy.deepcopy(b).double()
    expected = float(F.cross_entropy(exact(x), y).detach())
    assert evaluate_point(objective, dict(b.named_parameters()))["loss"] == pytest.approx(expected, rel=1e-12)
    assert objective.loss(dict(b.named_parameters())) == pytest.approx(expected, rel=1e-12)
    assert barrier(objective, a, b, resolution=3).loss.values[-1] == pytest.approx(expected, rel=1e-12)
    path = la.optimize_on_plane(objective, la.plane_through(a, b), (0.5,), learning_rate=0.01, steps=2)
    assert np.isfinite(path.path_loss).all()


def test_half_precision_objectives_take_planes_of_float32() -> None:
    a, _, x, y = two(torch.float32)
    objective = la.Objective(a, F.cross_entropy, (x.float(), y), dtype=torch.bfloat16)
    surface = la.evaluate(objective, la.random_plane(a), resolution=3)
    assert np.isfinite(surface.loss).all()
    assert float(surface.loss[1, 1]) == objective.loss()


def test_steps_that_round_away_are_warned_of() -> None:
    a, _, x, y = two(torch.float32)
    half = la.Objective(a, F.cross_entropy, (x.float(), y), dtype=torch.bfloat16)
    with pytest.warns(UserWarning, match="rounds away for most weights in bfloat16"):
        surface = la.evaluate(half, la.random_plane(half, ndim=1), bounds=(-1e-3, 1e-3), resolution=9)
    assert len(np.unique(surface.loss)) < 9
    full = la.Objective(a, F.cross_entropy, (x.float(), y))
    assert len(np.unique(la.evaluate(full, la.random_plane(full, ndim=1), bounds=(-1e-3, 1e-3), resolution=9).loss)) == 9
