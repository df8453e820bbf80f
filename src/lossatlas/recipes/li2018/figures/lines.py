"""Figures of solutions and of their lines: interpolation, weight norms, histograms, filter-normalized lines and planes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from lossatlas._util.text import format_percent, format_rough_percent
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures.planes import COLORS, SOLUTIONS, line_surface
from lossatlas.viz.api import plot
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.scene.model import ColorScale, Curve, Pane, Scene

if TYPE_CHECKING:
    from lossatlas.recipes.li2018.types import Solution

BLUE, RED, *BATCHES = COLORS
Minima = Mapping[tuple[float, int], "Solution"]


def figure_2(setting: RunConfig, minima: Minima, lines: Mapping[tuple[float, str], xr.Dataset], file: FilePath) -> None:
    """One row a weight decay: the line between the solutions, the norm during training, the weights in the end."""
    curves: list[Curve] = []
    panes: list[Pane] = []
    for row, decay in enumerate(dict.fromkeys(decay for decay, _ in minima)):
        by_batch = {batch: one for (d, batch), one in minima.items() if d == decay}
        for column, (made, pane) in enumerate((_between(decay, lines), _norms(decay, by_batch), _histograms(decay, by_batch))):
            curves += made
            panes.append(replace(pane, curves=tuple(c.name for c in made), row=row, column=column))
    title = f"From the small-batch (0) to the large-batch solution (1) of {network_label(setting)}"
    plot(
        Scene(
            tuple(panes),
            curves=tuple(curves),
            title=title,
            notes=_notes(
                setting, minima, "left: BatchNorm statistics re-estimated at every point from training images", setting.size.line_samples
            ),
        ),
        file,
    )


def figure_3(
    setting: RunConfig,
    minima: Minima,
    lines: Mapping[tuple[float, int], xr.Dataset],
    planes: Mapping[tuple[float, int], xr.Dataset],
    file: FilePath,
) -> None:
    """Lines above, planes below, one column a solution, one scale a row."""
    surfaces, panes = [], []
    top = max(float(np.nanmax(line.loss)) for line in lines.values())
    scale = ColorScale(low=0.0, high=min(top, 10.0))
    for column, (key, one) in enumerate(minima.items()):
        line, plane = line_surface(lines[key], f"line {one.name}", one.label), surface_from(planes[key], name=one.name, label=one.label)
        surfaces += [line, replace(plane, notes=())]
        panes.append(
            Pane(
                "line",
                (line.name,),
                title=title_of(one),
                column=column,
                color=scale,
                y_label="loss [nats]",
                y_label_right="accuracy",
                x_label="α",
            )
        )
        panes.append(Pane("contour", (one.name,), row=1, column=column))
    plot(
        Scene(
            tuple(panes),
            tuple(surfaces),
            colors=(SOLUTIONS,),
            title=f"Filter-normalized lines and planes of {network_label(setting)}",
            notes=_notes(
                setting,
                minima,
                "directions: random, seed 0, filter-normalized, biases and BatchNorm fixed" + _sampled(setting),
                setting.size.fixed_samples,
            ),
        ),
        file,
    )


def repeatability(setting: RunConfig, minima: Mapping[int, Solution], lines: Mapping[int, list[xr.Dataset]], file: FilePath) -> None:
    """Each solution's median over random directions, a band from the lowest to the highest, and every line, on one scale."""
    curves = []
    for index, (batch, several) in enumerate(lines.items()):
        values, x, color = np.stack([line.loss.values for line in several]), several[0].alpha.values, BATCHES[index]
        one = minima[batch]
        label = f"{one.label}: median; test error {format_percent(1 - one.net.test_accuracy)}"
        curves.append(Curve(f"median {batch}", x, np.median(values, 0), label, color, band=(values.min(0), values.max(0)), reveal=False))
        for seed, line in enumerate(values):
            curves.append(Curve(f"{batch} seed {seed}", x, line, f"each of {len(values)} directions", color, "dotted", reveal=False))
    pane = Pane("curves", curves=tuple(c.name for c in curves), x_label="α", y_label="loss [nats], log scale", y_scale="log")
    scene = Scene(
        (pane,),
        curves=tuple(curves),
        title=f"Repeatability: {len(next(iter(lines.values())))} random directions",
        subtitle=f"Filter-normalized lines through two solutions of {network_label(setting)}",
        notes=_notes(setting, {(0.0, b): s for b, s in minima.items()}, "band: lowest to highest", setting.size.fixed_samples),
    )
    plot(scene, file)


