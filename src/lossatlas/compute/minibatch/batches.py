"""Random subsets and batches of fixed data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas.analysis.sampling import Indices
from lossatlas.compute.objective.data.fixed_data import FrozenData, freeze_data
from lossatlas.errors import InputError


def take(data: FrozenData, indices: Indices | Sequence[int]) -> Any:
    """The batch of these samples, counted through all of the data's batches.

    Raises:
        InputError: samples that are not there, or data without samples.
    """
    whole = concatenate_batches(data)
    where = torch.as_tensor(np.asarray(indices, np.int64))
    if not len(where) or int(where.min()) < 0 or int(where.max()) >= data.samples:
        raise InputError("indices", f"{len(where)} samples", f"at least one, each from 0 to {data.samples - 1}")
    return pytree.tree_map_only(Tensor, lambda t: t[where.to(t.device)] if t.dim() and len(t) == data.samples else t, whole)


def concatenate_batches(data: FrozenData) -> Any:
    """All batches as one."""
    if len(data.batches) == 1:
        return data.batches[0]
    leaves, forms = zip(*(pytree.tree_flatten(batch) for batch in data.batches), strict=True)
    whole = [torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0] for parts in zip(*leaves, strict=True)]
    return pytree.tree_unflatten(whole, forms[0])


def random_subset(data: Any, count: int, *, seed: int = 0, batch_size: int | None = None) -> FrozenData:
    """`count` samples drawn without replacement, the same at every point of a surface; figures say so.

    Args:
        data: as for `Objective`.
        count: samples to draw.
        seed: of the draw.
        batch_size: samples a batch of the result.

    Returns:
        Data for an `Objective`, with a note of how many samples out of how many; standard errors then count how few
        samples are left undrawn, and are zero where none is.

    Raises:
        InputError: more samples than there are, or none.

    Example:
        >>> subset = random_subset(torch.arange(10.0), 4)
        >>> subset.samples, subset.population
        (4, 10)
    """
    whole = freeze_data(data)
    if not 1 <= count <= whole.samples:
        raise InputError("count", count, f"1 to {whole.samples:,}, the samples there are")
    chosen = np.sort(np.random.default_rng(seed).permutation(whole.samples)[:count])
    note = f"{count:,} of {whole.samples:,} samples, drawn at random (seed {seed}), the same at every point"
    drawn = freeze_data(take(whole, chosen), batch_size)
    return replace(drawn, note="; ".join(filter(None, (whole.note, note))), population=whole.samples)
