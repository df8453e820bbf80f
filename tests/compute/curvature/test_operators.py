"""Products with the Hessian and the Gauss-Newton matrix against dense ones and closed forms."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from compute.curvature.cases import CASES, NAMES, OnceOnly, Recurrent, convolutional, dense_hessian, mlp
from lossatlas.compute.curvature import CurvatureOperator, ggn_operator, hessian_operator
from oracles import bytes_of, linear_regression


@pytest.mark.parametrize("name", NAMES)
def test_products_equal_the_dense_hessian(name: str) -> None:
    objective = CASES[name]()
    found = hessian_operator(objective, biases=True)
    assert found.method == "double backward"
    np.testing.assert_allclose(found.dense(), dense_hessian(objective), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["forward over reverse", "finite differences"])
def test_other_methods_agree(name: str, method: str) -> None:
    objective = CASES[name]()
    vector = np.random.default_rng(0).standard_normal(hessian_operator(objective, biases=True).size)
    tolerance = 1e-10 if method == "forward over reverse" else 1e-5
    np.testing.assert_allclose(
        hessian_operator(objective, method=method, biases=True) @ vector, hessian_operator(objective, biases=True) @ vector, atol=tolerance
    )


def test_a_single_precision_lstm_has_no_forward_derivative_and_still_works() -> None:
    torch.manual_seed(2)
    data = (torch.randn(20, 5, 3), torch.arange(20) % 3)
    objective = la.Objective(Recurrent(), F.cross_entropy, data)
    with pytest.raises(la.InputError, match="forward over reverse failed"):
        hessian_operator(objective, method="forward over reverse", biases=True)
    double = la.Objective(objective.module, F.cross_entropy, data, dtype=torch.float64)
    vector = np.random.default_rng(0).standard_normal(hessian_operator(objective, biases=True).size)
    np.testing.assert_allclose(hessian_operator(objective, biases=True) @ vector, hessian_operator(double, biases=True) @ vector, atol=1e-5)


def test_linear_regression_has_its_closed_form() -> None:
    objective, x, _ = linear_regression(samples=40, features=3, outputs=2)
    expected = np.kron(np.eye(2), 2 / (40 * 2) * x.T @ x)
    np.testing.assert_allclose(hessian_operator(objective, biases=True).dense(), expected, atol=1e-14)
    np.testing.assert_allclose(ggn_operator(objective, biases=True).dense(), expected, atol=1e-14)


@pytest.mark.parametrize("memory", [0, 2**40])
@pytest.mark.parametrize("batch_size", [1, 7, 20])
def test_neither_batch_size_nor_memory_changes_a_product(batch_size: int, memory: int) -> None:
    whole = mlp()
    x, y = (torch.cat(parts) for parts in zip(*whole.data.batches, strict=True))
    cut = la.Objective(whole.module, F.cross_entropy, (x, y), batch_size=batch_size)
    vector = np.arange(hessian_operator(whole, biases=True).size) / 10
    np.testing.assert_allclose(
        hessian_operator(cut, memory=memory, biases=True) @ vector, hessian_operator(whole, biases=True) @ vector, atol=1e-12
    )


def test_threads_give_the_same_product() -> None:
    objective = convolutional()
    vector = np.ones(hessian_operator(objective, biases=True).size)
    assert (hessian_operator(objective, workers=3, biases=True) @ vector == hessian_operator(objective, biases=True) @ vector).all()


@pytest.mark.parametrize("method", ["forward over reverse", "finite differences"])
def test_threads_run_no_model(method: str) -> None:
    """These methods run the model in every product: in several threads at once its parameters are swapped under another's feet."""
    whole, main, threads = mlp(), threading.get_ident(), set[int]()
    assert whole.module is not None
    whole.module.register_forward_hook(lambda *_: threads.add(threading.get_ident()))
    x, y = (torch.cat(parts) for parts in zip(*whole.data.batches, strict=True))
    cut = la.Objective(whole.module, F.cross_entropy, (x, y), batch_size=5)
    vector = np.ones(hessian_operator(whole).size)
    np.testing.assert_array_equal(hessian_operator(cut, method=method, workers=3) @ vector, hessian_operator(cut, method=method) @ vector)
    assert threads == {main}


