"""Buffer of recorded rows: flushed by time, by size and at interpreter exit."""

from __future__ import annotations

import atexit
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lossatlas.compute.recording.storage.weight_store import Row, WeightStore
from lossatlas.errors import LossatlasError

FLUSH_SECONDS = 10.0
FLUSH_BYTES = 64 * 2**20
FLUSH_COST_RATIO = 100
"""By default storing waits for so many times what it took the last time, and so costs about a percent of a training's time."""


class RowBuffer:
    """Recorded rows on their way to the store.

    Args:
        store: where they go.
        seconds: how long they wait; None waits 10 seconds, longer where storing is slow.
        limit: stored rows that stay, the others are replaced by the first row added; None keeps all.
    """

    def __init__(self, store: WeightStore, seconds: float | None, limit: int | None = None) -> None:
        self.store = store
        self._seconds, self._rows_to_keep = seconds, limit
        self._rows: list[Row] = []
        self._bytes = 0
        self._process = os.getpid()
        self._flushed, self._storing = time.monotonic(), 0.0

    def add(self, row: Row) -> None:
        """Keep a row, and store all where it is time to."""
        self._rows.append(row)
        self._bytes += row.nbytes
        patience = max(FLUSH_SECONDS, FLUSH_COST_RATIO * self._storing) if self._seconds is None else self._seconds
        if time.monotonic() - self._flushed > patience or self._bytes >= FLUSH_BYTES:
            self.flush()

    def __len__(self) -> int:
        """Rows that stay once all are stored."""
        return (self.store.rows if self._rows_to_keep is None else self._rows_to_keep) + len(self._rows)

    def thin(self, due: Callable[[int], bool], attrs: Mapping[str, Any]) -> None:
        """Forget the rows whose step is not due, stored or not; `attrs` of the recording change with them."""
        self._rows = [row for row in self._rows if due(row.step)]
        self._bytes = sum(row.nbytes for row in self._rows)
        if self._rows_to_keep is not None:
            self.flush()
        self.store.thin(np.array([due(int(step)) for step in self.store.steps], dtype=bool), attrs)

    def update_last(self, name: str, value: float) -> None:
        """Correct one number of the last row, stored or not."""
        if self._rows:
            self._rows[-1] = replace(self._rows[-1], values={**self._rows[-1].values, name: value})
        else:
            self.store.update_last(name, value)

    def flush(self) -> None:
        """Store every row; where not all can be, as many as can, in order. The others stay and are tried again.

        Raises:
            ArchiveError: the disk is full or not writable.
        """
        began = time.monotonic()
        try:
            self._store(len(self._rows))
        except LossatlasError:
            while self._rows:
                self._store(1)
        self._flushed = time.monotonic()
        self._storing = self._flushed - began

    def flush_at_exit_of(self, owner: object) -> weakref.finalize[..., object]:
        """Also store what waits when `owner` is forgotten or the interpreter ends; ``detach()`` calls that off."""
        last = weakref.finalize(owner, self._flush_at_exit)
        last.atexit = False
        # Zarr writes in threads, and none can be started once functions of `atexit` run: those of `threading` come before.
        getattr(threading, "_register_atexit", atexit.register)(last)
        return last

    def _store(self, count: int) -> None:
        self.store.append(self._rows[:count], self._rows_to_keep)
        if count:
            self._rows_to_keep = None
        self._bytes -= sum(row.nbytes for row in self._rows[:count])
        del self._rows[:count]

    def _flush_at_exit(self) -> None:
        if os.getpid() != self._process:  # a forked worker, such as a DataLoader's, ends too
            return
        try:
            self.flush()
        except Exception as error:
            warnings.warn(f"Recorded rows of {self.store.name!r}, {len(self._rows)} of them, are lost: {error}", stacklevel=2)
