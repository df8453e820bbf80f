"""Bridge of autograd to a function of a NumPy vector: value, gradient and Hessian product as differentiable operations.

Backward of the value is the gradient and backward of the gradient the Hessian product, so that torch optimizers, double backward,
forward-mode derivatives and `torch.vmap` all work on such a function. A third derivative does not exist.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas._util.arrays import FloatArray


def value_of(theta: Tensor, function: Any) -> Tensor:
    """The function's value, a tensor ``()`` of float64, differentiable twice in `theta` ``(size,)``."""
    return _Value.apply(theta, function)  # type: ignore[return-value]


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(theta: Tensor, function: Any) -> Tensor:
        return torch.tensor(function.value(_array(theta)), dtype=torch.float64, device=theta.device)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (theta,) = ctx.saved_tensors
        return grad_outputs[0].to(theta.dtype) * _Gradient.apply(theta, ctx.function), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (theta,) = ctx.saved_tensors
        return (_Gradient.apply(theta, ctx.function) * tangents[0]).sum().double()  # type: ignore[operator]

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        theta, function = args
        values = function.values(_array(theta.movedim(in_dims[0], 0)))
        return torch.tensor(values, dtype=torch.float64, device=theta.device), 0


class _Gradient(torch.autograd.Function):
    @staticmethod
    def forward(theta: Tensor, function: Any) -> Tensor:
        return _tensor(function.gradient(_array(theta)), theta)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (theta,) = ctx.saved_tensors
        return _HessianProduct.apply(theta, grad_outputs[0], ctx.function), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (theta,) = ctx.saved_tensors
        return _HessianProduct.apply(theta, tangents[0], ctx.function)  # type: ignore[return-value]

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        theta, function = args
        return _tensor(function.gradients(_array(theta.movedim(in_dims[0], 0))), theta), 0


class _HessianProduct(torch.autograd.Function):
    """Linear in `v`, so that it can be differentiated there; not in `theta`."""

    @staticmethod
    def forward(theta: Tensor, v: Tensor, function: Any) -> Tensor:
        return _tensor(function.hessian_product(_array(theta), _array(v)), theta)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        theta, _, ctx.function = inputs
        ctx.save_for_backward(theta)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (theta,) = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            raise RuntimeError("a function of a NumPy vector has no third derivative here")
        return None, _HessianProduct.apply(theta, grad_outputs[0], ctx.function), None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        theta, v, function = args
        thetas, directions = (_rows(t, dim, info.batch_size) for t, dim in zip((theta, v), in_dims, strict=False))
        products = [function.hessian_product(t, d) for t, d in zip(thetas, directions, strict=True)]
        return _tensor(np.stack(products), theta), 0


def _keep(ctx: Any, inputs: Any) -> None:
    theta, ctx.function = inputs
    ctx.save_for_backward(theta)
    ctx.save_for_forward(theta)


def _array(tensor: Tensor) -> FloatArray:
    return tensor.detach().cpu().numpy()


def _tensor(array: FloatArray, like: Tensor) -> Tensor:
    return torch.as_tensor(array).to(like)


def _rows(tensor: Tensor, dim: int | None, rows: int) -> FloatArray:
    return _array(tensor.expand(rows, *tensor.shape) if dim is None else tensor.movedim(dim, 0))
