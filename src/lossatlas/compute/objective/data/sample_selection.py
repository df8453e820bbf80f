"""Selection of samples from batches of any kind, in the order of the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas.compute.objective.data.beyond_memory import SourceBatches
from lossatlas.compute.objective.data.fixed_data import FrozenData, count_of


def take_samples(data: FrozenData, chosen: NDArray[np.int64]) -> FrozenData:
    """The samples numbered `chosen`, in ascending order, in batches no larger than the data's own.

    Pieces of several batches are joined where their shapes agree; sequences of other lengths stay apart.
    """
    if isinstance(data.batches, SourceBatches):
        size = data.batches.size
        pieces = [chosen[start : start + size] for start in range(0, len(chosen), size)]
        return replace(data, batches=tuple(map(data.batches.take, pieces)), counts=tuple(map(len, pieces)))
    starts = np.concatenate([[0], np.cumsum(data.counts)])
    of_batch = np.searchsorted(starts, chosen, side="right") - 1
    pieces = []
    for number in np.unique(of_batch):
        rows = torch.from_numpy(chosen[of_batch == number] - starts[number])
        count = data.counts[number]
        pieces.append(
            pytree.tree_map_only(
                Tensor, lambda t, rows=rows, count=count: t[rows.to(t.device)] if t.dim() and len(t) == count else t, data.batches[number]
            )
        )
    size = max(data.counts)
    joined: list[list[Any]] = []
    for piece in pieces:
        if joined and _fit(joined[-1][0], piece) and sum(map(count_of, joined[-1])) + count_of(piece) <= size:
            joined[-1].append(piece)
        else:
            joined.append([piece])
    batches = tuple(_join(group) for group in joined)
    return replace(data, batches=batches, counts=tuple(map(count_of, batches)))


def _fit(a: Any, b: Any) -> bool:
    """Same structure, same shapes but for the number of samples."""
    first, second = pytree.tree_leaves(a), pytree.tree_leaves(b)
    if pytree.tree_structure(a) != pytree.tree_structure(b):
        return False
    return all(
        not isinstance(x, Tensor) or (isinstance(y, Tensor) and x.shape[1:] == y.shape[1:]) for x, y in zip(first, second, strict=True)
    )


def _join(group: list[Any]) -> Any:
    if len(group) == 1:
        return group[0]
    counts = [count_of(piece) for piece in group]

    def cat(*leaves: Any) -> Any:
        each = all(isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == n for leaf, n in zip(leaves, counts, strict=True))
        return torch.cat(leaves) if each else leaves[0]

    return pytree.tree_map(cat, *group)
