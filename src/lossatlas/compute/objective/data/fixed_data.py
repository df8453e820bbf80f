"""Fixed data: every point of a landscape sees the same batches in the same order.

Tensors are cut into batches; a Dataset or DataLoader is read once and kept ("frozen"). A loader that shuffles or
a dataset that augments would otherwise give each point other data, and the surface would be noise. What does not fit in
memory stays where it is (`data_beyond_memory`).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler, default_collate

from lossatlas._util.argument_checks import check_integer
from lossatlas._util.caller import caller_level
from lossatlas.compute.objective.data.beyond_memory import ArrayReader, DatasetReader, SourceBatches, bytes_of
from lossatlas.compute.params.hashing import update_hash
from lossatlas.errors import InputError

DEFAULT_BATCH = 512
MAX_BYTES = 8 * 2**30
FROM_SOURCE = "data that fits in memory, or that reads the same each time: a map-style Dataset, a DataLoader in order, numpy.memmap"


@dataclass(frozen=True)
class FrozenData:
    """Batches that never change.

    Attributes:
        batches: each a tensor, a tuple ``(inputs, targets)`` or a dict, whatever the model takes; `SourceBatches` read them each time.
        counts: samples in each batch.
        hash: over every byte, in order.
        note: what was done to keep the data fixed, or None.
        population: how many samples these are a random subset of, drawn without replacement; None where that is not
            known, as if the supply were endless.
    """

    batches: tuple[Any, ...] | SourceBatches
    counts: tuple[int, ...]
    hash: str
    note: str | None = None
    population: int | None = None

    @property
    def samples(self) -> int:
        return sum(self.counts)

    @property
    def bytes(self) -> int:
        """Held in memory: of what is read from its source, one batch."""
        if isinstance(self.batches, SourceBatches):
            return self.batches.sample_bytes * self.batches.size
        leaves = [leaf for batch in self.batches for leaf in pytree.tree_leaves(batch) if isinstance(leaf, Tensor)]
        return sum(leaf.numel() * leaf.element_size() for leaf in leaves)

    def single_batch(self, number: int) -> FrozenData:
        """One batch alone, for probes."""
        return replace(self, batches=self.batches[number : number + 1], counts=self.counts[number : number + 1])

    def with_note(self, *notes: str | None) -> FrozenData:
        """The same data with more to say about them; what is said already is not repeated."""
        more = [note for note in notes if note and note not in (self.note or "")]
        return replace(self, note="; ".join(filter(None, (self.note, *more))) or None)

    def split(self, size: int) -> FrozenData:
        """The same samples in the same order, no batch larger than `size`; pieces are views."""
        if isinstance(self.batches, SourceBatches):
            smaller = self.batches.split(size)
            return replace(self, batches=smaller, counts=smaller.counts)
        pieces = [piece for batch, count in zip(self.batches, self.counts, strict=True) for piece in _pieces(batch, count, size)]
        return replace(self, batches=tuple(pieces), counts=tuple(count_of(piece) for piece in pieces))

    def __getstate__(self) -> dict[str, Any]:
        """Views are copied before they travel: each would take the whole tensor along."""
        if isinstance(self.batches, SourceBatches):
            return dict(self.__dict__)
        compact = (
            pytree.tree_map_only(Tensor, lambda t: t.clone() if t.untyped_storage().nbytes() > t.nbytes else t, b) for b in self.batches
        )
        return {**self.__dict__, "batches": tuple(compact)}

    def map(self, change: Callable[[Tensor], Tensor]) -> FrozenData:
        """The same data after `change` of every tensor (a cast, a move); the hash stays that of the original."""
        if isinstance(self.batches, SourceBatches):
            return replace(self, batches=self.batches.map(change))
        return replace(self, batches=tuple(pytree.tree_map_only(Tensor, change, b) for b in self.batches))


def freeze_data(data: Any, batch_size: int | None = None, samples: int | None = None) -> FrozenData:
    """Read `data` once: ``(x, y)`` tensors or arrays, a list of batches or of samples as dicts, a Dataset, a DataLoader; None for no data.

    More than 8 GiB in a map-style Dataset, in an unshuffled DataLoader of one, or in arrays over `numpy.memmap` stay where they are
    and are read anew for every pass, in the order of the samples.

    Args:
        data: what to evaluate on.
        batch_size: samples a batch; a DataLoader keeps its own.
        samples: use the first so many samples only.

    Raises:
        InputError: empty, of unequal lengths, or too large to keep in memory and not the same when read again.
    """
    if batch_size is not None:
        batch_size = check_integer("batch_size", batch_size, least=1)
    if samples is not None:
        samples = check_integer("samples", samples, least=1)
    if isinstance(data, FrozenData):
        return data if batch_size is None else data.split(batch_size)
    if data is None:
        return FrozenData((None,), (1,), "none")
    with torch.random.fork_rng(devices=[]):  # shuffling and augmenting leave the caller's random numbers alone
        return _read(data, batch_size, samples)


def _read(data: Any, batch_size: int | None, samples: int | None) -> FrozenData:
    if (batches := _too_large(data, batch_size, samples)) is not None:
        return FrozenData(batches, batches.counts, batches.hash())
    if isinstance(data, DataLoader):
        return _freeze(_first(data, samples), _note_of(data))
    if isinstance(data, Dataset) or _are_samples(data):
        loader = DataLoader(data, batch_size=batch_size or DEFAULT_BATCH, shuffle=False, collate_fn=_collate)
        return _freeze(_first(loader, samples), _augmentation_note(data))
    if isinstance(data, Iterable) and not isinstance(data, Sequence | Mapping | Tensor) and not hasattr(data, "__array__"):
        return _freeze(_first(data, samples), "read once from an iterable")
    if _are_batches(data):
        read = _freeze(_first(data, samples), None)
        return read if batch_size is None else read.split(batch_size)
    return _cut(_as_tensors(data), batch_size or DEFAULT_BATCH, samples)


def _too_large(data: Any, batch_size: int | None, samples: int | None) -> SourceBatches | None:
    """Batches read from their source each time, of data that do not fit in memory; None of others, or where their size is not known.

    Raises:
        InputError: they are not the same when read again.
    """
    if isinstance(data, tuple | list | dict) and any(isinstance(leaf, np.memmap) for leaf in pytree.tree_leaves(data)):
        lengths, total = {len(leaf) for leaf in pytree.tree_leaves(data)}, bytes_of(data)
        if total <= MAX_BYTES or len(lengths) != 1:
            return None
        (count,) = lengths
        each = total // count
        return SourceBatches(ArrayReader(_plain(data)), min(count, samples or 2**62), batch_size or DEFAULT_BATCH, each)
    dataset, collate, size = data, _collate, batch_size or DEFAULT_BATCH
    if isinstance(data, DataLoader):
        dataset, collate, size = data.dataset, data.collate_fn, data.batch_size or DEFAULT_BATCH
    if isinstance(dataset, IterableDataset) or not (
        isinstance(dataset, Dataset) or (_are_samples(dataset) and not isinstance(dataset, list))
    ):
        return None
    try:
        count = min(len(dataset), samples or 2**62)  # type: ignore[arg-type]
        each = bytes_of(_as_tensors(collate([dataset[0]])))
    except (TypeError, ValueError, LookupError, RuntimeError):  # no length, other keys than numbers, or samples that cannot be had alone
        return None
    if count * each <= MAX_BYTES:
        return None
    _refuse_other_samples_each_time(data, dataset)
    return SourceBatches(DatasetReader(dataset, collate, _as_tensors), count, size, each)


def _refuse_other_samples_each_time(data: Any, dataset: Any) -> None:
    reason = None
    if isinstance(data, DataLoader) and (data.batch_size is None or not isinstance(data.sampler, SequentialSampler)):
        reason = f"a DataLoader that {_order_of(data)}" if data.batch_size is not None else "a DataLoader with batches of its own"
    elif _augments(dataset):
        reason = "a dataset that augments at random"
    if reason:
        raise InputError(
            "data", f"more than 8 GiB from {reason}", FROM_SOURCE, "Pass the dataset itself without it, or samples=N for the first N"
        )


def count_of(batch: Any) -> int:
    """Samples in a batch: the length of its first tensor.

    >>> count_of((torch.zeros(7, 3), torch.zeros(7)))
    7
    """
    tensors = [leaf for leaf in pytree.tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.dim() > 0]
    return len(tensors[0]) if tensors else 1


def _pieces(batch: Any, count: int, size: int) -> Iterator[Any]:
    """Equal pieces but for the last."""
    if count <= size:
        yield batch
        return
    for start in range(0, count, size):
        yield pytree.tree_map_only(Tensor, lambda t, s=start: t[s : s + size] if t.dim() and len(t) == count else t, batch)


def _as_tensors(data: Any) -> Any:
    return pytree.tree_map(_tensor_of, _plain(data))


def _tensor_of(leaf: Any) -> Tensor:
    try:
        return leaf if isinstance(leaf, Tensor) else torch.as_tensor(leaf)
    except (TypeError, ValueError, RuntimeError) as error:
        step = "Pass the order model, loss, data" if callable(leaf) else "Leave text and other objects out of the batches (collate_fn=)"
        description = getattr(leaf, "__name__", None) or f"{type(leaf).__name__} {leaf!r}"
        raise InputError("data", description, "tensors, arrays or numbers", step) from error


def _plain(data: Any) -> Any:
    """Lists of two are what loaders return for (inputs, targets): tuples; a tokenizer's batch is a dict."""
    if isinstance(data, Mapping):
        return {key: _tensor_of(value) if isinstance(value, list) else value for key, value in data.items()}
    return tuple(data) if isinstance(data, list) else data


