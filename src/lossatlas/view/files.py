"""Figures as files: PNG, SVG or PDF by suffix, equal bytes for equal figures, whole or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from lossatlas.checks import path_of
from lossatlas.errors import InputError
from lossatlas.view.draw.style import styled

FORMATS = {
    ".png": {"Software": "lossatlas"},
    ".pdf": {"CreationDate": None, "Creator": "lossatlas"},
    ".svg": {"Date": None, "Creator": "lossatlas"},
}


def save(drawn: Figure, path: str | os.PathLike[str], *, dpi: float = 200) -> Path:
    """Write a figure; the suffix chooses PNG, SVG or PDF. The file appears whole or not at all.

    Raises:
        InputError: another suffix.
    """
    target = check_suffix(path)
    vector = target.suffix.lower() != ".png"
    write_atomically(target, encoded(drawn, target.suffix.lower(), 300 if vector else dpi))
    return target


def check_suffix(path: str | os.PathLike[str]) -> Path:
    """The path, if its suffix is one that `save` can write."""
    target = path_of(path)
    if target.suffix.lower() not in FORMATS:
        raise InputError("path", str(path), "a file name ending in .png, .svg or .pdf")
    return target


def encoded(drawn: Figure, suffix: str, dpi: float) -> bytes:
    """The file's bytes; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with styled():
        drawn.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=FORMATS[suffix])
    return buffer.getvalue()


def write_atomically(target: Path, data: bytes) -> None:
    """Replace a file in one step, making its folder where needed.

    Raises:
        InputError: the place cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError("path", str(target), "a place that can be written", f"The system says: {error.strerror or error}") from error
