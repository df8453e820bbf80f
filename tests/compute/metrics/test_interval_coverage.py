"""Intervals of metrics hold the truth as often as they claim, over 200 seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.compute.evaluation.evaluators.accumulators import MeanAccumulator
from lossatlas.compute.metrics.model_measurement import summarize

SEEDS = 200
MOST_MISSES = 21
"""Of 200 at 95 %: 10 are expected, more than 21 with a probability of 5e-4."""


def misses(metric: la.Metric, draw: str, truth: float, count: int, repeats: int = 1) -> int:
    missed = 0
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        rows = random.random((repeats, count)) < truth if draw == "zero-one" else random.normal(truth, 1.0, (repeats, count))
        values = summarize(metric, rows.astype(float) if count > 1 else rows[:, 0].astype(float))
        if draw == "zero-one":
            low, high = values["m_lower"], values["m_upper"]
        else:
            half = 1.96 * values["m_standard_error"]
            low, high = values["m"] - half, values["m"] + half
        missed += not low <= truth <= high
    return missed


def metric(**options: bool) -> la.Metric:
    return la.Metric("m", lambda model: 0.0, of="model", **options)


@pytest.mark.parametrize(("truth", "count"), [(0.5, 40), (0.9, 40), (0.97, 60), (0.02, 200)])
def test_wilson(truth: float, count: int) -> None:
    assert misses(metric(zero_one=True), "zero-one", truth, count) <= MOST_MISSES


def test_a_symmetric_bar_would_not() -> None:
    """The reason for the interval: at 97 % of 60 items, two standard errors miss too often."""
    missed = 0
    for seed in range(SEEDS):
        values = summarize(metric(), (np.random.default_rng(seed).random((1, 60)) < 0.97).astype(float))
        missed += abs(values["m"] - 0.97) > 1.96 * values["m_standard_error"]
    assert missed > MOST_MISSES


@pytest.mark.parametrize(("count", "repeats"), [(100, 1), (40, 3), (1, 60)])
def test_standard_errors(count: int, repeats: int) -> None:
    assert misses(metric(), "normal", 0.3, count, repeats) <= MOST_MISSES


def test_accuracy_of_random_subsets_covers_that_of_the_population() -> None:
    """As batches are summed, drawn without replacement: 60 of 150 samples; without the population it would be wider."""
    correct = (torch.rand(150, generator=torch.Generator().manual_seed(0)) < 0.8).double()
    missed = 0
    for seed in range(SEEDS):
        chosen = correct[torch.randperm(150, generator=torch.Generator().manual_seed(seed))[:60]]
        sums, endless = (MeanAccumulator(1, torch.device("cpu"), population, True) for population in (150, None))
        for batch in chosen.split(25):
            sums.add(0, batch, len(batch))
            endless.add(0, batch, len(batch))
        values, wider = sums.values("m", 60), endless.values("m", 60)
        missed += not values["m_lower"][0] <= float(correct.mean()) <= values["m_upper"][0]
        assert values["m_upper"][0] - values["m_lower"][0] < 0.85 * (wider["m_upper"][0] - wider["m_lower"][0])
    assert missed <= MOST_MISSES
