"""Metadata of a figure as one line of JSON, the same in every format of file."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from lossatlas._util.version import __version__
from lossatlas.viz.scene.captions import caption
from lossatlas.viz.scene.footnotes import shown_surfaces
from lossatlas.viz.scene.model import Scene, Surface

FORMAT = "lossatlas-figure"
MOST_CHARACTERS = 4_000_000
"""Metadata beyond this is refused: no figure has that much to say."""

CONTROL = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that a terminal may obey."""


@dataclass(frozen=True)
class FigureSource:
    """One stored surface that a figure shows.

    Attributes:
        archive: the archive's file name; empty where it lay in memory.
        surface: its name there.
        sha256: first 16 hexadecimal digits of the hash of its coordinates and values (`surface_hash`).
    """

    archive: str
    surface: str
    sha256: str


@dataclass(frozen=True)
class FigureMetadata:
    """Title, full caption and sources of a figure.

    Attributes:
        caption: every note, a line each, as in `captions.caption(scene, "full")`.
        version: of the package that drew it.
    """

    title: str
    caption: tuple[str, ...]
    sources: tuple[FigureSource, ...]
    version: str

    def to_json(self) -> str:
        """One line of ASCII, which every format can carry."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    def description(self) -> str:
        """The caption as text for the places where other programs show a description."""
        return "\n".join(self.caption)


def figure_metadata(scene: Scene) -> FigureMetadata:
    """Metadata of a scene."""
    surfaces = [source_of(surface) for surface in shown_surfaces(scene)]
    recorded = [FigureSource(str(name), "", "") for name in scene.meta.get("archives", ())]
    title = " · ".join(line for line in (scene.title, scene.subtitle) if line)
    return FigureMetadata(title, caption(scene, "full"), tuple(dict.fromkeys([*surfaces, *recorded])), __version__)


def source_of(surface: Surface) -> FigureSource:
    """Archive, name there and hash of a surface."""
    return FigureSource(PurePath(surface.provenance.archive).name, surface.provenance.name, surface_hash(surface))


def surface_hash(surface: Surface) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a surface's coordinates and values, as little-endian float64.

    Standard errors are left out, so a figure of one quantity and the archive that holds all of them agree. A surface that is
    still being computed has another hash with every cell.
    """
    digest = hashlib.sha256()
    axes = [surface.alpha] if surface.beta is None else [surface.alpha, surface.beta]
    fields = [surface.fields[key] for key in sorted(surface.fields) if not key.endswith("_standard_error")]
    for values in (*axes, *(field.values for field in fields)):
        digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    return digest.hexdigest()[:16]


def metadata_from_json(text: str) -> FigureMetadata | None:
    """The metadata in a line of JSON; None where it is none of ours. Nothing in it is trusted: text is made printable.

    >>> metadata_from_json('{"made": "elsewhere"}') is None
    True
    """
    if len(text) > MOST_CHARACTERS:
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, Mapping) or values.get("format") != FORMAT:
        return None
    lines, sources = values.get("caption"), values.get("sources")
    return FigureMetadata(
        _text(values.get("title")),
        tuple(_text(line) for line in lines) if isinstance(lines, list) else (),
        tuple(map(_source, (s for s in sources if isinstance(s, Mapping)))) if isinstance(sources, list) else (),
        _text(values.get("version")),
    )


def printable(text: str) -> str:
    """Text without control characters and line breaks, which could steer a terminal or break XML."""
    return "".join(" " if unicodedata.category(character) in CONTROL else character for character in text)


def _text(value: Any) -> str:
    return printable(value) if isinstance(value, str) else ""


def _source(values: Mapping[str, Any]) -> FigureSource:
    return FigureSource(_text(values.get("archive")), _text(values.get("surface")), _text(values.get("sha256")))
