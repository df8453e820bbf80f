"""Escape of broken mathtext in titles and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import TypeVar

from matplotlib.mathtext import MathTextParser

Thing = TypeVar("Thing")


def escape_broken_mathtext(thing: Thing) -> Thing:
    """`thing`, such as a scene, with the dollar signs of every text in it escaped that holds broken mathematics.

    >>> escape_broken_mathtext(("$x^2$", "$\\\\frac{$", "5 $"))
    ('$x^2$', '\\\\$\\\\frac{\\\\$', '5 \\\\$')
    """
    return _escaped(thing)  # type: ignore[return-value]


def _escaped(thing: object) -> object:
    if isinstance(thing, str):
        return thing if _is_drawable(thing) else thing.replace("$", r"\$")
    if is_dataclass(thing) and not isinstance(thing, type):
        values = {f.name: (getattr(thing, f.name), _escaped(getattr(thing, f.name))) for f in fields(thing) if f.init}
        changed = {name: new for name, (old, new) in values.items() if new is not old}
        return replace(thing, **changed) if changed else thing
    if isinstance(thing, tuple | list):
        items = [_escaped(item) for item in thing]
        return thing if all(new is old for new, old in zip(items, thing, strict=True)) else type(thing)(items)
    if isinstance(thing, Mapping):
        pairs = {key: (_escaped(key), _escaped(value)) for key, value in thing.items()}
        same = all(new == key and value is thing[key] for key, (new, value) in pairs.items())
        return thing if same else dict(pairs.values())
    return thing


@cache
def _is_drawable(text: str) -> bool:
    """Is every part between two dollar signs mathematics, wherever a line is broken? A single sign is none."""
    parts = text.replace(r"\$", "").split("$")[1:-1]
    return "$" not in text or (len(parts) % 2 == 1 and all(map(_parses, parts)))


def _parses(formula: str) -> bool:
    try:
        MathTextParser("path").parse(f"${formula}$")
    except Exception:  # the parser raises more than its own errors
        return False
    return True
