"""Accuracy: the share of samples, or of labels that count, whose largest output is the target class."""

from __future__ import annotations

import torch
from torch import Tensor

from lossatlas import schema
from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.objective.data.targets import is_integer
from lossatlas.compute.objective.objective import Scores
from lossatlas.errors import InputError


def correct(scores: Scores, name: str = "accuracy") -> Tensor:
    """1 for a right answer, 0 for a wrong one and NaN where some output is NaN, which is no answer, ``(samples,)``.

    Outputs are ``(samples, classes)`` or ``(samples, classes, …)``; targets are classes ``(samples, …)``, or shares of the classes
    such as one-hot labels, shaped like the outputs. Where the data hold labels that the loss ignores, such as padding, one value
    comes back for each label that counts.

    Raises:
        InputError: the model does not return class scores, or the targets name no classes.
    """
    outputs, targets, reading = getattr(scores.outputs, "logits", scores.outputs), scores.targets, scores.target_format
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or outputs.dim() < 2 or outputs.shape[1] < 2:
        raise _refusal(name, f"the model returns {tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__}")
    if targets.shape == outputs.shape:
        if not reading.are_probabilities:
            raise _refusal(name, "the targets are values, not classes")
        classes = targets.argmax(1)
    elif not is_integer(targets):
        raise _refusal(name, f"the targets are numbers of type {targets.dtype}")
    else:
        classes = targets
    chosen = outputs.argmax(1)
    if classes.shape != chosen.shape:
        raise InputError("metrics", f"{name}, but targets have shape {tuple(targets.shape)}", f"shape {tuple(chosen.shape)}")
    if outputs.dim() > 2 and classes.shape == outputs.shape[:-1] and not reading.class_axis_is_one:
        raise _refusal(name, f"the classes of outputs {tuple(outputs.shape)} may be along axis 1 or the last one")
    # argmax calls NaN the largest output, so that whatever class is at its place would be right or wrong by chance.
    right = torch.where(outputs.isnan().any(1), torch.nan, (chosen == classes).double())
    if reading.ignored is not None:
        return right[classes != reading.ignored]
    return right.flatten(1).mean(1) if right.dim() > 1 else right


def _refusal(name: str, why: str) -> InputError:
    return InputError("metrics", f"{name}, but {why}", "outputs (samples, classes, ...) with classes as targets", f'Leave "{name}" out')


ACCURACY = Metric("accuracy", correct, better="higher", declared=schema.variable("accuracy"), zero_one=True)
