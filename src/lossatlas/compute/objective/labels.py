"""Checks of class labels: labels that a classification loss cannot count are found before the run, in every batch."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from lossatlas.compute.objective.data.fixed_data import FrozenData
from lossatlas.compute.objective.data.targets import ignored_label
from lossatlas.compute.objective.loss_functions import split_batch
from lossatlas.errors import InputError

CLASS_LOSSES = ("cross_entropy", "nll_loss", "CrossEntropyLoss", "NLLLoss", "multi_margin_loss", "MultiMarginLoss")
"""Losses whose integer targets are classes, along the outputs' second axis."""


def check_labels(loss: Any, outputs: Any, data: FrozenData) -> None:
    """Refuse labels beyond the classes that the model tells apart.

    Args:
        loss: as it was given; other losses than `CLASS_LOSSES` are left alone.
        outputs: of the first batch, ``(samples, classes, ...)``.

    Raises:
        InputError: a label below 0 or from `classes` on, which is not the one that the loss ignores.
    """
    if _name(loss) not in CLASS_LOSSES or not isinstance(outputs, Tensor) or outputs.dim() < 2:
        return
    classes = outputs.shape[1]
    for number, batch in enumerate(data.batches):
        targets = split_batch(batch)[1]
        if not isinstance(targets, Tensor) or targets.is_floating_point():
            continue
        wrong = targets[(targets != ignored_label(loss)) & ((targets < 0) | (targets >= classes))]
        if len(wrong):
            shown = ", ".join(map(str, torch.unique(wrong).tolist()[:4]))
            raise InputError(
                "data",
                f"label {shown} in batch {number}",
                f"labels from 0 to {classes - 1}, for the model has {classes} outputs",
                "Look for labels that count from 1, or for a model of another task",
            )


def _name(loss: Any) -> str:
    plain = loss.func if isinstance(loss, functools.partial) else loss
    return type(plain).__name__ if isinstance(plain, torch.nn.Module) else getattr(plain, "__name__", "")
