"""Finite differences of a function of a vector: gradients from values, Hessian products from gradients or from values.

Steps balance the rounding of the function against the order of the difference (Nocedal and Wright 2006, section 8.1): with values
good to eps, a central first difference errs by about ``eps ** (2/3)`` with a step of ``eps ** (1/3)``, and a second difference of
values by about ``eps ** (1/2)`` with a step of ``eps ** (1/4)``, relative to the scale of the function and its derivatives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossatlas._util.arrays import FloatArray

Values = Callable[[FloatArray], FloatArray]
"""Points ``(points, size)`` to values ``(points,)``."""
Gradient = Callable[[FloatArray], FloatArray]
"""A point ``(size,)`` to the gradient ``(size,)``."""


def gradient_from_values(values: Values, theta: FloatArray, eps: float) -> FloatArray:
    """Central differences, two values an entry.

    >>> gradient_from_values(lambda x: (x**2).sum(1), np.array([1.0, -2.0]), 2.2e-16).round(8).tolist()
    [2.0, -4.0]
    """
    steps = _representable(theta, eps ** (1 / 3) * np.maximum(1.0, np.abs(theta)))
    ahead, behind = np.split(values(np.concatenate([theta + np.diag(steps), theta - np.diag(steps)])), 2)
    return (ahead - behind) / (2 * steps)


def product_from_gradients(gradient: Gradient, theta: FloatArray, v: FloatArray, eps: float) -> FloatArray:
    """``H v`` by a central difference of the gradient along `v`, two gradients.

    >>> product_from_gradients(lambda x: 3 * x**2, np.array([1.0, 2.0]), np.array([1.0, 1.0]), 2.2e-16).round(6).tolist()
    [6.0, 12.0]
    """
    length = float(np.linalg.norm(v))
    if not length:
        return np.zeros_like(theta)
    step = eps ** (1 / 3) * (1 + float(np.linalg.norm(theta))) / length
    return (gradient(theta + step * v) - gradient(theta - step * v)) / (2 * step)


def product_from_values(values: Values, theta: FloatArray, v: FloatArray, eps: float) -> FloatArray:
    """``H v`` by mixed second differences of values, four of them an entry.

    >>> product_from_values(lambda x: x[:, 0] * x[:, 1], np.array([1.0, 2.0]), np.array([1.0, 0.0]), 2.2e-16).round(5).tolist()
    [0.0, 1.0]
    """
    length = float(np.linalg.norm(v))
    if not length:
        return np.zeros_like(theta)
    step = eps**0.25 * max(1.0, float(np.abs(theta).max()))
    along = step * v / length
    steps = _representable(theta, np.full(theta.shape, step))
    corners = [theta + np.diag(a * steps) + b * along for a in (1, -1) for b in (1, -1)]
    far, near_ahead, near_behind, opposite = np.split(values(np.concatenate(corners)), 4)
    return (far - near_ahead - near_behind + opposite) / (4 * steps * step) * length


def _representable(theta: FloatArray, steps: FloatArray) -> FloatArray:
    """The steps that are really made: theta + step is rounded, and its difference to theta is not the step asked for."""
    return (theta + steps) - theta
