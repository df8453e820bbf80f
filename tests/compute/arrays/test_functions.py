"""Analytic test functions: gradients by differences, minima by SciPy, and the whole package on them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import lossatlas as la
from lossatlas.compute.arrays.functions import FUNCTIONS, AnalyticFunction

NAMES = sorted(FUNCTIONS)
SIZED = [name for name in NAMES if name in ("rosenbrock", "rastrigin", "ackley", "styblinski_tang")]


def slopes(function: AnalyticFunction, theta: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """A plain loop of central differences."""
    unit = np.eye(len(theta)) * step
    return np.array([(function.value(theta + h) - function.value(theta - h)) / (2 * step) for h in unit])


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_values(name: str) -> None:
    function = la.functions.function_named(name)
    window = np.array(function.bounds).T
    for theta in np.random.default_rng(0).uniform(*window, size=(6, 2)):
        scale = 1 + np.abs(function.value(theta))
        np.testing.assert_allclose(function.gradient(theta), slopes(function, theta), rtol=1e-6, atol=1e-8 * scale)


@pytest.mark.parametrize("name", SIZED)
def test_gradients_hold_in_any_number_of_variables(name: str) -> None:
    function = FUNCTIONS[name](size=5)
    theta = np.random.default_rng(1).uniform(-1.5, 1.5, 5)
    np.testing.assert_allclose(function.gradient(theta), slopes(function, theta), rtol=1e-6, atol=1e-5)
    assert len(function.minima[0].theta) == 5
    assert function.value(function.minima[0].theta) == pytest.approx(function.minima[0].value, abs=1e-10)


@pytest.mark.parametrize("name", [name for name in NAMES if FUNCTIONS[name]().minima])
def test_minima_are_where_scipy_finds_them(name: str) -> None:
    function = la.functions.function_named(name)
    for minimum in function.minima:
        start = np.array(minimum.theta) + 1e-3
        result = scipy.optimize.minimize(function.value, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
        np.testing.assert_allclose(result.x, minimum.theta, atol=2e-6)
        assert result.fun == pytest.approx(minimum.value, rel=1e-11, abs=1e-7)  # Ackley's tip is a cone: its value errs as its place
        np.testing.assert_allclose(function.gradient(minimum.theta), 0, atol=1e-7 * (1 + np.abs(np.linalg.norm(start))))
    values = [minimum.value for minimum in function.minima]
    assert values == sorted(values)


@pytest.mark.parametrize("name", [name for name in NAMES if len(FUNCTIONS[name]().minima) > 1 or name in ("beale", "booth")])
def test_no_lower_point_lies_in_the_window(name: str) -> None:
    function = la.functions.function_named(name)
    (x0, x1), (y0, y1) = function.bounds
    grid = np.stack(np.meshgrid(np.linspace(x0, x1, 201), np.linspace(y0, y1, 161)), axis=-1).reshape(-1, 2)
    assert function.array_function.values(grid).min() >= function.minima[0].value - 1e-10
    for minimum in function.minima:
        assert x0 <= minimum.theta[0] <= x1 and y0 <= minimum.theta[1] <= y1


@pytest.mark.parametrize("name", ["saddle", "mueller_brown"])
def test_saddles_have_one_negative_eigenvalue(name: str) -> None:
    for point in la.functions.function_named(name).saddles:
        function = FUNCTIONS[name](theta0=point.theta)
        np.testing.assert_allclose(function.gradient(point.theta), 0, atol=1e-8)
        low, high = np.linalg.eigvalsh(la.hessian_operator(function).dense())
        assert low < 0 < high
        assert function.loss() == pytest.approx(point.value, abs=1e-10)


def test_the_monkey_saddle_has_no_curvature_at_its_center() -> None:
    function = la.functions.monkey_saddle(theta0=(0.0, 0.0))
    np.testing.assert_allclose(la.hessian_operator(function).dense(), 0, atol=1e-4)  # the step of a difference of gradients
    assert function.gradient([0.0, 0.0]).tolist() == [0.0, 0.0]


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(la.InputError, match="rosenbrock"):
        la.functions.function_named("rosenbrok")
    with pytest.raises(la.InputError, match="condition"):
        la.functions.quadratic(condition=0.0)
    with pytest.raises(la.InputError, match="size"):
        la.functions.rastrigin(size=1)


def test_axes_carry_the_names_of_the_variables() -> None:
    assert la.weight_plane(la.functions.booth(), 0, 1).labels == ("x", "y")
    assert la.weight_plane(la.functions.rosenbrock(4), ("theta", 3), 1).labels == ("x[3]", "x[1]")
    with pytest.raises(la.InputError, match="more than one vector"):
        la.weight_plane({"a": la.functions.booth().params["theta"], "b": la.functions.booth().params["theta"]}, 0)
