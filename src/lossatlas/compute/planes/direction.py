"""A direction in weight space, and random Gaussian directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lossatlas.compute.params.arithmetic import is_differentiable_dtype, norm
from lossatlas.compute.params.params import Params


@dataclass(frozen=True, eq=False)
class Direction:
    """A step in weight space; names missing from `params` do not move.

    Attributes:
        params: `dict[str, Tensor]`, or a mapping that draws tensors when asked (`LazyRandomDirection`).
        construction: how to make it again: kind, seed, index, normalization.
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
