"""Multilevel sampling over a grid: unbiased, with intervals that cover, at the error that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.typing import NDArray

from lossatlas.analysis.multilevel import Allocation, Estimate, LatticeHierarchy, allocate, estimate
from lossatlas.analysis.multilevel.allocation import CONFIDENCE, ladder

Array = NDArray[np.float64]
PILOT = 32


@dataclass(frozen=True)
class Problem:
    """Values of every sample at every cell, which the estimates are compared with."""

    shape: tuple[int, ...]
    values: Array

    @property
    def truth(self) -> Array:
        return self.values.mean(1)

    @property
    def hierarchy(self) -> LatticeHierarchy:
        return LatticeHierarchy.of_grid(self.shape)

    def run(self, seed: int, tol: float, scale: str = "linear", hierarchy: LatticeHierarchy | None = None) -> tuple[Allocation, Estimate]:
        hierarchy = hierarchy or self.hierarchy
        samples = self.values.shape[1]
        shuffled = self.values[:, np.random.default_rng(seed).permutation(samples)]
        pilot, rest = shuffled[:, :PILOT], shuffled[:, PILOT:]
        allocation = allocate(hierarchy, self.shape, pilot, samples - PILOT, tol, scale)
        return allocation, estimate(hierarchy, allocation, pilot, blocks_of(allocation, rest), samples)


def blocks_of(allocation: Allocation, rest: Array) -> list[tuple[NDArray[np.int64], Array]]:
    """What is drawn, step of the ladder by step."""
    steps = ladder(rest.shape[1])
    cells = [np.flatnonzero(allocation.draws >= stop) for stop in steps]
    return [(c, rest[c, start:stop]) for c, start, stop in zip(cells, [0, *steps[:-1]], steps, strict=True) if len(c)]


def logistic(shape: tuple[int, ...], samples: int) -> Problem:
    """Logistic losses with skewed weights over a plane: smooth cell by cell, tenfold apart sample by sample."""
    draw = np.random.default_rng(0).normal(size=(6, samples))
    a, b = (np.linspace(-1, 1, n) for n in (shape if len(shape) == 2 else (*shape, 1)))
    a, b = a[:, None, None], b[None, :, None]
    margin = 3 * a * draw[0] + 2 * b * draw[1] - draw[2] + 2 * a * b * draw[4]
    return Problem(shape, (np.logaddexp(0, margin) + 0.5 * np.abs(draw[3]) * np.exp(a * draw[5])).reshape(-1, samples))


def chaotic(shape: tuple[int, ...], samples: int) -> Problem:
    """Losses that no neighbor predicts."""
    return Problem(shape, np.random.default_rng(1).gamma(1.0, 2.0, size=(int(np.prod(shape)), samples)))


def near_minimum(shape: tuple[int, ...], samples: int) -> Problem:
    """A few samples carry the loss in the middle; four decades between the middle and the rim."""
    a, b = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    difficulty = np.random.default_rng(2).lognormal(0.0, 0.8, samples)
    return Problem(shape, ((a**2 + b**2 + 1e-3).ravel()[:, None] ** 2 * difficulty) + 1e-4 * np.sqrt(difficulty))


@pytest.mark.parametrize("shape", [(25, 17), (7, 10), (33,), (5, 2)])
def test_cubic_polynomials_are_predicted_exactly(shape: tuple[int, ...]) -> None:
    hierarchy = LatticeHierarchy.of_grid(shape)
    steps = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    degree = min(3, *(len(np.unique([*range(0, n, 8), n - 1])) - 1 for n in shape))
    surface = sum((k + 1.0) * step**degree for k, step in enumerate(steps)) + np.prod(steps, axis=0)
    below = hierarchy.level > 0
    np.testing.assert_allclose((hierarchy.weights @ surface.ravel())[below], surface.ravel()[below], atol=1e-12)
    np.testing.assert_allclose(hierarchy.weights.sum(1)[below], 1.0, atol=1e-12)
    rows, columns = hierarchy.weights.nonzero()
    assert (hierarchy.level[columns] < hierarchy.level[rows]).all()


@pytest.mark.slow
@pytest.mark.parametrize("problem", [logistic((17, 12), 6000), chaotic((9, 12), 6000), near_minimum((9, 17), 6000)])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_estimates_are_unbiased_and_their_intervals_cover(problem: Problem, scale: str) -> None:
    """Means over 200 seeds lie within their own errors; 95 % intervals cover in 93 to 97 of 100 cells that are estimated."""
    runs = [problem.run(seed, 0.05, scale)[1] for seed in range(200)]
    errors, own = np.stack([r.mean for r in runs]) - problem.truth, np.stack([r.standard_error for r in runs])
    estimated = own > 0
    covered = (np.abs(errors) <= CONFIDENCE * own)[estimated]
    assert 0.93 <= covered.mean() <= 0.97
    often = estimated.mean(0) > 0.5
    z = errors.mean(0)[often] / (errors.std(0)[often] / np.sqrt(len(runs)))
    assert np.abs(z).max(initial=0.0) < 4.5, "cells share their samples: the largest of many z is that of a few"
    assert np.abs(errors[~estimated]).max(initial=0.0) <= 1e-12 * np.abs(problem.truth).max()


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["linear", "log", "robust"])
def test_the_error_asked_for_is_met_at_a_fraction_of_the_cost(scale: str) -> None:
    problem = logistic((25, 17), 20_000)
    allocation, result = problem.run(0, 0.01, scale)
    allowed = CONFIDENCE * allocation.target
    assert (np.abs(result.mean - problem.truth) <= allowed).mean() >= 0.95
    assert allocation.total < 0.15 * problem.values.size


def test_a_wrong_prediction_changes_the_cost_and_not_the_answer() -> None:
    """Weights doubled: every prediction is twice the truth, and the corrections pay for it."""
    problem = logistic((17, 9), 8000)
    honest = problem.hierarchy
    doubled = replace(honest, weights=sparse.csr_array(honest.weights * 2.0))
    right, wrong = problem.run(3, 0.02), problem.run(3, 0.02, hierarchy=doubled)
    assert wrong[0].total > 1.5 * right[0].total
    np.testing.assert_allclose(wrong[1].mean, problem.truth, atol=0.03 * np.ptp(problem.truth))


def test_all_samples_give_the_mean_itself() -> None:
    problem = logistic((9, 6), 200)
    allocation, result = problem.run(0, 1e-6)
    assert (allocation.draws == 200 - PILOT).all()
    np.testing.assert_allclose(result.mean, problem.truth, rtol=1e-12)
    assert (result.standard_error == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_stays_where_it_is(bad: float) -> None:
    problem = logistic((17, 9), 2000)
    problem.values[40] = np.where(np.arange(2000) % 2, bad, problem.values[40])
    allocation, result = problem.run(0, 0.05)
    np.testing.assert_equal(result.mean[40], bad)
    others = np.arange(len(problem.values)) != 40
    assert np.isfinite(result.mean[others]).all()
    assert allocation.draws[40] == 0
    assert (np.abs(result.mean[others] - problem.truth[others]) <= CONFIDENCE * allocation.target[others]).mean() >= 0.9


def test_a_hole_that_the_pilot_missed_is_noticed() -> None:
    """One infinite sample of 2,000, drawn at the cells that have it drawn: their estimate is NaN and not a finite number."""
    problem = logistic((9, 9), 400)
    problem.values[:, 399] = np.inf
    allocation, result = problem.run(5, 1e-6)
    assert (allocation.draws[allocation.draws > 0] == 400 - PILOT).all()
    assert not np.isfinite(result.mean).any()


def test_negative_and_constant_values() -> None:
    problem = logistic((9, 7), 3000)
    shifted = Problem(problem.shape, problem.values - 50.0)
    (first, a), (second, b) = problem.run(0, 0.05), shifted.run(0, 0.05)
    np.testing.assert_array_equal(first.draws, second.draws)
    np.testing.assert_allclose(a.mean - 50.0, b.mean, atol=1e-9)
    flat = Problem((9, 7), np.full((63, 500), 2.5)).run(0, 0.01)
    np.testing.assert_allclose(flat[1].mean, 2.5, rtol=1e-14)
    assert flat[0].total == 63 * ladder(500 - PILOT)[0]


def test_a_line() -> None:
    problem = Problem((41,), logistic((41, 1), 5000).values)
    allocation, result = problem.run(0, 0.01)
    assert (np.abs(result.mean - problem.truth) <= CONFIDENCE * allocation.target).mean() >= 0.9
    assert allocation.total < 0.3 * problem.values.size
