"""At most one writer of a surface: an operating system's lock on a small file in the archive's folder.

The system gives the lock back however its process ends, so no lock outlives a kill and none must ever be removed by hand.
A file that a kill left behind means nothing: only the lock on it counts. Readers take none.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lossatlas.errors import ArchiveError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PREFIX = ".lock-"
"""Of the files' names; a reader passes over them."""

BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What a system says where another process holds the lock; anything else means that the file system has no locks."""

FAR = 2**30
"""The byte that Windows locks: beyond the words in the file, which others want to read."""


@dataclass
class _Held:
    """A lock of this process. POSIX locks belong to processes, so threads are told apart here."""

    file: int
    process: int
    thread: int
    depth: int = 1


_held: dict[Path, _Held] = {}
_guard = threading.Lock()


@contextmanager
def held(folder: Path, kind: str, name: str) -> Iterator[None]:
    """Hold the lock of one surface or trajectory while the block runs; the same thread may take it again within.

    Raises:
        ArchiveError: another process or thread holds it.
        OSError: nothing can be written into `folder`.
    """
    path = folder.resolve() / f"{PREFIX}{hashlib.sha256(f'{kind}/{name}'.encode()).hexdigest()[:16]}"
    if not _take(path):
        raise ArchiveError(
            f"{_holder(path)} is writing {name!r} of {folder}. Wait until it has ended or stop it; another name= or archive= is free."
        )
    try:
        yield
    finally:
        _give_back(path)


def _take(path: Path) -> bool:
    with _guard:
        mine = _held.get(path)
        if mine is not None and mine.process == os.getpid():
            if mine.thread != threading.get_ident():
                return False
            mine.depth += 1
            return True
        # A forked child inherits the table, not the locks.
        file = _locked(path)
        if file is None:
            return False
        _held[path] = _Held(file, os.getpid(), threading.get_ident())
        return True


def _locked(path: Path) -> int | None:
    """An open and locked file at `path`, or None where another process has it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(file):
            os.close(file)
            return None
        # The last holder removes the file: what was locked must still be what others will find.
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), path.stat()):
                with suppress(OSError):  # a full disk; the words are a courtesy
                    os.ftruncate(file, 0)
                    os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
                return file
        os.close(file)


def _lock(file: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            os.lseek(file, FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            os.lseek(file, 0, os.SEEK_SET)
    except OSError as error:
        return error.errno not in BUSY
    return True


def _give_back(path: Path) -> None:
    with _guard:
        mine = _held.get(path)
        if mine is None or mine.process != os.getpid():
            return
        mine.depth -= 1
        if mine.depth:
            return
        del _held[path]
        if fcntl is None:  # an open file cannot be removed there
            os.close(mine.file)
        with suppress(OSError):
            path.unlink()
        if fcntl is not None:
            os.close(mine.file)


def _holder(path: Path) -> str:
    mine = _held.get(path)
    if mine is not None and mine.process == os.getpid():  # reading the file would end the lock: POSIX drops it at any close
        return "Another thread of this process"
    words = ""
    with suppress(OSError):
        words = path.read_text(encoding="utf-8", errors="replace").strip()
    return f"Another process ({words})" if words else "Another process"