def title_of(one: Solution) -> str:
    return f"{one.label}\ntest error {format_percent(1 - one.net.test_accuracy)}"


def network_label(setting: RunConfig) -> str:
    return "VGG-9, a quarter as wide" if setting.size.vgg == "vgg9_quarter" else "VGG-9"


def _between(decay: float, lines: Mapping[tuple[float, str], xr.Dataset]) -> tuple[list[Curve], Pane]:
    curves = []
    dashes: dict[str, Literal["solid", "dashed"]] = {"train": "solid", "test": "dashed"}
    for split, dash in dashes.items():
        line = lines[decay, split]
        x = line.alpha.values
        curves.append(Curve(f"loss {split} {decay:g}", x, line.loss.values, f"{split} loss", BLUE, dash, reveal=False))
        curves.append(Curve(f"accuracy {split} {decay:g}", x, line.accuracy.values, f"{split} accuracy", RED, dash, "right", reveal=False))
    title = f"weight decay {decay:g}: the line between them"
    return curves, Pane("curves", title=title, x_label="small batch (0) → large batch (1)", y_label="loss [nats]", y_label_right="accuracy")


def _norms(decay: float, by_batch: Mapping[int, Solution]) -> tuple[list[Curve], Pane]:
    curves = []
    for index, (batch, one) in enumerate(by_batch.items()):
        run = one.trajectory.dataset
        x = run.epoch.values
        curves.append(Curve(f"norm {batch} {decay:g}", x, run.weight_norm.values, f"batch {batch:,}", BATCHES[index], reveal=False))
    errors = " and ".join(format_percent(1 - one.net.test_accuracy) for one in by_batch.values())
    return curves, Pane("curves", title=f"in training; test errors {errors}", x_label="epoch", y_label="norm of all weights")


def _histograms(decay: float, by_batch: Mapping[int, Solution]) -> tuple[list[Curve], Pane]:
    """Shares of weights in equal bins up to the 99.5 % quantile of all, so that tails do not flatten the picture."""
    weights = {
        batch: np.concatenate([p.numpy().ravel() for p in one.trajectory.params(-1).values() if p.dim() > 1])
        for batch, one in by_batch.items()
    }
    reach = max(float(np.quantile(np.abs(w), 0.995)) for w in weights.values())
    edges = np.linspace(-reach, reach, 61)
    curves = []
    for index, (batch, values) in enumerate(weights.items()):
        share = np.histogram(values, edges)[0] / len(values)
        curves.append(Curve(f"weights {batch} {decay:g}", edges, share, f"batch {batch:,}", BATCHES[index], reveal=False))
    return curves, Pane("histogram", title="weights after training", x_label="weight", y_label="share of weights")


def _sampled(setting: RunConfig) -> str:
    size = setting.size
    return (
        ""
        if size.tol is None
        else f"; planes: all {size.samples:,} training images, sampled to within {format_rough_percent(size.tol)} of the log range"
    )


def _notes(setting: RunConfig, minima: Minima, more: str, samples: int) -> tuple[str, ...]:
    training = next(iter(minima.values())).training
    return (
        f"{setting.run_label}: {training.samples:,} training images, {training.epochs} epochs; "
        f"loss on the first {samples:,} of them, eval mode",
        f"test errors on {setting.size.test_samples:,} test images",
        more,
    )
