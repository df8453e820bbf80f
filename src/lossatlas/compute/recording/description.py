"""Description of a recording: its attributes at the beginning."""

from __future__ import annotations

import datetime
import platform
from typing import Any

import numpy as np
import torch

from lossatlas._util.version import __version__
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.recording.measurements import settings
from lossatlas.compute.recording.model_rows import ModelRows

RUNNING = "not closed: still running, or killed"


def describe_recording(rows: ModelRows, optimizer: Any, label: str, steps_per_epoch: int | None) -> dict[str, Any]:
    """Attributes of a recording; docs/format.md names them."""
    return {
        "label": label,
        **settings(optimizer),
        "model": type(rows.model).__name__,
        "parameters": rows.layout.size,
        "layers": list(rows.layers.names),
        "histogram": {"reach": rows.histogram.reach, "tensors": list(rows.histogram.names)},
        "objective": _described(rows.probe.train),
        "test_objective": _described(rows.probe.test),
        "sharpness_objective": _described(rows.sharpness),
        **({"metric_identity": rows.probe.identities()} if rows.probe.identities() else {}),
        "steps_per_epoch": steps_per_epoch,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "lossatlas_version": __version__,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "ended": RUNNING,
    }


def _described(objective: Objective | None) -> dict[str, Any] | None:
    return None if objective is None else dict(objective.description)
