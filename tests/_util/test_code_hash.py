"""Hashes of functions: what changes a value changes the hash, what does not leaves it alone."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

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


def test_dtypes_and_devices_that_a_function_reads_count() -> None:
    kinds = [torch.float32, torch.float32, torch.float64, torch.device("cpu"), torch.device("meta"), np.dtype("f4"), np.dtype("f8")]
    hashes = [code_hash(made("def f(x):\n    return x.to(kind)", kind=kind)) for kind in kinds]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 6


def test_functions_that_are_called_count_too() -> None:
    inner = [made(f"def f(x):\n    return x + {k}") for k in (1, 1, 2)]
    a, b, c = (code_hash(made("def f(x):\n    return g(x)", g=g)) for g in inner)
    assert a == b != c


@dataclass(frozen=True)
class Model:
    weight: float

    def __call__(self, x: float) -> float:
        return self.weight * x


class Counter:
    def __init__(self, calls: int) -> None:
        self.calls, self.itself = calls, self

    def __call__(self, x: float) -> float:
        self.calls += 1
        return x


def test_frozen_objects_count_by_their_fields_and_others_by_their_class() -> None:
    assert code_hash(Model(1.0)) == code_hash(Model(1.0)) != code_hash(Model(2.0))
    assert code_hash(Model(1.0).__call__) != code_hash(Model(2.0).__call__)
    assert code_hash(Counter(0)) == code_hash(Counter(5)) != code_hash(Model(1.0))


def test_what_a_function_counts_or_collects_is_no_part_of_it() -> None:
    def counting(calls: int, history: list[float], cache: dict[float, float], buffer: np.ndarray) -> Callable[[float], float]:
        def f(x: float) -> float:
            nonlocal calls
            calls += 1
            history.append(x)
            cache[x] = buffer[0] = 2 * x
            return cache[x]

        return f

    assert code_hash(counting(0, [], {}, np.zeros(3))) == code_hash(counting(7, [1.0], {1.0: 2.0}, np.ones(3)))
    assert code_hash(counting(0, [], {}, np.zeros(3))) != code_hash(counting(0, [], {}, np.zeros(4)))
    source = "def f(x):\n    global calls\n    calls += 1\n    return x"
    assert code_hash(made(source, calls=0)) == code_hash(made(source, calls=9))


class Lazy:
    """Such as a module that is imported when it is first used, and is not installed."""

    def __getattr__(self, name: str) -> Any:
        raise ImportError(name)


def test_objects_that_raise_when_they_are_asked_are_passed_by() -> None:
    assert code_hash(made(BASE, factor=Lazy())) == code_hash(made(BASE, factor=Lazy()))


@pytest.mark.slow
def test_hashes_do_not_depend_on_the_process() -> None:
    script = (
        "from lossatlas._util.code_hash import code_hash\n"
        "def f(x):\n    return x in {'a', 'b', 'c', 'd'}\n"
        "print(code_hash(f, frozenset({'a', 'b'})))"
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
