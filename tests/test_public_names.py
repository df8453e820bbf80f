"""The public surface: every name loads, and what a public function returns is itself public."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lossatlas as la

FRAMEWORKS = {"LightningRecorder", "TransformersRecorder"}
"""Importing these takes seconds each, and their extras may be missing."""

NAMES = [name for name in la.__all__ if name not in FRAMEWORKS]
GONE = ("create_archive", "open_trajectory", "trajectory_of", "plane", "polygon", "bezier")


def classes_in(hint: Any) -> Iterator[type]:
    """Every class that an annotation names, also inside unions and containers."""
    arguments = typing.get_args(hint)
    if isinstance(hint, type) and not arguments:
        yield hint
    for argument in arguments:
        for part in argument if isinstance(argument, list) else [argument]:
            yield from classes_in(part)


def test_every_class_that_a_public_function_returns_is_public() -> None:
    public = {thing for name in NAMES if inspect.isclass(thing := getattr(la, name))}
    functions = {name: thing for name in NAMES if inspect.isfunction(thing := getattr(la, name))}
    assert len(functions) > 30
    returned = {name: classes_in(typing.get_type_hints(function).get("return")) for name, function in functions.items()}
    hidden = {
        name: kind for name, kinds in returned.items() for kind in kinds if kind.__module__.startswith("lossatlas") and kind not in public
    }
    assert not hidden


def test_type_checkers_see_the_names_that_load() -> None:
    source = Path(la.__file__).read_text()
    assert set(re.findall(r" as (\w+)$", source, re.MULTILINE)) == {*la.__all__} - {"__version__"}


def test_names_that_made_way_for_a_class_s_own_constructor_are_gone() -> None:
    assert not [name for name in GONE if hasattr(la, name)]
