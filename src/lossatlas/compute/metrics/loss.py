"""Loss metric."""

from __future__ import annotations

from lossatlas import schema
from lossatlas.compute.metrics.base import Metric

LOSS = Metric("loss", lambda scores: scores.losses, declared=schema.variable("loss"))
