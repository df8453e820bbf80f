"""What cannot be meant is refused in words: swapped arguments, a tolerance of nothing, weights and planes without coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lossatlas as la
from oracles import classifier

MODEL, X, Y = classifier(samples=20)


def objective() -> la.Objective:
    return la.Objective(MODEL, F.cross_entropy, (X, Y))


@pytest.mark.parametrize("wrong", ["0.01", True, [0.01]])
def test_a_tolerance_is_a_number(wrong: Any) -> None:
    target = objective()
    with pytest.raises(la.InputError, match=r"a number such as 0\.01"):
        la.evaluate(target, la.random_plane(target, ndim=1), resolution=9, tol=wrong)


def test_a_tolerance_is_of_the_loss() -> None:
    target = objective()
    line = la.random_plane(target, ndim=1)
    with pytest.raises(la.InputError, match="the loss among the metrics"):
        la.evaluate(target, line, resolution=9, metrics="accuracy", tol=0.01)
    assert la.evaluate(target, line, resolution=9, metrics=("accuracy", "loss"), tol=np.float32(0.1)).done.any()


def test_swapped_or_other_arguments_are_told() -> None:
    target: Any = objective()
    plane: Any = la.random_plane(target)
    for first, second, words in ((plane, target, "the objective first"), (MODEL, plane, r"la\.Objective"), (target, MODEL, r"la\.random")):
        with pytest.raises(la.InputError, match=words):
            la.evaluate(first, second, resolution=3)


def test_an_index_may_be_of_numpy_and_a_weight_must_be_real() -> None:
    place: Any = (np.int64(0), np.int32(1))
    assert la.weight_plane({"w": torch.ones(2, 3)}, ("w", place)).point(5.0)["w"][0, 1] == 5
    last: Any = np.int64(2)
    assert la.weight_plane({"w": torch.ones(3)}, ("w", last)).point(5.0)["w"].tolist() == [1, 1, 5]
    with pytest.raises(la.InputError, match="complex"):
        la.weight_plane({"w": torch.ones(2, dtype=torch.complex64)}, ("w", 0))


def test_parallel_directions_give_no_coordinates() -> None:
    step = {"w": torch.tensor([1.0, 2.0])}
    with pytest.raises(la.InputError, match="parallel"):
        la.Plane.from_directions({"w": torch.zeros(2)}, step, step).project({"w": torch.ones(2)})
