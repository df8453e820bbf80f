"""Hessian and Gauss-Newton (GGN) operators: matrix-free products with vectors.

Both belong to the *mean* loss over the data: batches are weighted by their samples and the sum is divided by their
number, so neither the batch size nor the number of batches changes an eigenvalue. Where the objective re-estimates
BatchNorm statistics, they are those of the point and are held still while it is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from lossatlas._util.arrays import FloatArray
from lossatlas.compute.curvature.products import (
    METHODS,
    AllocatedBytes,
    BatchLoss,
    Multiply,
    OutputHalves,
    Prepare,
    differentiable_attention,
    gauss_newton,
)
from lossatlas.compute.objective.loss_functions import split_terms
from lossatlas.compute.objective.objective import ModuleLoss, Objective, check_objective
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.compute.params.params import Params, select_param_names
from lossatlas.errors import InputError

Method = Literal["auto", "double backward", "forward over reverse", "finite differences"]
MEMORY = 2**30
"""Bytes that the kept graphs of all batches may hold together."""


class CurvatureOperator(LinearOperator):
    """Symmetric linear operator of the Hessian or the Gauss-Newton matrix of a mean loss at one point, ``(size, size)``.

    With the mean loss over N samples (`Objective.samples`; the weights of a class-weighted loss where it has them)::

        L(θ) = 1/N Σ_n ℓ(f_θ(x_n), y_n)
        H    = ∇²_θ L                                           (`hessian_operator`)
        G    = 1/N Σ_n J_nᵀ (∇²_f ℓ) J_n,  J_n = ∂f_θ(x_n)/∂θ   (`ggn_operator`)

    θ are the chosen tensors in the order of the model's `named_parameters`, each flattened in row-major order (`layout`); all others
    stay at the point. Vectors and products are float64 NumPy arrays ``(size,)``; the model computes in its own precision. Products
    with a matrix ``(size, k)`` take k products with vectors.

    It is a `scipy.sparse.linalg.LinearOperator`, so whatever takes one takes it, ``scipy.sparse.linalg.eigsh(H, k=3)`` for example;
    it equals its transpose. Products: Pearlmutter 1994 (Neural Computation 6, 147) for H, Schraudolph 2002 (Neural Computation 14,
    1723) for G.

    Attributes:
        shape: ``(size, size)``.
        dtype: float64.
        point: the tensors that are differentiated, by name, at the point.
        layout: how they lie in a vector.
        kind: "hessian" or "ggn".
        method: how products are made.
        note: why an earlier method was not taken, or None.
        products: how many were made so far.
        units: of the loss, and so of the eigenvalues.
        workers: threads over the batches whose graphs are kept.
    """

    layout: ParamLayout
    point: Params
    kind: str
    method: str
    note: str | None
    batches: list[Callable[[], Multiply]]
    units: str
    workers: int
    products: int

    def __init__(
        self,
        point: Params,
        kind: str,
        method: str,
        batches: list[Callable[[], Multiply]],
        *,
        note: str | None = None,
        units: str = "",
        workers: int = 1,
    ) -> None:
        self.layout = ParamLayout.of(point)
        super().__init__(np.dtype(np.float64), (self.layout.size,) * 2)
        self.point, self.kind, self.method, self.note = point, kind, method, note
        self.batches, self.units, self.workers = batches, units, workers
        self.products = 0

    @property
    def size(self) -> int:
        """Number of parameters that are differentiated."""
        return self.layout.size

    def dense(self) -> FloatArray:
        """The whole matrix ``(size, size)``, column by column: ``size`` products."""
        return self._matmat(np.eye(self.size))

    def _matvec(self, x: FloatArray) -> FloatArray:
        self.products += 1
        step, total = self.layout.unflatten(np.ravel(x), like=self.point), np.zeros(self.size)
        with differentiable_attention():
            for product in self._of_batches(step):
                total += self.layout.flatten(product)
        return total

    def _rmatvec(self, x: FloatArray) -> FloatArray:
        return self._matvec(x)

    def _matmat(self, X: FloatArray) -> FloatArray:
        return np.stack([self._matvec(column) for column in X.T], axis=1) if X.shape[1] else np.zeros(X.shape)

    def _of_batches(self, step: Params) -> Iterator[Params]:
        """Each batch's product, in order. Kept graphs may be walked by threads; a model may not run in two at once, as other methods do."""
        if self.workers == 1 or self.method != "double backward" or not all(isinstance(batch, CachedProduct) for batch in self.batches):
            return (prepared()(step) for prepared in self.batches)
        with ThreadPoolExecutor(self.workers) as pool:
            return iter(list(pool.map(lambda prepared: prepared()(step), self.batches)))


