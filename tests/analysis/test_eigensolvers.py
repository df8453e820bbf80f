"""Eigenvalues, trace and density against known spectra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from scipy.sparse import csr_array
from scipy.sparse.linalg import aslinearoperator
from torch.nn import functional as F

import lossatlas as la
from compute.curvature.cases import CASES, NAMES, Matrix, dense_hessian, mlp, with_spectrum
from lossatlas.analysis.eigensolvers.lanczos import lanczos
from lossatlas.compute.curvature import estimate_trace, extreme_eigenvalues, hessian_operator, spectral_density

SPECTRA = {
    "outlier and bulk": np.concatenate([np.linspace(-0.3, 0.2, 196), [5.0, 20.0, 90.0, -4.0]]),
    "even": np.linspace(-10, 3, 200),
    "negative definite": np.linspace(-50, -1, 120),
    "singular": np.concatenate([np.zeros(90), np.linspace(1, 2, 30)]),
}


@pytest.mark.parametrize("solver", ["eigsh", "ritz"])
@pytest.mark.parametrize("name", SPECTRA)
def test_both_ends_are_found_with_honest_residuals(name: str, solver: str) -> None:
    values, matrix = SPECTRA[name], with_spectrum(SPECTRA[name])
    found = extreme_eigenvalues(matrix, k=2, tol=1e-4, solver=solver)
    scale = np.abs(values).max()
    np.testing.assert_allclose(found.largest, np.sort(values)[::-1][:2], atol=2e-5 * scale)
    np.testing.assert_allclose(found.smallest, np.sort(values)[:2], atol=2e-5 * scale)
    assert found.converged
    assert found.products == matrix.count
    for value, vector, residual in zip(found.smallest, found.smallest_vectors.T, found.smallest_residuals, strict=True):
        assert np.linalg.norm(matrix.dense @ vector - value * vector) == pytest.approx(residual, abs=1e-9 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_eigenvalues_of_networks_equal_the_dense_ones(name: str) -> None:
    objective = CASES[name]()
    values = np.linalg.eigvalsh(dense_hessian(objective))
    for solver in ("eigsh", "ritz"):
        found = extreme_eigenvalues(hessian_operator(objective, biases=True), tol=1e-5, solver=solver)
        assert found.lambda_max == pytest.approx(values[-1], rel=1e-6)
        assert found.lambda_min == pytest.approx(values[0], rel=1e-6, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_eigenvalues_do_not_depend_on_the_batches(batch_size: int) -> None:
    whole = mlp()
    x, y = (torch.cat(parts) for parts in zip(*whole.data.batches, strict=True))
    cut = la.Objective(whole.module, F.cross_entropy, (x, y), batch_size=batch_size)
    expected = np.linalg.eigvalsh(dense_hessian(whole))
    found = extreme_eigenvalues(hessian_operator(cut, biases=True), tol=1e-6)
    assert (found.lambda_min, found.lambda_max) == pytest.approx((expected[0], expected[-1]), rel=1e-7)


def test_a_warm_start_reaches_the_same_ends_with_fewer_products() -> None:
    rng = np.random.default_rng(0)
    matrix = with_spectrum(np.concatenate([np.linspace(-1, 1, 400), [9.0, -3.0]]))
    near = Matrix(matrix.dense + 0.02 * (lambda a: a + a.T)(rng.standard_normal((402, 402)) / 20))
    first = extreme_eigenvalues(matrix, tol=0.02, solver="ritz")
    cold = extreme_eigenvalues(near, tol=0.02, solver="ritz", seed=1)
    warm = extreme_eigenvalues(near, tol=0.02, start=[first.largest_vectors[:, 0], first.smallest_vectors[:, 0]])
    exact = np.linalg.eigvalsh(near.dense)
    assert warm.solver == "ritz"
    assert warm.products < cold.products
    assert (warm.lambda_max, warm.lambda_min) == pytest.approx((exact[-1], exact[0]), rel=1e-3)


def test_a_start_in_the_bulk_does_not_pass_for_the_lower_end() -> None:
    matrix = with_spectrum(SPECTRA["outlier and bulk"])
    bulk = np.linalg.eigh(matrix.dense)[1][:, 100]
    found = extreme_eigenvalues(matrix, tol=0.05, start=[bulk])
    assert found.lambda_min == pytest.approx(-4.0, rel=1e-2)


def test_tiny_matrices_are_solved_densely() -> None:
    found = extreme_eigenvalues(Matrix(np.array([[802.0, -400.0], [-400.0, 200.0]])))
    assert (found.lambda_min, found.lambda_max) == pytest.approx((0.3993607675, 1001.6006392))
    assert found.solver == "dense"


def test_zero_matrix_and_bad_k() -> None:
    zero = extreme_eigenvalues(Matrix(np.zeros((60, 60))), solver="eigsh")
    assert (zero.lambda_max, zero.lambda_min) == (0.0, 0.0)
    assert np.isnan(zero.ratio)
    with pytest.raises(la.InputError, match="k"):
        extreme_eigenvalues(Matrix(np.eye(10)), k=9)


def test_a_limit_ends_the_search_and_says_so() -> None:
    found = extreme_eigenvalues(with_spectrum(np.linspace(-1, 1, 500)), tol=1e-8, solver="ritz", limit=12)
    assert not found.converged
    assert found.products == 12


def test_hutchinson_is_unbiased_with_its_own_variance() -> None:
    matrix = with_spectrum(SPECTRA["even"])
    exact = SPECTRA["even"].sum()
    found = estimate_trace(matrix, budget=150, method="hutchinson", seed=3)
    variance = 2 * ((matrix.dense**2).sum() - (np.diag(matrix.dense) ** 2).sum())
    assert abs(found.value - exact) < 4 * found.standard_error
    assert found.standard_error == pytest.approx(np.sqrt(variance / 150), rel=0.2)
    assert found.products == matrix.count == 150


def test_hutch_plus_plus_is_exact_at_low_rank_and_better_on_outliers() -> None:
    low = with_spectrum(np.concatenate([np.zeros(190), np.arange(10) - 3.0]))
    assert estimate_trace(low, budget=30).value == pytest.approx(15.0, abs=1e-9)
    matrix = with_spectrum(SPECTRA["outlier and bulk"])
    errors = {
        method: np.sqrt(np.mean([(estimate_trace(matrix, 30, method, seed=s).value - matrix.dense.trace()) ** 2 for s in range(20)]))
        for method in ("hutch++", "hutchinson")
    }
    assert errors["hutch++"] < 0.3 * errors["hutchinson"]


def test_as_many_products_as_the_size_give_the_exact_trace() -> None:
    found = estimate_trace(Matrix(np.diag(np.arange(8.0))), budget=30)
    assert (found.value, found.standard_error, found.products) == (28.0, 0.0, 8)


def test_each_probe_of_the_density_has_the_exact_moments() -> None:
    matrix = with_spectrum(SPECTRA["outlier and bulk"])
    found = spectral_density(matrix, steps=3, probes=1, seed=4)
    z = np.random.default_rng(4).choice([-1.0, 1.0], size=matrix.size)
    for power in range(6):
        expected = z @ np.linalg.matrix_power(matrix.dense, power) @ z / matrix.size
        assert found.moment(power)[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.slow
def test_the_density_has_the_dense_moments_within_its_error_and_integral_one() -> None:
    matrix = with_spectrum(SPECTRA["even"])
    found = spectral_density(matrix, steps=20, probes=60)
    for power in (1, 2, 3):
        value, error = found.moment(power)
        assert abs(value - (SPECTRA["even"] ** power).mean()) < 4 * error
    place = np.linspace(-15, 8, 4001)
    assert trapezoid(found.curve(place), place) == pytest.approx(1.0, abs=1e-3)


def test_full_steps_give_the_dense_spectrum_of_a_network() -> None:
    objective = mlp()
    values = np.linalg.eigvalsh(dense_hessian(objective))
    found = spectral_density(hessian_operator(objective, biases=True), steps=1000, probes=1)
    assert found.nodes[0][[0, -1]] == pytest.approx(values[[0, -1]], abs=1e-9)
    assert found.products <= len(values)


def test_every_solver_takes_a_dense_matrix_or_any_linear_operator() -> None:
    dense = with_spectrum(np.concatenate([np.linspace(-1, 1, 50), [9.0, -3.0]])).dense
    takers = (
        lambda m: extreme_eigenvalues(m, tol=1e-8, solver="ritz").largest,
        lambda m: extreme_eigenvalues(m, tol=1e-8, solver="eigsh").smallest,
        lambda m: estimate_trace(m, 12).value,
        lambda m: spectral_density(m, steps=5).nodes[0],
        lambda m: lanczos(m, np.ones(52), 5).diagonal,
    )
    for take in takers:
        expected = take(Matrix(dense))
        for other in (dense, csr_array(dense), aslinearoperator(dense), aslinearoperator(dense / 2) + 0.5 * aslinearoperator(dense)):
            np.testing.assert_allclose(take(other), expected, rtol=1e-7, atol=1e-8)


def test_what_is_no_real_square_matrix_is_refused() -> None:
    wrong = (np.ones((3, 4)), np.ones((2, 2)) * 1j, np.ones(3), np.ones((0, 0)), "matrix", torch.eye(3))
    for solve in (extreme_eigenvalues, estimate_trace, spectral_density):
        for matrix in wrong:
            with pytest.raises(la.InputError, match=r"matrix: got .* expected a SciPy LinearOperator"):
                solve(matrix)
