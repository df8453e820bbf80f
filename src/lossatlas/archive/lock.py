"""Lock that lets one process write a surface: an operating system's lock on a small file in the archive's folder.

The system gives the lock back however its process ends, so no lock outlives a kill and none must ever be removed by hand.
A file that a kill left behind means nothing: only the lock on it counts. Readers take none.

The package filelock does not take its place: it leaves its files in the archive, cannot say who holds a lock, and where a file
system has no locks it falls back on files that outlive a kill.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import stat
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

LOCKED_ERRNOS = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What a system says where another process holds the lock; anything else means that the file system has no locks."""

THREAD, RECORDER = "Another thread of this process", "Another recorder of this process, which is still open,"

LOCK_OFFSET = 2**30
"""The byte that Windows locks: beyond the words in the file, which others want to read."""


NOFOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""How a lock's file is opened: never through a link, and without waiting for the other end of a pipe."""


@dataclass
class _Held:
    """A lock of this process. POSIX locks belong to processes, so owners, threads or objects, are told apart here."""

    file: int
    process: int
    owner: object
    depth: int = 1


_held: dict[Path, _Held] = {}
_guard = threading.Lock()


@contextmanager
def exclusive_lock(folder: Path, kind: str, name: str) -> Iterator[None]:
    """Hold the lock of one surface or trajectory while the block runs; the same thread may take it again within.

    Raises:
        ArchiveError: another process, thread or object holds it.
        OSError: nothing can be written into `folder`.
    """
    path = _path(folder, kind, name)
    _take_or_refuse(path, threading.get_ident(), folder, name)
    try:
        yield
    finally:
        _release(path)


@dataclass(frozen=True, eq=False)
class Lock:
    """A lock that belongs to an object, whichever thread uses it, until it is released; `take` makes one."""

    path: Path

    @classmethod
    def take(cls, folder: Path, kind: str, name: str) -> Lock:
        """Raises as `held` does, also where another object of this very thread holds the lock."""
        lock = cls(_path(folder, kind, name))
        _take_or_refuse(lock.path, lock, folder, name)
        return lock

    def release(self) -> None:
        """Give the lock back; nothing happens the second time."""
        entry = _held.get(self.path)
        if entry is not None and entry.owner is self:
            _release(self.path)


def is_lost(folder: Path, kind: str, name: str) -> bool:
    """Does this process hold a lock whose file lies there no more, as where the folder was moved, deleted or replaced?"""
    path = _path(folder, kind, name)
    entry = _held.get(path)
    return entry is not None and entry.process == os.getpid() and not _lies_at(entry.file, path)


def _path(folder: Path, kind: str, name: str) -> Path:
    return folder.resolve() / f"{PREFIX}{hashlib.sha256(f'{kind}/{name}'.encode()).hexdigest()[:16]}"


def _take_or_refuse(path: Path, owner: object, folder: Path, name: str) -> None:
    holder = _acquire(path, owner)
    if holder:
        raise ArchiveError(f"{holder} is writing {name!r} of {folder}. {_way_out(holder)}; another name= or archive= is free.")


def _acquire(path: Path, owner: object) -> str:
    """Take the lock for `owner`: an empty string where it is now theirs, otherwise the name of its holder."""
    with _guard:
        entry = _held.get(path)
        if entry is not None and entry.process == os.getpid():
            if entry.owner != owner:
                return RECORDER if isinstance(entry.owner, Lock) else THREAD if entry.owner != threading.get_ident() else "This thread"
            entry.depth += 1
            return ""
        # A forked child inherits the table, not the locks.
        file, holder = _locked(path)
        if file is not None:
            _held[path] = _Held(file, os.getpid(), owner)
        return holder


def _locked(path: Path) -> tuple[int | None, str]:
    """An open and locked file at `path`, or None and who has it."""
    while True:
        file = _open(path)
        if not _lock(file):
            holder = os.read(file, 200).decode(errors="replace").strip()
            os.close(file)
            return None, f"Another process ({holder})" if holder else "Another process"
        # The last holder removes the file: what was locked must still be what others will find.
        if _lies_at(file, path):
            with suppress(OSError):  # a full disk; the holder is a courtesy
                os.ftruncate(file, 0)
                os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
            return file, ""
        os.close(file)


def _open(path: Path) -> int:
    """The lock's file, made where there is none.

    Raises:
        ArchiveError: a link lies there. Somebody else's archive could lead through it to a file of the reader's own.
    """
    link = ArchiveError(f"{path} is a link or no plain file, and no lock is taken through it. Lossatlas makes none: remove it.")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | NOFOLLOW, 0o666)
    except OSError as error:
        if path.is_symlink():
            raise link from error
        raise
    status = os.fstat(file)
    if path.is_symlink() or not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(file)
        raise link
    return file


def _lies_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


def _lock(file: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            os.lseek(file, LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            os.lseek(file, 0, os.SEEK_SET)
    except OSError as error:
        return error.errno not in LOCKED_ERRNOS
    return True


def _release(path: Path) -> None:
    with _guard:
        entry = _held.get(path)
        if entry is None or entry.process != os.getpid():
            return
        entry.depth -= 1
        if entry.depth:
            return
        del _held[path]
        ours = _lies_at(entry.file, path)  # not where the archive was moved and another has taken its place
        if fcntl is None:  # an open file cannot be removed there
            os.close(entry.file)
        if ours:
            with suppress(OSError):
                path.unlink()
        if fcntl is not None:
            os.close(entry.file)


def _way_out(holder: str) -> str:
    return "Call its close(), or del it, first" if holder == RECORDER else "Wait until it has ended or stop it"
