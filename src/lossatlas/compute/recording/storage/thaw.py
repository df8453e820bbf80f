"""Parameters that begin to train in the middle of a recording: from the first row on they are stored in every row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lossatlas.archive.arrays import create_array, group_at
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.compute.recording.storage.stored_arrays import COLUMNS, cannot_write, create_matrix, write_rows
from lossatlas.compute.recording.storage.weight_store import WeightStore

ROWS = 16
"""Rows that are rewritten at a time."""


def store_in_every_row(store: WeightStore, names: Iterable[str]) -> WeightStore:
    """Rewrite the stored rows so that parameters stored once are part of each; one write of attributes makes them valid.

    Raises:
        ArchiveError: the disk is full or not writable; the recording is as before.
    """
    thawed, first = set(names), store.frozen
    attrs = dict(group_at(store.group, "weights").attrs)
    everything = store.complete(store.layout.unflatten(np.zeros(store.layout.size)))
    layout = ParamLayout.of({n: t for n, t in everything.items() if n in store.layout.names or n in thawed})
    number = int(str(attrs.get("theta", "theta")).removeprefix("theta") or 0) + 1
    weights, slots = group_at(store.group, "weights"), np.sort(store.slots)
    with cannot_write(store.archive):
        matrix = create_matrix(weights, f"theta{number}", layout.size, str(store.dtype))
        start = create_array(
            weights, f"start{number}", shape=(layout.size if store.delta else 0,), chunks=(COLUMNS,), dtype=layout.widest, dims=None
        )
        if store.delta:
            begin = store.layout.unflatten(store.decode(np.zeros((1, store.layout.size), store.dtype), slice(None))[0])
            start[:] = layout.flatten({**first, **begin}, layout.widest)
        for part in (slots[k : k + ROWS] for k in range(0, len(slots), ROWS)):
            rows = [store.layout.unflatten(store.theta(slice(int(slot), int(slot) + 1))[0]) for slot in part]
            values = np.stack([layout.flatten({**first, **row}, layout.widest) for row in rows])
            encoded = (values - start[:] if store.delta else values).astype(store.dtype)
            write_rows(matrix, part, encoded)
        old = [str(attrs.get("theta", "theta")), str(attrs.get("start", "start"))]
        stored_names = {new: stored for stored, new in store.names.items()}
        as_stored = replace(layout, names=tuple(stored_names.get(name, name) for name in layout.names))
        weights.attrs.update({**as_stored.attrs, "theta": f"theta{number}", "start": f"start{number}"})
        for name in old:
            del weights[name]
    store.update_attrs({"parameters": layout.size})
    return replace(store, layout=layout)
