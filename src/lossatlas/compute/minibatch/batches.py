"""Mini-batches as real training draws them: without replacement, by shuffled epochs; and subsets of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas._util.argument_checks import check_integer
from lossatlas.compute.objective.data import FrozenData, freeze_data
from lossatlas.errors import InputError

Indices = NDArray[np.int64]


def shuffled_batches(samples: int, batch_size: int, *, epochs: int = 1, seed: int = 0, drop_last: bool = True) -> list[Indices]:
    """Batches of `epochs` passes over the data, each pass in a new random order.

    Within a pass no sample comes twice, so its batches make up for one another: their mean is that of all the data.

    Args:
        samples: in the data.
        batch_size: samples a batch.
        epochs: passes.
        seed: of the orders.
        drop_last: leave out what is left of a pass that batches do not divide.

    Raises:
        InputError: a batch larger than the data, or a number below one.

    Example:
        >>> batches = shuffled_batches(6, 2, seed=1)
        >>> len(batches), sorted(np.concatenate(batches).tolist())
        (3, [0, 1, 2, 3, 4, 5])
    """
    check_batch_size(batch_size, samples)
    if epochs < 1:
        raise InputError("epochs", epochs, "at least one pass")
    random = np.random.default_rng(seed)
    orders = [random.permutation(samples) for _ in range(epochs)]
    end = samples // batch_size * batch_size if drop_last else samples
    return [order[start : min(start + batch_size, end)] for order in orders for start in range(0, end, batch_size)]


def check_batch_size(batch_size: int, samples: int) -> None:
    """Refuse a batch that the data cannot fill.

    Raises:
        InputError: below one, or larger than the data.
    """
    if not 1 <= batch_size <= samples:
        raise InputError("batch_size", batch_size, f"1 to {samples:,}, the samples there are")


def sampling_fpc(batch_size: int, samples: int) -> float:
    """``sqrt((N - B) / (N - 1))``: how much less the mean of B spreads when drawn without replacement.

    >>> finite_population(1, 100), finite_population(100, 100)
    (1.0, 0.0)
    """
    check_batch_size(batch_size, samples)
    return float(np.sqrt((samples - batch_size) / (samples - 1))) if samples > 1 else 0.0


def standard_error_fpc(samples: int, population: int | None) -> float:
    """``sqrt(1 - n / N)``: what is left of a standard error where n of N samples were drawn without replacement.

    With the unbiased variance ``s^2`` of the n this is ``sigma / sqrt(n) * sqrt((N - n) / (N - 1))``, for
    ``s^2 (N - 1) / N`` estimates ``sigma^2``. Without N the supply is endless.

    >>> undrawn(75, 100), undrawn(100, 100), undrawn(100, None)
    (0.5, 0.0, 1.0)

    Raises:
        InputError: fewer in the population than were drawn.
    """
    if population is not None:
        check_integer("population", population)
    if population is None:
        return 1.0
    if population < samples:
        raise InputError("population", population, f"at least the {samples:,} samples drawn, or None")
    return float(np.sqrt(1 - samples / population))


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
        InputError: more samples than there are.
    """
    whole = freeze_data(data)
    if not 1 <= count <= whole.samples:
        raise InputError("count", count, f"1 to {whole.samples:,}, the samples there are")
    chosen = np.sort(np.random.default_rng(seed).permutation(whole.samples)[:count])
    note = f"{count:,} of {whole.samples:,} samples, drawn at random (seed {seed}), the same at every point"
    drawn = freeze_data(take(whole, chosen), batch_size)
    return replace(drawn, note="; ".join(filter(None, (whole.note, note))), population=whole.samples)