def _are_batches(data: Any) -> bool:
    """A list of tuples, lists or dicts of arrays, such as ``list(loader)``; a list of arrays is one (inputs, targets)."""
    return isinstance(data, list) and bool(data) and all(isinstance(b, tuple | list | Mapping) and _has_array(b) for b in data)


def _are_samples(data: Any) -> bool:
    """A list of single samples as dicts, as a tokenizer maps them, or a table that gives such dicts by number."""
    if isinstance(data, list):
        return bool(data) and all(isinstance(sample, Mapping) and _is_sample(sample) for sample in data)
    by_number = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__array__")
    if not by_number or isinstance(data, Sequence | Mapping | Tensor | str) or not len(data):
        return False
    first = data[0]
    return isinstance(first, Mapping) and _is_sample(first)


def _is_sample(sample: Mapping[Any, Any]) -> bool:
    """A dict of numbers, of lists, or of tokens without an axis of samples."""
    if "input_ids" in sample:
        return torch.as_tensor(sample["input_ids"]).dim() == 1
    return any(not hasattr(value, "shape") or not len(value.shape) for value in sample.values())


def _collate(samples: list[Any]) -> Any:
    """A batch of samples; of dicts each entry is stacked.

    Raises:
        InputError: entries of unequal lengths.
    """
    if not isinstance(samples[0], Mapping):
        return default_collate(samples)
    try:
        return {key: torch.stack([_tensor_of(sample[key]) for sample in samples]) for key in samples[0]}
    except (RuntimeError, KeyError) as error:
        advice = "Pad them to one length, or pass DataLoader(data, batch_size=..., collate_fn=...)"
        raise InputError("data", f"samples that differ ({error})", "samples of equal lengths and names", advice) from error


