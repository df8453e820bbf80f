"""Weights of a recording as plain arrays, for readers without torch; large models are sampled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas.archive.archive import Archive
from lossatlas.archive.arrays import array_at, exists, group_at, read_array
from lossatlas.archive.reading import stored_slots

MOST_VALUES = 2**23
"""Weights read at a time, 64 MB in float64."""
MOST_ROWS = 400


def read_recorded_weights(archive: Archive, name: str, most: int = MOST_VALUES) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Rows of a recording, evenly chosen with the first and the last, and their weights.

    Args:
        archive: where it lies.
        name: of the trajectory.
        most: weights to read in all. Of a larger model every so many-th weight is taken, the same of every row.

    Returns:
        The numbers of the rows ``(n,)`` and the weights ``(n, entries)``; None where no row is complete or no weight is stored.
    """
    group = group_at(archive.root, f"trajectories/{name}")
    if not exists(group, "weights") or "rows" not in group.attrs:
        return None
    attrs: dict[str, Any] = dict(group_at(group, "weights").attrs)
    theta, slots = array_at(group, f"weights/{attrs.get('theta', 'theta')}"), stored_slots(group.attrs)
    if not len(slots) or not theta.shape[1]:
        return None
    rows = np.unique(np.linspace(0, len(slots) - 1, min(MOST_ROWS, len(slots))).round().astype(np.int64))
    columns = slice(None, None, max(1, -(-theta.shape[1] * len(rows) // most)))
    weights = np.concatenate([read_array(theta, (slice(int(slot), int(slot) + 1), columns)) for slot in slots[rows]]).astype(np.float64)
    if attrs.get("delta"):
        weights += read_array(array_at(group, f"weights/{attrs.get('start', 'start')}"))[columns]
    return rows, weights
