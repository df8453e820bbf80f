"""Hashes of functions: what changes a value changes the hash, what does not leaves it alone."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lossatlas._util.code_hash import code_hash


def made(source: str, **names: Any) -> Callable[..., Any]:
    """The function `f` of a piece of source, with globals of its own."""
    scope: dict[str, Any] = {"np": np, "__name__": "user_code", **names}
    exec(source, scope)
    return scope["f"]


BASE = "def f(x):\n    return np.sin(x) + factor"


def test_the_same_code_has_the_same_hash_wherever_it_stands() -> None:
    assert code_hash(made(BASE, factor=1)) == code_hash(made("\n\n# moved\n" + BASE, factor=1))
    assert code_hash(made(BASE, factor=1)) == code_hash(made(BASE.replace("(x):\n", '(x):\n    """Documented."""\n'), factor=1))


@pytest.mark.parametrize(
    "other",
    [
        made(BASE, factor=2),
        made(BASE, factor=np.ones(3)),
        made(BASE.replace("sin", "cos"), factor=1),
        made(BASE.replace("+", "-"), factor=1),
        made(BASE.replace("factor", "3"), factor=1),
        made(BASE.replace("(x)", "(x, y=2)", 1), factor=1),
        functools.partial(made(BASE, factor=1), 2),
    ],
)
def test_what_changes_a_value_changes_the_hash(other: Any) -> None:
    assert code_hash(other) != code_hash(made(BASE, factor=1))


def test_functions_that_are_called_count_too() -> None:
    inner = [made(f"def f(x):\n    return x + {k}") for k in (1, 1, 2)]
    a, b, c = (code_hash(made("def f(x):\n    return g(x)", g=g)) for g in inner)
    assert a == b != c


class Model:
    def __init__(self, weight: float) -> None:
        self.weight, self.itself = weight, self

    def __call__(self, x: float) -> float:
        return self.weight * x


def test_objects_count_by_their_class_and_attributes() -> None:
    assert code_hash(Model(1.0)) == code_hash(Model(1.0)) != code_hash(Model(2.0))
    assert code_hash(Model(1.0).__call__) != code_hash(Model(2.0).__call__)


def test_hashes_do_not_depend_on_the_process() -> None:
    script = (
        "from lossatlas._util.code_hash import code_hash\ndef f(x):\n    return x in {'a', 'b', 'c', 'd'}\nprint(code_hash(f, {'a', 'b'}))"
    )
    outputs = set()
    for seed in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env={**_environment(), "PYTHONHASHSEED": seed}
        )
        outputs.add(result.stdout)
    assert len(outputs) == 1 and outputs.pop().strip()


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)
