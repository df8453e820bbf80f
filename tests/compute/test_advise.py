"""The adviser predicts what evaluate then does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lossatlas as la
from cases import F64, case


def function(of: object) -> tuple[la.Objective, la.Plane]:
    objective = la.Objective(lambda p, _: of(p["w"][0], p["w"][1]), params={"w": torch.zeros(2, dtype=F64)})
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


def test_a_plan_reads_as_five_lines() -> None:
    text = str(la.plan(case("conv-batchnorm"), la.random_plane(case("conv-batchnorm")), resolution=(21, 11)))
    assert len(text.splitlines()) == 5
    assert text.startswith("231 cells, 231 passes over the data by the loop evaluator")
    assert "1 BatchNorm layers" in text and "tol=0.01" in text


def test_a_bowl_is_shown_linear_and_a_cliff_on_a_log_scale() -> None:
    assert la.plan(*function(lambda a, b: 1 + a**2 + b**2)).scale == "linear"
    steep = la.plan(*function(lambda a, b: torch.exp(12 * a**2) * 1e-3))
    assert steep.scale == "log" and steep.clip is None


def test_the_range_shrinks_to_where_the_loss_is_finite() -> None:
    found = la.plan(*function(lambda a, b: 1 - torch.log(0.6 - a) + b**2), bounds=(-1, 1))
    assert found.bounds[1] <= 0.5


def test_nothing_is_written_and_the_probed_values_are_the_surface() -> None:
    objective, plane = function(lambda a, b: a**2 + 3 * b**2)
    for (a, b), value in la.plan(objective, plane, bounds=(-2, 2), resolution=5).values:
        assert value == pytest.approx(a**2 + 3 * b**2)
    assert np.isfinite(la.plan(objective, plane).seconds)


def test_a_line_can_be_planned() -> None:
    objective = case("relu")
    assert la.plan(objective, la.random_plane(objective, ndim=1), resolution=201).cells == 201
