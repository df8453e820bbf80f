"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new file in the folder of `path` to write to; it takes the place of `path` when the block ends well, else is removed.

    Links are followed, and the permissions of a file that is replaced are kept. A device or a pipe, such as /dev/stdout,
    cannot be replaced and is written itself.

    Raises:
        OSError: the place cannot be written.
    """
    target = Path(os.path.realpath(path))
    mode = target.stat().st_mode if target.exists() else None
    if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        yield target
        return
    # A name that nobody can guess, opened exclusively: no link that lies there already is written through.
    partial = target.with_name(f".{target.name[:60]}.{secrets.token_hex(8)}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield partial
        if mode is not None:
            with suppress(OSError):  # another owner's file in a shared folder
                partial.chmod(stat.S_IMODE(mode))
        _sync(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Replace a file in one step, making its folder where needed; text is stored as UTF-8.

    Raises:
        OSError: the place cannot be written.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def _sync(file: Path) -> None:
    """Bring a file to the disk before its name changes: else a power cut may leave the name with nothing behind it."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