def hessian_operator(
    objective: Objective,
    at: Params | None = None,
    *,
    params: str | Iterable[str] | None = None,
    biases: bool = False,
    method: Method = "auto",
    memory: int = MEMORY,
    workers: int = 1,
) -> CurvatureOperator:
    """Make the linear operator of the Hessian of the mean loss (Pearlmutter 1994).

    Args:
        objective: model, loss and data.
        at: parameters that differ from the objective's own, such as ``plane.point(0.5, 0)``; None is the center.
        params: names, modules or globs to differentiate; None takes all.
        biases: also differentiate one-dimensional tensors (biases, BatchNorm scale and shift), which Li et al. 2018 and, by default,
            the planes of this package leave alone.
        method: how to multiply; "auto" takes the first that works on this model and says which.
        memory: bytes that kept graphs may hold; what does not fit is built anew for every product.
        workers: threads that share the batches, where all graphs of "double backward" are kept; set ``torch.set_num_threads(1)`` with it.

    Returns:
        A SciPy `LinearOperator` ``(size, size)``, float64, in the units of the loss.

    Raises:
        InputError: unknown names, nothing to differentiate, an unknown method, or no method works.

    Example:
        >>> import torch
        >>> rosenbrock = lambda p, _: (1 - p["x"][0]) ** 2 + 100 * (p["x"][1] - p["x"][0] ** 2) ** 2
        >>> H = hessian_operator(Objective(rosenbrock, params={"x": torch.ones(2, dtype=torch.float64)}), biases=True)
        >>> H.dense().tolist(), (H @ np.array([1.0, 1.0])).tolist()
        ([[802.0, -400.0], [-400.0, 200.0]], [402.0, -200.0])
    """
    point = _point(objective, at)
    return hessian_at(objective, point, chosen_names(point, params, biases), method, memory, workers)


def hessian_at(
    objective: Objective, point: Params, names: Iterable[str], method: Method = "auto", memory: int = MEMORY, workers: int = 1
) -> CurvatureOperator:
    """Make the operator of `hessian_operator` where everything is chosen already, as along a training.

    Args:
        objective: model, loss and data.
        point: all parameters, in the model's own precision; it may hold buffers too.
        names: the tensors to differentiate.
        method: as in `hessian_operator`.
        memory: as in `hessian_operator`.
        workers: as in `hessian_operator`.

    Raises:
        InputError: an unknown method, or no method works.
    """
    moving, shares = {n: point[n].detach() for n in names}, _batch_losses(objective, point)
    name, note, batches = _first_working(shares, moving, method, memory)
    name = getattr(objective.function, "hessian_method", name)  # a function of a vector says how its products come about
    return CurvatureOperator(moving, "hessian", name, batches, note=note, units=_units(objective), workers=workers)


def ggn_operator(
    objective: Objective,
    at: Params | None = None,
    *,
    params: str | Iterable[str] | None = None,
    biases: bool = False,
    memory: int = MEMORY,
    workers: int = 1,
) -> CurvatureOperator:
    """Make the linear operator of the generalized Gauss-Newton matrix ``JᵀBJ``: J the outputs' Jacobian, B the loss's Hessian in them.

    Positive semi-definite for a loss that is convex in the outputs; equal to the Hessian where the outputs are linear
    in the parameters (Schraudolph 2002).

    Args:
        objective: model, loss function and data.
        at: parameters that differ from the objective's own; None is the center.
        params: names, modules or globs to differentiate; None takes all.
        biases: also differentiate one-dimensional tensors.
        memory: bytes that kept graphs may hold; what does not fit is built anew for every product.
        workers: threads that share the batches, where all graphs are kept.

    Returns:
        A SciPy `LinearOperator` ``(size, size)``, float64, in the units of the loss.

    Raises:
        InputError: the objective is a plain callable, whose outputs are not known; unknown names, or nothing to differentiate.

    Example:
        >>> import torch
        >>> x, layer = torch.tensor([[1.0], [3.0]]), torch.nn.Linear(1, 1, bias=False)
        >>> G = ggn_operator(Objective(layer, torch.nn.functional.mse_loss, (x, torch.zeros(2, 1))))
        >>> G.dense().tolist()
        [[10.0]]
    """
    if not isinstance(objective.function, ModuleLoss) or objective.function.loss is None:
        raise InputError("objective", "a callable or a model with its own loss", "a module with a loss function", "Use hessian instead")
    point = _point(objective, at)
    moving = {n: point[n].detach() for n in chosen_names(point, params, biases)}
    batches = _cached_product(_output_halves(objective, point), moving, gauss_newton, memory)
    return CurvatureOperator(moving, "ggn", "double backward", batches, units=_units(objective), workers=workers)


