"""Directions in weight space: a step shaped like the parameters, and how it was made.

Normalization follows Li et al. 2018 (arXiv 1712.09913), section 4: every filter of a random direction is scaled to
the norm of the same filter of the weights. Biases and other one-dimensional parameters (BatchNorm scale and shift)
stay fixed unless asked for, as in all of the paper's planes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lossatlas.compute.params.arithmetic import Params, is_differentiable_dtype, norm, to_double
from lossatlas.compute.planes.filter_axes import FIRST, FilterAxis
from lossatlas.errors import InputError

Normalize = Literal["filter", "layer", "weight", "none"]
EPSILON = 1e-10
"""Added to the norm of a random filter before dividing, as in Li et al.'s code."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A step in weight space; names missing from `params` do not move.

    Attributes:
        params: `dict[str, Tensor]`, or a mapping that draws tensors when asked (`regrown`).
        recipe: how to make it again: kind, seed, index, normalization.
    """

    params: Mapping[str, Tensor]
    construction: Mapping[str, Any] = field(default_factory=dict)

    @property
    def norm(self) -> float:
        return norm(self.params)


def random_directions(center: Params, seed: int, count: int, names: tuple[str, ...] | None = None) -> list[Params]:
    """Gaussian directions, drawn as `torch.manual_seed(seed)` followed by `torch.randn` of every tensor in order would.

    Every tensor of `center` is drawn, in float32 on the CPU, also those that are then left out, so that a direction
    depends on the seed and the model alone. That is the order of Li et al.'s code.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in range(count):
        raw = {n: sample_normal(p, generator) for n, p in center.items()}
        drawn.append({n: raw[n].to(device=center[n].device, dtype=direction_dtype(center[n])) for n in (names or center)})
    return drawn


def sample_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian float32 numbers shaped like a tensor; real and imaginary parts where it is complex."""
    numbers = torch.randn((*like.shape, 2) if like.is_complex() else like.shape, generator=generator)
    return torch.view_as_complex(numbers) if like.is_complex() else numbers


def direction_dtype(like: Tensor) -> torch.dtype:
    """Of a direction along a tensor."""
    return like.dtype if is_differentiable_dtype(like) else torch.float32


def normalize_direction(
    direction: Params, center: Params, normalize: Normalize, axes: Mapping[str, FilterAxis] | None = None, biases: bool = False
) -> Params:
    """Scale a direction to the weights it will be added to.

    Args:
        direction: what to scale.
        center: the weights.
        how: "filter": every filter gets the norm of its weights (Li et al. 2018, section 4); "layer": every tensor
            does; "weight": every entry is multiplied by its weight, sign included, as in their code; "none".
        axes: where the filters lie of tensors that do not count them along axis 0 (`filter_axes`).
        biases: False leaves one-dimensional tensors out; True scales each of them as one tensor.

    Raises:
        InputError: an unknown way.
    """
    if normalize not in get_args(Normalize):
        raise InputError("normalize", normalize, "one of " + ", ".join(map(repr, get_args(Normalize))))
    kept = {n: d for n, d in direction.items() if is_differentiable_dtype(center[n]) and (biases or d.dim() > 1)}
    if not kept:
        raise InputError(
            "params",
            ", ".join(direction),
            "at least one tensor of two or more dimensions, no integers",
            "Pass biases=True to move biases too",
        )
    return {n: _scaled(d, center[n], normalize, (axes or {}).get(n, FIRST)) for n, d in kept.items()}


def _scaled(d: Tensor, w: Tensor, how: Normalize, where: FilterAxis) -> Tensor:
    if how == "none":
        return d
    if how == "weight":
        return d * w
    if how == "layer" or d.dim() <= 1:
        return d * (to_double(w).norm() / (to_double(d).norm() + EPSILON)).to(d.dtype)
    return (where.grouped(d) * (where.norms(w) / (where.norms(d) + EPSILON))).reshape(d.shape).to(d.dtype)
