"""Hashes of tensors, equal on every machine for equal bytes."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SMALLEST_REMEMBERED = 2**14
LARGEST_REMEMBERED = 16 * 2**20
"""Bytes of tensors whose hash is remembered, with a copy of them; an evaluation over more data takes far longer than its hash."""
MOST_REMEMBERED = 32 * 2**20
"""Bytes of all copies together; those asked for longest ago go first."""


def hash_tensors(params: Mapping[str, Tensor]) -> str:
    """A hash of names, dtypes, shapes and bytes, the same on every machine of the same byte order."""
    names = sorted(params)
    if not isinstance(params, dict):  # tensors that are drawn or cast when asked for, one at a time
        return _hash_of(params, names)
    return remembered_hash(("tensors", *names), [params[name] for name in names], lambda: _hash_of(params, names))


def _hash_of(params: Mapping[str, Tensor], names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        update_hash(digest, name, params[name])
    return digest.hexdigest()[:32]


def update_hash(digest: Any, name: str, value: Tensor) -> None:
    """Feed one tensor to a running hash."""
    tensor = value.detach().cpu().contiguous()
    digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
    if tensor.numel():
        digest.update(_bytes_of(tensor).data)


def remembered_hash(kind: Hashable, tensors: Sequence[Tensor], compute: Callable[[], str]) -> str:
    """The hash of some tensors, from memory where it was computed before for these bytes.

    Weights and data may be written in place, through `.data` or an array that shares their memory, and no counter tells of that. So
    the bytes themselves are compared with a copy, which takes a ninth of the time of SHA-256 and cannot be wrong.

    Args:
        kind: what the hash depends on besides the tensors, such as their names.
        tensors: in order.
        compute: gives the hash.
    """
    size = sum(t.nbytes for t in tensors)
    if not SMALLEST_REMEMBERED <= size <= LARGEST_REMEMBERED or any(t.device.type != "cpu" for t in tensors):
        return compute()
    return _MEMORY.get((kind, tuple(map(id, tensors))), tensors, compute, size)


@dataclass(frozen=True)
class _Remembered:
    forms: tuple[tuple[torch.dtype, torch.Size], ...]
    copies: tuple[NDArray[np.uint8], ...]
    hash: str
    size: int

    def is_of(self, tensors: Sequence[Tensor]) -> bool:
        return self.forms == _forms(tensors) and all(np.array_equal(c, _bytes_of(t)) for c, t in zip(self.copies, tensors, strict=True))


@dataclass
class _HashMemory:
    """Hashes by the tensors that were asked for, oldest first."""

    entries: OrderedDict[Hashable, _Remembered] = field(default_factory=OrderedDict)
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable, tensors: Sequence[Tensor], compute: Callable[[], str], size: int) -> str:
        with self.lock:
            known = self.entries.get(key)
        if known is None or not known.is_of(tensors):
            known = _Remembered(_forms(tensors), tuple(_bytes_of(t).copy() for t in tensors), compute(), size)
        with self.lock:
            before = self.entries.pop(key, None)
            self.entries[key] = known
            self.size += known.size - (before.size if before else 0)
            while self.size > MOST_REMEMBERED:
                self.size -= self.entries.popitem(last=False)[1].size
        return known.hash


_MEMORY = _HashMemory()


def _forms(tensors: Sequence[Tensor]) -> tuple[tuple[torch.dtype, torch.Size], ...]:
    return tuple((t.dtype, t.shape) for t in tensors)


def _bytes_of(tensor: Tensor) -> NDArray[np.uint8]:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
