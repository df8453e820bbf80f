"""Reader of a figure's metadata from its file: nothing is executed, and nothing beside the metadata is decoded."""

from __future__ import annotations

import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from PIL import Image

from lossatlas._util.argument_checks import path_of
from lossatlas.errors import InputError
from lossatlas.viz.metadata.record import MOST_CHARACTERS, FigureMetadata, metadata_from_json
from lossatlas.viz.metadata.writing import IMAGE_DESCRIPTION, KEYWORD

MOST_BYTES = 512 * 2**20
"""Larger PDF and SVG files, which are read whole, are refused."""


class MalformedFileError(ValueError):
    """A file that is not what its suffix says, in a phrase for the user."""


def read_metadata(file: str | os.PathLike[str]) -> FigureMetadata:
    """Title, full caption and sources that a figure or animation carries.

    Args:
        file: a PNG, PDF, SVG, GIF, WebP or MP4 that `la.plot`, `la.animate` or the browser page wrote.

    Raises:
        InputError: no such file, another suffix, a file that is damaged, or one that carries no caption of ours.
    """
    path = path_of(file, "file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError("file", str(file), f"a figure ending in {', '.join(READERS)}")
    try:
        text = _read(path, reader)
    except MalformedFileError as error:
        allowed = f"a whole {path.suffix[1:].upper()} file ({error})"
        raise InputError("file", str(file), allowed, "Draw the figure again, or fetch the file again") from None
    except OSError as error:
        raise InputError("file", str(file), f"a file that can be read (the system says: {error.strerror or error})") from error
    metadata = metadata_from_json(text)
    if metadata is None:
        allowed = "a figure that lossatlas drew, with its caption inside"
        raise InputError("file", str(file), allowed, "Editors, messengers and web sites often strip metadata: look at the original file")
    return metadata


def is_figure(file: str | os.PathLike[str]) -> bool:
    """Whether a path ends as a figure's does."""
    return Path(file).suffix.lower() in READERS


def _read(path: Path, reader: Callable[[Path], str]) -> str:
    """The text that a reader takes from the file; all that damage makes a decoder raise becomes one error."""
    with path.open("rb") as opened:  # a missing file is the system's to explain
        if not opened.read(1):
            raise MalformedFileError("it is empty")
    try:
        return reader(path)
    except (SyntaxError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError, OverflowError, AttributeError) as error:
        raise MalformedFileError(f"{type(error).__name__}: {error}") from None
    except Image.DecompressionBombError as error:
        raise MalformedFileError(str(error)) from None
    except OSError as error:
        raise error if error.errno is not None else MalformedFileError(str(error)) from None
    except ValueError as error:
        raise error if isinstance(error, MalformedFileError) else MalformedFileError(str(error)) from None


def _open_image(path: Path, kind: str) -> Image.Image:
    """Header and metadata of an image; its pixels are not decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pixels, which nobody decodes here
            return Image.open(path, formats=(kind,))
    except Image.UnidentifiedImageError:
        raise MalformedFileError(f"it does not begin as a {kind} does") from None


def _png(path: Path) -> str:
    with _open_image(path, "PNG") as image:
        return str(image.info.get(KEYWORD, ""))


def _gif(path: Path) -> str:
    with _open_image(path, "GIF") as image:
        comment = image.info.get("comment", b"")
        return comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)


def _webp(path: Path) -> str:
    with _open_image(path, "WEBP") as image:
        return str(image.getexif().get(IMAGE_DESCRIPTION, ""))


def _svg(path: Path) -> str:
    """Text of the first ``dc:source``; a document that declares entities is refused before it can swell."""
    parts: list[str] = []
    depth = 0
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, _: object) -> None:
        nonlocal depth
        depth += depth > 0 or (name == "http://purl.org/dc/elements/1.1/ source" and not parts)

    def end(_: str) -> None:
        nonlocal depth
        depth -= depth > 0

    def text(data: str) -> None:
        if depth:
            parts.append(data)

    def refuse(*_: object) -> None:
        raise MalformedFileError("it declares XML entities")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(_whole(path), True)
    except expat.ExpatError as error:
        raise MalformedFileError(f"no well-formed XML: {error}") from None
    return "".join(parts).strip()


def _pdf(path: Path) -> str:
    """The keywords in the document's information dictionary, where it stands uncompressed, as matplotlib writes it."""
    data = _whole(path)
    if not data.startswith(b"%PDF-"):
        raise MalformedFileError("it does not begin as a PDF does")
    trailer = data[-4096:]
    number = re.search(rb"/Info\s+(\d{1,9})\s+0\s+R", trailer)
    if b"%%EOF" not in trailer:
        raise MalformedFileError("its end is missing")
    if number is None:
        return ""
    information = re.search(rb"(?:^|[\r\n])" + number[1] + rb" 0 obj\b(.*?)\bendobj", data, re.DOTALL)
    keywords = None if information is None else re.search(rb"/Keywords\s*\(((?:[^()\\]|\\.)*)\)", information[1], re.DOTALL)
    return "" if keywords is None else re.sub(rb"\\(.)", rb"\1", keywords[1], flags=re.DOTALL).decode("latin-1")


def _whole(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise MalformedFileError(f"larger than {MOST_BYTES // 2**20} MiB")
    return path.read_bytes()


def _mp4(path: Path) -> str:
    """The comment in moov/udta/meta/ilst (ISO 14496-12, QuickTime metadata); sizes are checked against the boxes around them."""
    with path.open("rb") as file:
        end = path.stat().st_size
        if file.read(8)[4:] != b"ftyp":
            raise MalformedFileError("it does not begin as an MP4 does")
        span: tuple[int, int] | None = (0, end)
        for kind, skipped in ((b"moov", 0), (b"udta", 0), (b"meta", 4), (b"ilst", 0), (b"\xa9cmt", 0), (b"data", 8)):
            span = next((inner for name, inner in _boxes(file, *span) if name == kind), None)
            if span is None and kind == b"moov":
                raise MalformedFileError("its table of contents (moov) is missing")
            if span is None:
                return ""
            span = span[0] + skipped, span[1]
        start, stop = span
        if stop - start > MOST_CHARACTERS:
            raise MalformedFileError("its comment is too long")
        file.seek(start)
        return file.read(max(stop - start, 0)).decode("utf-8", "replace")


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name and content of each box between two offsets."""
    while start + 8 <= end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            (size,), header = struct.unpack(">Q", file.read(8)), 16
        size = end - start if size == 0 else size
        if size < header or start + size > end:
            raise MalformedFileError(f"box {name.decode('latin-1')!r} reaches beyond its end")
        yield name, (start + header, start + size)
        start += size


READERS: dict[str, Callable[[Path], str]] = {
    ".png": _png,
    ".pdf": _pdf,
    ".svg": _svg,
    ".gif": _gif,
    ".webp": _webp,
    ".mp4": _mp4,
}
"""One entry a format."""
