"""Names and opening lines of the package: terms of the field, no house words."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "lossatlas"
HOUSE_WORDS = re.compile(
    r"_?(keeper|portrait|honest|rise|room|regrown|walk|slopes|couplings|shake|poster|sight|given|waiting|seam|twin|shadow|moded|told_once"
    r"|undrawn|watched|quiet|abyss|bend|found|words|own|kept|said|told|mine|mover|wish)",
    re.IGNORECASE,
)
ALLOWED = {
    "viz/web/archive_feed.py:words": "the progress message of viewer/src/live.ts",
    "viz/web/widget.py:words": "a trait of the same name",
}
"""Keys of a wire format or a file, as `file:name`, and who reads them."""
QUESTION = re.compile(r"(What|Which|Whose|How|Where|Who|When)\b")
NAMES_LEFT, QUESTIONS_LEFT = 0, 0
"""What is still to be renamed; these numbers only fall, and both tests then say `== []`."""
FILES = sorted(SOURCE.rglob("*.py"))


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def _names_of(node: ast.AST) -> Iterator[str]:
    """Names that this node introduces: definitions, parameters, assigned locals and attributes."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name


def _house_words(path: Path) -> Iterator[str]:
    place = path.relative_to(SOURCE).as_posix()
    names = [(path.stem, 1)]
    names += [(name, getattr(node, "lineno", 1)) for node in _nodes(path) for name in _names_of(node)]
    yield from (f"{place}:{line} {name}" for name, line in names if HOUSE_WORDS.fullmatch(name) and f"{place}:{name}" not in ALLOWED)


def _questions(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
            opening = text.splitlines()[0]
            if QUESTION.match(opening):
                yield f"{path.relative_to(SOURCE).as_posix()}:{getattr(node, 'lineno', 1)} {opening}"


def test_names_are_terms_of_the_field() -> None:
    left = sorted({entry for path in FILES for entry in _house_words(path)})
    assert len(left) <= NAMES_LEFT, "\n".join(left)


def test_docstrings_say_what_a_thing_is_and_ask_nothing() -> None:
    left = [entry for path in FILES for entry in _questions(path)]
    assert len(left) <= QUESTIONS_LEFT, "\n".join(left)


@pytest.mark.parametrize("code", ["def walk(): ...", "def f(found): ...", "kept = 1", "x.mine = 1", "for said in y: ..."])
def test_house_words_are_seen(code: str) -> None:
    assert any(HOUSE_WORDS.fullmatch(name) for node in ast.walk(ast.parse(code)) for name in _names_of(node))
