"""`ArrayObjective`: an objective made from a function of a NumPy vector, for models that are not PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import ArrayLike

from lossatlas._util.argument_checks import check_text
from lossatlas._util.arrays import FloatArray
from lossatlas._util.code_hash import code_hash
from lossatlas.compute.arrays.array_function import ArrayFunction
from lossatlas.compute.arrays.checks import check_arguments, check_jac, check_theta, probed
from lossatlas.compute.arrays.parameter_module import ParameterModule
from lossatlas.compute.objective.builder import ObjectiveParts
from lossatlas.compute.objective.data.fixed_data import FrozenData
from lossatlas.compute.objective.description import name_of
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.objective.scorer import Scorer
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.params import VECTOR, Params
from lossatlas.errors import InputError

NO_DATA = FrozenData((None,), (1,), "none")


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ArrayObjective(Objective):
    """A function of a NumPy vector as an objective: ``fun(theta) -> value`` with an optional gradient.

    Planes, lines, curves, descents, Hessian products, recorders and archives take it like any `Objective`. Its one parameter is called
    "theta", ``(size,)``; wherever weights are asked for a NumPy vector will do.

    Args:
        fun: the value at a vector, a real number. It gets a copy at every call, and must return the same value for the same vector: draw
            random numbers from a generator seeded inside. A point where it raises, or returns NaN, is a hole of the surface.
        theta0: the center, ``(size,)``.
        jac: the gradient at a vector, ``(size,)``; True where `fun` returns ``(value, gradient)``; None takes central differences of
            values, 2 calls an entry. It is compared with differences of `fun` once.
        hessp: ``hessp(theta, v)``, the Hessian's product with a vector; None takes differences of gradients, or of values without `jac`
            (4 calls an entry). The arguments are named as in `scipy.optimize.minimize`.
        vectorized: `fun` and `jac` take many points at once: ``(points, size)`` to ``(points,)`` and ``(points, size)``.
        name: in figures; the function's own otherwise.
        units: of the value.
        labels: names of the entries, for axes.

    Raises:
        InputError: a vector that is none or not finite; `fun` raises at `theta0`, returns something else than a real number, or not the
            same number twice; a result of another shape.

    Other frameworks, each with its parameters flattened to a vector::

        # JAX: a Flax or Equinox model is a pytree (enable float64 for differences and smooth surfaces)
        theta0, unravel = jax.flatten_util.ravel_pytree(params)
        loss = jax.jit(lambda theta: loss_fn(unravel(theta), x, y))
        objective = la.ArrayObjective(loss, theta0, jac=jax.jit(jax.grad(loss)))

        # Keras 3, any backend
        weights = model.trainable_weights
        theta0 = np.concatenate([np.ravel(keras.ops.convert_to_numpy(w)) for w in weights])
        def loss(theta):
            ends = np.cumsum([np.prod(w.shape) for w in weights])[:-1].astype(int)
            for w, part in zip(weights, np.split(theta, ends)):
                w.assign(part.reshape(w.shape))
            return model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
        objective = la.ArrayObjective(loss, theta0.astype(np.float32))

        # PennyLane
        objective = la.ArrayObjective(lambda t: float(circuit(t.reshape(shape))), weights.ravel(), units="Ha")

        # a simulator: the same noise at every point
        objective = la.ArrayObjective(lambda t: simulate(t, rng=np.random.default_rng(0)), t0)

    Example:
        >>> bowl = ArrayObjective(lambda x: x[0] ** 2 + 10 * x[1] ** 2, [3.0, 1.0])
        >>> bowl.value([1.0, 1.0]), bowl.gradient([1.0, 1.0]).round(6).tolist()
        (11.0, [2.0, 20.0])
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        theta0: ArrayLike,
        *,
        jac: Callable[..., Any] | bool | None = None,
        hessp: Callable[..., Any] | None = None,
        vectorized: bool = False,
        name: str = "",
        units: str = "",
        labels: Sequence[str] | None = None,
    ) -> None:
        check_arguments(fun, jac, hessp, vectorized)
        theta = check_theta("theta0", theta0)
        facts = {} if labels is None else {"labels": _checked_labels(labels, len(theta))}
        function, theta = probed(ArrayFunction(fun, jac or None, hessp, vectorized, facts=facts), theta)
        check_jac(function, theta)
        self._fill(objective_parts(function, theta, check_text("name", name) or name_of(fun), check_text("units", units)))

    @property
    def array_function(self) -> ArrayFunction:
        """The checked function with its derivatives."""
        function = self.function
        assert isinstance(function, ArrayFunction)
        return function

    @property
    def theta0(self) -> FloatArray:
        """The center, a copy ``(size,)``."""
        return self.params[VECTOR].cpu().numpy().copy()

    @property
    def size(self) -> int:
        """Entries of the vector."""
        return self.params[VECTOR].numel()

    @property
    def entry_labels(self) -> tuple[str, ...]:
        """Names of the vector's entries."""
        return self.array_function.facts.get("labels") or tuple(f"{VECTOR}[{i}]" for i in range(self.size))

    def __repr__(self) -> str:
        gradient = self.array_function.gradient_method
        return f"<{type(self).__name__}: {self.name} of {self.size:,} variables, gradient {'' if gradient == 'given' else 'by '}{gradient}>"

    def _summary(self) -> dict[str, str]:
        function = self.array_function
        return {
            "model": self.name,
            "loss": self.name,
            "variables": f"{self.size:,}",
            "gradient": function.gradient_method,
            "Hessian products": function.hessian_method,
            "dtype": str(self.description["dtype"]),
        }

    def value(self, theta: ArrayLike) -> float:
        """The value at a vector ``(size,)``."""
        return self.array_function.value(self._vector(theta))

    def gradient(self, theta: ArrayLike) -> FloatArray:
        """The gradient at a vector ``(size,)``: the one given, or finite differences."""
        return self.array_function.gradient(self._vector(theta))

    def as_params(self, theta: ArrayLike) -> Params:
        """A vector ``(size,)`` as the parameters that planes and paths take.

        Example:
            >>> bowl = ArrayObjective(lambda x: (x ** 2).sum(), [3.0, 1.0])
            >>> bowl.loss(bowl.as_params([1.0, 2.0]))
            5.0
        """
        return {VECTOR: torch.as_tensor(self._vector(theta)).to(self.params[VECTOR])}

    def with_theta(self, theta: ArrayLike) -> ArrayObjective:
        """The same function around another center ``(size,)``."""
        objective = self.with_state(self.as_params(theta))
        assert isinstance(objective, ArrayObjective)
        return objective

    def parameter_module(self) -> ParameterModule:
        """A torch module whose one parameter is the vector, for torch optimizers and `Recorder`; calling it gives the value.

        Example:
            >>> module = ArrayObjective(lambda x: (x ** 2).sum(), [3.0, 1.0]).parameter_module()
            >>> optimizer = torch.optim.SGD(module.parameters(), lr=0.25)
            >>> module().backward(); optimizer.step()
            >>> module.theta.detach().numpy().round(6).tolist()
            [1.5, 0.5]
        """
        return ParameterModule(self.array_function, self.params[VECTOR])

    def with_facts(self, facts: Mapping[str, Any]) -> ArrayObjective:
        """The same function of which more is known, such as its minima."""
        function = replace(self.array_function, facts={**self.array_function.facts, **facts})
        objective = self.with_function(function)
        assert isinstance(objective, ArrayObjective)
        return objective

    def _vector(self, theta: ArrayLike) -> FloatArray:
        return check_theta("theta", theta, self.size).astype(self.params[VECTOR].cpu().numpy().dtype)


