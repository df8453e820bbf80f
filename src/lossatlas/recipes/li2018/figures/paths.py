"""Figures of training paths on planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from lossatlas._util.text import format_percent, format_rough_percent
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures.lines import network_label
from lossatlas.recipes.li2018.figures.planes import SOLUTIONS, hatched_on, with_common_limits
from lossatlas.viz.api import plot
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.model import Pane, PathData, Scene

if TYPE_CHECKING:
    from lossatlas.recipes.li2018.types import Solution

RED = "#c1121f"


def figure_8(setting: RunConfig, one: Solution, drawn: Mapping[str, tuple[xr.Dataset, xr.Dataset]], chance: float, file: FilePath) -> None:
    """One path on three planes, each in the window that its own shadow needs."""
    labels = {
        "random": f"two random directions: {{}} of the\nmotion shown (by chance: {format_rough_percent(chance)})",
        "random and start-end": "a random and the start-end\ndirection: {} of the motion shown",
        "principal": "two principal directions\n{} of the motion shown",
    }
    surfaces, paths, panes = [], [], []
    for column, (name, (surface, path)) in enumerate(drawn.items()):
        surfaces.append(replace(surface_from(surface, name=name, label=name), notes=()))
        paths.append(marked(path, one, f"path {name}"))
        title = labels[name].format(format_rough_percent(path.attrs["captured_share"]))
        panes.append(Pane("contour", (name,), (paths[-1].name,), title=title, column=column, marks=False))
    error = format_percent(1 - one.net.test_accuracy)
    title = f"The same training path on three planes: {network_label(setting)}, {one.label}, test error {error}"
    _plot(setting, one, Scene(tuple(panes), tuple(surfaces), tuple(paths), title=title), file)


def figure_9(setting: RunConfig, drawn: Sequence[tuple[Solution, xr.Dataset, xr.Dataset]], file: FilePath) -> None:
    """One principal plane a run; the share of variance is on the axes, learning-rate drops are marked."""
    surfaces, paths, panes = [], [], []
    for index, (one, surface, path) in enumerate(drawn):
        surfaces.append(replace(surface_from(surface, name=one.name, label=one.label), notes=()))
        paths.append(marked(path, one, f"path {one.name}"))
        null = sum(path.attrs["random_walk_null"][:2])
        error = format_percent(1 - one.net.test_accuracy)
        title = f"{one.label}, test error {error}\n(two components of a random walk: {format_rough_percent(null)})"
        panes.append(Pane("contour", (one.name,), (paths[-1].name,), title=title, row=index // 2, column=index % 2, marks=False))
    title = f"Training paths on their principal planes: {network_label(setting)}"
    _plot(setting, drawn[0][0], Scene(tuple(panes), tuple(surfaces), tuple(paths), title=title), file)


def marked(path: xr.Dataset, one: Solution, name: str) -> PathData:
    """The path with its learning-rate drops marked."""
    made = path_from(path, name=name)
    drops = tuple(int(np.searchsorted(path.epoch.values, drop)) for drop in one.training.drops)
    return replace(
        made, color=RED, marks=drops, label="training path; diamonds: the learning rate drops tenfold", notes=(), residual=None, stem=None
    )


def _plot(setting: RunConfig, one: Solution, scene: Scene, file: FilePath) -> None:
    """On one scale of all surfaces, with what both figures have to say; `one` is any of their solutions."""
    training = one.training
    notes = (
        f"{setting.run_label}: {training.samples:,} training images, {training.epochs} epochs, weights recorded once an epoch or so; "
        f"test error on {setting.size.test_samples:,} test images",
        f"map: loss on {setting.size.samples:,} training images, eval mode with the last iterate's BatchNorm statistics",
        "iterates lie off the plane: the map's height below a path is not the loss of the iterate",
    )
    color = with_common_limits(SOLUTIONS, scene.surfaces)
    surfaces = tuple(hatched_on(color, surface, setting.size.tol) for surface in scene.surfaces)
    plot(replace(scene, surfaces=surfaces, colors=(color,), notes=notes), file)
