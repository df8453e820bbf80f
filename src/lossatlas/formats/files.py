"""Files that are written whole or not at all, and read with a clear word when they are not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lossatlas._util import files
from lossatlas.errors import InputError, output_errors

Location = str | os.PathLike[str]


def check_exists(path: Location) -> Path:
    """`path`, if it is a file.

    Raises:
        InputError: nothing there, or a folder.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("path", str(file), "a file that exists")
    return file


@contextmanager
def replace_atomically(path: Location) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well, else is removed.

    Raises:
        InputError: the place cannot be written.
    """
    with output_errors(path), files.replacing(path) as partial:
        yield partial
