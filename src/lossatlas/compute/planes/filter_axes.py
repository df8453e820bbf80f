"""Axes of filters: which axis of a weight tensor counts the output units that filter normalization scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lossatlas.compute.params.params import unwrap_module

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class FilterAxis:
    """The axis of a weight that counts output units, and the groups that axis 0 is made of.

    Attributes:
        axis: 0 for Linear and Conv, ``(out, in, …)``; 1 for transposed layers, ``(in, out, …)``.
        groups: of a grouped transposed convolution, ``(in, out / groups, …)``: unit j of group g reads its own part of axis 0 alone.
    """

    axis: int = 0
    groups: int = 1

    def norms(self, weight: Tensor) -> Tensor:
        """The Euclidean norm of every filter in float64, in a shape that broadcasts over `grouped`."""
        value = self.grouped(weight.abs() if weight.is_complex() else weight)
        others = [i for i in range(value.dim()) if i not in ((self.axis,) if self.groups == 1 else (0, self.axis + 1))]
        return torch.linalg.vector_norm(value, dim=others, keepdim=True, dtype=torch.float64)

    def grouped(self, weight: Tensor) -> Tensor:
        """The weight with an axis of groups in front, where there are several."""
        return weight if self.groups == 1 else weight.unflatten(0, (self.groups, -1))


FIRST = FilterAxis()


def filter_axes(module: nn.Module | None) -> dict[str, FilterAxis]:
    """The weights whose filters do not lie along axis 0, by name: transposed convolutions, and Hugging Face's `Conv1D`.

    Example:
        >>> filter_axes(nn.Sequential(nn.Linear(2, 3), nn.ConvTranspose2d(4, 6, 3, groups=2)))
        {'1.weight': FilterAxis(axis=1, groups=2)}
    """
    if module is None:
        return {}
    module = unwrap_module(module)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    axes: dict[str, FilterAxis] = {}
    for prefix, layer in module.named_modules():
        if (known := _transposed(layer)) is not None:
            axis, shape = known
            # Also the parts of a parametrized weight, such as the direction of a weight norm, which have other names.
            starts = tuple(f"{prefix}.{word}" if prefix else word for word in ("weight", "parametrizations.weight."))
            axes |= {name: axis for name in shapes if name.startswith(starts) and shapes[name] == shape}
    return axes


def described(axes: Mapping[str, FilterAxis]) -> dict[str, dict[str, int]]:
    """As plain JSON, for a plane's `construction`."""
    return {name: {"axis": where.axis, "groups": where.groups} for name, where in axes.items()}


def _transposed(layer: nn.Module) -> tuple[FilterAxis, tuple[int, ...]] | None:
    """Of a layer whose weight is ``(in, out, …)``: where its filters lie, and the weight's shape."""
    if isinstance(layer, TRANSPOSED):
        return FilterAxis(1, layer.groups), (layer.in_channels, layer.out_channels // layer.groups, *layer.kernel_size)
    if any(kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers.") for kind in type(layer).__mro__):
        return FilterAxis(1), tuple(getattr(layer, "weight").shape)  # noqa: B009 - nn.Module types its attributes
    return None