def test_an_operation_that_is_differentiable_once_falls_back_and_says_so() -> None:
    torch.manual_seed(0)
    objective = la.Objective(OnceOnly().double(), F.mse_loss, (torch.randn(9, 3).double(), torch.randn(9, 2).double()))
    found = hessian_operator(objective, biases=True)
    assert found.method == "finite differences"
    assert found.note is not None
    assert "double backward failed" in found.note
    plain = la.Objective(nn.Linear(3, 2).double(), lambda out, y: ((9 * out**2 - y) ** 2).mean(), objective.data.batches[0])
    reference = hessian_operator(plain, dict(zip(plain.params, objective.params.values(), strict=True)), biases=True)
    np.testing.assert_allclose(found.dense(), reference.dense(), rtol=1e-6, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_model_is_untouched(mode: str) -> None:
    objective = convolutional(mode)
    assert objective.module is not None
    before = bytes_of(objective.module)
    found = hessian_operator(objective, biases=True)
    np.testing.assert_allclose(found.dense(), found.dense().T, atol=1e-12)
    assert bytes_of(objective.module) == before


def test_a_chosen_block_is_the_block_of_the_whole() -> None:
    objective = mlp()
    block = hessian_operator(objective)
    assert block.layout.names == ggn_operator(objective).layout.names == ("0.weight", "2.weight")
    np.testing.assert_allclose(block.dense(), dense_hessian(objective, ["0.weight", "2.weight"]), atol=1e-12)
    assert hessian_operator(objective, params="2").layout.names == ("2.weight",)
    assert hessian_operator(objective, params="2", biases=True).layout.names == ("2.weight", "2.bias")


def test_another_point() -> None:
    objective = mlp()
    plane = la.random_plane(objective, seed=3)
    there = la.Objective(objective.module, F.cross_entropy, objective.data.batches[0], params=plane.point(0.3, -0.2))
    here = la.Objective(objective.module, F.cross_entropy, objective.data.batches[0])
    np.testing.assert_allclose(
        hessian_operator(here, plane.point(0.3, -0.2), biases=True).dense(), hessian_operator(there, biases=True).dense(), atol=1e-13
    )


def test_softmax_regression_is_convex_with_one_zero_eigenvalue_a_feature() -> None:
    torch.manual_seed(5)
    layer, data = nn.Linear(6, 4, bias=False).double(), (torch.randn(50, 6).double(), torch.randint(0, 4, (50,)))
    values = np.linalg.eigvalsh(hessian_operator(la.Objective(layer, F.cross_entropy, data), biases=True).dense())
    assert (np.abs(values) < 1e-12).sum() == 6
    assert values.min() > -1e-12


def test_gauss_newton_is_semi_definite_and_equals_the_hessian_for_linear_outputs() -> None:
    objective = mlp()
    matrix = ggn_operator(objective, biases=True).dense()
    assert np.linalg.eigvalsh(matrix).min() > -1e-12
    last = ["2.weight", "2.bias"]
    np.testing.assert_allclose(ggn_operator(objective, params="2", biases=True).dense(), dense_hessian(objective, last), atol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "recurrent", "attention"])
def test_gauss_newton_is_the_jacobian_form(name: str) -> None:
    objective = CASES[name]()
    x, _ = (torch.cat(parts) for parts in zip(*objective.data.batches, strict=True))
    assert objective.module is not None
    leaves = {n: p.clone().requires_grad_() for n, p in objective.params.items()}
    logits = torch.func.functional_call(objective.module, leaves, (x,))
    rows = [torch.autograd.grad(o, list(leaves.values()), retain_graph=True, materialize_grads=True) for o in logits.reshape(-1)]
    jacobian = torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows]).reshape(*logits.shape, -1)
    p = logits.detach().softmax(1)
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = torch.einsum("nci,ncd,ndj->ij", jacobian, inner, jacobian) / len(x)
    np.testing.assert_allclose(ggn_operator(objective, biases=True).dense(), expected.numpy(), atol=1e-12)


def test_a_callable_has_no_gauss_newton() -> None:
    objective = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.ones(2)})
    with pytest.raises(la.InputError, match="Use hessian"):
        ggn_operator(objective)


def test_bad_requests_are_named() -> None:
    with pytest.raises(la.InputError, match="method"):
        hessian_operator(mlp(), method="magic")
    with pytest.raises(la.InputError, match="at: got nothing"):
        hessian_operator(mlp(), {"nothing": torch.ones(1)})


@pytest.mark.parametrize("make", [hessian_operator, ggn_operator])
def test_it_is_a_scipy_linear_operator(make: Callable[..., CurvatureOperator]) -> None:
    matrix = make(mlp())
    assert isinstance(matrix, LinearOperator)
    assert matrix.shape == (42, 42) and matrix.dtype == np.float64
    dense, block = matrix.dense(), np.random.default_rng(0).standard_normal((42, 3))
    # Symmetric up to the rounding of two different summation orders; one product is the same however it is asked for.
    np.testing.assert_allclose(dense, dense.T, atol=1e-12)
    for product in (matrix @ block, matrix.matmat(block), matrix.rmatmat(block), matrix.H @ block, matrix.T @ block):
        np.testing.assert_allclose(product, dense @ block, atol=1e-12)
    np.testing.assert_array_equal(matrix.rmatvec(block[:, 0]), matrix @ block[:, 0])
    before = matrix.products
    assert matrix.matvec(block[:, :1]).shape == (42, 1) and (matrix @ block).shape == (42, 3) and (matrix @ block[:, :0]).shape == (42, 0)
    assert matrix.products == before + 4


def test_eigsh_takes_it() -> None:
    matrix = hessian_operator(mlp())
    solve: Any = eigsh
    values = solve(matrix, k=3, which="LA", tol=1e-10, return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(dense_hessian(mlp(), ["0.weight", "2.weight"]))[-3:], rtol=1e-9)


def test_products_do_not_depend_on_the_callers_grad_mode() -> None:
    objective = mlp()
    expected, vector = hessian_operator(objective).dense(), np.linspace(-1, 1, 42)
    with torch.no_grad():
        np.testing.assert_array_equal(hessian_operator(objective).dense(), expected)
        np.testing.assert_array_equal(ggn_operator(objective) @ vector, ggn_operator(objective) @ vector)
        assert (ggn_operator(objective) @ vector).any()


def test_a_point_in_single_precision_is_differentiated_in_the_models_own() -> None:
    objective = mlp()
    single = {n: p.float() for n, p in objective.params.items()}
    matrix = hessian_operator(objective, single)
    assert set(matrix.layout.dtypes) == {"float64"}
    np.testing.assert_allclose(matrix.dense(), hessian_operator(objective).dense(), atol=1e-6)


def test_a_linear_loss_has_no_curvature() -> None:
    objective = la.Objective(lambda p, _: p["w"].sum(), params={"w": torch.ones(3)})
    assert not hessian_operator(objective, biases=True).dense().any()
