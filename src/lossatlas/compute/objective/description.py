"""Description of an objective: names of model and loss, shapes of a batch, units."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree


def shapes_of(batch: Any) -> str:
    return ", ".join(str(tuple(t.shape)) for t in pytree.tree_leaves(batch) if isinstance(t, Tensor)) or "none"


def name_of(function: Any) -> str:
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def units_of(loss_name: str) -> str:
    entropic = ("crossentropy", "nll", "kldiv", "bce", "binarycrossentropy")
    return "nats" if any(word in loss_name.lower().replace("_", "") for word in entropic) else ""
