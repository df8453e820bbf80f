"""Recipe `pinn`: a physics-informed network for the Poisson equation in one dimension, and every term of its loss on one plane.

``-u'' = f`` on [0, 1] with ``u(0) = u(1) = 0`` and ``f = π² sin πx``, whose solution is ``u = sin πx``. The loss of a network of one hidden
layer is the mean squared residual plus a weight times the squared boundary values (Raissi et al. 2019); their landscapes differ, which is
why training is hard (Krishnapriyan et al. 2021, arXiv 2109.01050; Rathore et al. 2024, arXiv 2402.01868).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lossatlas._util.text import format_percent
from lossatlas.archive import Archive, open_archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import Params
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import bounds_around, project_trajectory
from lossatlas.compute.recording.recorder import Recorder
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.recipes.common import make_output_folder, print_line, surface_summary, with_figures_md, write_summary
from lossatlas.viz.api import plot, view
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.model import ColorScale, Curve, Pane, Scene

WIDTH, POINTS, BOUNDARY_WEIGHT = 24, 64, 100.0
LEARNING_RATE = 5e-3
QUANTITIES = {"loss": "loss", "term_residual": "residual", "term_boundary": "weighted boundary", "solution_error": "error of the solution"}
ENDS = torch.tensor([0.0, 1.0], dtype=torch.float64)


class Network(torch.nn.Module):
    """One hidden layer of tanh, ``u(x) = v · tanh(w x + b) + c``; the forward pass returns u and u'' ``(points, 2)``.

    Derivatives in closed form: ``tanh'' = -2 tanh (1 - tanh²)``.
    """

    def __init__(self, width: int = WIDTH, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int, scale: float = 1.0) -> torch.nn.Parameter:
            return torch.nn.Parameter(scale * torch.randn(shape, generator=generator, dtype=torch.float64))

        self.w, self.b = normal(width, scale=3.0), normal(width, scale=2.0)
        self.v, self.c = normal(width, scale=width**-0.5), normal(1, scale=0.1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(x[:, None] * self.w + self.b)
        second = (-2 * hidden * (1 - hidden**2) * self.w**2) @ self.v
        return torch.stack([hidden @ self.v + self.c, second], dim=1)


@dataclass(frozen=True)
class PoissonLoss:
    """Squared residual at each point, plus the weighted boundary term, which is the same for all of them; and both as terms."""

    module: Network

    def __call__(self, params: Params, x: Tensor) -> dict[str, Tensor]:
        residual, boundary = self.residuals(params, x), self.boundary(params).expand(len(x))
        return {"loss": residual + BOUNDARY_WEIGHT * boundary, "residual": residual, "boundary": boundary}

    def residuals(self, params: Params, x: Tensor) -> Tensor:
        """``(u'' + f)²`` at each point ``(points,)``."""
        return (self._values(params, x)[:, 1] + torch.pi**2 * torch.sin(torch.pi * x)) ** 2

    def boundary(self, params: Params) -> Tensor:
        """``u(0)² + u(1)²``."""
        return (self._values(params, ENDS)[:, 0] ** 2).sum()

    def solution_errors(self, params: Params, x: Tensor) -> Tensor:
        """``|u - sin πx|`` at each point."""
        return (self._values(params, x)[:, 0] - torch.sin(torch.pi * x)).abs()

    def _values(self, params: Params, x: Tensor) -> Tensor:
        return torch.func.functional_call(self.module, params, (x,))


@with_figures_md
def run(out: Path, data: Path | None = None, quick: bool = False, *, seed: int = 0, progress: bool | None = None) -> dict[str, Any]:
    """Train, record, evaluate every term on the principal plane of the path, and draw.

    Args:
        out: folder for `archive.zarr`, figures and `summary.json`.
        data: not needed.
        quick: a shorter training and a coarser surface.
        seed: of the network's first weights.
        progress: show bars; None shows them on a terminal.
    """
    del data
    torch.set_num_threads(1)
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    module, x = Network(seed=seed), torch.linspace(0, 1, POINTS, dtype=torch.float64)
    objective, error = make_objective(module, x)
    trajectory = _train(module, objective, archive, 600 if quick else 4000)
    plane = pca_plane(trajectory)
    path = project_trajectory(trajectory, plane, objective)
    cells = 21 if quick else 51
    surface = evaluate(
        objective.with_state(trajectory.params(-1)), plane, bounds_around(path), cells, ("loss", error), archive,
        name="terms", title="Poisson equation", overwrite=True, progress=progress,
    )  # fmt: skip
    numbers = _numbers(surface, path, module, x) | {"quick": quick, "seed": seed}
    summary = write_summary(out, "pinn", numbers)
    _draw_terms(surface, path, out / "terms.png")
    print_line("terms.png      The loss, its two terms and the error of the solution on the principal plane of the training.")
    _draw_solution(module, numbers, out / "solution.png")
    print_line("solution.png   The network's solution beside the exact one.")
    view([surface, path], export=out / "index.html", title="Poisson equation by a physics-informed network")
    print_line("index.html     All terms to rotate and compare.")
    return summary


def make_objective(module: Network, x: Tensor) -> tuple[Objective, Metric]:
    """The loss with its terms over the network's weights, and the error of the solution as a metric of the whole model."""
    loss = PoissonLoss(module)
    params = {name: p.detach().clone() for name, p in module.named_parameters()}
    objective = Objective(loss, data=x, params=params, split="collocation", term_weights={"boundary": BOUNDARY_WEIGHT})
    error = Metric(
        "solution_error", lambda p: float(loss.solution_errors(p, x).max()), long_name="largest error of u", of="model", better="lower"
    )
    return objective, error