def _has_array(batch: Any) -> bool:
    leaves = [leaf for leaf in pytree.tree_leaves(_plain(batch)) if hasattr(leaf, "shape")]
    return bool(leaves) and all(len(leaf.shape) > 0 for leaf in leaves)


def _cut(data: Any, batch_size: int, samples: int | None) -> FrozenData:
    leaves = pytree.tree_leaves(data)
    lengths = {len(leaf) if leaf.dim() else 0 for leaf in leaves}
    if len(lengths) != 1:
        step = "Make a list of samples into batches with DataLoader(samples, batch_size=...)" if 0 in lengths else ""
        raise InputError("data", f"tensors of lengths {sorted(lengths)}", "inputs and targets with the same number of samples", step)
    total = min(lengths.pop(), samples or 2**62)
    starts = range(0, total, batch_size)
    return _freeze((pytree.tree_map(lambda t, s=s: t[s : min(s + batch_size, total)], data) for s in starts), None)


def _freeze(batches: Iterable[Any], note: str | None) -> FrozenData:
    digest, frozen, counts, size = hashlib.sha256(), [], [], 0
    for batch in batches:
        batch = _as_tensors(batch)
        for leaf in pytree.tree_leaves(batch):
            update_hash(digest, str(len(frozen)), leaf)
            size += leaf.element_size() * leaf.numel()
        if size > MAX_BYTES:
            raise InputError("data", "more than 8 GiB", FROM_SOURCE, "Pass samples=N to evaluate on the first N samples")
        frozen.append(batch)
        counts.append(count_of(batch))
    if not sum(counts):
        raise InputError("data", "no samples", "at least one sample", "Check the dataset's length and its filter")
    return FrozenData(tuple(frozen), tuple(counts), digest.hexdigest()[:32], note)


def _first(batches: Iterable[Any], samples: int | None) -> Iterable[Any]:
    left = samples if samples is not None else 2**62
    for batch in batches:
        # A generator may fill one buffer again and again.
        batch = pytree.tree_map(torch.clone, _as_tensors(batch))
        count = count_of(batch)
        if count > left:
            batch = pytree.tree_map(lambda t, left=left: t[:left], batch)
        yield batch
        left -= count
        if left <= 0:
            return


def _note_of(loader: DataLoader[Any]) -> str | None:
    """Say so when a loader would have given other data on every pass."""
    if isinstance(loader.dataset, IterableDataset):
        return "an iterable dataset, read once"
    if not isinstance(loader.sampler, SequentialSampler):
        return _warn(f"the DataLoader {_order_of(loader)}: its batches were read once and frozen, so every point sees the same data")
    return _augmentation_note(loader.dataset)


def _order_of(loader: DataLoader[Any]) -> str:
    return "shuffles" if isinstance(loader.sampler, RandomSampler) else f"uses {type(loader.sampler).__name__}"


def _augmentation_note(dataset: Any) -> str | None:
    if not _augments(dataset):
        return None
    return _warn("the dataset augments at random: each sample was drawn once and frozen, so every point sees the same data")


def _augments(dataset: Any) -> bool:
    """Read the first sample twice: a dataset that augments gives two different ones."""
    try:
        first, second = _as_tensors(dataset[0]), _as_tensors(dataset[0])
    except (TypeError, ValueError, LookupError, RuntimeError):  # its samples go by other keys than 0, or cannot be had one by one
        return False
    return not all(torch.equal(a, b) for a, b in zip(pytree.tree_leaves(first), pytree.tree_leaves(second), strict=True))


def _warn(note: str) -> str:
    warnings.warn(
        f"{note[0].upper()}{note[1:]}. Pass an unshuffled, unaugmented loader to silence this.", UserWarning, stacklevel=caller_level()
    )
    return note
