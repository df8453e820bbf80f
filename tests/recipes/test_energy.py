"""The two-qubit circuit against dense matrices, and its landscape against exact diagonalization."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

import lossatlas as la
from lossatlas.recipes import energy

Y = np.array([[0, -1j], [1j, 0]])


def dense_state(angles: np.ndarray) -> np.ndarray:
    """Matrix exponentials of the generators, gate by gate."""
    turn = [scipy.linalg.expm(-0.5j * angle * Y) for angle in angles]
    cnot = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    return np.kron(turn[2], turn[3]) @ cnot @ np.kron(turn[0], turn[1]) @ np.array([1, 0, 0, 0])


def dense_hamiltonian() -> np.ndarray:
    x, z, one = np.array([[0, 1], [1, 0]]), np.diag([1, -1]), np.eye(2)
    return -np.kron(z, z) - np.kron(x, one) - np.kron(one, x)


def test_energies_are_those_of_matrix_exponentials() -> None:
    angles = np.random.default_rng(0).uniform(-4, 4, (5, 4))
    expected = [np.vdot(dense_state(t), dense_hamiltonian() @ dense_state(t)) for t in angles]
    np.testing.assert_allclose(energy.energies(angles), np.real(expected), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(np.imag(expected), 0, atol=1e-14)


def test_the_parameter_shift_rule_is_the_derivative() -> None:
    angles, step = np.random.default_rng(1).uniform(-4, 4, (3, 4)), 1e-6
    slopes = [(energy.energies(angles + h) - energy.energies(angles - h)) / (2 * step) for h in step * np.eye(4)]
    np.testing.assert_allclose(energy.gradients(angles), np.stack(slopes, axis=1), atol=1e-9)


def test_the_ground_state_is_that_of_exact_diagonalization() -> None:
    levels = np.linalg.eigvalsh(dense_hamiltonian())
    np.testing.assert_allclose(energy.spectrum(), levels, rtol=1e-13)
    assert levels[0] == pytest.approx(-np.sqrt(5), rel=1e-14)  # -sqrt(J^2 + 4 h^2)
    objective = energy.make_objective()
    assert objective.loss() == pytest.approx(levels[0], abs=1e-10)
    np.testing.assert_allclose(objective.gradient(objective.theta0), 0, atol=1e-5)


def test_no_cell_lies_outside_the_spectrum_and_the_surface_is_periodic() -> None:
    objective = energy.make_objective()
    surface = la.evaluate(objective, la.weight_plane(objective, 0, 1), (-np.pi, np.pi), (9, 7), progress=False)
    levels = energy.spectrum()
    assert surface.loss.min() >= levels[0] - 1e-12 and surface.loss.max() <= levels[-1] + 1e-12
    np.testing.assert_allclose(surface.loss[0], surface.loss[-1], atol=1e-13)
    np.testing.assert_allclose(surface.loss[:, 0], surface.loss[:, -1], atol=1e-13)


@pytest.mark.slow
def test_the_recipe_reaches_the_ground_state(tmp_path: Path) -> None:
    summary = energy.run(tmp_path, quick=True, progress=False)
    assert 0 <= summary["error_of_best_descent"] < 0.05
    assert min(summary["hessian_eigenvalues"]) > -1e-6
    assert all((tmp_path / name).stat().st_size for name in ("energy.png", "index.html", "summary.json"))
