"""Metrics measured at every point; one idea a file. `METRICS` are those that have a name of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lossatlas._util.text import did_you_mean
from lossatlas.compute.metrics import builtin as metrics
from lossatlas.compute.metrics.accuracy import ACCURACY
from lossatlas.compute.metrics.adaptation import adapt_metrics
from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.metrics.loss import LOSS
from lossatlas.compute.metrics.sample_loss import SAMPLE_LOSS, sample_losses
from lossatlas.errors import InputError

_NAMED = (
    LOSS,
    ACCURACY,
    metrics.error(),
    metrics.top_k_error(),
    metrics.perplexity(),
    metrics.kl(),
    metrics.disagreement(),
    metrics.calibration_error(),
    metrics.margin(),
    metrics.weight_norm(),
    SAMPLE_LOSS,
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _NAMED}

__all__ = ["METRICS", "Metric", "adapt_metrics", "metrics", "metrics_named", "sample_losses"]


def metrics_named(names: str | Metric | Iterable[str | Metric]) -> tuple[Metric, ...]:
    """Metrics by name; a `Metric` of your own passes through, alone or among others.

    Raises:
        InputError: an unknown name, a name twice, or none.
    """
    listed = isinstance(names, Iterable) and not isinstance(names, bytes | Mapping)
    wanted = [names] if isinstance(names, str | Metric) else list(names) if listed else []
    if not wanted or not all(isinstance(n, str | Metric) for n in wanted):
        raise InputError("metrics", names, "names out of " + ", ".join(METRICS) + ", or metrics of your own")
    unknown = [n for n in wanted if isinstance(n, str) and n not in METRICS]
    names_listed = [n if isinstance(n, str) else n.name for n in wanted]
    if unknown or len(set(names_listed)) != len(wanted):
        allowed = "different names out of " + ", ".join(METRICS) + ", or metrics of your own"
        question = " ".join(filter(None, (did_you_mean(name, METRICS) for name in unknown)))
        raise InputError(
            "metrics", unknown or names_listed, allowed, question or 'A metric of your own: la.Metric("bleu", measure, of="model")'
        )
    return tuple(METRICS[n] if isinstance(n, str) else n for n in wanted)
