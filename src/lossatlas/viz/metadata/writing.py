"""Places for a figure's metadata in each format of file."""

from __future__ import annotations

from typing import Any

from PIL import Image

from lossatlas._util.version import __version__
from lossatlas.viz.metadata.record import FigureMetadata, printable

KEYWORD = "lossatlas"
"""Of the text chunk of a PNG that holds the JSON."""
IMAGE_DESCRIPTION = 0x010E
"""EXIF tag that holds the JSON in a WebP."""
CREATOR = f"lossatlas {__version__}"


def matplotlib_metadata(suffix: str, metadata: FigureMetadata | None) -> dict[str, Any]:
    """The `metadata` argument of `Figure.savefig` for ``.png``, ``.pdf`` or ``.svg``; without dates, so equal figures are equal files."""
    base: dict[str, Any] = {
        ".png": {"Software": CREATOR},
        ".pdf": {"CreationDate": None, "Creator": CREATOR},
        ".svg": {"Date": None, "Creator": CREATOR},
    }[suffix]
    if metadata is None:
        return base
    title, description = printable(metadata.title), "\n".join(map(printable, metadata.caption))
    keys = {".png": ("Title", "Description", KEYWORD), ".pdf": ("Title", "Subject", "Keywords"), ".svg": ("Title", "Description", "Source")}
    # An empty text is left out: some readers of PNG and PDF refuse it.
    texts = zip(keys[suffix], (title, description, metadata.to_json()), strict=True)
    return base | {key: text for key, text in texts if text}


def gif_comment(metadata: FigureMetadata) -> bytes:
    """The comment of a GIF."""
    return metadata.to_json().encode("ascii")


def webp_exif(metadata: FigureMetadata) -> bytes:
    """The EXIF block of a WebP."""
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = metadata.to_json()
    return exif.tobytes()


def mp4_arguments(metadata: FigureMetadata) -> list[str]:
    """Arguments of ffmpeg that write title, description and comment of an MP4."""
    tags = {"title": printable(metadata.title), "description": " · ".join(map(printable, metadata.caption)), "comment": metadata.to_json()}
    return [part for key, text in tags.items() if text for part in ("-metadata", f"{key}={text}")]
