"""Description of an objective: names of model and loss, shapes of a batch, units."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas.compute.objective.scorer import Scorer
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.layer_kinds import layers_by_mode


def shapes_of(batch: Any) -> str:
    return ", ".join(str(tuple(t.shape)) for t in pytree.tree_leaves(batch) if isinstance(t, Tensor)) or "none"


def name_of(function: Any) -> str:
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def units_of(loss_name: str) -> str:
    entropic = ("crossentropy", "nll", "kldiv", "bce", "binarycrossentropy")
    return "nats" if any(word in loss_name.lower().replace("_", "") for word in entropic) else ""


def describe(scorer: Scorer, model: Any, loss: Any, split: str | None, units: str | None) -> dict[str, Any]:
    """Provenance of an objective as plain JSON (`docs/format.md`, ``objective.*``)."""
    first = next(iter(scorer.params.values()))
    loss_name = name_of(loss) if loss is not None else "the model's own loss"
    return {
        "kind": "module" if scorer.module is not None else "callable",
        "model": type(model).__name__ if scorer.module is not None else name_of(model),
        "loss": loss_name,
        "units": units if units is not None else units_of(loss_name),
        "samples": scorer.data.samples,
        "population": scorer.data.population,
        "split": split,
        "data_hash": scorer.data.hash,
        "batch_size": max(scorer.data.counts),
        "batches": len(scorer.data.counts),
        "dtype": str(first.dtype).removeprefix("torch."),
        "device": str(first.device),
        "mode": scorer.mode,
        "mode_layers": layers_by_mode(scorer.module),
        "per_sample": scorer.per_sample,
        "note": scorer.data.note,
        "center_hash": hash_tensors(scorer.params),
    }
