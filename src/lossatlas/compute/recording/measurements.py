"""Measurements beside the recorded weights: norms, histograms, metrics, learning rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BINS = 201
JOINED = 2**20
"""Entries of small gradients that are put into one vector, which costs less than an operation for each of them."""
PLAIN_ON_CPU = [{(torch.strided, dtype, torch.device("cpu"))} for dtype in (torch.float32, torch.float64)]
SPREAD = 6.0
"""The histogram reaches so many times the largest weight at the first step; its end bins hold everything beyond."""


@dataclass(frozen=True)
class LayerGroups:
    """Parameters grouped by the module that owns them.

    >>> LayerGroups.of({"a.weight": torch.ones(1), "a.bias": torch.ones(1), "b.weight": torch.ones(1)}).names
    ('a', 'b')
    """

    names: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, params: Mapping[str, Tensor]) -> LayerGroups:
        groups: dict[str, list[str]] = {}
        for name in params:
            groups.setdefault(name.rpartition(".")[0] or name, []).append(name)
        return cls(tuple(groups), tuple(tuple(members) for members in groups.values()))

    @staticmethod
    def squares(params: Mapping[str, Tensor]) -> dict[str, float]:
        """Squared norm of each tensor."""
        return {n: _square(p) for n, p in params.items()}

    def norms(self, squares: Mapping[str, float]) -> NDArray[np.float64]:
        """Euclidean norm of each layer, ``(layer,)``, from the squared norm of each tensor."""
        return np.sqrt([math.fsum(squares[n] for n in members) for members in self.members])


@dataclass(frozen=True)
class Histogram:
    """Counts of weights (tensors of two or more dims) in equal bins from ``-reach`` to ``reach``."""

    reach: float
    names: tuple[str, ...]

    @classmethod
    def of(cls, params: Mapping[str, Tensor]) -> Histogram:
        names = tuple(n for n, p in params.items() if p.dim() > 1) or tuple(params)
        largest = max((float(params[n].detach().abs().max()) for n in names if params[n].numel()), default=0.0)
        return cls(SPREAD * largest if math.isfinite(largest) and largest > 0 else 1.0, names)

    @property
    def centers(self) -> NDArray[np.float64]:
        edges = np.linspace(-self.reach, self.reach, BINS + 1)
        return (edges[:-1] + edges[1:]) / 2

    def count(self, params: Mapping[str, Tensor], layers: LayerGroups) -> NDArray[np.int64]:
        """Counts of each layer, ``(layer, bin)``; their sum over layers is that of the network. NaN is in no bin."""
        counts = np.zeros((len(layers.members), BINS), np.int64)
        for row, members in zip(counts, layers.members, strict=True):
            for name in members:
                if name in self.names:
                    row += self._counts(params[name])
        return counts

    def _counts(self, tensor: Tensor) -> NDArray[np.int64]:
        inside = tensor.detach().float().cpu().clamp(-self.reach, self.reach)
        if math.isnan(inside.sum().item()):
            inside = inside[~inside.isnan()]
        # Numbers of bins in a byte each are counted four times as fast as `histc` counts.
        bins = inside.add_(self.reach).mul_(BINS / (2 * self.reach)).to(torch.uint8)
        counts = torch.bincount(bins.reshape(-1), minlength=BINS + 1).numpy()
        counts[BINS - 1] += counts[BINS]  # the upper end itself
        return counts[:BINS]


def gradient_norm(params: Mapping[str, Tensor]) -> float:
    """Norm of the gradients that are there; NaN where there is none.

    Gradients that are all exactly zero count as none: `zero_grad(set_to_none=False)` leaves them so.
    """
    gradients = [p.grad for p in params.values() if p.grad is not None]
    if sum(g.numel() for g in gradients) <= JOINED and {(g.layout, g.dtype, g.device) for g in gradients} in PLAIN_ON_CPU:
        return math.sqrt(_square(torch.cat([g.reshape(-1) for g in gradients]))) or float("nan")
    return math.sqrt(math.fsum(map(_square, gradients))) or float("nan")


def _square(tensor: Tensor) -> float:
    """Squared norm in double precision, in half the time of `vector_norm` with a dtype."""
    flat = (tensor.detach().coalesce().values() if tensor.is_sparse else tensor.detach()).reshape(-1)
    if flat.is_complex():
        flat = torch.view_as_real(flat).reshape(-1)
    wide = flat.double()
    return float(wide.dot(wide))


def learning_rates(optimizer: torch.optim.Optimizer | None) -> tuple[float, ...]:
    """The different rates of the parameter groups, in their order; NaN where there is none."""
    rates = [] if optimizer is None else [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]
    return tuple(dict.fromkeys(rates)) or (float("nan"),)


def settings(optimizer: torch.optim.Optimizer | None) -> dict[str, Any]:
    """The optimizer's name and its plain settings, for the provenance."""
    if optimizer is None:
        return {}
    group = {k: v for k, v in optimizer.param_groups[0].items() if k != "params" and isinstance(v, int | float | str | bool)}
    rates = learning_rates(optimizer)
    return {
        "optimizer": type(optimizer).__name__,
        "learning_rate": max(rates) if "lr" in optimizer.param_groups[0] else None,
        "options": {k: v for k, v in group.items() if k != "lr"},
        **({"learning_rates": list(rates)} if len(rates) > 1 else {}),
    }
