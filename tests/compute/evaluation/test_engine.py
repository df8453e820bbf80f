"""An engine says how cells are computed: checked when it is made, taken by every function that evaluates."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la

F64 = torch.float64


def problem() -> tuple[la.Objective, la.Plane]:
    objective = la.Objective(
        lambda p, x: ((x - p["w"].sum()) ** 2).flatten(), data=torch.arange(6, dtype=F64), params={"w": torch.ones(2, dtype=F64)}
    )
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


def test_it_is_frozen_and_comparable() -> None:
    engine = la.Engine(executor="threads", workers=2)
    assert engine == la.Engine(executor="threads", workers=2) != la.Engine()
    with pytest.raises(dataclasses.FrozenInstanceError):
        engine.workers = 3  # type: ignore[misc]


def test_no_engine_changes_a_value() -> None:
    objective, plane = problem()
    whole = la.evaluate(objective, plane, resolution=(3, 4)).loss
    for engine in (
        la.Engine(evaluator="vmap", chunk=5),
        la.Engine(executor="threads", workers=2, tile=2),
        la.Engine(evaluator="loop", tile=1),
    ):
        np.testing.assert_allclose(la.evaluate(objective, plane, resolution=(3, 4), engine=engine).loss, whole, rtol=1e-12)


def test_a_cost_estimate_is_that_of_the_engine() -> None:
    objective, plane = problem()
    estimate = la.estimate_cost(objective, plane, resolution=(3, 4), engine=la.Engine(evaluator="vmap", chunk=4))
    assert estimate.evaluator == "vmap"
    with pytest.raises(la.InputError, match="engine"):
        la.estimate_cost(objective, plane, engine="vmap")  # type: ignore[arg-type]


def test_a_hessian_map_takes_workers_and_refuses_what_it_would_ignore() -> None:
    objective, plane = problem()
    options: dict[str, Any] = {"resolution": (2, 3), "biases": True, "progress": False}
    one, two = (la.hessian_map(objective, plane, **options, engine=engine) for engine in (la.Engine(), la.Engine(workers=2)))
    np.testing.assert_array_equal(one.lambda_max, two.lambda_max)
    with pytest.raises(la.InputError, match="Leave executor, tile out"):
        la.hessian_map(objective, plane, **options, engine=la.Engine(executor="threads", tile=3))


def test_each_mode_is_computed_by_it() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)).double()
    data = (torch.arange(8, dtype=F64).reshape(4, 2), torch.ones(4, 1, dtype=F64))
    objective = la.Objective(model, torch.nn.functional.mse_loss, data)
    surfaces = la.compare_batchnorm_modes(
        objective, la.random_plane(objective), ("eval",), engine=la.Engine(evaluator="vmap"), resolution=(2, 3)
    )
    assert surfaces["eval"].attrs["engine"]["evaluator"] == "vmap"


@pytest.mark.parametrize("keyword", ["evaluator", "chunk", "precision", "compile", "executor", "workers", "tile", "retries", "timeout"])
def test_its_fields_as_keywords_of_evaluate_are_told_their_place(keyword: str) -> None:
    wrong: dict[str, Any] = {keyword: 3}
    with pytest.raises(la.InputError, match=rf"engine=la.Engine\({keyword}=3\)"):
        la.evaluate(*problem(), **wrong)
