"""Errors a user can act on: each names the argument, the value it got, what is allowed and the next step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class LossatlasError(Exception):
    """Base of every error that Lossatlas raises on purpose; the command line prints it without a traceback."""


class InputError(LossatlasError, ValueError):
    """An argument, a model, data or a file is not what the call needs."""

    def __init__(self, argument: str, value: object, allowed: str, next_step: str = "") -> None:
        shown = value if isinstance(value, str) else repr(value)
        parts = [f"{argument}: got {shortened(shown)}; expected {allowed}."]
        if next_step:
            parts.append(next_step if next_step.endswith("?") else f"{next_step.rstrip('.')}.")
        super().__init__(" ".join(parts))
        self.argument = argument


class InputTypeError(InputError, TypeError):
    """An argument is of a type that the call does not take.

    >>> isinstance(InputTypeError("plane", "2", "a Plane"), TypeError)
    True
    """


class ArchiveError(LossatlasError):
    """An archive cannot be read, written or continued."""


class MissingDependencyError(LossatlasError, ImportError):
    """An optional extra is needed and is not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an optional dependency: pip install 'lossatlas[{extra}]'.")


@contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the output file that the block could not write.

    Raises:
        InputError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        allowed = f"a place that can be written (the system says: {error.strerror or error})"
        raise InputError(
            "path", os.fspath(path), allowed, "Free space or choose another place; an older file there is as it was"
        ) from error


def shortened(text: str, width: int = 160) -> str:
    """`text`, cut where it is longer than `width`."""
    return text if len(text) <= width else text[: width - 1] + "…"
