"""The regulator's landscape against SciPy's Lyapunov and Riccati equations, and CartPole's against a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from lossatlas.recipes import reward


def finite_cost(gains: np.ndarray, start: np.ndarray, steps: int) -> float:
    """A plain loop over one episode."""
    state, total = start.copy(), 0.0
    for _ in range(steps):
        force = -gains @ state
        total += state @ reward.Q @ state + float(reward.R[0, 0]) * force**2
        state = reward.A @ state + reward.B[:, 0] * force
    return total


def test_rollouts_are_a_plain_loop() -> None:
    starts, gains = np.random.default_rng(0).normal(size=(4, 2)), np.array([2.0, 3.0])
    costs = reward.Rollout(50)({"theta": torch.from_numpy(gains)}, torch.from_numpy(starts))
    np.testing.assert_allclose(costs, [finite_cost(gains, start, 50) for start in starts], rtol=1e-12)


@pytest.mark.parametrize("gains", [(2.0, 3.0), (1.0, 5.0), (4.0, 2.0)])
def test_the_exact_cost_is_the_sum_over_all_steps(gains: tuple[float, float]) -> None:
    gain = np.array(gains)
    columns = sum(finite_cost(gain, start, 2000) for start in np.eye(2))  # the mean over starts of unit covariance is the trace
    assert reward.expected_cost(gain) == pytest.approx(columns, rel=1e-11)


def test_the_optimal_gains_are_a_minimum_and_the_riccati_equation_s_cost() -> None:
    best = reward.optimal_gains()
    p = scipy.linalg.solve_discrete_are(reward.A, reward.B, reward.Q, reward.R)
    assert reward.expected_cost(best) == pytest.approx(np.trace(p), rel=1e-10)
    for step in 0.05 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]):
        assert reward.expected_cost(best + step) > reward.expected_cost(best)


def test_unstable_gains_have_no_cost() -> None:
    assert reward.expected_cost(np.zeros(2)) == np.inf
    starts = torch.ones(2, 2, dtype=torch.float64)
    assert torch.isinf(reward.Rollout()({"theta": torch.tensor([-5.0, -5.0], dtype=torch.float64)}, starts)).all()


def test_episodes_of_one_seed_repeat_and_a_policy_that_falls_earns_little() -> None:
    pytest.importorskip("gymnasium")
    cost, seeds = reward.CartPoleCost(steps=60), torch.arange(3)
    good, bad = (torch.tensor(w, dtype=torch.float64) for w in (reward.CARTPOLE_POLICY, (0.0, 0.0, -1.0, -1.0)))
    first, again = cost({"theta": good}, seeds), cost({"theta": good}, seeds)
    assert torch.equal(first, again)
    assert first.tolist() == [-60.0, -60.0, -60.0]
    assert (cost({"theta": bad}, seeds) > -30).all()


@pytest.mark.slow
def test_rollouts_agree_with_the_exact_surface(tmp_path: Path) -> None:
    summary = reward.run(tmp_path, quick=True, progress=False)
    lqr = summary["lqr"]
    assert lqr["settled_cells"] > 150
    assert 0 < lqr["largest_difference_in_standard_errors"] < 4.5  # of a hundred cells that share their starts
    assert lqr["exact"]["min"] >= lqr["optimal_cost"]
    if summary["cartpole"] is not None:
        assert summary["cartpole"]["best_return"] == reward.CARTPOLE_STEPS and summary["cartpole"]["worst_return"] < 30
    assert all((tmp_path / name).stat().st_size for name in ("lqr.png", "index.html", "summary.json"))
