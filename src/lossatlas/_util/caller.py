"""Place in the user's code that a warning points to."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = str(Path(__file__).resolve().parents[1])


def caller_level() -> int:
    """`stacklevel` with which a warning names the nearest line outside the package, however many of our functions lie between.

    Example:
        >>> caller_level()
        1
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
