"""Figure of the trainings: test errors by epoch, one pane a kind of network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import numpy as np

from lossatlas._util.text import format_percent
from lossatlas.archive import open_archive
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures.lines import network_label
from lossatlas.recipes.li2018.figures.planes import COLORS
from lossatlas.recipes.li2018.networks import architecture_label
from lossatlas.viz.api import plot
from lossatlas.viz.scene.model import Curve, Pane, Scene
from lossatlas.zoo.training.loop import ARCHIVE, MEASURED_IMAGES, SUMMARY

if TYPE_CHECKING:
    from lossatlas.recipes.li2018.trainings import PlannedTraining

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def error_curves(setting: RunConfig, plans: Sequence[PlannedTraining], file: FilePath) -> None:
    """The curves of those trainings that left their path, with the errors of the whole test set beside their names."""
    panes: dict[str, list[Curve]] = {}
    for plan in plans:
        curves = panes.setdefault(_pane_title(setting, plan), [])
        curves.append(_curve(setting, plan, COLORS[len(curves) % len(COLORS)]))
    columns = min(2, len(panes))
    scene = Scene(
        tuple(
            Pane(
                "curves",
                title=title,
                curves=tuple(c.name for c in curves),
                row=i // columns,
                column=i % columns,
                x_label="epoch",
                y_label="test error [%], log scale",
                y_scale="log",
            )
            for i, (title, curves) in enumerate(panes.items())
        ),
        curves=tuple(curve for curves in panes.values() for curve in curves),
        title="Test errors during training, and in the end",
        notes=(
            f"{setting.run_label}: {setting.size.train_samples:,} training images; curves: the first {MEASURED_IMAGES:,} test images; "
            f"errors beside the names: {setting.size.test_samples:,}",
        ),
    )
    plot(scene, file)


def _curve(setting: RunConfig, plan: PlannedTraining, color: str) -> Curve:
    folder, training = setting.out / "trainings" / plan.key, plan.training
    path = open_archive(folder / ARCHIVE).trajectory(training.network)
    error = format_percent(json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["test_error"])
    is_solution = training.network == setting.size.vgg
    label = f"batch {training.batch_size:,}, decay {training.weight_decay:g}" if is_solution else architecture_label(plan.key)
    errors = 100 - 100 * np.asarray(path.test_accuracy.values, np.float64)
    return Curve(plan.key, np.asarray(path.epoch.values, np.float64), errors, f"{label}: {error}", color, reveal=False)


def _pane_title(setting: RunConfig, plan: PlannedTraining) -> str:
    name = plan.training.network
    if name == setting.size.vgg:
        return f"{network_label(setting)}: {OPTIMIZERS[plan.training.optimizer]}"
    return f"ResNet-{name.split('_')[0].removeprefix('wrn')} by width" if name.startswith("wrn") else "Networks of other depths"
