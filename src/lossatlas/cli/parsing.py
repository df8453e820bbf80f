"""Values and option names of the command line: numbers, counts, choices, and which option replaced which."""

from __future__ import annotations

import re
from typing import Any

from lossatlas.errors import InputError, LossatlasError

RENAMED_OPTIONS = {
    "evaluate": {
        "--out": "--archive",
        "--path": "--trajectory",
        "--through": "--plane",
        "--plan": "--dry-run",
        "--scale": "--tol-scale",
    },
    "plot": {"--path": "--trajectory", "--doubt": "--uncertainty"},
    "animate": {"--path": "--trajectory"},
    "export": {"--format": "--to"},
    "import": {"--out": "--archive"},
}
"""Old options of each verb, and what to type instead."""
RENAMED_VERBS = {"version": "--version"}


def renamed_option_error(verb: str, option: str | None) -> LossatlasError | None:
    """The error that names what replaced an option, where something did."""
    current = RENAMED_OPTIONS.get(verb, {}).get(option or "")
    return None if current is None else LossatlasError(f"{verb} has no option {option}: use {current}.")


def renamed_verb_error(verb: str) -> LossatlasError | None:
    """The error that names what replaced a verb, where something did."""
    current = RENAMED_VERBS.get(verb)
    return None if current is None else LossatlasError(f"There is no verb {verb}: use lossatlas {current}.")


def as_options(message: str) -> str:
    """An error's advice in one line and in the words of the command line: `overwrite=True` is typed ``--overwrite``.

    >>> as_options("Choose another name= or archive=, or pass overwrite=True")
    'Choose another --name or --archive, or pass --overwrite'
    """
    line = re.sub(r"\s*\n\s*", " ", message.strip())
    line = re.sub(r"\b(biases|overwrite)=True\b", r"--\1", line)
    return re.sub(r"\b(name|archive)=(?=[\s,.;]|$)", r"--\1", line)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers with commas between.

    >>> numbers("--at", "0.5,-1")
    (0.5, -1.0)

    Raises:
        InputError: anything else.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(option, text, "numbers with commas between, such as -1,1") from error


def bounds_of(option: str, text: str) -> Any:
    """Bounds of every axis, or of each one.

    >>> bounds_of("--bounds", "-1,1"), bounds_of("--bounds", "-1,1,0,2")
    ((-1.0, 1.0), ((-1.0, 1.0), (0.0, 2.0)))

    Raises:
        InputError: neither two numbers nor four.
    """
    values = numbers(option, text)
    if len(values) not in (2, 4):
        raise InputError(option, text, "two numbers (LOW,HIGH) or four (A0,A1,B0,B1)")
    return values if len(values) == 2 else (values[:2], values[2:])


def counts(option: str, text: str) -> Any:
    """Points along every axis, or along each one.

    >>> counts("--resolution", "51"), counts("--resolution", "51x31")
    (51, (51, 31))

    Raises:
        InputError: no whole numbers.
    """
    try:
        values = [int(part) for part in text.lower().split("x")]
    except ValueError as error:
        raise InputError(option, text, "a number such as 51, or two such as 51x31") from error
    return values[0] if len(values) == 1 else tuple(values)
