"""Scene of a training that is still recorded: its path on the plane of its own principal components, laid anew as it grows.

No loss is known anywhere on that plane but along the path, so the plane itself is drawn as not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from lossatlas._util.text import format_percent
from lossatlas.analysis.principal_components import principal_coordinates
from lossatlas.archive import Archive
from lossatlas.archive.recorded_weights import read_recorded_weights
from lossatlas.viz.colors import path_color
from lossatlas.viz.compose.from_datasets import path_from
from lossatlas.viz.compose.inputs import unique_names
from lossatlas.viz.compose.timeline import with_timeline
from lossatlas.viz.scene.model import ColorScale, Field, FloatArray, Pane, PathData, Scene, Surface

PLANE = "plane of the path"
NOT_CLOSED = "not closed"
"""Beginning of the attribute `ended` of a recording whose recorder has not been closed."""


@dataclass(frozen=True)
class RecordedPoints:
    """Some rows of a recording and their weights, ``(n, entries)``."""

    name: str
    trajectory: xr.Dataset
    weights: FloatArray


def recorded_trajectories(things: Sequence[Any]) -> list[tuple[Archive, str]]:
    """Archive and name of every trajectory in archives that a recorder, or a reader of checkpoints, left there."""
    archives = [thing for thing in things if isinstance(thing, Archive)]
    return [(archive, name) for archive in archives for name in archive.trajectories if "rows" in archive.trajectory(name).attrs]


def running_training_scene(things: Sequence[Any]) -> Scene | None:
    """The paths of recordings in archives, those of the first one's size on one plane; None where no row is recorded yet."""
    runs = list(_read(things))
    if not runs:
        return None
    runs = [run for run in runs if run.weights.shape[1] == runs[0].weights.shape[1]]
    coordinates, shares = principal_coordinates(np.concatenate([run.weights for run in runs]), -1 if len(runs) == 1 else 0)
    surface = _empty_plane(coordinates, shares, sum(len(run.weights) for run in runs))
    parts = np.split(coordinates, np.cumsum([len(run.weights) for run in runs])[:-1])
    paths = tuple(_path(run, part, k) for k, (run, part) in enumerate(zip(runs, parts, strict=True)))
    names = tuple(path.name for path in paths)
    panes = (Pane("surface", (PLANE,), names), Pane("contour", (PLANE,), names))
    title = paths[0].label if len(paths) == 1 else "Trainings"
    return with_timeline(Scene(panes, surfaces=(surface,), paths=paths, colors=(ColorScale(),), title=title))


def describe_state(things: Sequence[Any]) -> tuple[str, bool]:
    """The last recorded step and loss of each run in words, and whether all recorders have been closed."""
    parts, closed = [], True
    for archive, name in recorded_trajectories(things):
        run = archive.trajectory(name)
        if not run.sizes.get("step"):
            return "Waiting for the first recorded step", False
        loss = _loss_of(run)[-1]
        closed &= not str(run.attrs.get("ended", "")).startswith(NOT_CLOSED)
        parts.append(f"{run.attrs.get('label') or name}: step {int(run.step[-1]):,}" + (f", loss {loss:.4g}" if np.isfinite(loss) else ""))
    return ("" if closed else " · ".join(parts)), closed


def _read(things: Sequence[Any]) -> list[RecordedPoints]:
    stored = recorded_trajectories(things)
    names = unique_names([name for _, name in stored], [str(archive.location).rstrip("/").rsplit("/", 1)[-1] for archive, _ in stored])
    runs = []
    for label, (archive, name) in zip(names, stored, strict=True):
        read = read_recorded_weights(archive, name)
        trajectory = archive.trajectory(name)
        if read is not None and read[0][-1] < trajectory.sizes["step"]:  # rows may go between two looks, as where it is thinned
            runs.append(RecordedPoints(label, trajectory.isel(step=read[0]), read[1]))
    return runs


def _path(run: RecordedPoints, coordinates: FloatArray, index: int) -> PathData:
    columns = {"path_alpha": coordinates[:, 0], "path_beta": coordinates[:, 1], "path_loss": _loss_of(run.trajectory)}
    path = path_from(run.trajectory.assign({name: ("step", values) for name, values in columns.items()}), name=run.name)
    return replace(path, color=path.color or path_color(index), surface=PLANE)


def _loss_of(run: xr.Dataset) -> FloatArray:
    """The loss on fixed data where it was recorded, else that of each batch."""
    for name in ("path_loss", "batch_loss"):
        if name in run and np.isfinite(run[name].values).any():
            return run[name].values.astype(np.float64)
    return np.full(run.sizes["step"], np.nan)


def _empty_plane(coordinates: FloatArray, shares: FloatArray, rows: int) -> Surface:
    """A window around the path, of which nothing is computed."""
    finite = coordinates[np.isfinite(coordinates).all(1)]
    finite = finite if len(finite) else np.zeros((1, 2))
    low, high = finite.min(0), finite.max(0)
    widest = float((high - low).max()) or 1.0
    half = 0.65 * np.maximum(high - low, 0.7 * widest)
    alpha, beta = (np.linspace(middle - reach, middle + reach, 2) for middle, reach in zip((low + high) / 2, half, strict=True))
    of_motion = [f" ({format_percent(float(share))} of the motion so far)" if np.isfinite(share) else "" for share in shares]
    return Surface(
        name=PLANE,
        alpha=alpha,
        beta=beta,
        fields={"loss": Field(np.full((2, 2), np.nan), "loss", "1")},
        done=np.zeros((2, 2), bool),
        alpha_label=f"PC1{of_motion[0]}",
        beta_label=f"PC2{of_motion[1]}",
        notes=(
            f"plane of the first two principal components of {rows} recorded rows, laid anew as the run grows; no loss is computed on it",
        ),
    )
