"""Feed of an archive that is being written: a full state, then patches.

A patch is little-endian: surface u16, quantity u16, count u32, then `count` flat cell indices u32 and values f32.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas._util.text import format_duration
from lossatlas.archive import Archive
from lossatlas.errors import LossatlasError
from lossatlas.viz.compose.pages import combine
from lossatlas.viz.compose.running_training import PLANE, describe_state, recorded_trajectories
from lossatlas.viz.scene.model import Scene
from lossatlas.viz.web.payload import Payload, encode

MOST_CELLS = 4096
"""Cells a patch holds at most, so that a page draws between patches."""

NO_SURFACE_YET = "Waiting for a surface to appear in the archive"


@dataclass(frozen=True)
class ArchiveUpdate:
    """Changes since the last look: a new full state, patches, or neither; and progress in words."""

    payload: Payload | None = None
    patches: tuple[bytes, ...] = ()
    words: str = ""
    finished: bool = False


@dataclass
class ArchiveFeed:
    """Looks at archives among `things` again and again. `look` reads the disk and is meant for a thread of its own."""

    things: Sequence[Any]
    title: str | None = None
    _sent: Scene | None = None
    _scene: Scene | None = None
    _signature: Any = None
    _started: float = field(default_factory=time.monotonic)
    _first_count: int | None = None
    _encoded: tuple[Scene, Payload] | None = None

    def poll(self) -> ArchiveUpdate:
        """Compare the archives with what was last told."""
        signature = self._read_signature()
        if signature is None:
            return ArchiveUpdate(words=NO_SURFACE_YET)
        if signature != self._signature:
            return self._full_state(signature)
        if self._scene is not None and _shows_training(self._scene):
            return ArchiveUpdate(None, (), *self._progress(self._scene))
        before, self._scene = self._scene, self._gather()
        return ArchiveUpdate(None, _patches(before, self._scene), *self._progress(self._scene))

    @property
    def is_empty(self) -> bool:
        """Was there neither a surface nor a recorded row at the last look?"""
        return self._scene is None

    @property
    def follows_recording(self) -> bool:
        """Is what it shows a training whose recorder has not been closed, or an archive without anything yet?"""
        return self._scene is None or not describe_state(self.things)[1]

    def patches(self) -> tuple[bytes, ...]:
        """Patches for all cells that finished since the last new full state."""
        return _patches(self._sent, self._scene)

    def full_state(self) -> Payload | None:
        """The full state as last looked at, for a page that has just come (back); encoded once, however many come."""
        scene = self._scene
        if scene is None:
            return None
        if self._encoded is None or self._encoded[0] is not scene:
            self._encoded = scene, encode(scene, precision="float32", warnings=())
        return self._encoded[1]

    def progress(self) -> tuple[str, bool]:
        """Share computed and time left in words, and whether all is done."""
        return (NO_SURFACE_YET, False) if self._scene is None else self._progress(self._scene)

    def notes(self) -> list[list[str]]:
        """Notes of each surface now; a share computed, for one, grows with the cells."""
        return [] if self._scene is None else [list(surface.all_notes()) for surface in self._scene.surfaces]

    def _full_state(self, signature: Any) -> ArchiveUpdate:
        try:
            self._scene = self._sent = self._gather()
        except LossatlasError as error:
            return ArchiveUpdate(words=str(error))
        self._signature = signature
        text, finished = self._progress(self._scene)
        return ArchiveUpdate(self.full_state(), (), text, finished)

    def _gather(self) -> Scene:
        scene = combine(self.things)
        return scene if self.title is None else scene.replace(title=self.title)

    def _read_signature(self) -> Any:
        """Signature whose change makes pages start anew: names and shapes of surfaces, names and lengths of trajectories."""
        archives = [thing for thing in self.things if isinstance(thing, Archive)]
        surfaces = [
            (a.location, name, dict(a.surface(name).sizes), sorted(map(str, a.surface(name).data_vars)))
            for a in archives
            for name in a.surfaces
        ]
        trajectories = [(a.location, name, _length_of(a.trajectory(name))) for a in archives for name in a.trajectories]
        return (surfaces, trajectories) if surfaces or recorded_trajectories(archives) else None

    def _progress(self, scene: Scene) -> tuple[str, bool]:
        if _shows_training(scene):
            return describe_state(self.things)
        masks = [surface.done for surface in scene.surfaces if surface.done is not None]
        done, total = sum(int(mask.sum()) for mask in masks), sum(mask.size for mask in masks)
        if not total or done == total:
            return "", True
        if self._first_count is None:
            self._first_count, self._started = done, time.monotonic()
        gained, elapsed = done - self._first_count, time.monotonic() - self._started
        left = f" · {format_duration((total - done) * elapsed / gained)} left" if gained > 0 and elapsed > 2 else ""
        return f"{done:,} of {total:,} cells · {100 * done / total:.0f} %{left}", False


def _shows_training(scene: Scene) -> bool:
    return [surface.name for surface in scene.surfaces] == [PLANE]


def _length_of(trajectory: xr.Dataset) -> tuple[dict[Any, int], Any]:
    """Lengths and the last step, by which a recording that grows, is thinned or begins anew is told."""
    steps = trajectory["step"].values if "step" in trajectory else np.empty(0)
    return dict(trajectory.sizes), (int(steps[-1]) if len(steps) else None)


def _patches(old: Scene | None, new: Scene | None) -> tuple[bytes, ...]:
    """Patches for the cells that are done in `new` and were not in `old`, which holds the same surfaces."""
    if old is None or new is None:
        return ()
    return tuple(patch for index in range(len(old.surfaces)) for patch in _patches_of(index, old, new))


def _patches_of(index: int, old: Scene, new: Scene) -> list[bytes]:
    before, after = old.surfaces[index], new.surfaces[index]
    if after.done is None or before.done is None:
        return []
    cells = np.flatnonzero(after.done & ~before.done).astype(np.uint32)
    quantities = list(after.fields)
    parts = [cells[k : k + MOST_CELLS] for k in range(0, len(cells), MOST_CELLS)]
    return [patch(index, q, part, after.fields[name].values.reshape(-1)[part]) for part in parts for q, name in enumerate(quantities)]


def patch(surface: int, quantity: int, cells: NDArray[np.uint32], values: NDArray[np.float64]) -> bytes:
    """One patch as bytes.

    >>> len(patch(0, 1, np.arange(3, dtype=np.uint32), np.ones(3)))
    32
    """
    return struct.pack("<HHI", surface, quantity, len(cells)) + cells.astype("<u4").tobytes() + values.astype("<f4").tobytes()
