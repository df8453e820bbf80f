"""Accumulators of means, standard errors and per-sample values over batches, one entry a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.analysis.sampling import standard_error_fpc, wilson_interval
from lossatlas.compute.metrics import Metric

ROW_BYTES = 3 * 2**15
"""Values that `BatchRows` gathers before they are summed: less than what allocators give back to the system at once."""
MOST_ROWS = 256

Values = dict[str, NDArray[np.float64]]
"""By variable name (`loss`, `loss_standard_error`, …), each ``(points,)``; ``(points, samples)`` where every value is kept."""


@dataclass(frozen=True)
class TileValues:
    """Values of some points, and why some of them are holes.

    Attributes:
        values: by variable name, each ``(points,)`` float64.
        failures: position among the points to the reason why a value there is NaN though nothing computed a NaN.
    """

    values: Values
    failures: Mapping[int, str] = field(default_factory=dict)


class MeanAccumulator:
    """Float64 sums of one metric and of its squares, per point; a batch of weight 0 has no say.

    Args:
        points: how many.
        device: where the sums are kept; nothing is copied to the host before the last batch.
        population: what the samples are a random subset of; None is an endless supply.
        zero_one: values are expected to be 0 or 1, so that their mean has an interval where all of them are.
        of_mean: function of mean and standard error that gives what is stored in their place.
    """

    def __init__(
        self, points: int, device: torch.device, population: int | None = None, zero_one: bool = False, of_mean: Any = None
    ) -> None:
        self.total, self.squares = torch.zeros(2, points, dtype=torch.float64, device=device)
        self.shift = torch.zeros(points, 1, dtype=torch.float64, device=device)
        self.count = np.zeros(points, np.int64)
        self.per_sample, self.population = True, population
        self.of_mean = of_mean
        self.zero_one = torch.ones(points, dtype=torch.bool, device=device) if zero_one else None

    def add(self, where: int | slice, values: Tensor, weight: float) -> None:
        """Add a batch: ``(samples,)``, or its mean ``()`` that counts for `weight` samples; one axis more at a slice of points.

        Squares are those of the distance from the first batch's mean: losses about 1e9 would leave nothing of a spread of 1.
        """
        each = (values.detach() if values.requires_grad else values).double()
        if each.dim() == (0 if isinstance(where, int) else 1):
            self.per_sample = False
            if weight:
                self.total[where].add_(each * weight)
            return
        if not each.shape[-1]:
            return
        sums = each.sum(-1)
        self._shift_by_first_mean(where, sums / each.shape[-1])
        self.count[where] += each.shape[-1]
        self.total[where].add_(sums)
        apart = each - self.shift[where]
        self.squares[where].add_(torch.linalg.vecdot(apart, apart))
        if self.zero_one is not None:
            self.zero_one[where] &= ((each == 0) | (each == 1)).all(-1)

    def _shift_by_first_mean(self, where: int | slice, means: Tensor) -> None:
        """Measure squares of points that have no value yet from these means."""
        is_first = np.atleast_1d(self.count[where] == 0)
        if is_first.all():
            self.shift[where] = means.unsqueeze(-1)
        elif is_first.any():  # a point whose first batch failed, among others
            self.shift[where][is_first] = means[is_first].unsqueeze(-1)

    def mark_failed(self, where: int) -> None:
        self.total[where] = torch.nan

    def mean(self, samples: int) -> NDArray[np.float64]:
        return (self.total / self._number(samples)).cpu().numpy()

    def standard_error(self, samples: int) -> NDArray[np.float64]:
        """``sd / sqrt(n) * sqrt(1 - n / N)`` with the unbiased variance of the n samples drawn from N, the last factor 1
        without N; NaN for one sample, a loss without per-sample values, or several values a sample, which depend on each other.
        """
        n = self._number(samples)
        if not self.per_sample or not 2 <= n <= samples:
            return np.full(len(self.total), np.nan)
        variance = (self.squares - (self.total - n * self.shift[:, 0]) ** 2 / n) / (n - 1)
        return (variance.clamp(min=0).sqrt() * (standard_error_fpc(samples, self.population) / math.sqrt(n))).cpu().numpy()

    def _number(self, samples: int) -> int:
        """Values in the mean: fewer than samples where some of them do not count."""
        return max(1, int(self.count.max(initial=0))) if self.per_sample else samples

    def values(self, name: str, samples: int) -> Values:
        """The variables that are stored."""
        mean, error = self.mean(samples), self.standard_error(samples)
        mean, error = (mean, error) if self.of_mean is None else self.of_mean(mean, error)
        values = {name: mean, f"{name}_standard_error": error}
        if self.zero_one is not None:
            values |= dict(zip((f"{name}_lower", f"{name}_upper"), self._interval(samples), strict=True))
        return values

    def _interval(self, samples: int) -> NDArray[np.float64]:
        """Ends of the 95 % interval by Wilson, ``(2, points)``; NaN where values are not all 0 or 1, or not one a sample."""
        n = self._number(samples)
        if not self.per_sample or not 1 <= n <= samples or self.zero_one is None:
            return np.full((2, len(self.total)), np.nan)
        ends = np.stack(wilson_interval(self.mean(samples), n, standard_error_fpc(samples, self.population)))
        return np.where(self.zero_one.cpu().numpy(), ends, np.nan)


class ValueCollector(MeanAccumulator):
    """Every value of one metric, ``(points, width)`` in the order of the data, instead of sums."""

    def __init__(self, points: int, device: torch.device, width: int) -> None:
        super().__init__(points, device)
        self.collected = torch.full((points, width), torch.nan, dtype=torch.float64, device=device)
        self.filled = np.zeros(points, np.int64)
        self.spoiled: set[int] = set()

    def add(self, where: int | slice, values: Tensor, weight: float) -> None:
        """Put a batch behind those before it; batches come in order, though points may come in other groups each time."""
        rows = where if isinstance(where, slice) else slice(where, where + 1)
        each = values.detach().double().reshape(rows.stop - rows.start, -1)
        start = int(self.filled[rows.start])
        self.collected[rows, start : start + each.shape[1]] = each
        self.filled[rows] = start + each.shape[1]

    def mark_failed(self, where: int) -> None:
        self.spoiled.add(where)

    def values(self, name: str, samples: int) -> Values:
        collected = self.collected.cpu().numpy()
        collected[np.array(sorted(self.spoiled), np.int64)] = np.nan
        return {name: collected}


class SummaryAccumulator(MeanAccumulator):
    """Every value of one metric, given to a function that is no mean of them, such as a calibration error."""

    def __init__(self, points: int, device: torch.device, summary: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
        super().__init__(points, device)
        self.summary = summary
        self.parts: list[list[Tensor]] = [[] for _ in range(points)]
        self.failed: set[int] = set()

    def add(self, where: int | slice, values: Tensor, weight: float) -> None:
        each = values.detach().to("cpu", torch.float64, copy=True)
        rows = range(where.start, where.stop) if isinstance(where, slice) else (where,)
        for row, value in zip(rows, each if isinstance(where, slice) else (each,), strict=True):
            self.parts[row].append(value.reshape(-1))

    def mark_failed(self, where: int) -> None:
        self.failed.add(where)

    def values(self, name: str, samples: int) -> Values:
        lengths = [sum(map(len, parts)) for parts in self.parts]  # rows that fill a last chunk up may be short
        known = [row for row, length in enumerate(lengths) if length == max(lengths) > 0 and row not in self.failed]
        result = np.full((2, len(self.parts)), np.nan)
        if known:
            result[0, known] = self.summary(np.stack([torch.cat(self.parts[row]).numpy() for row in known]))
        return {name: result[0], f"{name}_standard_error": result[1]}


class BatchRows:
    """Values of a batch at one point after the other, summed many points at a time: a sum takes ten operations.

    Sums do not depend on how many points are taken together, to the last bit.

    Args:
        accumulator: takes the values.
    """

    def __init__(self, accumulator: MeanAccumulator) -> None:
        self.accumulator, self.weight = accumulator, 0.0
        self.rows, self.start, self.count = torch.empty(0, 0), 0, 0

    def add(self, index: int, values: Tensor, weight: float) -> None:
        """Copy the values at a point, which the caller may overwrite afterwards; those that are not worth it are summed now."""
        values = values.detach() if values.requires_grad else values
        length = values.numel()
        if values.dim() != 1 or not 0 < 16 * length <= ROW_BYTES:
            self.accumulator.add(slice(index, index + 1), values.unsqueeze(0), weight)
            return
        if index != self.start + self.count or length != self.rows.shape[1] or weight != self.weight or self.count == len(self.rows):
            self.flush()
            self.start, self.weight = index, weight
            if length != self.rows.shape[1]:
                self.rows = torch.empty(min(ROW_BYTES // (8 * length), MOST_ROWS), length, dtype=torch.float64, device=values.device)
        self.rows[self.count].copy_(values)
        self.count += 1

    def flush(self) -> None:
        """Sum what was copied; to be called after every batch."""
        if self.count:
            self.accumulator.add(slice(self.start, self.start + self.count), self.rows[: self.count], self.weight)
        self.start, self.count = -1, 0


def accumulator_of(metric: Metric, points: int, device: torch.device, population: int | None) -> MeanAccumulator:
    """Sums of a metric's values, or the values themselves where it is no mean of them."""
    if metric.summary is not None:
        return SummaryAccumulator(points, device, metric.summary)
    return MeanAccumulator(points, device, population, metric.zero_one, metric.of_mean)


def values_of(sums: Mapping[str, MeanAccumulator], samples: int) -> Values:
    """Means and standard errors of every metric, or every value where they are kept."""
    values: Values = {}
    for name, accumulator in sums.items():
        values |= accumulator.values(name, samples)
    return values
