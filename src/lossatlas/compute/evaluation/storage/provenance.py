"""Provenance of a surface as plain JSON, and its comparison with what is asked for on resuming."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lossatlas._util.version import __version__
from lossatlas.analysis.grid import Grid
from lossatlas.compute.evaluation.storage.objective_identity import describe_differences, identity
from lossatlas.compute.metrics import Metric
from lossatlas.compute.metrics.identity import edited_metrics
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import ArchiveError

IDENTITY = {
    "plane": ("center_hash", "direction_hashes", "buffers_hash"),
    "objective": ("data_hash", "samples", "population", "loss", "dtype", "mode", "precision"),
    "grid": ("bounds", "resolution"),
}
"""What must agree before a stored surface is continued, besides its `identity`. Tile, batch size, device and threads need not."""


def provenance(objective: Objective, plane: Plane, grid: Grid, metrics: tuple[Metric, ...], title: str) -> dict[str, Any]:
    """The `attrs` of a surface (`docs/format.md` lists the keys)."""
    return {
        "kind": "surface",
        "title": title,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "lossatlas_version": __version__,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.system()} {platform.machine()}",
        "plane": plane.describe(),
        "objective": dict(objective.description),
        "grid": {"bounds": grid.bounds, "resolution": list(grid.shape)},
        "metrics": [metric.name for metric in metrics],
        **({"identity": {**identity(objective, plane), **_metric_identities(metrics)}} if isinstance(plane, Plane) else {}),
    }


HASHES = {
    "center_hash": "the weights at the center differ (another model, or one trained anew)",
    "direction_hashes": "the directions differ (another seed or plane)",
    "buffers_hash": "the buffers of the plane's model (such as BatchNorm statistics) differ",
    "data_hash": "the data differ",
}
"""By the key of a hash, what a difference means."""


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """In what a stored surface is not the one now asked for, in words; empty where it may be continued."""
    mismatches = [
        HASHES.get(key) or f"{section}.{key} is {_short(stored.get(section, {}).get(key))} there and {_short(asked[section].get(key))} now"
        for section, keys in IDENTITY.items()
        for key in keys
        if stored.get(section, {}).get(key) != asked[section].get(key)
        and not (key == "data_hash" and "identity" in stored)  # it depends on the batching; an older archive has no other
    ]
    if HASHES["center_hash"] in mismatches:  # directions are scaled to the weights, and differ with them
        mismatches = [mismatch for mismatch in mismatches if mismatch != HASHES["direction_hashes"]]
    mismatches += describe_differences(stored.get("identity", {}), asked.get("identity", {}))
    mismatches += edited_metrics(stored.get("identity", {}).get("metrics", {}), asked.get("identity", {}).get("metrics", {}))
    if stored.get("metrics") != asked["metrics"]:
        mismatches.append(f"it holds {_short(stored.get('metrics'))} and {_short(asked['metrics'])} is wanted")
    return mismatches


def _metric_identities(metrics: tuple[Metric, ...]) -> dict[str, Any]:
    """By name, what the metrics that have code of their own are; the others are the package's."""
    known = {metric.name: metric.identity() for metric in metrics if metric.code}
    return {"metrics": known} if known else {}


def surface_mismatch_error(name: str, location: str, different: list[str]) -> ArchiveError:
    """The error that a different surface of the same name deserves."""
    return ArchiveError(
        f"The surface {name!r} in {location} is another one: {'; '.join(different)}. "
        f"Choose another name= or archive=, or pass overwrite=True to replace it."
    )


def _short(value: Any) -> str:
    text = ", ".join(str(v)[:12] for v in value) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
