"""The Hessian and the Gauss-Newton matrix at a point, known by their products with vectors.

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
from torch import Tensor

from lossatlas.compute.curvature.layout import Layout, Vector, layout_of
from lossatlas.compute.curvature.methods import (
    METHODS,
    AllocatedBytes,
    Multiply,
    Prepare,
    Share,
    differentiable_attention,
    refuse_once_only,
)
from lossatlas.compute.objective import ModuleLoss, Objective, check_objective
from lossatlas.compute.params import Params
from lossatlas.errors import InputError

Method = Literal["auto", "double backward", "forward over reverse", "finite differences"]
MEMORY = 2**30
"""Bytes that the kept graphs of all batches may hold together."""


@dataclass(eq=False)
class Curvature:
    """A symmetric matrix ``(size, size)`` that is only ever multiplied with vectors; `hessian` and `ggn` make one.

    Attributes:
        layout: which parameters, in which order.
        kind: "hessian" or "ggn".
        method: how products are made.
        note: why an earlier method was not taken, or None.
        products: how many were made so far.
        units: of the loss, and so of the eigenvalues.
        workers: threads over the batches whose graphs are kept.
    """

    layout: Layout
    kind: str
    method: str
    batches: list[Callable[[], Multiply]]
    note: str | None = None
    products: int = 0
    units: str = ""
    workers: int = 1

    @property
    def size(self) -> int:
        return self.layout.size

    def __matmul__(self, vector: Vector) -> Vector:
        """The product with one vector ``(size,)``, float64."""
        self.products += 1
        step, total = self.layout.unflatten(vector), np.zeros(self.size)
        with differentiable_attention():
            for product in self._of_batches(step):
                total += self.layout.flatten(product)
        return total

    def _of_batches(self, step: Params) -> Iterator[Params]:
        """Each batch's product, in order. Kept graphs may be walked by threads; a model may not run in two at once, as other methods do."""
        if self.workers == 1 or self.method != "double backward" or not all(isinstance(batch, Kept) for batch in self.batches):
            return (prepared()(step) for prepared in self.batches)
        with ThreadPoolExecutor(self.workers) as pool:
            return iter(list(pool.map(lambda prepared: prepared()(step), self.batches)))

    def dense(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The whole matrix, column by column: ``size`` products."""
        return np.stack([self @ row for row in np.eye(self.size)], axis=1)


def hessian(
    objective: Objective,
    at: Params | None = None,
    *,
    params: str | Iterable[str] | None = None,
    biases: bool = True,
    method: Method = "auto",
    memory: int = MEMORY,
    workers: int = 1,
) -> Curvature:
    """The Hessian of the mean loss.

    Args:
        objective: model, loss and data.
        at: parameters that differ from the objective's own, such as ``plane.point(0.5, 0)``; None is the center.
        params: names, modules or globs to differentiate; None takes all.
        biases: False leaves one-dimensional tensors (biases, BatchNorm scale and shift) out, as Li et al. 2018 do.
        method: how to multiply; "auto" takes the first that works on this model and says which.
        memory: bytes that kept graphs may hold; what does not fit is built anew for every product.
        workers: threads that share the batches, where all graphs of "double backward" are kept; set ``torch.set_num_threads(1)`` with it.

    Raises:
        InputError: an unknown method, or no method works.

    Example:
        >>> rosenbrock = lambda p, _: (1 - p["x"][0]) ** 2 + 100 * (p["x"][1] - p["x"][0] ** 2) ** 2
        >>> H = hessian(Objective(rosenbrock, params={"x": torch.ones(2, dtype=torch.float64)}))
        >>> H.dense().tolist()
        [[802.0, -400.0], [-400.0, 200.0]]
    """
    point, layout = _point(objective, at, params, biases)
    shares = _shares(objective, point, layout)
    name, note = _working_method(shares[0], layout, method)
    return Curvature(layout, "hessian", name, _kept(shares, layout.like, METHODS[name], memory), note, 0, _units(objective), workers)


def ggn(
    objective: Objective,
    at: Params | None = None,
    *,
    params: str | Iterable[str] | None = None,
    biases: bool = True,
    memory: int = MEMORY,
    workers: int = 1,
) -> Curvature:
    """The generalized Gauss-Newton matrix ``J' B J``: J the outputs' Jacobian, B the loss's Hessian in the outputs.

    Positive semi-definite for a loss that is convex in the outputs; equal to the Hessian where the outputs are linear
    in the parameters (Schraudolph 2002).

    Raises:
        InputError: the objective is a plain callable, whose outputs are not known.
    """
    if not isinstance(objective.function, ModuleLoss) or objective.function.loss is None:
        raise InputError("objective", "a callable or a model with its own loss", "a module with a loss function", "Use hessian instead")
    point, layout = _point(objective, at, params, biases)
    halves = _output_halves(objective, point, layout)
    batches = _kept(halves, layout.like, _gauss_newton, memory)
    return Curvature(layout, "ggn", "double backward", batches, None, 0, _units(objective), workers)


def _point(objective: Objective, at: Params | None, params: str | Iterable[str] | None, biases: bool) -> tuple[Params, Layout]:
    check_objective(objective)
    if at is not None and (unknown := sorted(set(at) - set(objective.params))):
        raise InputError("at", ", ".join(unknown[:4]), f"names of the model such as {next(iter(objective.params))!r}")
    point = {**objective.params, **(at or {})}
    return point, layout_of(point, params, biases)


def _shares(objective: Objective, point: Params, layout: Layout) -> list[Share]:
    """One function a batch; their sum is the mean loss over the data."""
    placed = objective.placed(point)
    return [_share(objective, placed, batch, weight) for batch, weight in objective.counted()]


def _share(objective: Objective, placed: Params, batch: Any, weight: float) -> Share:
    def share(moving: Params) -> Tensor:
        losses = objective.score({**placed, **moving}, batch).losses
        return (losses.sum() if losses.dim() else losses * weight) / objective.samples

    return share


def _working_method(share: Share, layout: Layout, method: Method) -> tuple[str, str | None]:
    if method != "auto" and method not in METHODS:
        raise InputError("method", method, '"auto" or one of ' + ", ".join(map(repr, METHODS)))
    probe, reasons = layout.unflatten(np.full(layout.size, layout.size**-0.5)), []
    for name in METHODS if method == "auto" else (method,):
        try:
            with differentiable_attention():
                METHODS[name](share, layout.like)(probe)
            return name, "; ".join(reasons) or None
        except (RuntimeError, NotImplementedError) as error:
            reasons.append(f"{name} failed: {str(error).splitlines()[0][:120]}")
    raise InputError("model", "; ".join(reasons), "a model whose gradient can be taken", 'Try method="finite differences"')


def _kept(
    parts: list[Any], point: Params, prepare: Callable[[Any, Params], Multiply] | Prepare, memory: int
) -> list[Callable[[], Multiply]]:
    """Prepare each batch once where its graph fits into what is left of `memory`, and before every product otherwise."""
    left, batches = memory, []
    for part in parts:
        if left <= 0:
            batches.append(lambda part=part: prepare(part, point))
            continue
        with differentiable_attention(), AllocatedBytes() as allocated:
            multiply = prepare(part, point)
        left -= allocated.total
        batches.append(Kept(multiply) if left > 0 else (lambda part=part: prepare(part, point)))
    return batches


@dataclass(frozen=True, eq=False)
class Kept:
    """A prepared product that stays."""

    multiply: Multiply

    def __call__(self) -> Multiply:
        return self.multiply


OutputHalves = tuple[Callable[[Params], Tensor], Callable[[Tensor], Tensor]]
"""Parameters to outputs, and outputs to a batch's share of the mean loss."""


def _output_halves(objective: Objective, point: Params, layout: Layout) -> list[OutputHalves]:
    placed = objective.placed(point)
    return [_halves(objective, placed, batch, weight) for batch, weight in objective.counted()]


def _halves(objective: Objective, placed: Params, batch: Any, weight: float) -> OutputHalves:
    targets: list[Any] = []

    def outputs(moving: Params) -> Tensor:
        scores = objective.score({**placed, **moving}, batch)
        targets[:] = [scores.targets]
        return getattr(scores.outputs, "logits", scores.outputs)

    def share(output: Tensor) -> Tensor:
        function = objective.function
        assert isinstance(function, ModuleLoss) and function.loss is not None
        losses = function.loss(output) if targets[0] is None else function.loss(output, targets[0])
        return (
            losses.flatten(1).mean(1).sum() if losses.dim() > 1 else losses.sum() if losses.dim() else losses * weight
        ) / objective.samples

    return outputs, share


def _gauss_newton(halves: OutputHalves, point: Params) -> Multiply:
    """``J' (B (J v))`` with one kept graph: J v is the derivative of ``J' u`` in u, which is linear in u."""
    leaves = {n: p.detach().clone().requires_grad_() for n, p in point.items()}
    inputs = list(leaves.values())
    output = halves[0](leaves)
    dummy = torch.zeros_like(output, requires_grad=True)
    pulled = torch.autograd.grad(output, inputs, dummy, create_graph=True, allow_unused=True, materialize_grads=True)
    refuse_once_only(pulled)
    cut = output.detach().requires_grad_()
    (slope,) = torch.autograd.grad(halves[1](cut), cut, create_graph=True)

    def multiply(v: Params) -> Params:
        live = [(g, v[n]) for n, g in zip(leaves, pulled, strict=True) if g.requires_grad]
        (pushed,) = torch.autograd.grad([g for g, _ in live], dummy, [w for _, w in live], retain_graph=True, materialize_grads=True)
        curved = _product(slope, cut, pushed)
        back = torch.autograd.grad(output, inputs, curved, retain_graph=True, allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, back, strict=True))

    return multiply


def _product(slope: Tensor, cut: Tensor, pushed: Tensor) -> Tensor:
    if not slope.requires_grad:  # a loss that is linear in the outputs has no curvature of its own
        return torch.zeros_like(pushed)
    (curved,) = torch.autograd.grad(slope, cut, pushed, retain_graph=True)
    return curved


def _units(objective: Objective) -> str:
    return str(objective.description["units"])
