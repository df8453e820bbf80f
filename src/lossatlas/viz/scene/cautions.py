"""Cautions: what could mislead in a picture, ranked by how much it changes what a reader would conclude."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """Rank of a caution: how much it changes what a reader would conclude. The greatest of a scene stands under its figure."""

    CELLS = 1
    """Many cells have no height of their own: clipped, not finite, or at most zero on a log scale."""
    FEW_SAMPLES = 2
    """The standard error itself is estimated from too few samples."""
    COARSE_ESTIMATE = 3
    """Values between computed cells may be far off, or their error was estimated on another scale."""
    OFF_PLANE = 4
    """The surface below a path is not the loss of its iterates."""
    STATED = 5
    """A caution that whoever composed the scene wrote by hand."""
    DIVERGED = 6
    """A path ends where its weights stop being finite, not where it seems to."""
    NO_MOTION = 7
    """Nothing that is drawn moved."""
    OTHER_VALUES = 8
    """The numbers are not the loss of the models they stand for."""


@dataclass(frozen=True)
class Caution:
    """One line about what could mislead a reader here."""

    text: str
    severity: Severity
