"""Figures 2 and 3: minima of small and large batches and the line between them; repeatability."""

from __future__ import annotations

from math import ceil
from typing import Any, Literal

import numpy as np
import xarray as xr

from lossatlas._util.text import format_rough_percent
from lossatlas.compute.connectivity import Curve, evaluate_curve
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import norm
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.recipes.common import print_line
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures import lines as drawing
from lossatlas.recipes.li2018.networks import Net, scored, training_label
from lossatlas.recipes.li2018.trainings import DECAYS, folder, solution_training, train_once
from lossatlas.recipes.li2018.types import Solution

FINE = 8192
"""Steps in which widths of lines are measured."""


def solution(setting: RunConfig, batch: int, decay: float, optimizer: Literal["sgd", "adam"] = "sgd", needs_path: bool = True) -> Solution:
    """Train VGG-9, recorded, or read what an earlier run or an archive of weights left."""
    size = setting.size
    plan = solution_training(setting, batch, decay, optimizer)
    module, name, training = train_once(setting, plan, needs_path), plan.key, plan.training
    label = f"{'SGD' if optimizer == 'sgd' else 'Adam'}, batch {batch:,}, decay {decay:g}"
    net = scored(setting, Net(name, label, module, "li", training_label(setting), size.test_samples))
    return Solution(name, training, net, folder(setting, name))


def four(setting: RunConfig, needs_path: bool) -> dict[tuple[float, int], Solution]:
    """Small and large batch, with and without weight decay."""
    batches = (setting.size.small_batch, setting.size.large_batch)
    return {(decay, batch): solution(setting, batch, decay, needs_path=needs_path) for decay in DECAYS for batch in batches}


def figure_2(setting: RunConfig) -> dict[str, Any]:
    """The line from the small-batch to the large-batch solution, the weights' norm during training, and their histograms."""
    minima, lines, size = four(setting, needs_path=True), {}, setting.size
    points = 1 + 4 * ceil((size.line - 1) / 4)  # so that 0 and 1 are among them
    for decay in DECAYS:
        small, large = (minima[decay, batch] for batch in (size.small_batch, size.large_batch))
        train = small.net.objective(setting, size.line_samples)
        for split in ("train", "test"):
            lines[decay, split] = evaluate_curve(
                train if split == "train" else small.net.objective(setting, size.line_samples, split),
                Curve.polygonal(small.net.module, large.net.module),
                points,
                ("loss", "accuracy"),
                bounds=(-0.5, 1.5),
                calibration=train,
                archive=setting.archive,
                name=f"between_decay{decay:g}_{split}",
                title=f"{split}, weight decay {decay:g}",
                progress=setting.progress,
            )
    drawing.figure_2(setting, minima, lines, setting.out / "figure2.png")
    sharper = {f"{decay:g}": _sharper(lines[decay, "train"]) for decay in DECAYS}
    looks = ", ".join(f"{which} at weight decay {decay}" for decay, which in sharper.items())
    print_line(f"figure2.png    The line between a small-batch and a large-batch solution. Looking sharper: {looks}.")
    barriers = {f"{decay:g} {split}": line.attrs["barrier"] for (decay, split), line in lines.items()}
    solutions = _summaries(minima)
    for one in minima.values():
        solutions[one.name]["norm_growing_share"] = float((np.diff(one.trajectory.dataset.weight_norm.values) > 0).mean())
    return {"solutions": solutions, "sharper_looking": sharper, "barriers": barriers}


def figure_3(setting: RunConfig) -> dict[str, Any]:
    """Filter-normalized lines and planes of the same four solutions, on shared scales."""
    minima = four(setting, needs_path=False)
    lines = {key: _random_line(setting, one, 0) for key, one in minima.items()}
    planes = {key: _random_plane(setting, one) for key, one in minima.items()}
    drawing.figure_3(setting, minima, lines, planes, setting.out / "figure3.png")
    print_line("figure3.png    With filter normalization the width of the minima can be compared side by side.")
    return {"solutions": _summaries(minima), "width": {one.name: _width(lines[key]) for key, one in minima.items()}}


