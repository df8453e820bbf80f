"""Weights with which per-batch means are averaged, and a check that the loss does not depend on the batching."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas._util.caller import caller_level
from lossatlas.compute.objective.data.fixed_data import FrozenData, count_of
from lossatlas.compute.objective.data.targets import effective_count, is_integer
from lossatlas.compute.objective.loss_functions import ModuleLoss, ScoreFunction, predicts_next_token, split_batch
from lossatlas.compute.objective.scorer import Scorer
from lossatlas.errors import InputError

TOLERANCES = {torch.float64: 1e-7, torch.float32: 3e-4}
"""Relative, by the dtype of the loss; rounding on an accelerator depends on the size of a batch."""
LOW_PRECISION = 3e-2


def batch_weights(function: ScoreFunction, data: FrozenData, per_sample: bool) -> tuple[float, ...]:
    """Weight of each batch's mean; the weights add up to the number of samples.

    A mean over targets counts for as many of them as are not ignored (label -100), each with the weight of its class, so that
    batches of padded sequences add up to the mean over all of their tokens. A batch in which nothing counts has weight 0.
    """
    counts = tuple(float(n) for n in data.counts)
    function = getattr(function, "base", function)  # another layout of the same loss weighs its batches alike
    if per_sample or not isinstance(function, ModuleLoss):
        return counts
    shift = predicts_next_token(function.module)
    weights = [_weight(function, batch, shift) for batch in data.batches]
    total = sum(w or 0.0 for w in weights)
    return counts if any(w is None for w in weights) or not total else tuple((w or 0.0) * data.samples / total for w in weights)


def check_batch_independence(scorer: Scorer) -> str | None:
    """Warn where a loss that has only a mean depends on how samples are put into batches, and return what figures should say.

    The loss of some samples together is compared with that of the same samples in two parts: the first ones of the data and
    the last ones, for data may be sorted.

    Raises:
        InputError: the loss is a sum over the batch.
    """
    data = scorer.data
    tied = scorer.mode in ("batch", "train") or getattr(scorer.function, "is_stochastic", False)  # by statistics, or by the draw of noise
    if scorer.per_sample or tied or len(data.batches) < 2:
        return None
    for parts in _probes(data):
        try:
            with scorer.no_autograd():
                one, again, *each = (scorer.score(scorer.params, part).losses.double() for part in (parts[0], *parts))
        except Exception:  # a model that takes batches of one size, or sequences of other lengths
            continue
        weights = batch_weights(scorer.function, FrozenData(parts[1:], tuple(map(count_of, parts[1:])), ""), False)
        apart = torch.stack([v * w for w, v in zip(weights, each, strict=True) if w]).sum() / sum(weights)
        tolerance = TOLERANCES.get(next(iter(scorer.params.values())).dtype, LOW_PRECISION)
        if _close(one, apart, tolerance) or not _close(one, again, tolerance):  # what is random is said so elsewhere
            continue
        if _close(one, each[0] + each[1], tolerance):
            raise InputError("loss", "a sum over the batch", "a mean", "A sum depends on the number of samples; means can be compared")
        return _warn(len(data.batches))
    return None


def _weight(function: ModuleLoss, batch: Any, shift: bool) -> float | None:
    targets = split_batch(batch, function.loss is not None)[1]
    shifted = function.loss is None and shift and is_integer(targets) and targets.dim() > 1
    return effective_count(targets[..., 1:] if shifted else targets, function.loss)


def _probes(data: FrozenData) -> Iterator[tuple[Any, Any, Any]]:
    """Some samples as one batch, and the same in two: from both ends of the data, and from the first batch alone."""
    first, last = data.batches[0], data.batches[-1]
    size = max(1, min(data.counts[0], data.counts[-1], max(data.counts) // 2))
    ends = _part(first, data.counts[0], slice(0, size)), _part(last, data.counts[-1], slice(data.counts[-1] - size, None))
    with suppress(RuntimeError, ValueError):  # sequences of other lengths
        yield _concatenate_batches(*ends), *ends
    half = data.counts[0] // 2
    if half:
        yield first, _part(first, data.counts[0], slice(0, half)), _part(first, data.counts[0], slice(half, None))


def _part(batch: Any, count: int, where: slice) -> Any:
    return pytree.tree_map_only(Tensor, lambda t: t[where] if t.dim() and len(t) == count else t, batch)


def _concatenate_batches(a: Any, b: Any) -> Any:
    size = count_of(a)
    return pytree.tree_map(lambda x, y: torch.cat([x, y]) if isinstance(x, Tensor) and x.dim() and len(x) == size else x, a, b)


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return bool(torch.allclose(a, b, rtol=tolerance, atol=1e-8, equal_nan=True))


def _warn(batches: int) -> str:
    note = f"the loss depends on which samples share a batch; values are means over {batches} batches"
    warnings.warn(
        f"{note[0].upper()}{note[1:]}. For the loss of all samples together make one batch of them (batch_size=len(data)); "
        'a loss that is a mean over samples should have the form reduction="none".',
        UserWarning,
        stacklevel=caller_level(),
    )
    return note
