"""Imports of the package against the distributions that pyproject.toml declares."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lossatlas"
DISTRIBUTIONS = {
    "IPython": "ipython",
    "PIL": "pillow",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "mpl_toolkits": "matplotlib",
    "pytorch_lightning": "lightning",
    "sklearn": "scikit-learn",
}
"""Import name -> distribution, where the two differ. `pytorch_lightning` is the older name of what `lightning` installs."""


@dataclass(frozen=True)
class Import:
    """One import of a third-party package; `guarded` inside a function, a try-block or an `if TYPE_CHECKING`."""

    package: str
    place: str
    guarded: bool

    @property
    def distribution(self) -> str:
        return DISTRIBUTIONS.get(self.package, self.package)


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module] if node.module and not node.level else []
    if isinstance(node, ast.Call) and _last_name(node.func) == "import_module" and isinstance(node.args[0], ast.Constant):
        return [str(node.args[0].value)]
    return []


def _is_guard(node: ast.AST) -> bool:
    is_type_checking = isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING"
    return is_type_checking or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Try)


def _third_party_imports(node: ast.AST, path: Path, guarded: bool = False) -> Iterator[Import]:
    for name in _imported_names(node):
        package = name.split(".")[0]
        if package not in sys.stdlib_module_names and package != "lossatlas":
            yield Import(package, f"{path.name}:{getattr(node, 'lineno', 0)}", guarded)
    for child in ast.iter_child_nodes(node):
        yield from _third_party_imports(child, path, guarded or _is_guard(node))


@functools.cache
def _imports() -> list[Import]:
    return [entry for path in sorted(SOURCE.rglob("*.py")) for entry in _third_party_imports(ast.parse(path.read_text()), path)]


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in requirements} - {"lossatlas"}  # an extra of extras


def _declared() -> tuple[set[str], set[str]]:
    """Distributions that everybody gets, and those of the users' extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: items for name, items in project["optional-dependencies"].items() if name != "dev"}
    return _names(project["dependencies"]), set().union(*map(_names, extras.values()))


def test_every_import_is_declared() -> None:
    required, optional = _declared()
    assert [entry for entry in _imports() if entry.distribution.lower() not in required | optional] == []


def test_extras_are_imported_where_they_are_used() -> None:
    required, _ = _declared()
    assert [entry for entry in _imports() if entry.distribution.lower() not in required and not entry.guarded] == []


def test_every_requirement_is_imported() -> None:
    required, _ = _declared()
    assert required - {entry.distribution.lower() for entry in _imports()} == set()


def test_constraints_pin_every_declared_distribution() -> None:
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    required, optional = _declared()
    assert (required | optional) - pinned == set()


@pytest.mark.slow  # a process of its own that imports torch
def test_an_evaluation_without_processes_imports_no_pickler() -> None:
    code = """
import sys, lossatlas.compute.evaluation.evaluate
print(sorted({name.split(".")[0] for name in sys.modules} & {"cloudpickle", "loky", "joblib", "pooch", "requests", "ray"}))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
