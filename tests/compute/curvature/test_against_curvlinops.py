"""Hessian and Gauss-Newton products against curvlinops, which multiplies by forward over reverse and shares no code with ours.

`make` installs curvlinops without torchvision (the Makefile says why). Where it is not installed these tests are skipped; in CI they fail.
"""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from compute.curvature.cases import CASES
from lossatlas.compute.curvature import ggn_operator, hessian_operator

curvlinops = importlib.import_module("curvlinops") if os.environ.get("CI") else pytest.importorskip("curvlinops")
NAMES = [name for name in CASES if name != "encoder"]
"""In eval mode PyTorch's encoder layer takes a fused kernel that has no forward derivative, which curvlinops needs."""
OPERATORS = {"hessian": (hessian_operator, "HessianLinearOperator"), "ggn": (ggn_operator, "GGNLinearOperator")}


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("name", NAMES)
def test_products_equal_those_of_curvlinops(name: str, kind: str) -> None:
    objective = CASES[name]()
    make, theirs = OPERATORS[kind]
    assert objective.module is not None
    module, loss = objective.module.eval(), nn.CrossEntropyLoss()
    vector = np.random.default_rng(0).standard_normal(make(objective, biases=True).size)
    with sdpa_kernel(SDPBackend.MATH):
        reference = getattr(curvlinops, theirs)(
            module, loss, list(module.parameters()), list(objective.data.batches), check_deterministic=False
        )
        expected = (reference @ torch.from_numpy(vector)).detach().numpy()
    np.testing.assert_allclose(make(objective, biases=True) @ vector, expected, atol=1e-12)
