"""One network as an `Objective` in PyTorch, as an `ArrayObjective` in JAX and in plain NumPy: three routes to the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.slow  # importing and compiling take seconds

TOLERANCE = 1e-12
"""Relative, in float64: sums in another order round by a few units of 1e-16."""
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(20, 4, generator=GENERATOR, dtype=torch.float64)
Y = torch.randint(0, 3, (20,), generator=GENERATOR)


@pytest.fixture(autouse=True)
def float64() -> Any:
    with jax.enable_x64(True):
        yield


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).double()


def flat(params: Any) -> np.ndarray:
    """A PyTorch model's parameters as one vector, in their order."""
    return np.concatenate([p.detach().numpy().ravel() for p in params.values()])


def numpy_loss(theta: np.ndarray) -> float:
    w1, b1, w2, b2 = split(theta)
    z = np.tanh(X.numpy() @ w1.T + b1) @ w2.T + b2
    return float((np.log(np.exp(z).sum(1)) - z[np.arange(20), Y.numpy()]).mean())


def split(theta: Any) -> Any:
    return theta[:24].reshape(6, 4), theta[24:30], theta[30:48].reshape(3, 6), theta[48:]


def objectives() -> tuple[la.Objective, la.ArrayObjective]:
    """In PyTorch, and in JAX with exact gradients and Hessian products."""
    import jax.numpy as jnp

    x, y = jnp.asarray(X.numpy()), jnp.asarray(Y.numpy())

    def loss(theta: Any) -> Any:
        w1, b1, w2, b2 = split(theta)
        z = jnp.tanh(x @ w1.T + b1) @ w2.T + b2
        return (jax.nn.logsumexp(z, axis=1) - z[jnp.arange(20), y]).mean()

    module = network()
    theta0 = flat(dict(module.named_parameters()))
    hessp = jax.jit(lambda t, v: jax.jvp(jax.grad(loss), (t,), (v,))[1])
    array = la.ArrayObjective(jax.jit(loss), theta0, jac=jax.jit(jax.grad(loss)), hessp=hessp)
    return la.Objective(module, torch.nn.functional.cross_entropy, (X, Y)), array


def test_surfaces_gradients_and_hessians_agree() -> None:
    torch_objective, array_objective = objectives()
    assert array_objective.theta0.dtype == np.float64
    plane = la.random_plane(torch_objective, seed=4, biases=True)
    directions = [flat(d.params) for d in plane.directions]
    array_plane = la.Plane.from_directions(array_objective, *directions)
    surfaces = [
        la.evaluate(objective, where, (-1, 1), (5, 4), progress=False)
        for objective, where in ((torch_objective, plane), (array_objective, array_plane))
    ]
    np.testing.assert_allclose(surfaces[1].loss, surfaces[0].loss, rtol=TOLERANCE)
    plain = [
        [numpy_loss(array_objective.theta0 + a * directions[0] + b * directions[1]) for b in surfaces[0].beta.values]
        for a in surfaces[0].alpha.values
    ]
    np.testing.assert_allclose(surfaces[1].loss, plain, rtol=TOLERANCE)
    hessians = [la.hessian_operator(objective, biases=True).dense() for objective in (torch_objective, array_objective)]
    np.testing.assert_allclose(hessians[1], hessians[0], rtol=0, atol=TOLERANCE)
    leaves = {n: p.clone().requires_grad_() for n, p in torch_objective.params.items()}
    gradients = torch.autograd.grad(torch_objective.differentiable_loss(leaves), list(leaves.values()))
    gradient = np.concatenate([g.numpy().ravel() for g in gradients])
    np.testing.assert_allclose(array_objective.gradient(array_objective.theta0), gradient, rtol=0, atol=TOLERANCE)


def test_descents_agree() -> None:
    torch_objective, array_objective = objectives()
    plane = la.random_plane(torch_objective, seed=4, biases=True)
    array_plane = la.Plane.from_directions(array_objective, *(flat(d.params) for d in plane.directions))
    paths = [
        la.optimize_on_plane(objective, where, (0.5, -0.5), optimizer="adam", learning_rate=0.05, steps=10, progress=False)
        for objective, where in ((torch_objective, plane), (array_objective, array_plane))
    ]
    for name in ("path_alpha", "path_beta", "path_loss"):
        np.testing.assert_allclose(paths[1][name], paths[0][name], rtol=1e-10)  # ten steps carry rounding on


def test_float32_pytrees_are_taken_as_they_come() -> None:
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    with jax.enable_x64(False):
        theta0, unravel = ravel_pytree({"w": jnp.ones((2, 2)), "b": jnp.zeros(2)})

        def loss(theta: Any) -> Any:
            params = unravel(theta)
            return ((jnp.ones(2) @ params["w"] + params["b"]) ** 2).sum()

        objective = la.ArrayObjective(jax.jit(loss), theta0, jac=jax.jit(jax.grad(loss)))
        assert objective.theta0.dtype == np.float32
        assert objective.loss() == pytest.approx(8.0, rel=1e-6)
        # (w + b)^2 per output, two inputs of 1: second derivatives are 2 among the weights and the bias of an output.
        block = la.hessian_operator(objective).dense()
        np.testing.assert_allclose(np.linalg.eigvalsh(block), [0, 0, 0, 0, 6, 6], atol=0.05)


def test_resuming_knows_the_compiled_function(tmp_path: Any) -> None:
    import jax.numpy as jnp

    def scaled(factor: float) -> la.ArrayObjective:
        return la.ArrayObjective(jax.jit(lambda theta: factor * jnp.sum(theta**2)), np.ones(3))

    plane = la.random_plane(scaled(1.0))
    arguments: dict[str, Any] = {"resolution": 3, "archive": tmp_path / "a.zarr", "progress": False}
    la.evaluate(scaled(1.0), plane, **arguments)
    la.evaluate(scaled(1.0), plane, **arguments)
    with pytest.raises(la.ArchiveError, match="the function is another one"):
        la.evaluate(scaled(2.0), plane, **arguments)
