"""Lock that lets one recorder write a trajectory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from lossatlas.archive import Archive
from lossatlas.archive.lock import Lock
from lossatlas.compute.recording.storage.stored_arrays import cannot_write


class TrajectoryLock:
    """A recorder's lock; none where the archive has none.

    >>> TrajectoryLock(None).release()
    """

    def __init__(self, lock: Lock | None) -> None:
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()


@contextmanager
def locked_by(owner: object, archive: Archive, name: str) -> Iterator[TrajectoryLock]:
    """Lock a trajectory for as long as `owner` lives or until it releases the lock; a block that fails releases it.

    Raises:
        ArchiveError: another process or object records it.
    """
    with cannot_write(archive):
        lock = TrajectoryLock(archive.lock(name, "trajectories"))
    weakref.finalize(owner, lock.release)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
