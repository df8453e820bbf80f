"""Built-in metrics by name and as functions, `la.metrics`: of classifiers, of language models, of the weights, relative to a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.metrics.classification import calibration_error, error, margin, top_k_error
from lossatlas.compute.metrics.model_measurement import common_random_numbers
from lossatlas.compute.metrics.reference import disagreement, kl
from lossatlas.compute.metrics.sample_loss import sample_losses
from lossatlas.compute.objective.objective import Scores

__all__ = [
    "calibration_error",
    "common_random_numbers",
    "disagreement",
    "error",
    "kl",
    "margin",
    "perplexity",
    "sample_losses",
    "top_k_error",
    "weight_norm",
]

Array = NDArray[np.float64]


def perplexity() -> Metric:
    """Perplexity, ``exp(mean negative log-likelihood)`` over the tokens that count; the loss must be a cross-entropy in nats.

    The mean is that of the loss: labels of -100 (or the loss's own `ignore_index`) do not count. Its standard error is that of the loss
    by the delta method, ``exp(mean) se``, where the loss has one: with one sequence a sample, from the spread over sequences.

    Example:
        >>> import torch, lossatlas as la
        >>> uniform = torch.nn.Linear(1, 4)
        >>> _ = torch.nn.init.zeros_(uniform.weight), torch.nn.init.zeros_(uniform.bias)
        >>> objective = la.Objective(uniform, torch.nn.functional.cross_entropy, (torch.ones(4, 1), torch.arange(4)))
        >>> line = la.evaluate(objective, la.weight_plane(objective, ("bias", 0)), resolution=3, metrics=la.metrics.perplexity())
        >>> float(line.perplexity.sel(alpha=0).round(6))
        4.0
    """
    code = "lossatlas:perplexity"
    return Metric("perplexity", _losses, better="lower", code=code, of_mean=_exponential, per_label=True)


def weight_norm() -> Metric:
    """Euclidean norm of all parameters of the model, tied ones once, summed in float64."""
    code = "lossatlas:weight_norm"
    return Metric("weight_norm", _weight_norm, long_name="norm of all weights", of="model", code=code)


def _losses(scores: Scores) -> Tensor:
    return scores.losses


def _exponential(mean: Array, standard_error: Array) -> tuple[Array, Array]:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(mean), np.exp(mean) * standard_error


def _weight_norm(model: torch.nn.Module | Mapping[str, Tensor] | Array) -> float:
    if isinstance(model, np.ndarray):
        return float(np.linalg.norm(model))
    weights: Any = model.parameters() if isinstance(model, torch.nn.Module) else model.values()
    return math.sqrt(math.fsum(float(torch.linalg.vector_norm(w.detach(), dtype=torch.float64)) ** 2 for w in weights))
