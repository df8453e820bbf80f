"""Per-sample loss metric: one tensor from which the surface of any mini-batch follows."""

from __future__ import annotations

from typing import get_args

from lossatlas import schema
from lossatlas.compute.metrics.base import Metric, StoredType
from lossatlas.errors import InputError


def sample_losses(dtype: StoredType = "float64") -> Metric:
    """A metric for `evaluate` that keeps every sample's loss at every cell, an array ``(alpha, beta, sample)``.

    Values are computed and averaged in the objective's own precision; `dtype` is only how they are stored. In half
    precision they keep about three digits, and losses above 65,504 are refused.

    Args:
        dtype: "float64", "float32" or "float16".

    Returns:
        A `Metric` named "sample_loss", in the units of the loss; `SampleLossArray` reads what it stored.

    Raises:
        InputError: another dtype.

    Example:
        >>> import torch
        >>> from lossatlas.compute.evaluation.evaluate import evaluate
        >>> from lossatlas.compute.objective.objective import Objective
        >>> from lossatlas.compute.planes.constructors import weight_plane
        >>> objective = Objective(lambda p, x: x * p["w"][0] ** 2, data=torch.tensor([1.0, 3.0]), params={"w": torch.ones(1)})
        >>> line = evaluate(objective, weight_plane(objective, ("w", 0)), (-1, 1), 3, metrics=("loss", sample_losses("float32")))
        >>> line.loss.values.tolist()
        [2.0, 0.0, 2.0]
    """
    if not isinstance(dtype, str):
        raise InputError("dtype", dtype, "one of " + ", ".join(get_args(StoredType)))
    return Metric("sample_loss", lambda scores: scores.losses, per_sample=True, dtype=dtype, declared=schema.variable("sample_loss"))


SAMPLE_LOSS = sample_losses()