def chosen_names(params: Params, patterns: str | Iterable[str] | None = None, biases: bool = False) -> tuple[str, ...]:
    """Names of the tensors to differentiate, in the order of `params`.

    Args:
        params: all of them.
        patterns: names, modules or globs; None takes all.
        biases: False leaves one-dimensional tensors out, as Li et al. 2018 do for their eigenvalues, unless there are no others.

    Raises:
        InputError: nothing is left, or no name matches.
    """
    biases = biases or all(p.dim() <= 1 for p in params.values())
    names = tuple(n for n in select_param_names(params, patterns) if params[n].is_floating_point() and (biases or params[n].dim() > 1))
    if not names:
        advice = "Pass biases=True to keep one-dimensional tensors"
        shown = "all of them" if patterns is None else str(patterns)
        raise InputError("params", shown, "at least one tensor of real numbers with two or more dimensions", advice)
    return names


def _point(objective: Objective, at: Params | None) -> Params:
    check_objective(objective)
    if at is not None and (unknown := sorted(set(at) - set(objective.params))):
        raise InputError("at", ", ".join(unknown[:4]), f"names of the model such as {next(iter(objective.params))!r}")
    return cast_like({**objective.params, **(at or {})}, objective.params)


def _batch_losses(objective: Objective, point: Params) -> list[BatchLoss]:
    """One function a batch; their sum is the mean loss over the data."""
    placed = objective.with_batchnorm_statistics(point)
    return [_batch_loss(objective, placed, batch, weight) for batch, weight in objective.weighted_batches()]


def _batch_loss(objective: Objective, placed: Params, batch: Any, weight: float) -> BatchLoss:
    def share(moving: Params) -> Tensor:
        losses = objective.score({**placed, **moving}, batch).losses
        return (losses.sum() if losses.dim() else losses * weight) / objective.samples

    return share


def _first_working(
    shares: list[BatchLoss], moving: Params, method: Method, memory: int
) -> tuple[str, str | None, list[Callable[[], Multiply]]]:
    """The first method that multiplies a vector on this model, why those before it do not, and the batches prepared for it."""
    if method != "auto" and method not in METHODS:
        raise InputError("method", method, '"auto" or one of ' + ", ".join(map(repr, METHODS)))
    size = sum(t.numel() for t in moving.values())
    probe, reasons = {n: torch.full_like(t, size**-0.5) for n, t in moving.items()}, []
    for name in METHODS if method == "auto" else (method,):
        try:
            batches = _cached_product(shares, moving, METHODS[name], memory)
            with differentiable_attention():
                batches[0]()(probe)
            return name, "; ".join(reasons) or None, batches
        except RuntimeError as error:  # what torch raises where an operation has no such derivative, and where memory ends
            reasons.append(f"{name} failed: {str(error).splitlines()[0][:120]}")
    raise InputError("model", "; ".join(reasons), "a model whose gradient can be taken", 'Try method="finite differences"')


def _cached_product(
    parts: list[Any], point: Params, prepare: Callable[[Any, Params], Multiply] | Prepare, memory: int
) -> list[Callable[[], Multiply]]:
    """Prepare each batch once where its graph fits into what is left of `memory`, and before every product otherwise."""
    left: int = memory
    batches: list[Callable[[], Multiply]] = []
    for part in parts:
        if left <= 0:
            batches.append(lambda part=part: prepare(part, point))
            continue
        with differentiable_attention(), AllocatedBytes() as allocated:
            multiply = prepare(part, point)
        left -= allocated.total
        batches.append(CachedProduct(multiply) if left > 0 else (lambda part=part: prepare(part, point)))
    return batches


@dataclass(frozen=True, eq=False)
class CachedProduct:
    """A prepared product that stays."""

    multiply: Multiply

    def __call__(self) -> Multiply:
        return self.multiply


def _output_halves(objective: Objective, point: Params) -> list[OutputHalves]:
    placed = objective.with_batchnorm_statistics(point)
    return [_halves(objective, placed, batch, weight) for batch, weight in objective.weighted_batches()]


def _halves(objective: Objective, placed: Params, batch: Any, weight: float) -> OutputHalves:
    targets: list[Any] = []

    def outputs(moving: Params) -> Tensor:
        scores = objective.score({**placed, **moving}, batch)
        targets[:] = [scores.targets]
        return getattr(scores.outputs, "logits", scores.outputs)

    def share(output: Tensor) -> Tensor:
        function = objective.function
        assert isinstance(function, ModuleLoss) and function.loss is not None
        losses, _ = split_terms(function.loss(output) if targets[0] is None else function.loss(output, targets[0]))
        return (
            losses.flatten(1).mean(1).sum() if losses.dim() > 1 else losses.sum() if losses.dim() else losses * weight
        ) / objective.samples

    return outputs, share


def _units(objective: Objective) -> str:
    return str(objective.description["units"])