def _train(module: Network, objective: Objective, archive: Archive, steps: int) -> Trajectory:
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with Recorder(
        archive, module, optimizer, name="training", label="Adam", every=max(1, steps // 100), objective=objective, overwrite=True
    ) as recorder:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = objective.differentiable_loss(dict(module.named_parameters()))
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
            schedule.step()
    return recorder.trajectory


def _numbers(surface: xr.Dataset, path: xr.Dataset, module: Network, x: Tensor) -> dict[str, Any]:
    terms = surface.term_residual + surface.term_boundary
    with torch.no_grad():
        error = (module(x)[:, 0] - torch.sin(torch.pi * x)).abs()
    return {
        "surface": surface_summary(surface),
        "loss_at_start": float(path.path_loss[0]),
        "loss_at_end": float(path.path_loss[-1]),
        "largest_error_of_solution": float(error.max()),
        "relative_error_of_solution": float(error.norm() / torch.sin(torch.pi * x).norm()),
        "largest_gap_between_loss_and_terms": float((np.abs(surface.loss - terms) / surface.loss).max()),
        "lowest": {name: _place(surface[name]) for name in QUANTITIES},
    }


def _place(values: xr.DataArray) -> list[float]:
    low = values.isel(values.argmin(...))  # type: ignore[arg-type]
    return [float(low.alpha), float(low.beta)]


def _draw_terms(surface: xr.Dataset, path: xr.Dataset, file: Path) -> None:
    drawn = surface_from(surface, name="terms", label="Poisson equation")
    line = path_from(path, name="training", surface=drawn)
    panes = tuple(
        Pane(
            "contour",
            ("terms",),
            ("training",),
            title=title,
            quantity=name,
            row=i // 2,
            column=i % 2,
            color=ColorScale(quantity=name, scale="log"),
        )
        for i, (name, title) in enumerate(QUANTITIES.items())
    )
    scale = ColorScale(scale="log")
    plot(Scene(panes, (drawn,), (line,), colors=(scale,), title="A physics-informed network: the loss and its terms on one plane"), file)


def _draw_solution(module: Network, numbers: dict[str, Any], file: Path) -> None:
    x = torch.linspace(0, 1, 201, dtype=torch.float64)
    with torch.no_grad():
        u = module(x)[:, 0]
    exact = torch.sin(torch.pi * x)
    curves = (
        Curve("exact", x.numpy(), exact.numpy(), "exact: sin πx", "#0072b2", reveal=False),
        Curve("network", x.numpy(), u.numpy(), "network", "#d55e00", "dashed", reveal=False),
        Curve("error", x.numpy(), (u - exact).numpy(), "error", "#111111", reveal=False),
    )
    panes = (
        Pane("curves", curves=("exact", "network"), x_label="x", y_label="u", title="solution"),
        Pane("curves", curves=("error",), column=1, x_label="x", y_label="network − exact", title="error"),
    )
    plot(
        Scene(panes, curves=curves, title=f"Poisson equation: relative error {format_percent(numbers['relative_error_of_solution'])}"), file
    )
