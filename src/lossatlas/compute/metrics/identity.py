"""Identity of a metric of one's own: its code and the data it is measured on, compared before a surface is continued."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas._util.code_hash import same_code

SCALARS = (bool, int, float, complex, str, bytes, type(None), np.generic, torch.dtype, torch.device)
DIGITS = 32


def items_hash(items: Any) -> str | None:
    """Hash of the data that a metric is measured on: text, numbers, arrays, tensors, and containers of them; None for None."""
    if items is None:
        return None
    digest = hashlib.sha256()
    for part in _content(items):
        digest.update(part)
    return digest.hexdigest()[:DIGITS]


def edited_metrics(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Metrics of one's own that are other ones by now, in words."""
    labels = {"version": "version", "code": "code", "items": "items", "repeats": "repeats", "seed": "seed", "population": "population"}
    lines = []
    for name in sorted(set(stored) & set(asked)):
        before, now = stored[name], asked[name]
        changed = [key for key in labels if key in before and before[key] != now.get(key)]
        changed = [key for key in changed if key != "code" or not same_code(str(before[key]), str(now.get(key)))]
        if changed:
            lines.append(f"the {', '.join(labels[key] for key in changed)} of its metric {name} changed")
    return lines


def _content(thing: Any) -> Iterator[bytes]:
    yield type(thing).__name__.encode()
    if isinstance(thing, Tensor):
        thing = thing.detach().cpu().contiguous()
        yield f"{thing.dtype} {tuple(thing.shape)}".encode()
        yield thing.reshape(-1).view(torch.uint8).numpy().tobytes() if thing.numel() else b""
    elif isinstance(thing, np.ndarray):
        yield f"{thing.dtype} {thing.shape}".encode()
        yield repr(thing.tolist()).encode() if thing.dtype.hasobject else np.ascontiguousarray(thing).tobytes()
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _content(key)
            yield from _content(value)
    elif isinstance(thing, list | tuple):
        yield str(len(thing)).encode()
        for item in thing:
            yield from _content(item)
    elif isinstance(thing, SCALARS):
        yield repr(thing).encode()
