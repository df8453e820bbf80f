"""Figures as files: PNG, SVG or PDF by suffix, equal bytes for equal figures."""

from __future__ import annotations

import io
import os
from pathlib import Path

from matplotlib.figure import Figure

from lossatlas._util.argument_checks import path_of
from lossatlas._util.files import write_file
from lossatlas.errors import InputError, output_errors
from lossatlas.viz.metadata.writing import matplotlib_metadata
from lossatlas.viz.mpl.style import styled

FORMATS = (".png", ".svg", ".pdf")


def save(drawn: Figure, file: str | os.PathLike[str], *, dpi: float = 200) -> Path:
    """Write a figure; the suffix chooses PNG, SVG or PDF. The file appears whole or not at all.

    Raises:
        InputError: another suffix, or a place that cannot be written.
    """
    target = check_suffix(file)
    vector = target.suffix.lower() != ".png"
    data = encoded(drawn, target.suffix.lower(), 300 if vector else dpi)
    with output_errors(target):
        write_file(target, data)
    return target


def check_suffix(file: str | os.PathLike[str]) -> Path:
    """The path, if its suffix is one that `save` can write."""
    target = path_of(file, "file")
    if target.suffix.lower() not in FORMATS:
        raise InputError("file", str(file), "a file name ending in .png, .svg or .pdf")
    return target


def encoded(drawn: Figure, suffix: str, dpi: float) -> bytes:
    """The file's bytes; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with styled(getattr(drawn, "settings", None)):
        drawn.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=matplotlib_metadata(suffix, None))
    return buffer.getvalue()
