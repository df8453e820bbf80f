"""Accuracy: the fraction of samples whose largest output is the target class."""

from __future__ import annotations

from torch import Tensor

from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.objective import Scores
from lossatlas.errors import InputError


def correct(scores: Scores) -> Tensor:
    """1 for a right answer and 0 for a wrong one, ``(samples,)``.

    Outputs are ``(samples, classes)`` or ``(samples, classes, …)``; targets are classes ``(samples, …)`` or one-hot
    like the outputs.

    Raises:
        InputError: the model does not return class scores, or there are no targets.
    """
    outputs, targets = getattr(scores.outputs, "logits", scores.outputs), scores.targets
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or outputs.dim() < 2 or outputs.shape[1] < 2:
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            "metrics", f"accuracy, but the model returns {found}", "outputs (samples, classes) with targets", 'Leave "accuracy" out'
        )
    classes = targets.argmax(1) if targets.shape == outputs.shape else targets
    if classes.shape != outputs.argmax(1).shape:
        raise InputError("metrics", f"accuracy, but targets have shape {tuple(targets.shape)}", f"shape {tuple(outputs.argmax(1).shape)}")
    # argmax calls NaN the largest output; a prediction with a NaN in it is not a right answer.
    right = ((outputs.argmax(1) == classes) & ~outputs.isnan().any(1)).double()
    return right.flatten(1).mean(1) if right.dim() > 1 else right


ACCURACY = Metric("accuracy", correct)
