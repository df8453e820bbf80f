"""Running sums over the batches, one entry a point, and what comes out of them: means and standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values = dict[str, NDArray[np.float64]]
"""By variable name (`loss`, `loss_standard_error`, …), each ``(points,)``."""


@dataclass(frozen=True)
class Measured:
    """Values of some points, and why some of them are holes.

    Attributes:
        values: by variable name, each ``(points,)`` float64.
        holes: position among the points to the reason why a value there is NaN though nothing computed a NaN.
    """

    values: Values
    holes: Mapping[int, str] = field(default_factory=dict)


class Sums:
    """Float64 sums of one metric and of its squares, per point.

    Args:
        points: how many.
        device: where the sums are kept; nothing is copied to the host before the last batch.
    """

    def __init__(self, points: int, device: torch.device) -> None:
        self.total = torch.zeros(points, dtype=torch.float64, device=device)
        self.squares = torch.zeros(points, dtype=torch.float64, device=device)
        self.per_sample = True

    def add(self, where: int | slice, values: Tensor, weight: float) -> None:
        """Add a batch: ``(samples,)``, or its mean ``()`` that counts for `weight` samples; one axis more at a slice of points."""
        each = values.detach().double()
        if each.dim() == (0 if isinstance(where, int) else 1):
            self.per_sample = False
            self.total[where] += each * weight
            return
        self.total[where] += each.sum(-1)
        self.squares[where] += torch.linalg.vecdot(each, each)

    def spoil(self, where: int) -> None:
        self.total[where] = torch.nan

    def mean(self, samples: int) -> NDArray[np.float64]:
        return (self.total / samples).cpu().numpy()

    def standard_error(self, samples: int) -> NDArray[np.float64]:
        """``sd / sqrt(n)`` with the unbiased variance; NaN for one sample or a loss without per-sample values."""
        if not self.per_sample or samples < 2:
            return np.full(len(self.total), np.nan)
        variance = (self.squares - self.total * self.total / samples) / (samples - 1)
        return (variance.clamp(min=0).sqrt() / math.sqrt(samples)).cpu().numpy()


def values_of(sums: Mapping[str, Sums], samples: int) -> Values:
    """Means and standard errors of every metric."""
    values: Values = {}
    for name, found in sums.items():
        values[name] = found.mean(samples)
        values[f"{name}_standard_error"] = found.standard_error(samples)
    return values
