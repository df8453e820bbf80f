"""Measuring points of a plane: data outside, points inside.

Each batch is read once and scored at every point of the tile; sums of values and of their squares are kept in
float64, so each point has a mean and a standard error from the same samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective import Objective
from lossatlas.compute.params import Params
from lossatlas.compute.plane import Plane, coordinates_of

Values = dict[str, NDArray[np.float64]]


@dataclass
class Sums:
    """Running float64 sums of one metric over the batches, per point."""

    total: list[torch.Tensor]
    squares: list[torch.Tensor]
    per_sample: bool = True

    @classmethod
    def zeros(cls, points: int, device: torch.device) -> Sums:
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return cls([zero] * points, [zero] * points)

    def add(self, point: int, values: torch.Tensor, count: int) -> None:
        each = values.double()
        if each.dim() == 0:
            self.per_sample = False
            self.total[point] = self.total[point] + each * count
            return
        self.total[point] = self.total[point] + each.sum()
        self.squares[point] = self.squares[point] + torch.dot(each, each)

    def mean(self, samples: int) -> NDArray[np.float64]:
        return (torch.stack(self.total) / samples).cpu().numpy()

    def standard_error(self, samples: int) -> NDArray[np.float64]:
        """``sd / sqrt(n)`` with the unbiased variance; NaN for one sample or a loss without per-sample values."""
        if not self.per_sample or samples < 2:
            return np.full(len(self.total), np.nan)
        total, squares = torch.stack(self.total), torch.stack(self.squares)
        variance = (squares - total * total / samples) / (samples - 1)
        return (variance.clamp(min=0).sqrt() / math.sqrt(samples)).cpu().numpy()


def measure(objective: Objective, plane: Plane, points: NDArray[np.float64], metrics: tuple[Metric, ...]) -> Values:
    """Every metric and its standard error at every point, one point after the other.

    Args:
        objective: what to measure.
        plane: where.
        points: coordinates, ``(n, ndim)``.
        metrics: what to report.

    Returns:
        By variable name (`loss`, `loss_standard_error`, …), each ``(n,)`` float64.
    """
    places = coordinates_of(points, plane.ndim)
    device = next(iter(objective.params.values())).device
    sums = {metric.name: Sums.zeros(len(places), device) for metric in metrics}
    still = unlike_objective(objective, plane)
    with objective.quiet():
        for batch, count in zip(objective.data.batches, objective.data.counts, strict=True):
            for index, place in enumerate(places):
                scores = objective.score({**still, **plane.moved(*place)}, batch)
                for metric in metrics:
                    sums[metric.name].add(index, metric.measure(scores), count)
    return _values(sums, objective.samples)


def unlike_objective(objective: Objective, plane: Plane) -> Params:
    """Parameters that do not move on the plane but differ from the objective's own: another model's plane brings its center."""
    own = objective.params
    return {n: p for n, p in plane.center.items() if n not in plane.moving and n in own and p is not own[n] and not torch.equal(p, own[n])}


def _values(sums: dict[str, Sums], samples: int) -> Values:
    values: Values = {}
    for name, found in sums.items():
        values[name] = found.mean(samples)
        values[f"{name}_standard_error"] = found.standard_error(samples)
    return values
