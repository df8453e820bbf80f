"""Values of ``--set`` in the types of annotations and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from lossatlas.cli.objective.arguments import parse_arguments
from lossatlas.errors import InputError


def make(
    width: int,
    rate: float = 0.1,
    bias: bool = True,
    kind: Literal["relu", "tanh"] = "relu",
    place: Path = Path(),
    seed: int | None = None,
    sizes: tuple[int, ...] = (),
    *,
    untyped=None,
    text="a",
) -> None: ...


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("width=64", 64), ("rate=1e-3", 0.001), ("rate=2", 2.0), ("bias=False", False), ("bias=yes", True), ("kind=tanh", "tanh"),
        ("place=a/b", Path("a/b")), ("seed=None", None), ("seed=3", 3), ("sizes=8,4", (8, 4)), ("sizes=8", (8,)), ("sizes=(1, 2)", (1, 2)),
        ("untyped=3", 3), ("untyped=a=b", "a=b"), ("untyped=[1, 2]", [1, 2]), ("text=3", "3"), ("untyped=none", None),
    ],
)  # fmt: skip
def test_a_value_has_the_type_of_its_argument(setting: str, value: Any) -> None:
    name = setting.partition("=")[0]
    parsed = parse_arguments(make, [setting] if name == "width" else ["width=1", setting], "job.py:make")[name]
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["rate=0.1"], "needs width.*--set width=VALUE"),
        (["width=1.5"], "an integer"),
        (["width=1", "rate=fast"], "a number"),
        (["width=1", "bias=perhaps"], "true or false"),
        (["width=1", "kind=rellu"], "one of relu, tanh. Did you mean relu"),
        (["wdth=1"], "width, rate, bias, kind, place, seed, sizes, untyped, text. Did you mean width"),
        (["=1"], "NAME=VALUE"),
    ],
)
def test_what_does_not_fit_is_named(settings: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_arguments(make, settings, "job.py:make")


def test_a_function_of_any_names_takes_literals() -> None:
    def any_names(**options: Any) -> None: ...

    assert parse_arguments(any_names, ["a=1", "b=x"], "r") == {"a": 1, "b": "x"}
