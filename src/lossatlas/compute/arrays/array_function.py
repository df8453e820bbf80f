"""A user's function of a NumPy vector, checked at every call, with its gradient and Hessian products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lossatlas._util.arrays import FloatArray
from lossatlas.compute.arrays.finite_differences import gradient_from_values, product_from_gradients, product_from_values
from lossatlas.compute.objective.loss_functions import Scores
from lossatlas.compute.params.params import VECTOR, Params


@dataclass(frozen=True)
class ArrayFunction:
    """`function` of an `ArrayObjective`: the user's function, its derivatives, and what is known of it.

    Attributes:
        fun: ``fun(theta)`` to a number; ``fun(thetas)``, ``(points, size)`` to ``(points,)``, where vectorized.
        jac: ``jac(theta)`` to the gradient ``(size,)``, or ``(points, size)`` where vectorized; True where `fun` returns it beside the
            value; None for finite differences.
        hessp: ``hessp(theta, v)`` to the Hessian's product with `v`; None for finite differences.
        vectorized: `fun` and `jac` take many points at once.
        eps: rounding of the values, relative: that of the lowest precision among `theta` and what `fun` returns.
        facts: more about the function, such as its known minima.
    """

    fun: Callable[..., Any]
    jac: Callable[..., Any] | bool | None = None
    hessp: Callable[..., Any] | None = None
    vectorized: bool = False
    eps: float = float(np.finfo(np.float64).eps)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, params: Params, batch: Any) -> Scores:
        from lossatlas.compute.arrays.autograd import value_of

        return Scores(value_of(params[VECTOR], self))

    @property
    def gradient_method(self) -> str:
        """Origin of the gradient, for the provenance."""
        return "given" if self.jac is not None and self.jac is not False else "finite differences of values"

    @property
    def hessian_method(self) -> str:
        """Origin of Hessian products."""
        if self.hessp is not None:
            return "given"
        return "finite differences of gradients" if self.gradient_method == "given" else "finite differences of values"

    @property
    def user_functions(self) -> dict[str, Any]:
        """The functions that are the user's, by argument."""
        return {name: f for name, f in (("fun", self.fun), ("jac", self.jac), ("hessp", self.hessp)) if callable(f)}

    def value(self, theta: FloatArray) -> float:
        """At one point ``(size,)``.

        Raises:
            ValueError: the function returns no real number.
        """
        if self.vectorized:
            return float(self.values(theta[None])[0])
        result = self.fun(theta.copy())
        return float(real_array(_first(result) if self.jac is True else result, (), "a real number", "fun"))

    def values(self, thetas: FloatArray) -> FloatArray:
        """At many points ``(points, size)``, ``(points,)``."""
        if not self.vectorized:
            return np.array([self.value(theta) for theta in thetas])
        result = self.fun(thetas.copy())
        allowed = f"one real number a point, shape ({len(thetas)},), as vectorized=True says"
        return real_array(_first(result) if self.jac is True else result, (len(thetas),), allowed, "fun")

    def gradient(self, theta: FloatArray) -> FloatArray:
        """At one point ``(size,)``; by central differences where no gradient was given.

        Raises:
            ValueError: the function returns no real numbers of that shape.
        """
        if self.gradient_method != "given":
            return gradient_from_values(self.values, theta, self.eps)
        return self.gradients(theta[None])[0] if self.vectorized else self._one_gradient(theta)

    def gradients(self, thetas: FloatArray) -> FloatArray:
        """At many points ``(points, size)``, of the same shape."""
        if self.gradient_method != "given" or not self.vectorized:
            return np.stack([self.gradient(theta) for theta in thetas])
        result = self.fun(thetas.copy())[1] if self.jac is True else self.jac(thetas.copy())  # type: ignore[operator]
        return real_array(result, thetas.shape, f"a gradient a point, shape {thetas.shape}", "jac")

    def hessian_product(self, theta: FloatArray, v: FloatArray) -> FloatArray:
        """``H v`` at one point, both ``(size,)``."""
        if self.hessp is not None:
            return real_array(self.hessp(theta.copy(), v.copy()), theta.shape, f"the product, shape {theta.shape}", "hessp")
        if self.gradient_method == "given":
            return product_from_gradients(self.gradient, theta, v, self.eps)
        return product_from_values(self.values, theta, v, self.eps)

    def _one_gradient(self, theta: FloatArray) -> FloatArray:
        result = self.fun(theta.copy())[1] if self.jac is True else self.jac(theta.copy())  # type: ignore[operator]
        return real_array(result, theta.shape, f"a gradient of shape {theta.shape}", "jac")


def real_array(result: Any, shape: tuple[int, ...], allowed: str, argument: str) -> FloatArray:
    """The result of a user's function as float64 of that shape.

    Raises:
        ValueError: something else; the message names the function, what it returned and what is allowed.
    """
    plain: Any = result.detach().cpu() if isinstance(result, torch.Tensor) else result
    try:
        array = np.asarray(plain)
    except Exception as error:
        raise ValueError(f"{argument} returned {type(result).__name__}; expected {allowed} ({error})") from error
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        what = {"c": "complex numbers", "O": type(result).__name__, "b": "True or False"}.get(array.dtype.kind, str(array.dtype))
        raise ValueError(f"{argument} returned {what}; expected {allowed}")
    if array.shape != shape:
        raise ValueError(f"{argument} returned an array of shape {array.shape}; expected {allowed}")
    return array.astype(np.float64)


def _first(result: Any) -> Any:
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise ValueError(f"fun returned {type(result).__name__}; expected (value, gradient), as jac=True says")
    return result[0]
