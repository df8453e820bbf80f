"""Metrics as an objective can give them."""

from __future__ import annotations

from lossatlas import schema
from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.metrics.terms import term_metrics
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import InputError

DEPENDENT_SAMPLES = ("batch", "train")
LANGUAGE_MODELS = ("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForConditionalGeneration")
"""Ends of the names of classes whose own loss is a cross-entropy in nats."""


def adapt_metrics(metrics: tuple[Metric, ...], objective: Objective) -> tuple[Metric, ...]:
    """The metrics as this objective can give them: per batch where its loss has no form per sample, and with the terms of its loss.

    Raises:
        InputError: per-sample losses where BatchNorm ties the samples of a batch together, so that no other batch's
            surface is a mean of them; perplexity of a loss that is not in nats.
    """
    if objective.mode in DEPENDENT_SAMPLES and any(m.name == "sample_loss" for m in metrics):
        raise InputError("metrics", f"sample_loss in mode {objective.mode}", "a mode where samples do not see each other, such as eval")
    if any(m.name == "perplexity" and m.is_builtin for m in metrics):
        _check_nats(objective)
    terms = term_metrics(objective) if any(m.name == "loss" for m in metrics) else ()
    metrics = (*metrics, *(term for term in terms if all(m.name != term.name for m in metrics)))
    return tuple(_per_batch(m) if m.name == "sample_loss" and not objective.per_sample else m for m in metrics)


def _per_batch(metric: Metric) -> Metric:
    return Metric("batch_mean_loss", metric.measure, per_sample=True, dtype=metric.dtype, declared=schema.variable("batch_mean_loss"))


def _check_nats(objective: Objective) -> None:
    parts = objective.module.modules() if objective.module is not None else ()
    units, is_language_model = objective.description["units"], any(type(part).__name__.endswith(LANGUAGE_MODELS) for part in parts)
    if units != "nats" and not (is_language_model and not units):
        loss = f"perplexity of {objective.description['loss']}" + (f" in {units}" if units else "")
        raise InputError("metrics", loss, "a cross-entropy in nats", 'Where it is one, say so: la.Objective(..., units="nats")')
