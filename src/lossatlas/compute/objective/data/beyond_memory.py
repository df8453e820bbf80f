"""Batches of data that do not fit in memory, read from their source each time they are asked for.

A map-style Dataset and arrays over a memory map give the same samples however often they are read. What shuffles, augments or can be
read only once would give each point of a surface other data, and is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas.compute.params.hashing import update_hash

HASHED_AT_ONCE = 512
PIECE_BYTES = 256 * 2**20
"""Samples drawn at random are read in pieces of so much."""

Read = Callable[[NDArray[np.int64]], Any]
"""Samples by number, in ascending order, as one batch of tensors."""


@dataclass(frozen=True, eq=False)
class SourceBatches(Sequence[Any]):
    """Batches of consecutive samples, read anew at every access.

    Attributes:
        read: some of the samples.
        samples: how many there are.
        size: of a batch; the last may be smaller.
        sample_bytes: of one sample at its source.
        changes: made to every tensor that was read, one after the other: casts, moves, layouts.
    """

    read: Read
    samples: int
    size: int
    sample_bytes: int
    changes: tuple[Callable[[Tensor], Tensor], ...] = ()

    def __len__(self) -> int:
        return -(-self.samples // self.size)

    @overload
    def __getitem__(self, number: int) -> Any: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, number: int | slice) -> Any:
        if isinstance(number, slice):
            return tuple(self[index] for index in range(len(self))[number])
        start = range(len(self))[number] * self.size
        return self.take(np.arange(start, min(start + self.size, self.samples)))

    @property
    def counts(self) -> tuple[int, ...]:
        """Samples in each batch."""
        return tuple(min(self.size, self.samples - start) for start in range(0, self.samples, self.size))

    def take(self, chosen: NDArray[np.int64]) -> Any:
        """Samples by number, in ascending order, as one batch."""
        batch = self.read(chosen)
        for change in self.changes:
            batch = pytree.tree_map_only(Tensor, change, batch)
        return batch

    def split(self, size: int) -> SourceBatches:
        return replace(self, size=min(size, self.size))

    def map(self, change: Callable[[Tensor], Tensor]) -> SourceBatches:
        return replace(self, changes=(*self.changes, change))

    @property
    def samples_at_once(self) -> int:
        """Samples that `PIECE_BYTES` hold."""
        return max(self.size, PIECE_BYTES // max(self.sample_bytes, 1))

    def hash(self) -> str:
        """Over every byte, in order, whatever the size of a batch."""
        digest = hashlib.sha256()
        for number, batch in enumerate(replace(self, size=HASHED_AT_ONCE)):
            for leaf in pytree.tree_leaves(batch):
                update_hash(digest, str(number), leaf)
        return digest.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class DatasetReader:
    """Reads samples of a map-style Dataset and collates them."""

    dataset: Any
    collate: Callable[[list[Any]], Any]
    as_tensors: Callable[[Any], Any]

    def __call__(self, chosen: NDArray[np.int64]) -> Any:
        return self.as_tensors(self.collate([self.dataset[int(index)] for index in chosen]))


@dataclass(frozen=True, eq=False)
class ArrayReader:
    """Reads rows of arrays, of which some are memory maps."""

    arrays: Any

    def __call__(self, chosen: NDArray[np.int64]) -> Any:
        return pytree.tree_map(lambda leaf: _rows(leaf, chosen), self.arrays)


def _rows(leaf: Any, chosen: NDArray[np.int64]) -> Tensor:
    """A copy: the memory map may be read-only, and its pages are given back."""
    return leaf[torch.from_numpy(chosen)] if isinstance(leaf, Tensor) else torch.from_numpy(np.array(leaf[chosen]))


def bytes_of(batch: Any) -> int:
    """Of all tensors and arrays in it."""
    return sum(leaf.nbytes for leaf in pytree.tree_leaves(batch) if isinstance(leaf, Tensor | np.ndarray))
