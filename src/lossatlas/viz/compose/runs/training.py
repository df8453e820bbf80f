"""Scene of a training: the path over its map, beside decision regions or curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr

from lossatlas.viz.colors import path_color
from lossatlas.viz.compose.from_datasets import areas_from
from lossatlas.viz.scene.model import ColorScale, Curve, DecisionRegions, FloatArray, Pane, PathData, Scene, Surface

RED, BLUE, GREY = "#c1121f", "#1d5fa8", "#777777"
TITLE = "decision areas"
OFF = "share of the way off the plane"


@dataclass(frozen=True)
class RecordedPath:
    """A path, and the recorded trajectory it was read from."""

    path: PathData
    recorded: xr.Dataset


@dataclass(frozen=True)
class _Group:
    """The curves of one pane."""

    label: str
    curves: tuple[Curve, ...]


def training_scene(surface: Surface, runs: Sequence[RecordedPath], colors: tuple[ColorScale, ...], title: str = "") -> Scene:
    """Map and paths left; right the decision areas of a classifier on 2-D data, for other data the metric's curves.

    A single run with decision areas has its losses and accuracies under them. Several runs show their losses and how far
    each is off the plane, in the colors of their paths.
    """
    runs = [_colored(run, i, len(runs)) for i, run in enumerate(runs)]
    groups = [group for group in (_of_one(runs[0]) if len(runs) == 1 else _of_many(runs)) if group.curves]
    areas = (areas_from(runs[0].recorded, name=TITLE),) if len(runs) == 1 and "area_class" in runs[0].recorded else ()
    panes = _panes(surface, runs, groups, areas, colors[0].quantity)
    curves = tuple(curve for group in groups for curve in group.curves)
    return Scene(panes, (surface,), tuple(run.path for run in runs), curves=curves, areas=areas, colors=colors, title=title)


def _panes(
    surface: Surface, runs: Sequence[RecordedPath], groups: Sequence[_Group], areas: Sequence[DecisionRegions], quantity: str
) -> tuple[Pane, ...]:
    names = tuple(run.path.name for run in runs)
    if areas:
        left = Pane("contour", (surface.name,), names, quantity=quantity)
        decided = Pane("areas", areas=(areas[0].name,), column=1, title=TITLE, x_label="first feature", y_label="second feature")
        return (left, decided, *(_curves(group, 1, column) for column, group in enumerate(groups)))
    left = Pane("contour", (surface.name,), names, quantity=quantity, row_span=max(len(groups), 1))
    return (left, *(_curves(group, row, 1) for row, group in enumerate(groups)))


def _curves(group: _Group, row: int, column: int) -> Pane:
    names = tuple(curve.name for curve in group.curves)
    return Pane("curves", curves=names, row=row, column=column, x_label="step", y_label=group.label, y_scale=_scale(group.curves))


def _of_one(run: RecordedPath) -> tuple[_Group, ...]:
    """Training and held-out values, the plane's value below the iterate, and how far off the plane that is."""
    path = run.path
    losses = (
        _curve(run, "loss", path.loss, "training loss of the iterate", RED),
        _curve(run, "plane", path.plane_loss, "the plane below it", RED, "dotted"),
        _curve(run, "test loss", _recorded_values(run, "test_loss"), "held-out loss", BLUE, "dashed"),
    )
    shares = (
        _curve(run, "accuracy", path.accuracy, "training accuracy", RED),
        _curve(run, "test accuracy", _recorded_values(run, "test_accuracy"), "held-out accuracy", BLUE, "dashed"),
        _curve(run, "off", _recorded_values(run, "path_relative_residual"), OFF, GREY, "dashdot"),
    )
    return _Group(_loss_label(run, "loss"), _drop_none(losses)), _Group("fraction", _drop_none(shares))


def _of_many(runs: Sequence[RecordedPath]) -> tuple[_Group, ...]:
    losses = [_curve(run, "loss", run.path.loss, run.path.label, run.path.color, run.path.dash) for run in runs]
    off = [
        _curve(run, "off", _recorded_values(run, "path_relative_residual"), run.path.label, run.path.color, run.path.dash) for run in runs
    ]
    return _Group(_loss_label(runs[0], "loss of the iterate"), _drop_none(losses)), _Group(OFF, _drop_none(off))


def _curve(
    run: RecordedPath,
    kind: str,
    values: FloatArray | None,
    label: str,
    color: str | None,
    dash: Literal["solid", "dashed", "dashdot", "dotted"] = "solid",
) -> Curve | None:
    if values is None or not np.isfinite(values).any():
        return None
    return Curve(f"{kind} of {run.path.name}", run.path.step.astype(float), np.asarray(values, float), label, color, dash)


def _drop_none(curves: Sequence[Curve | None]) -> tuple[Curve, ...]:
    return tuple(curve for curve in curves if curve is not None)


def _recorded_values(run: RecordedPath, name: str) -> FloatArray | None:
    return np.asarray(run.recorded[name].values, float) if name in run.recorded else None


def _loss_label(run: RecordedPath, label: str) -> str:
    units = str(run.recorded.path_loss.attrs.get("units", "")) if "path_loss" in run.recorded else ""
    return label + (f" [{units}]" if units not in ("", "1") else "")


def _scale(curves: Sequence[Curve]) -> Literal["linear", "log"]:
    """Logarithmic for losses that fall to a third or less; fractions stay as they are."""
    values = np.concatenate([curve.y[np.isfinite(curve.y)] for curve in curves])
    falls = curves[0].name.startswith("loss") and values.min() > 0 and values.max() > 3 * values.min()
    return "log" if falls else "linear"


def _colored(run: RecordedPath, index: int, count: int) -> RecordedPath:
    color = run.path.color or (RED if count == 1 else path_color(index))
    return replace(run, path=replace(run.path, color=color))
