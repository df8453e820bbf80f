"""Recipe `reward`: the return of a controller over its gains, with standard errors, and the exact landscape beside it.

A linear-quadratic regulator has a closed form: the expected cost of ``u = -K x`` is the trace of the solution of a discrete Lyapunov
equation (Fazel et al. 2018, arXiv 1801.05039), so that rollouts can be held against it. CartPole (Barto, Sutton and Anderson 1983) has
none; its return over two of the four weights of a linear policy is measured in episodes, every point with the same seeds. The cliffs
are those of Sullivan et al. 2022 (arXiv 2205.07015).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import torch
import xarray as xr
from torch import Tensor

from lossatlas._util.arrays import FloatArray
from lossatlas.archive import Archive, open_archive
from lossatlas.compute.arrays.array_objective import ArrayObjective
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import VECTOR, Params
from lossatlas.compute.planes.constructors import weight_plane
from lossatlas.recipes.common import make_output_folder, print_line, surface_summary, with_figures_md, write_summary
from lossatlas.viz.api import plot, view
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.scene.model import ColorScale, Pane, Scene

A = np.array([[1.0, 0.2], [0.0, 1.0]])
B = np.array([[0.02], [0.2]])
Q, R = np.eye(2), np.array([[0.1]])
"""A point mass that is pushed, 0.2 s a step; cost a step ``x'Qx + u'Ru``."""
STEPS = 300
DIVERGED = 1e3
"""A state this far off has left for good: its episode has no cost, and the gains there are a hole."""
SETTLED = 1e-3
"""Share of the cost that an episode leaves out because it ends; where it is larger, rollouts are no estimate of the endless cost."""
GAINS = ((0.2, 10.2), (0.5, 9.5))
HIGHEST = 300.0
"""Costs above it are not drawn: outside the stable gains they only say how long was waited."""
EPISODES, CELLS, QUICK_CELLS = 200, 31, 15
CARTPOLE_STEPS, CARTPOLE_EPISODES = 200, 10
CARTPOLE_POLICY = (0.0, 0.1, 1.0, 0.5)
"""Push towards the side to which the pole falls: weights of position, velocity, angle and angular velocity."""
CARTPOLE_BOUNDS = ((-2.0, 4.0), (-2.0, 4.0))


@dataclass(frozen=True)
class Rollout:
    """The cost of each episode of the regulator under given gains; a tensor function of the starts ``(episodes, 2)``."""

    steps: int = STEPS

    def __call__(self, params: Params, starts: Tensor) -> Tensor:
        gain = params[VECTOR][None]
        a, b, q, r = (torch.as_tensor(matrix, dtype=starts.dtype) for matrix in (A, B, Q, R))
        closed, cost_of_step = a - b @ gain, q + gain.T @ r @ gain
        state, states = starts, [starts]
        for _ in range(self.steps - 1):
            state = (state @ closed.T).clamp(-DIVERGED, DIVERGED)
            states.append(state)
        every = torch.stack(states)
        costs = ((every @ cost_of_step) * every).sum((0, 2))
        return torch.where(every.abs().amax((0, 2)) >= DIVERGED, torch.inf, costs)


def expected_cost(gains: FloatArray) -> float:
    """The exact mean cost from a start of unit covariance: ``tr P``, ``P = Q + K'RK + (A - BK)' P (A - BK)``; infinite where unstable.

    >>> round(expected_cost(optimal_gains()), 3)
    9.613
    """
    gain = np.atleast_2d(gains)
    closed = A - B @ gain
    if spectral_radius(gains) >= 1:
        return float("inf")
    return float(np.trace(scipy.linalg.solve_discrete_lyapunov(closed.T, Q + gain.T @ R @ gain)))


def spectral_radius(gains: FloatArray) -> float:
    """The factor by which a state shrinks in a step, at last."""
    return float(np.abs(np.linalg.eigvals(A - B @ np.atleast_2d(gains))).max())


def optimal_gains() -> FloatArray:
    """Gains of least cost, by the discrete algebraic Riccati equation, ``(2,)``."""
    p = scipy.linalg.solve_discrete_are(A, B, Q, R)
    return np.linalg.solve(R + B.T @ p @ B, B.T @ p @ A)[0]


@with_figures_md
def run(out: Path, data: Path | None = None, quick: bool = False, *, seed: int = 0, progress: bool | None = None) -> dict[str, Any]:
    """Measure, compare and draw.

    Args:
        out: folder for `archive.zarr`, figures and `summary.json`.
        data: not needed.
        quick: fewer cells and episodes.
        seed: of starts and episodes.
        progress: show bars; None shows them on a terminal.
    """
    del data
    torch.set_num_threads(1)
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    regulator, numbers = _regulator(archive, quick, seed, progress)
    surfaces = [*regulator]
    summary: dict[str, Any] = {"lqr": numbers, "quick": quick, "seed": seed}
    if importlib.util.find_spec("gymnasium") is None:
        summary["cartpole"] = None
        print_line("CartPole is left out: pip install 'lossatlas[rl]'")
    else:
        surfaces.append(cartpole := _cartpole(archive, quick, seed, progress))
        summary["cartpole"] = _return_summary(cartpole)
    written = write_summary(out, "reward", summary)
    _draw_regulator(regulator, numbers, out / "lqr.png")
    print_line("lqr.png        Cost over the two gains: rollouts, and exactly by the Lyapunov equation; empty where the loop is unstable.")
    if summary["cartpole"] is not None:
        _draw_cartpole(surfaces[-1], out / "cartpole.png")
        print_line("cartpole.png   Return over two weights of a linear policy: plateaus and cliffs.")
    view(surfaces, export=out / "index.html", title="Return and cost of controllers")
    print_line("index.html     All of them to rotate and compare.")
    return written


def _regulator(archive: Archive, quick: bool, seed: int, progress: bool | None) -> tuple[tuple[xr.Dataset, xr.Dataset], dict[str, Any]]:
    """The measured and the exact surface, and how they compare."""
    cells, best = QUICK_CELLS if quick else CELLS, optimal_gains()
    starts = torch.from_numpy(np.random.default_rng(seed).normal(size=(EPISODES // 4 if quick else EPISODES, 2)))
    rollouts = Objective(Rollout(), data=starts, params={VECTOR: torch.from_numpy(best)}, units="cost", split="simulated")
    exact = ArrayObjective(expected_cost, best, name="expected cost", units="cost", labels=("position gain", "velocity gain"))
    plane = weight_plane(exact, 0, 1)
    common: dict[str, Any] = {"archive": archive, "overwrite": True, "progress": progress}
    measured = evaluate(rollouts, plane, GAINS, cells, name="lqr-rollouts", title=f"{len(starts)} rollouts", **common)
    closed = evaluate(exact, plane, GAINS, cells, name="lqr-exact", title="Lyapunov equation", **common)
    radii = np.array([[spectral_radius(np.array([a, b])) for b in measured.beta.values] for a in measured.alpha.values])
    usable = radii ** (2 * STEPS) < SETTLED
    scores = (measured.loss.values[usable] - closed.loss.values[usable]) / measured.loss_standard_error.values[usable]
    numbers = {
        "optimal_gains": best.tolist(),
        "optimal_cost": expected_cost(best),
        "rollouts": surface_summary(measured),
        "exact": surface_summary(closed),
        "episodes": len(starts),
        "settled_cells": int(usable.sum()),
        "largest_difference_in_standard_errors": float(np.abs(scores).max()),
        "unstable_cells": int((~np.isfinite(closed.loss.values)).sum()),
    }
    return (measured, closed), numbers


def _cartpole(archive: Archive, quick: bool, seed: int, progress: bool | None) -> xr.Dataset:
    """The return over the weights of angle and angular velocity."""
    seeds = torch.arange(seed, seed + (4 if quick else CARTPOLE_EPISODES))
    policy = torch.tensor(CARTPOLE_POLICY, dtype=torch.float64)
    objective = Objective(CartPoleCost(), data=seeds, params={VECTOR: policy}, units="steps", split="simulated")
    plane = weight_plane(objective, 2, 3, labels=("angle weight", "angular velocity weight"))
    steps = Metric("episode_return", episode_return, units="steps", long_name="mean return", better="higher")
    cells = 9 if quick else 25
    return evaluate(
        objective,
        plane,
        CARTPOLE_BOUNDS,
        cells,
        ("loss", steps),
        archive,
        name="cartpole",
        title="CartPole",
        overwrite=True,
        progress=progress,
    )


class CartPoleCost:
    """Minus the return of one episode a seed under a linear policy: push right where ``w @ observation > 0``."""

    def __init__(self, steps: int = CARTPOLE_STEPS) -> None:
        import gymnasium

        self.environment = gymnasium.make("CartPole-v1", max_episode_steps=steps)

    def __call__(self, params: Params, seeds: Tensor) -> Tensor:
        weights = params[VECTOR].numpy()
        return -torch.tensor([self._episode(weights, int(seed)) for seed in seeds], dtype=torch.float64)

    def _episode(self, weights: FloatArray, seed: int) -> float:
        observation, _ = self.environment.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = self.environment.step(int(weights @ observation > 0))
            total, over = total + float(reward), terminated or truncated
        return total


def episode_return(scores: Any) -> Tensor:
    """Return of each episode, the negative of its cost."""
    return -scores.losses


def _return_summary(surface: xr.Dataset) -> dict[str, Any]:
    values, errors = surface.episode_return, surface.episode_return_standard_error
    return {
        "shape": list(values.shape),
        "best_return": float(values.max()),
        "worst_return": float(values.min()),
        "share_solved": float((values >= 0.975 * CARTPOLE_STEPS).mean()),
        "largest_standard_error": float(errors.max()),
        "episodes": surface.attrs["objective"]["samples"],
    }


def _draw_regulator(surfaces: tuple[xr.Dataset, xr.Dataset], numbers: dict[str, Any], file: Path) -> None:
    named = [s.assign(loss=s.loss.assign_attrs(long_name="mean cost", units="1")) for s in surfaces]
    drawn = tuple(surface_from(s, name=s.attrs["title"], label=s.attrs["title"]) for s in named)
    panes = tuple(Pane("contour", (s.name,), title=s.label, column=i) for i, s in enumerate(drawn))
    share = f"{numbers['settled_cells']} of {surfaces[0].loss.size} cells"
    text = (
        f"where episodes settle ({share}), the two differ by at most {numbers['largest_difference_in_standard_errors']:.1f} standard errors"
    )
    title = "Linear-quadratic regulator: mean cost of an episode over the gains"
    plot(Scene(panes, drawn, colors=(ColorScale(scale="log", clip=HIGHEST),), title=title, subtitle=text), file)


def _draw_cartpole(surface: xr.Dataset, file: Path) -> None:
    errors = surface.episode_return_standard_error.assign_attrs(long_name="standard error of the mean return", units="steps")
    drawn = surface_from(surface.assign(spread=errors), name="cartpole", label="CartPole")
    titles = {"episode_return": "mean return", "spread": "its standard error"}
    panes = tuple(
        Pane("contour", ("cartpole",), title=title, quantity=name, column=i, color=ColorScale(quantity=name))
        for i, (name, title) in enumerate(titles.items())
    )
    plot(Scene(panes, (drawn,), title="CartPole: return of a linear policy"), file)