def repeatability(setting: RunConfig) -> dict[str, Any]:
    """Ten random filter-normalized lines through each of two solutions: their median and their band."""
    size = setting.size
    minima = {batch: solution(setting, batch, DECAYS[1], needs_path=False) for batch in (size.small_batch, size.large_batch)}
    lines = {batch: [_random_line(setting, one, seed) for seed in range(size.directions)] for batch, one in minima.items()}
    drawing.repeatability(setting, minima, lines, setting.out / "repeatability.png")
    spread = {minima[batch].name: _spread(several) for batch, several in lines.items()}
    apart = " and ".join(format_rough_percent(share) for share in spread.values())
    print_line(
        f"repeatability.png   Half a unit from the center, {size.directions} directions differ by {apart} of the loss (one deviation)."
    )
    width = {minima[batch].name: [_width(line) for line in several] for batch, several in lines.items()}
    return {"directions": size.directions, "relative_spread_at_half": spread, "width": width}


def _random_line(setting: RunConfig, one: Solution, seed: int) -> xr.Dataset:
    objective = one.net.objective(setting, setting.size.fixed_samples)
    return evaluate(
        objective,
        random_plane(objective, seed=seed, ndim=1),
        resolution=setting.size.line,
        metrics=("loss", "accuracy"),
        archive=setting.archive,
        name=f"line_{one.name}_seed{seed}",
        title=one.label,
        overwrite=True,
        progress=setting.progress,
    )


def _random_plane(setting: RunConfig, one: Solution) -> xr.Dataset:
    objective: Objective = one.net.objective(setting, setting.size.samples)
    return evaluate(
        objective,
        random_plane(objective, seed=0),
        resolution=setting.size.resolution,
        tol=setting.size.tol,
        tol_scale="log",
        archive=setting.archive,
        name=f"plane_{one.name}",
        title=one.label,
        overwrite=True,
        progress=setting.progress,
    )


def _summaries(minima: dict[tuple[float, int], Solution]) -> dict[str, Any]:
    return {one.name: _summary(one) for one in minima.values()}


def _summary(one: Solution) -> dict[str, Any]:
    training, params = one.training, {name: p.detach() for name, p in one.net.module.named_parameters()}
    return one.net.summary() | {
        "name": one.name,
        "batch_size": training.batch_size,
        "weight_decay": training.weight_decay,
        "optimizer": training.optimizer,
        "epochs": training.epochs,
        "weight_norm": norm(params),
    }


def _sharper(line: xr.Dataset) -> str:
    """Name of the end around which the loss rises more at a distance of a quarter, by second difference at 0 and at 1."""
    sharpness = [
        float(line.loss.interp(alpha=end + 0.25) + line.loss.interp(alpha=end - 0.25) - 2 * line.loss.interp(alpha=end)) for end in (0, 1)
    ]
    return "small batch" if sharpness[0] > sharpness[1] else "large batch"


def _width(line: xr.Dataset) -> float:
    """Length of the part of a line on which the loss, joined straight between the points, is within a nat of the center's.

    >>> _width(xr.Dataset({"loss": ("alpha", [4.0, 0.0, 2.0])}, coords={"alpha": [-1.0, 0.0, 1.0]}))
    0.75
    """
    alpha = np.linspace(float(line.alpha[0]), float(line.alpha[-1]), FINE + 1)
    loss = np.interp(alpha, line.alpha.values, line.loss.values) - float(line.loss.sel(alpha=0, method="nearest"))
    return float((np.abs(loss[:-1] + np.diff(loss) / 2) <= 1.0).mean() * np.ptp(alpha))


def _spread(lines: list[xr.Dataset]) -> float:
    """Standard deviation over mean of the loss half a unit from the center, both sides."""
    values = np.array([[float(line.loss.sel(alpha=side, method="nearest")) for side in (-0.5, 0.5)] for line in lines])
    return float((values.std(0) / values.mean(0)).mean())
