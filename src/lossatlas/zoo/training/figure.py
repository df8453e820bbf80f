"""Figure of a training: losses, errors, and the drops of the learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lossatlas.viz.api import plot
from lossatlas.viz.scene.model import Curve, Pane, Scene

TRAIN, TEST, BATCH = "#0072b2", "#d55e00", "#999999"


def draw_training(run: xr.Dataset, summary: Mapping[str, Any], file: Path) -> None:
    """Losses and errors of the recorded epochs.

    Args:
        run: the trajectory that `train` recorded.
        summary: the numbers that `train` returned.
    """
    epochs = np.asarray(run.epoch.values, np.float64)
    losses = (
        _curve(run, "batch_loss", epochs, "batch before the update, augmented" if summary["augment"] else "batch before the update", BATCH),
        _curve(run, "path_loss", epochs, "training pictures", TRAIN),
        _curve(run, "test_loss", epochs, "test pictures", TEST),
    )
    errors = (
        Curve("train_error", epochs, 100 - 100 * _values(run, "path_accuracy"), "training pictures", TRAIN),
        Curve("test_error", epochs, 100 - 100 * _values(run, "test_accuracy"), "test pictures", TEST),
    )
    panes = (
        Pane("curves", curves=tuple(c.name for c in losses), x_label="epoch", y_label="cross-entropy / nats", y_scale="log"),
        Pane("curves", curves=tuple(c.name for c in errors), column=1, x_label="epoch", y_label="error / %"),
    )
    title = (
        f"{summary['network']} on {summary['samples']:,} pictures of {NAMES[summary['dataset']]}: test error {summary['test_error']:.2%}"
    )
    plot(Scene(panes, curves=(*losses, *errors), title=title, notes=_notes(summary)), file)


NAMES = {"cifar10": "CIFAR-10", "mnist": "MNIST"}


def _curve(run: xr.Dataset, name: str, epochs: np.ndarray, label: str, color: str) -> Curve:
    return Curve(name, epochs, _values(run, name), label, color)


def _values(run: xr.Dataset, name: str) -> np.ndarray:
    return np.asarray(run[name].values, np.float64)


def _notes(summary: Mapping[str, Any]) -> tuple[str, ...]:
    drops = ", ".join(map(str, summary["drops"])) or "none"
    one_cycle = f"rising to {summary['learning_rate']:g} and falling to 0 (one cycle)"
    steps = f"{summary['learning_rate']:g}, a tenth of it after epochs: {drops}"
    return (
        f"{summary['optimizer']}, learning rate {one_cycle if summary['schedule'] == 'one-cycle' else steps}; "
        f"batch {summary['batch_size']}; weight decay {summary['weight_decay']:g}; seed {summary['seed']}",
        f"curves: first {summary['train_measured_on']:,} training and {min(1000, summary['test_samples']):,} test pictures, not augmented; "
        f"test error in the title: {summary['test_samples']:,} pictures",
    )
