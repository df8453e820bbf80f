"""Recorded runs in what is handed in to be drawn, each with a label that tells it apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath

import xarray as xr

from lossatlas.archive import Archive
from lossatlas.viz.compose.inputs import Source, iter_inputs
from lossatlas.viz.scene.model import Scene


@dataclass(frozen=True)
class Recording:
    """A recorded run: its name in the archive, the label that tells it apart from all others, and the trajectory."""

    name: str
    label: str
    trajectory: xr.Dataset


def holds_recordings_alone(source: Source) -> bool:
    """Recorded runs and no surface that they could lie on, as in the archive of a recorder."""
    things = list(iter_inputs(source))
    if any(isinstance(thing, Scene) or (isinstance(thing, Archive) and thing.surfaces) for thing in things):
        return False
    if any(isinstance(thing, xr.Dataset) and "weight_norm" not in thing for thing in things):
        return False
    return bool(recordings(things))


def recordings(source: Source) -> list[Recording]:
    """Runs stored by recorders, in order. Labels that several runs share get their archive's name behind them, or a number."""
    stored_runs: list[tuple[str, str, xr.Dataset]] = []
    for thing in iter_inputs(source):
        if isinstance(thing, Scene):
            continue
        runs = {name: thing.trajectory(name) for name in thing.trajectories} if isinstance(thing, Archive) else {"": thing}
        for stored, run in runs.items():
            if "weight_norm" in run:
                name = stored or str(run.attrs.get("title") or run.attrs.get("label") or "path")
                origin = FilePath(thing.location).stem if isinstance(thing, Archive) else ""
                stored_runs.append((name, origin, run))
    labels = [str(run.attrs.get("label") or name) for name, _, run in stored_runs]
    labels = _disambiguate_labels(
        _disambiguate_labels(labels, [name for name, _, _ in stored_runs]), [origin for _, origin, _ in stored_runs]
    )
    numbers = [str(labels[: k + 1].count(label)) for k, label in enumerate(labels)]
    return [Recording(name, label, run) for (name, _, run), label in zip(stored_runs, _disambiguate_labels(labels, numbers), strict=True)]


def _disambiguate_labels(labels: list[str], suffixes: list[str]) -> list[str]:
    """Labels that occur several times with their suffixes behind them, where these differ.

    >>> _disambiguate_labels(["run", "run", "adam"], ["a", "b", "b"])
    ['run (a)', 'run (b)', 'adam']
    """
    shared = [{suffix for other, suffix in zip(labels, suffixes, strict=True) if other == label} for label in labels]
    return [
        f"{label} ({suffix})" if len(all_) > 1 and suffix else label for label, suffix, all_ in zip(labels, suffixes, shared, strict=True)
    ]
