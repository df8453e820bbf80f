"""Hashes of tensors, equal on every machine for equal bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def hash_tensors(params: Mapping[str, Tensor]) -> str:
    """A hash of names, dtypes, shapes and bytes, the same on every machine of the same byte order."""
    digest = hashlib.sha256()
    for name in sorted(params):
        update_hash(digest, name, params[name])
    return digest.hexdigest()[:32]


def update_hash(digest: Any, name: str, value: Tensor) -> None:
    """Feed one tensor to a running hash."""
    tensor = value.detach().cpu().contiguous()
    digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
    if tensor.numel():
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
