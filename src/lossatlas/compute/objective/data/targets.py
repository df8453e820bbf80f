"""Targets of a classification loss: ignored index, class weights, one-hot or integer labels."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class TargetFormat:
    """Format in which accuracy reads the targets, the same for every batch.

    Attributes:
        ignored: the label that does not count; None where no target has it.
        are_probabilities: along axis 1 targets are the classes' shares, at least 0 and 1 in all, such as one-hot labels.
        class_axis_is_one: the loss is known to find the classes along axis 1 of the outputs.
        predicts_next: the model's own loss compares an output with the label after it, as of a causal language model.
    """

    ignored: int | None = None
    are_probabilities: bool = False
    class_axis_is_one: bool = False
    predicts_next: bool = False

    @classmethod
    def of(cls, loss: Any, targets: Iterable[Any]) -> TargetFormat:
        known = [t for t in targets if isinstance(t, Tensor)]
        label = ignored_label(loss)
        ignores = any(is_integer(t) and bool((t == label).any()) for t in known)
        return cls(label if ignores else None, bool(known) and all(map(_are_probabilities, known)), is_weighted_mean_loss(loss))


DEFAULT_TARGET_FORMAT = TargetFormat()


def loss_setting(loss: Any, name: str, default: Any = None) -> Any:
    """An option of a loss module, or of a function inside `functools.partial`."""
    keywords = loss.keywords if isinstance(loss, functools.partial) else {}
    return keywords.get(name, getattr(loss, name, default))


def ignored_label(loss: Any) -> int:
    """The target that a loss does not count."""
    return loss_setting(loss, "ignore_index", -100)


def is_integer(targets: Any) -> bool:
    """Targets that name classes."""
    return isinstance(targets, Tensor) and not targets.is_floating_point() and not targets.is_complex()


def is_weighted_mean_loss(loss: Any) -> bool:
    """PyTorch's cross-entropy: its mean over integer targets is divided by the summed weights of those that count."""
    plain = loss.func if isinstance(loss, functools.partial) else loss
    return plain in (F.cross_entropy, F.nll_loss) or isinstance(plain, nn.CrossEntropyLoss | nn.NLLLoss)


def is_mean_over_samples(loss: Any, targets: Iterable[Any]) -> bool:
    """Whether the mean of the per-sample losses can be the loss; not so where some targets count more than others, or not at all.

    `MultiMarginLoss` has weights too, and divides by the number of samples. Of a loss of one's own nobody knows.
    """
    plain = loss.func if isinstance(loss, functools.partial) else loss
    weighs = (
        isinstance(loss_setting(loss, "weight"), Tensor) and plain is not F.multi_margin_loss and not isinstance(plain, nn.MultiMarginLoss)
    )
    label = ignored_label(loss)
    return not any(is_integer(t) and (weighs or bool((t == label).any())) for t in targets)


def effective_count(targets: Any, loss: Any) -> float | None:
    """Weight of the mean over these targets: the number not ignored, or their classes' weights; None where they are no classes."""
    if not is_integer(targets):
        return None
    counted = targets[targets != ignored_label(loss)]
    weight = loss_setting(loss, "weight") if is_weighted_mean_loss(loss) else None
    return float(weight.to(counted.device).double()[counted.long()].sum()) if isinstance(weight, Tensor) else float(counted.numel())


def _are_probabilities(targets: Tensor) -> bool:
    if targets.dim() < 2 or targets.is_complex():
        return False
    total = targets.sum(1, dtype=torch.float64)
    return bool((targets >= 0).all()) and bool(torch.isclose(total, torch.ones_like(total), atol=1e-3).all())
