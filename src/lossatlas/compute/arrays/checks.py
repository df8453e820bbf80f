"""Checks of an array objective's arguments, and a probe of its function at the center."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.arrays import FloatArray
from lossatlas._util.caller import caller_level
from lossatlas.compute.arrays.array_function import ArrayFunction
from lossatlas.errors import InputError, InputTypeError

SAME = 1e-6
"""Two calls at one point may differ by this much, relatively: parallel sums are not always added in one order."""
JAC_TOLERANCE = 0.05
"""A gradient given may differ from finite differences by this much, relatively; one of another function differs by more."""


def check_arguments(fun: Any, jac: Any, hessp: Any, vectorized: Any) -> None:
    """Refuse what is no function.

    Raises:
        InputError: no function, or no truth value for `vectorized`.
    """
    if not callable(fun):
        raise InputTypeError("fun", type(fun).__name__, "a function fun(theta) that returns a number", "The order is (fun, theta0)")
    if not (jac is None or isinstance(jac, bool) or callable(jac)):
        raise InputTypeError("jac", type(jac).__name__, "a function jac(theta), True where fun returns (value, gradient), or None")
    if hessp is not None and not callable(hessp):
        raise InputTypeError("hessp", type(hessp).__name__, "a function hessp(theta, v), or None")
    if not isinstance(vectorized, bool):
        raise InputTypeError("vectorized", vectorized, "True or False")


def check_theta(argument: str, theta: Any, size: int | None = None) -> NDArray[Any]:
    """A vector of finite real numbers, float32 or float64, of its own.

    Raises:
        InputError: another shape, complex numbers, NaN or infinity, or no numbers at all.
    """
    allowed = "a vector of real numbers" + (f" of {size} entries" if size is not None else "")
    try:
        array = np.array(theta.detach().cpu() if hasattr(theta, "detach") else theta)
    except Exception as error:
        raise InputTypeError(argument, type(theta).__name__, allowed) from error
    if array.dtype.kind == "c":
        raise InputError(argument, "complex numbers", allowed, "Pass real and imaginary parts as entries: np.concatenate([z.real, z.imag])")
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        step = "Flatten a pytree with jax.flatten_util.ravel_pytree" if array.dtype.kind == "O" else ""
        raise InputTypeError(argument, type(theta).__name__, allowed, step)
    if array.ndim != 1 or not array.size or (size is not None and array.size != size):
        step = f"Flatten it, and reshape inside the function: theta.reshape{array.shape}" if array.ndim > 1 else ""
        raise InputError(argument, f"an array of shape {array.shape}", allowed, step)
    if not np.isfinite(array.astype(np.float64)).all():
        raise InputError(argument, "NaN or infinity among its entries", "finite numbers")
    return array.astype(np.float32 if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else np.float64)


def probed(function: ArrayFunction, theta: NDArray[Any]) -> tuple[ArrayFunction, NDArray[Any]]:
    """The function and the center in the precision of its values, after two calls at the center.

    Raises:
        InputError: it raises there, returns something else than a real number, or another one at the second call.
    """
    first, again = (_tried(function, theta) for _ in range(2))
    if not np.isclose(first, again, rtol=SAME, atol=0.0, equal_nan=True):
        step = "Draw random numbers from np.random.default_rng(0) inside fun, so that every point sees the same ones"
        raise InputError("fun", f"{first:.9g} and then {again:.9g} at theta0", "the same value whenever it is called there", step)
    if function.vectorized:
        _check_rows(function, theta, first)
    if _is_low_precision(function, theta):
        theta = theta.astype(np.float32)
    return replace(function, eps=float(np.finfo(theta.dtype).eps)), theta


def check_jac(function: ArrayFunction, theta: FloatArray) -> None:
    """Refuse a gradient of the wrong shape, and warn of one that finite differences contradict.

    Raises:
        InputError: `jac` or `hessp` raises at the center or returns something else than real numbers of its shape.
    """
    if function.gradient_method == "given":
        gradient = _derivative("jac", lambda: function.gradient(theta), theta)
        direction = np.cos(np.arange(len(theta)) + 1.0)  # fixed, and of no special direction
        direction = (direction / np.linalg.norm(direction)).astype(theta.dtype)
        slope, noise = _slope(function, theta, direction)
        expected = float(gradient @ direction)
        if np.isfinite([slope, expected]).all() and abs(slope - expected) > JAC_TOLERANCE * max(abs(slope), abs(expected)) + noise:
            warnings.warn(
                f"jac gives a slope of {expected:.6g} at theta0 along a direction in which finite differences of fun give {slope:.6g}. "
                "Compare them with scipy.optimize.check_grad; at a kink of fun no gradient exists.",
                UserWarning,
                stacklevel=caller_level(),
            )
    if function.hessp is not None:
        _derivative("hessp", lambda: function.hessian_product(theta, np.ones_like(theta)), theta)


def _tried(function: ArrayFunction, theta: FloatArray) -> float:
    try:
        return function.value(theta)
    except Exception as error:
        allowed = "values (points,) for points (points, size), as vectorized=True says" if function.vectorized else "a real number"
        raise _at_center("fun", error, f"a function that returns {allowed} at theta0") from error


def _derivative(argument: str, call: Any, theta: FloatArray) -> FloatArray:
    try:
        return call()
    except Exception as error:
        raise _at_center(argument, error, f"a function that returns real numbers of shape {theta.shape} at theta0") from error


def _at_center(argument: str, error: Exception, allowed: str) -> InputError:
    text = str(error)
    shown = text if isinstance(error, ValueError) and text.startswith(f"{argument} returned") else f"{type(error).__name__}: {text}"
    return InputError(argument, shown.removeprefix(f"{argument} "), allowed)


def _check_rows(function: ArrayFunction, theta: FloatArray, value: float) -> None:
    """Several points at once give what each of them gives alone."""
    rows = np.stack([theta, theta + np.linspace(0.01, 0.02, len(theta), dtype=theta.dtype), theta])
    try:
        values, alone = function.values(rows), function.values(rows[1:2])[0]
    except Exception as error:
        raise _at_center("fun", error, f"values of shape (3,) for points of shape {rows.shape}, as vectorized=True says") from error
    tolerance = 1e3 * float(np.finfo(theta.dtype).eps)
    if not np.allclose(values, [value, alone, value], rtol=max(SAME, tolerance), atol=tolerance, equal_nan=True):
        raise InputError(
            "vectorized", f"True, but three points at once give {values.tolist()} and each alone {[value, alone, value]}",
            "a function that treats every row of (points, size) alone", "Leave vectorized out, or mend the axis of a sum",
        )  # fmt: skip


def _is_low_precision(function: ArrayFunction, theta: FloatArray) -> bool:
    """Whether the function computes in less than float64, as JAX does by default."""
    result = function.fun(theta[None].copy() if function.vectorized else theta.copy())
    dtype = np.asarray(_plain(result[0] if function.jac is True else result)).dtype
    return theta.dtype == np.float32 or dtype.name == "bfloat16" or (dtype.kind == "f" and dtype.itemsize < 8)


def _plain(result: Any) -> Any:
    return result.detach().cpu() if hasattr(result, "detach") else result


def _slope(function: ArrayFunction, theta: FloatArray, direction: FloatArray) -> tuple[float, float]:
    """Central difference along a direction, and how far rounding may move it."""
    step = function.eps ** (1 / 3) * max(1.0, float(np.linalg.norm(theta)))
    try:
        ahead, behind = function.value(theta + step * direction), function.value(theta - step * direction)
    except Exception:  # a hole beside the center
        return float("nan"), 0.0
    scale = max(abs(ahead), abs(behind))
    return (ahead - behind) / (2 * step), 10 * function.eps ** (2 / 3) * max(scale, 1.0)
