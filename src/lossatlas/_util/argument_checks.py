"""Checks of plain arguments: an integer, a number, a name, one of several words.

Each returns the value as a plain Python type, or raises `InputError` that names the argument, the value and what is allowed; a value
of another type raises `InputTypeError`, which is also a `TypeError`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from lossatlas._util.text import did_you_mean
from lossatlas.errors import InputError, InputTypeError

LONGEST_NAME = 200
"""Characters of a name that becomes a folder; file systems end at 255 bytes."""


def check_integer(argument: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """An integer of Python or NumPy within its limits; True, 2.0 and "2" are none.

    >>> check_integer("workers", 2, least=1)
    2
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputTypeError(argument, value, f"an integer{_limits(least, most)}")
    number = int(value)
    if (least is not None and number < least) or (most is not None and number > most):
        raise InputError(argument, value, f"an integer{_limits(least, most)}")
    return number


def check_number(argument: str, value: Any, least: float | None = None, above: float | None = None) -> float:
    """A finite number within its limits; True and "0.1" are none.

    >>> check_number("timeout", 10, above=0)
    10.0
    """
    allowed = "a finite number" + _limits(least, None) + (f" above {above:g}" if above is not None else "")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(argument, value, allowed)
    number = _float(value)
    if not math.isfinite(number) or (least is not None and number < least) or (above is not None and number <= above):
        raise InputError(argument, value, allowed)
    return number


def check_choice(argument: str, value: Any, allowed: Iterable[str]) -> str:
    """One of the words in `allowed`."""
    known = tuple(allowed)
    if not isinstance(value, str) or value not in known:
        error = InputError if isinstance(value, str) else InputTypeError
        raise error(argument, value, " or ".join(repr(word) for word in known), did_you_mean(str(value), known))
    return value


def check_text(argument: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputTypeError(argument, value, "text")
    return value


def check_name(argument: str, value: Any) -> str:
    """A name that is one folder of an archive: no separators, no control characters, and no dot or two underscores in front."""
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value.encode("utf-8", "replace")) > LONGEST_NAME
        or not value.isprintable()
        or set(value) & set("/\\")
        or value.startswith((".", "__"))
    ):
        allowed = f"a name of at most {LONGEST_NAME} characters, without slashes and control characters, that does not begin with a dot"
        raise _wrong(isinstance(value, str), argument, value, allowed)
    return value


def path_of(value: Any, argument: str = "path") -> Path:
    """A path that is text or a path object, and not empty."""
    if not isinstance(value, str | os.PathLike) or not str(value).strip() or "\0" in str(value):
        raise _wrong(isinstance(value, str | os.PathLike), argument, value, "the path of a file")
    return Path(os.fspath(value))


def check_names(argument: str, value: Any) -> Any:
    """Text, several of them, or None for all."""
    listed = isinstance(value, Sequence) and not isinstance(value, bytes) and all(isinstance(item, str) for item in value)
    if value is not None and not listed:
        raise InputTypeError(argument, value, "a name, a list of names, or None")
    return value


def _wrong(right_type: bool, argument: str, value: Any, allowed: str) -> InputError:
    """The error for a value that is not allowed, or not even of the right type."""
    return (InputError if right_type else InputTypeError)(argument, value, allowed)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _limits(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    return f" of at least {least:g}" if least is not None else f" of at most {most:g}" if most is not None else ""
