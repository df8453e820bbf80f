"""Docstrings, comments and error texts name what exists: modules, files, public names, parameters and fields."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lossatlas as la

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lossatlas"
MODULES = sorted(PACKAGE.rglob("*.py"))
PROSE = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
)
TEXTS = [*MODULES, *(page for page in PROSE if page.name != "CHANGELOG.md")]
FILE = re.compile(r"`((?:src|tests|docs|examples|benchmarks|compute|analysis|viz|archive|formats|recipes|zoo)/[\w./-]+)`")
SECTION = re.compile(r"^(\s*)(Args|Attributes):$")
FROM_SCIPY = {"CurvatureOperator": {"shape", "dtype"}}

Documented = ast.FunctionDef | ast.ClassDef


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one; a module alone is not imported, for it may need an extra."""
    parts = dotted.split(".")
    count = max(n for n in range(1, len(parts) + 1) if is_module(parts[:n]))
    if count == len(parts):
        return True
    found = importlib.import_module(".".join(parts[:count]))
    for attribute in parts[count:]:
        if not hasattr(found, attribute):
            return False
        found = getattr(found, attribute)
    return True


def is_module(parts: list[str]) -> bool:
    path = PACKAGE.parent.joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def parameters(node: ast.FunctionDef) -> set[str]:
    every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
    return {argument.arg for argument in every if argument is not None}


def members(node: ast.ClassDef) -> set[str]:
    """Fields, attributes that methods set, methods and what they take."""
    names: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef):
            names |= {part.name, *parameters(part)}
        elif isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Store):
            names.add(part.id if isinstance(part, ast.Name) else part.attr)
    return names


def listed_names(docstring: str) -> Iterator[str]:
    """The names that open an item of an ``Args:`` or ``Attributes:`` section."""
    section, item = None, None
    for line in filter(str.strip, docstring.splitlines()):
        depth = len(line) - len(line.lstrip())
        if match := SECTION.match(line):
            section, item = len(match[1]), None
        elif section is not None and depth <= section:
            section = None
        elif section is not None:
            item = depth if item is None else item
            if depth == item:
                yield from re.findall(r"\w+", line.split(":")[0])


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_modules_files_and_public_names_exist(text: Path) -> None:
    words = text.read_text(encoding="utf-8")
    for name in set(re.findall(r"(?<![\w.])la\.([A-Za-z]\w*)", words)):
        assert name in la.__all__, f"la.{name}"
    for dotted in set(re.findall(r"(?<![\w/.])lossatlas(?:\.[A-Za-z_]\w*)+", words)):
        assert resolves(dotted) or "lossatlas.default" in dotted, dotted  # the viewer's bundle, in JavaScript
    for path in FILE.findall(words):
        assert (ROOT / path).exists() or (PACKAGE / path).exists(), path


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_list_parameters_and_fields_that_exist(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, Documented):
            known = parameters(node) if isinstance(node, ast.FunctionDef) else members(node) | FROM_SCIPY.get(node.name, set())
            unknown = set(listed_names(ast.get_docstring(node) or "")) - known
            assert not unknown, f"{node.name}, line {node.lineno}"
