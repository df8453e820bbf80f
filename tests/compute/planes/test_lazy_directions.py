"""Directions kept as a seed are the very same directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lossatlas as la
from cases import CASES, case


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("normalize", ["filter", "layer", "weight", "none"])
def test_the_same_to_the_last_bit(name: str, normalize: str) -> None:
    objective = case(name)
    kept, drawn = (la.random_plane(objective, seed=3, normalize=normalize, biases=True, lazy=regrow) for regrow in (False, True))
    for one, other in zip(kept.directions, drawn.directions, strict=True):
        assert list(one.params) == list(other.params)
        assert all(torch.equal(one.params[n], other.params[n]) for n in one.params)
    assert kept.describe() == drawn.describe()


def test_biases_and_chosen_names_are_left_out_alike() -> None:
    objective = case("conv-batchnorm")
    for options in ({}, {"params": "5.*"}, {"params": "5.*", "biases": True}, {"ndim": 1}):
        assert la.random_plane(objective, lazy=True, **options).describe() == la.random_plane(objective, lazy=False, **options).describe()
    with pytest.raises(la.InputError, match="biases=True"):
        la.random_plane(objective, params="1.*", lazy=True)


def test_the_same_surface_from_much_less_memory() -> None:
    objective = case("conv-batchnorm")
    kept, drawn = (la.random_plane(objective, seed=3, lazy=regrow) for regrow in (False, True))
    np.testing.assert_array_equal(
        la.evaluate(objective, kept, resolution=(4, 5), engine=la.Engine(evaluator="loop")).loss,
        la.evaluate(objective, drawn, resolution=(4, 5), engine=la.Engine(evaluator="loop")).loss,
    )
    assert drawn.project(drawn.point(0.3, -0.7)).coordinates == pytest.approx((0.3, -0.7))
    held = [value for value in vars(drawn.directions[0].params).values() if isinstance(value, torch.Tensor)]
    assert not held and all(len(state) < 6000 for state in drawn.directions[0].params.states.values())
