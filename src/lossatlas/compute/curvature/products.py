"""Hessian-vector products of one batch: forward-over-reverse, double backward, finite differences.

A method is prepared once a point and then multiplies many vectors, as every solver here needs it. Double backward
comes first because its graph can be kept between products: measured on a CPU with torch 2.13, one more product then
takes 8.6 ms an image on a ResNet-20, against 11.9 with a fresh graph and 13.8 by forward over reverse (an MLP: 1.9,
4.1 and 8.6 ms). It also passes through LSTMs, which have no forward derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from lossatlas.compute.params.arithmetic import norm
from lossatlas.compute.params.params import Params

BatchLoss = Callable[[Params], Tensor]
"""One batch's share of the mean loss, as a function of the parameters that are differentiated."""
Multiply = Callable[[Params], Params]
Prepare = Callable[[BatchLoss, Params], Multiply]
OutputHalves = tuple[Callable[[Params], Tensor], Callable[[Tensor], Tensor]]
"""Parameters to outputs, and outputs to a batch's share of the mean loss."""


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Autograd on, also where a caller has it off, and attention through the MATH kernel.

    The flash kernels have neither a forward nor a second derivative.
    """
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        yield


def double_backward(share: BatchLoss, point: Params) -> Multiply:
    """Hessian-vector product by differentiating ``<gradient, v>`` (Pearlmutter 1994); its graph is kept for the next vector."""
    leaves = {n: p.detach().clone().requires_grad_() for n, p in point.items()}
    inputs = list(leaves.values())
    gradients = _gradients([share(leaves)], inputs, create_graph=True)
    check_twice_differentiable(gradients)
    live = [(n, g) for n, g in zip(leaves, gradients, strict=True) if g.requires_grad]

    def multiply(v: Params) -> Params:
        if not live:
            return {n: torch.zeros_like(p) for n, p in point.items()}
        products = _gradients([g for _, g in live], inputs, [v[n] for n, _ in live], retain_graph=True)
        return dict(zip(point, products, strict=True))

    return multiply


def forward_over_reverse(share: BatchLoss, point: Params) -> Multiply:
    """Hessian-vector product by ``jvp(grad(loss), v)``: needs a forward derivative of every operation, keeps no graph."""
    slope = torch.func.grad(share)
    return lambda v: torch.func.jvp(slope, (dict(point),), (v,))[1]


def finite_differences(share: BatchLoss, point: Params) -> Multiply:
    """Hessian-vector product by a central difference of the gradient: the last resort, right to about ``eps ** (2/3)``."""
    epsilon = max(torch.finfo(p.dtype).eps for p in point.values())

    def multiply(v: Params) -> Params:
        length = norm(v)
        if not length:
            return {n: torch.zeros_like(p) for n, p in point.items()}
        step = epsilon ** (1 / 3) * (1 + norm(point)) / length
        ahead, behind = (_gradient_at(share, {n: torch.add(p, v[n], alpha=s) for n, p in point.items()}) for s in (step, -step))
        return {n: (ahead[n] - behind[n]) / (2 * step) for n in point}

    return multiply


def gauss_newton(halves: OutputHalves, point: Params) -> Multiply:
    """Multiply by ``J' B J`` with one kept graph: J v is the derivative of ``J' u`` in u, which is linear in u."""
    leaves = {n: p.detach().clone().requires_grad_() for n, p in point.items()}
    inputs = list(leaves.values())
    output = halves[0](leaves)
    dummy = torch.zeros_like(output, requires_grad=True)
    pulled = torch.autograd.grad(output, inputs, dummy, create_graph=True, allow_unused=True, materialize_grads=True)
    check_twice_differentiable(pulled)
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


METHODS: dict[str, Prepare] = {
    "double backward": double_backward,
    "forward over reverse": forward_over_reverse,
    "finite differences": finite_differences,
}


class AllocatedBytes(TorchDispatchMode):
    """Counts the bytes that operations allocate: an upper bound of what a kept graph holds."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            outputs = result if isinstance(result, tuple | list) else (result,)
            self.total += sum(t.numel() * t.element_size() for t in outputs if isinstance(t, Tensor))
        return result


def check_twice_differentiable(gradients: Iterable[Tensor]) -> None:
    """An operation marked `once_differentiable` does not raise when its parents are asked for: its part is just missing.

    Raises:
        RuntimeError: there is such an operation in the graph.
    """
    seen: set[Any] = set()
    left = [g.grad_fn for g in gradients if g.grad_fn is not None]
    while left:
        node = left.pop()
        if node.name() == "torch::autograd::Error":
            raise RuntimeError("the model holds an operation that can be differentiated only once")
        fresh = [parent for parent, _ in node.next_functions if parent is not None and parent not in seen]
        seen.update(fresh)
        left.extend(fresh)


def _gradient_at(share: BatchLoss, point: Params) -> Params:
    leaves = {n: p.detach().clone().requires_grad_() for n, p in point.items()}
    return dict(zip(leaves, _gradients([share(leaves)], list(leaves.values())), strict=True))


def _gradients(outputs: list[Tensor], inputs: list[Tensor], weights: list[Tensor] | None = None, **options: bool) -> tuple[Tensor, ...]:
    """Gradients with zeros where the output does not depend on an input; zeros too where it depends on none."""
    if not any(output.requires_grad for output in outputs):
        return tuple(torch.zeros_like(p) for p in inputs)
    return torch.autograd.grad(outputs, inputs, weights, allow_unused=True, materialize_grads=True, **options)
