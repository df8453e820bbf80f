"""Identity of an objective: hashes of data, buffers, model and loss, independent of process and batching.

What the model and the loss do with them is compared by measuring some cells again (`resume`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas._util.code_hash import same_code
from lossatlas.compute.objective.data.beyond_memory import SourceBatches
from lossatlas.compute.objective.data.fixed_data import FrozenData
from lossatlas.compute.objective.module.batchnorm import statistics_names
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.hashing import hash_tensors, remembered_hash, update_hash
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.plane import Plane

LABELS = {
    "samples": "the data are others",
    "batches": "the data are cut into other batches, on which this loss or mode depends",
    "buffers": "the buffers (such as BatchNorm statistics) are others",
    "weights": "the weights beside those of the plane are others",
    "code": "the function is another one",
}
"""By key of `identity`, what a difference means."""


def identity(objective: Objective, plane: Plane) -> dict[str, str]:
    """Properties that must agree for a surface to be continued, besides the plane and what the description says in words."""
    return {
        "samples": samples_hash(objective.data),
        "batches": _batches(objective),
        "buffers": _buffers(objective, plane),
        "weights": hash_tensors({n: p for n, p in objective.params.items() if n not in plane.center}),
        **({"code": objective.description["code"]} if "code" in objective.description else {}),
    }


def describe_differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """In what two identities differ, in words. Keys that the older one lacks are not compared."""
    return [label for key, label in LABELS.items() if key in stored and not _same(key, str(stored[key]), str(asked.get(key)))]


def _same(key: str, stored: str, asked: str) -> bool:
    return same_code(stored, asked) if key == "code" else stored == asked


def samples_hash(data: FrozenData) -> str:
    """A hash of all samples in order, whatever batches they are cut into.

    >>> from lossatlas.compute.objective.data.fixed_data import freeze_data
    >>> x = torch.arange(10.0)
    >>> samples_hash(freeze_data(x, batch_size=3)) == samples_hash(freeze_data(x, batch_size=10))
    True
    >>> samples_hash(freeze_data(x)) == samples_hash(freeze_data(x + 1))
    False
    """
    if isinstance(data.batches, SourceBatches):
        return data.hash
    placed = [(pytree.keystr(place), leaf) for batch in data.batches for place, leaf in pytree.tree_leaves_with_path(batch)]
    placed = [(place, leaf) for place, leaf in placed if isinstance(leaf, Tensor)]
    return remembered_hash(("samples", *(place for place, _ in placed)), [leaf for _, leaf in placed], lambda: _samples_hash(placed))


def _samples_hash(placed: Sequence[tuple[str, Tensor]]) -> str:
    digests: dict[str, Any] = {}
    last: dict[str, Tensor] = {}
    for place, leaf in placed:
        key = f"{place}|{leaf.dtype}|{tuple(leaf.shape[1:])}"
        digest = digests.setdefault(key, hashlib.sha256())
        if leaf.dim():
            digest.update(leaf.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data if leaf.numel() else b"")
        elif key not in last or not torch.equal(last[key], leaf):  # every piece of a batch repeats it
            update_hash(digest, "", leaf)
            last[key] = leaf
    return hashlib.sha256(str([(key, digest.hexdigest()) for key, digest in sorted(digests.items())]).encode()).hexdigest()[:32]


def _batches(objective: Objective) -> str:
    """Hash of the division into batches, where that matters beyond rounding: samples that see each other."""
    alone = objective.per_sample and objective.mode in ("eval", "interpolated")
    return "any" if alone else hashlib.sha256(str(objective.data.counts).encode()).hexdigest()[:32]


def _buffers(objective: Objective, plane: Plane) -> str:
    """Those that have a say: running statistics have none where every batch or point brings its own."""
    if objective.module is None:
        return "none"
    model_buffers: Params = dict(objective.module.named_buffers())
    if objective.mode in ("batch", "train", "recalibrated") or (objective.mode == "anchored" and all(m.buffers for m in plane.models)):
        model_buffers = {n: b for n, b in model_buffers.items() if n not in statistics_names(objective.module)}
    if objective.mode in ("interpolated", "anchored") and len(plane.buffers) > 1:
        model_buffers = {n: b for n, b in model_buffers.items() if n not in plane.buffers[0]}
        model_buffers |= {f"{index} {n}": b for index, several in enumerate(plane.buffers) for n, b in several.items()}
    if objective.mode == "anchored":
        model_buffers |= {f"model {index} {n}": b for index, model in enumerate(plane.models) for n, b in model.buffers.items()}
    return hash_tensors({n: b for n, b in model_buffers.items() if not n.endswith("num_batches_tracked")})