def objective_parts(function: ArrayFunction, theta: FloatArray, name: str, units: str) -> ObjectiveParts:
    """The fields of an objective of a checked function around `theta`."""
    params = {VECTOR: torch.from_numpy(theta.copy())}
    scorer = Scorer(function, params, NO_DATA, None, "eval", None)
    description = {
        "kind": "callable",
        "model": name,
        "loss": name,
        "units": units,
        "samples": None,  # it has no data
        "population": None,
        "split": None,
        "data_hash": NO_DATA.hash,
        "batch_size": 1,
        "batches": 1,
        "dtype": str(params[VECTOR].dtype).removeprefix("torch."),
        "device": "cpu",
        "mode": "eval",
        "mode_layers": [],
        "per_sample": False,
        "note": None,
        "center_hash": hash_tensors(params),
        "gradient": function.gradient_method,
        "hessian": function.hessian_method,
        "code": code_hash(*function.user_functions.values()),
    }
    return ObjectiveParts(scorer, NO_DATA, False, (1.0,), description)


def _checked_labels(labels: Sequence[str], size: int) -> tuple[str, ...]:
    names = () if isinstance(labels, str) else tuple(labels)
    if len(names) != size or not all(isinstance(name, str) for name in names):
        raise InputError("labels", labels, f"{size} names, one an entry of theta0")
    return names
