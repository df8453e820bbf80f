"""Micro-batches: batches cut so that the largest activation stays in cache.

A tensor above the allocator's threshold is given back and faulted in anew at every call, which costs 1.4-1.9x on
usual networks (MNIST multilayer perceptrons, LeNet, ResNet-20; measured on one core). The rule looks at sizes, never
at a clock, so the same objective is cut the same way everywhere and its values repeat to the last bit. Where larger pieces
are faster, which depends on what the allocator keeps, a long evaluation measures that (`evaluators/selection.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from lossatlas.compute.objective.data.fixed_data import FrozenData, count_of
from lossatlas.compute.objective.module.batchnorm import batchnorm_layers
from lossatlas.compute.objective.scorer import Scorer

ACTIVATION_BYTES = 2 * 2**20
"""Aim for the largest activation of a micro-batch on a CPU."""
SMALLEST = 16
ESTIMATING = ("recalibrated", "anchored")
JOINED = 64


def micro_batches(scorer: Scorer) -> FrozenData:
    """The data in micro-batches, where that cannot change a sample's loss; else the data as they are.

    Left alone: losses that have only a mean, samples that see each other (BatchNorm on batch statistics, contrastive
    losses), and accelerators, which want large batches.
    """
    data = join_lone_samples(scorer.data, scorer.module, scorer.mode)
    device = next(iter(scorer.params.values())).device
    if not scorer.per_sample or scorer.mode != "eval" or device.type != "cpu" or scorer.module is None:
        return data
    size = _size(scorer)
    if size >= max(data.counts):
        return data
    cut = data.split(size)
    return cut if _same(scorer, cut) else data


def join_lone_samples(data: FrozenData, module: torch.nn.Module | None, mode: str) -> FrozenData:
    """The data without batches of one sample, where normalization layers take statistics from batches.

    One sample has no variance: BatchNorm refuses it, or divides by nothing. A last one joins the batch before; where all are
    alone and batches only serve to estimate statistics, they are joined 64 at a time. Left alone where they do not fit together.
    """
    if mode not in ("batch", "train", *ESTIMATING) or module is None or not batchnorm_layers(module) or len(data.counts) < 2:
        return data
    if max(data.counts) == 1 and mode in ESTIMATING:
        groups = [list(range(i, min(i + JOINED, data.samples))) for i in range(0, data.samples, JOINED)]
    elif data.counts[-1] == 1 < data.counts[-2]:
        groups = [[i] for i in range(len(data.counts))]
    else:
        return data
    if len(groups) > 1 and sum(data.counts[i] for i in groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    try:
        batches = tuple(_joined([(data.batches[i], data.counts[i]) for i in group]) for group in groups)
    except (RuntimeError, ValueError):  # sequences of other lengths
        return data
    return replace(data, batches=batches, counts=tuple(sum(data.counts[i] for i in group) for group in groups))


def _joined(parts: Sequence[tuple[Any, int]]) -> Any:
    """One batch of several; what has no entry a sample is the first one's."""

    def join(first: Any, *others: Any) -> Any:
        leaves = (first, *others)
        each = all(isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == count for leaf, (_, count) in zip(leaves, parts, strict=True))
        return torch.cat(leaves) if each and others else first

    return pytree.tree_map(join, *(batch for batch, _ in parts))


def _size(scorer: Scorer) -> int:
    """The largest power of two whose largest activation fits."""
    batch, count = scorer.data.batches[0], scorer.data.counts[0]
    watch = _Largest(count)
    with scorer.traceable(), watch:
        scorer.score(scorer.params, batch)
    fit = ACTIVATION_BYTES * count // max(watch.bytes, 1)
    return max(SMALLEST, 2 ** (fit.bit_length() - 1) if fit else SMALLEST)


def _same(scorer: Scorer, cut: FrozenData) -> bool:
    """The first piece alone gives its samples the losses that they have within the whole batch."""
    with scorer.no_autograd():
        whole = scorer.score(scorer.params, scorer.data.batches[0]).losses
        try:
            piece = scorer.score(scorer.params, cut.batches[0]).losses
        except Exception:
            return False
    tolerance = 1e-9 if whole.dtype == torch.float64 else 1e-3
    count = count_of(cut.batches[0])
    return piece.shape == (count,) and torch.allclose(piece, whole[:count], rtol=tolerance, atol=tolerance, equal_nan=True)


class _Largest(TorchDispatchMode):
    """Notes the largest tensor, in bytes, among those with one entry a sample."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples, self.bytes = samples, 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.dim() and leaf.shape[0] % self.samples == 0:
                self.bytes = max(self.bytes, leaf.numel() * leaf.element_size())
        return result
