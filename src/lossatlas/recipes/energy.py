"""Recipe `energy`: the energy of a two-qubit variational circuit, with exact diagonalization beside it.

The circuit is four rotations about y and one controlled NOT, in plain NumPy, as in the hardware-efficient circuits of Kandala et al. 2017
(arXiv 1704.05018); the Hamiltonian is the transverse-field Ising model on two sites. Gradients are exact by the parameter-shift rule
(Mitarai et al. 2018, arXiv 1803.00745). Landscapes of such circuits are what orqviz draws (Rudolph et al. 2021, arXiv 2111.04695).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from lossatlas._util.arrays import FloatArray
from lossatlas.archive import open_archive
from lossatlas.compute.arrays.array_objective import ArrayObjective
from lossatlas.compute.curvature.operators import hessian_operator
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.paths.in_plane_optimization import optimize_on_plane
from lossatlas.compute.planes.constructors import weight_plane
from lossatlas.recipes.common import make_output_folder, path_summary, print_line, surface_summary, with_figures_md, write_summary
from lossatlas.viz.api import plot, view
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.model import ColorScale, Curve, Pane, Scene

COUPLING, FIELD = 1.0, 1.0
"""Of the Hamiltonian ``-J Z Z - h (X 1 + 1 X)``; energies are in units of J."""
X, Z, ONE = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -1.0]), np.eye(2)
HAMILTONIAN = -COUPLING * np.kron(Z, Z) - FIELD * (np.kron(X, ONE) + np.kron(ONE, X))
CNOT = np.eye(4)[[0, 1, 3, 2]]
LABELS = ("θ₁", "θ₂", "θ₃", "θ₄")
STARTS = ((-0.4, -2.4), (2.0, 2.8))
"""Of the first two angles; the last two stay at their optimum."""
OPTIMIZERS = {"sgd": ("SGD", 0.1), "adam": ("Adam", 0.1)}
"""By name: the label, and the learning rate."""
COLORS = ("#d62728", "#111111", "#e08a00", "#8e3fc0")
"""Of the four descents, SGD before Adam."""


def states(angles: FloatArray) -> FloatArray:
    """Amplitudes ``(points, 4)`` of the circuit at angles ``(points, 4)``: Ry(θ₁) Ry(θ₂), controlled NOT, Ry(θ₃) Ry(θ₄)."""
    half = angles / 2
    rotations = np.stack([np.stack([np.cos(half), -np.sin(half)], -1), np.stack([np.sin(half), np.cos(half)], -1)], -2)
    first, second, third, fourth = np.moveaxis(rotations, 1, 0)
    state = np.einsum("pa,pb->pab", first[:, :, 0], second[:, :, 0]).reshape(-1, 4) @ CNOT.T
    return np.einsum("pia,pjb,pab->pij", third, fourth, state.reshape(-1, 2, 2)).reshape(-1, 4)


def energies(angles: FloatArray) -> FloatArray:
    """``<psi|H|psi>`` at angles ``(points, 4)``, ``(points,)``.

    >>> energies(np.zeros((1, 4))).tolist()  # |00>, of which only the coupling sees anything
    [-1.0]
    """
    psi = states(angles)
    return np.einsum("pi,ij,pj->p", psi, HAMILTONIAN, psi)


def gradients(angles: FloatArray) -> FloatArray:
    """By the parameter-shift rule, exact: half the difference of the energies a quarter turn ahead and behind."""
    shifts = np.pi / 2 * np.eye(4)
    return np.stack([(energies(angles + s) - energies(angles - s)) / 2 for s in shifts], axis=1)


def spectrum() -> FloatArray:
    """Exact energies of the Hamiltonian, ascending, ``(4,)``."""
    return np.linalg.eigvalsh(HAMILTONIAN).astype(np.float64)


def ground_angles() -> FloatArray:
    """Angles of the ground state: descent from a fixed start, exact to rounding."""
    from scipy.optimize import minimize

    result = minimize(lambda t: energies(t[None])[0], np.full(4, 0.7), jac=lambda t: gradients(t[None])[0], tol=1e-14)
    return (result.x + np.pi) % (2 * np.pi) - np.pi


def make_objective() -> ArrayObjective:
    """The energy as a function of the four angles, around the ground state."""
    return ArrayObjective(energies, ground_angles(), jac=gradients, vectorized=True, name="energy of the circuit", units="J", labels=LABELS)


@with_figures_md
def run(out: Path, data: Path | None = None, quick: bool = False, *, progress: bool | None = None) -> dict[str, Any]:
    """Evaluate, descend and draw.

    Args:
        out: folder for `archive.zarr`, figures and `summary.json`.
        data: not needed.
        quick: a coarser surface and shorter descents.
        progress: show bars; None shows them on a terminal.
    """
    del data
    torch.set_num_threads(1)
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    objective, levels = make_objective(), spectrum()
    plane, cells, steps = weight_plane(objective, 0, 1), 31 if quick else 101, 40 if quick else 120
    surface = evaluate(
        objective,
        plane,
        (-np.pi, np.pi),
        cells,
        archive=archive,
        name="energy",
        title="two-qubit circuit",
        overwrite=True,
        progress=progress,
    )
    paths = {
        f"{label} from ({start[0]:g}, {start[1]:g})".replace("-", "−"): optimize_on_plane(
            objective, plane, start, optimizer=name, learning_rate=rate, steps=steps, progress=progress,
            archive=archive, name=f"{name} {start[0]:g},{start[1]:g}", label=label, surface="energy",
        )
        for name, (label, rate) in OPTIMIZERS.items()
        for start in STARTS
    }  # fmt: skip
    numbers = {
        "exact_energies": levels.tolist(),
        "ground_angles": objective.theta0.tolist(),
        "energy_at_ground_angles": objective.loss(),
        "hessian_eigenvalues": np.linalg.eigvalsh(hessian_operator(objective).dense()).tolist(),
        "surface": surface_summary(surface),
        "paths": {name: path_summary(path, (0, 10, 40)) for name, path in paths.items()},
        "error_of_best_descent": float(min(path.path_loss[-1] for path in paths.values()) - levels[0]),
        "quick": quick,
    }
    summary = write_summary(out, "energy", numbers)
    _draw(surface, paths, levels, out / "energy.png")
    print_line("energy.png   Energy over two angles with its descents, and how far each is above the exact ground state.")
    view([surface, *paths.values()], export=out / "index.html", title="Energy of a two-qubit circuit")
    print_line("index.html   The same to rotate and play.")
    return summary


def _draw(surface: xr.Dataset, paths: dict[str, xr.Dataset], levels: FloatArray, file: Path) -> None:
    surface = surface.assign(loss=surface.loss.assign_attrs(long_name="energy"))
    drawn = surface_from(surface, name="energy", label="energy over two angles")
    lines, curves = [], []
    for (name, path), color in zip(paths.items(), COLORS, strict=True):
        lines.append(replace(path_from(path, name=name, surface=drawn), color=color, label=name))
        curves.append(Curve(name, path.step.values.astype(float), path.path_loss.values, name, color))
    steps = np.array([0.0, float(max(path.step.values[-1] for path in paths.values()))])
    ground = Curve("exact", steps, np.full(2, levels[0]), "exact ground state", "#0072b2", "dotted", reveal=False)
    excited = Curve("excited", steps, np.full(2, levels[1]), "exact first excited state", "#009e73", "dotted", reveal=False)
    panes = (
        Pane("contour", ("energy",), tuple(line.name for line in lines), title="energy over two angles"),
        Pane(
            "curves",
            curves=(*(curve.name for curve in curves), "exact", "excited"),
            column=1,
            x_label="step",
            y_label="energy [J]",
            title="along the descents",
        ),
    )
    scene = Scene(
        panes, (drawn,), tuple(lines), curves=(*curves, ground, excited), colors=(ColorScale(),), title="Two-qubit variational circuit"
    )
    plot(scene, file)
