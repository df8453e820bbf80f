"""Store of the samples' values that multilevel sampling drew: a block of consecutive samples at some cells, one array a metric.

Blocks lie in the group ``draws/<surface>/<block>``, each metric over ``(cell, draw)`` with a mask ``done`` over ``(cell,)`` that is
written after the values, so that a killed run loses no more than a tile. An archive in memory keeps the values of the cells that
were drawn as they are here, as long as it lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.sync import sync

from lossatlas.archive.archive import Archive
from lossatlas.archive.arrays import DAMAGE, array_at, create_array, group_at, has_metadata, read_array, write_group
from lossatlas.archive.memory import MemoryGroup
from lossatlas.errors import ArchiveError

Array = NDArray[np.float64]
Rows = dict[str, Array]
"""By metric, ``(cells, samples of the block)``."""

KIND = "draws"
CHUNK_VALUES = 2**16


@dataclass
class SampleDraws:
    """Values of the samples drawn for one surface, in memory and in its archive.

    Attributes:
        archive: that holds the surface.
        name: of the surface.
        cells: of its grid.
        metrics: whose values are kept.
        dtype: they are stored in.
        rows: by block, the cells that are done and their values.
    """

    archive: Archive
    name: str
    cells: int
    metrics: tuple[str, ...]
    dtype: str
    rows: dict[int, tuple[NDArray[np.int64], Rows]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{KIND}/{self.name}"

    @property
    def attrs(self) -> dict[str, Any]:
        """Settings with which the samples were drawn; empty where none were."""
        if self.in_memory is not None:
            return dict(self.in_memory.get(self.path, ({},))[0])
        return dict(group_at(self.archive.root, self.path).attrs) if has_metadata(self.archive.root, self.path) else {}

    @property
    def in_memory(self) -> dict[str, Any] | None:
        """Draws of an archive in memory, by path: settings and `rows`; None of an archive that is stored."""
        root = self.archive.root
        return cast(MemoryGroup, root.store).sample_draws if isinstance(root, MemoryGroup) else None

    def begin(self, attrs: Mapping[str, Any]) -> None:
        """Lay out an empty store in place of an earlier one."""
        self.drop()
        if self.in_memory is not None:
            self.rows = {}
            self.in_memory[self.path] = dict(attrs), self.rows
            return
        root = self.archive.root
        if not has_metadata(root, KIND):
            write_group(root.store, "/".join(filter(None, (root.path, KIND))), {})
        root.create_group(self.path, overwrite=True, attributes=dict(attrs))

    def drop(self) -> None:
        """Remove all draws of the surface."""
        self.rows = {}
        self._delete(self.path)

    def load(self, blocks: Iterable[int]) -> None:
        """Read what an earlier run stored; a damaged block is drawn again."""
        if self.in_memory is not None:
            self.rows = self.in_memory[self.path][1]
            return
        for block in blocks:
            folder = f"{self.path}/{block}"
            if not has_metadata(self.archive.root, f"{folder}/done"):
                continue
            try:
                cells = np.flatnonzero(read_array(array_at(self.archive.root, f"{folder}/done")))
                arrays = {m: array_at(self.archive.root, f"{folder}/{m}").oindex[cells, slice(None)] for m in self.metrics}
                self.rows[block] = cells, {m: np.asarray(a, np.float64) for m, a in arrays.items()}
            except (ArchiveError, OSError, *DAMAGE):
                self._delete(folder)

    def missing(self, block: int, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the cells `wanted` whose values of this block are not there yet."""
        return wanted if block not in self.rows else wanted[~np.isin(wanted, self.rows[block][0])]

    def write(self, block: int, cells: NDArray[np.int64], values: Rows) -> None:
        """Store a finished tile, its values as they are kept: rounded to `dtype`."""
        values = {m: np.asarray(v, self.dtype).astype(np.float64) for m, v in values.items()}
        if self.in_memory is None:
            self._store(block, cells, values)
        old = self.rows.get(block)
        merged = values if old is None else {m: np.concatenate([old[1][m], v]) for m, v in values.items()}
        self.rows[block] = (cells if old is None else np.concatenate([old[0], cells])), merged

    def _store(self, block: int, cells: NDArray[np.int64], values: Rows) -> None:
        arrays, order = self._arrays(block, next(iter(values.values())).shape[1]), np.argsort(cells)
        for metric, rows in values.items():
            arrays[metric].oindex[cells[order], slice(None)] = rows[order].astype(self.dtype)
        arrays["done"].oindex[cells[order]] = np.ones(len(cells), bool)

    def of(self, block: int, metric: str, cells: NDArray[np.int64]) -> Array:
        """Values of a block at `cells`, which are done, ``(cells, samples)``."""
        there, rows = self.rows[block]
        order = np.argsort(there)
        return rows[metric][order[np.searchsorted(there, cells, sorter=order)]]

    def _delete(self, path: str) -> None:
        if self.in_memory is not None:
            self.in_memory.pop(path, None)
            return
        sync(self.archive.root.store.delete_dir("/".join(filter(None, (self.archive.root.path, path)))))

    def _arrays(self, block: int, samples: int) -> dict[str, zarr.Array[Any]]:
        folder, root = f"{self.path}/{block}", self.archive.root
        if not has_metadata(root, f"{folder}/done"):
            group = root.create_group(folder, overwrite=True)
            chunks = (max(1, min(self.cells, CHUNK_VALUES // samples)), samples)
            for metric in self.metrics:
                form = {"dtype": self.dtype, "fill_value": np.nan, "dims": ("cell", "draw")}
                create_array(group, metric, shape=(self.cells, samples), chunks=chunks, **form)
            create_array(group, "done", shape=(self.cells,), chunks=(self.cells,), dtype="bool", dims=("cell",), fill_value=False)
        return {name: array_at(root, f"{folder}/{name}") for name in (*self.metrics, "done")}
