"""Arguments of a user's objective function, as ``--set name=value`` gives them, in the types of its annotations and defaults."""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lossatlas._util.text import did_you_mean
from lossatlas.errors import InputError

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_arguments(function: Callable[..., Any], settings: Sequence[str], reference: str) -> dict[str, Any]:
    """Keyword arguments of `function` from texts such as ``"width=64"``.

    Args:
        function: the user's own, which returns an Objective.
        settings: one ``NAME=VALUE`` an argument.
        reference: the function as the command line names it, for errors.

    Raises:
        InputError: no such argument, a value of another type, or a needed argument that no setting gives.

    >>> def make(width: int, rate=0.1, layers: tuple[int, ...] = (), bias: bool = True): ...
    >>> parse_arguments(make, ["width=64", "layers=8,4", "bias=no"], "job.py:make")
    {'width': 64, 'layers': (8, 4), 'bias': False}
    """
    parameters = _parameters(function)
    if parameters is None:
        return {name: _literal(text) for name, text in map(_split, settings)}
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    values: dict[str, Any] = {}
    for name, text in map(_split, settings):
        if name not in named and not any_name:
            allowed = f"an argument of {reference}: {', '.join(named) or 'it has none'}"
            raise InputError("--set", name, allowed, did_you_mean(name, named))
        values[name] = _typed(name, text, *_type_of(function, named[name])) if name in named else _literal(text)
    _check_complete(parameters, values, reference)
    return values


def _check_complete(parameters: dict[str, inspect.Parameter], values: dict[str, Any], reference: str) -> None:
    """A function that needs more is refused before it is called."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind not in kinds and n not in values]
    if needed:
        raise InputError(
            "MODULE:OBJECTIVE",
            f"{reference}, which needs {', '.join(needed)}",
            "a lossatlas.Objective, or a function that returns one and whose arguments are given",
            f"Give them: {' '.join(f'--set {name}=VALUE' for name in needed)}",
        )


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """None where builtins and the like hide them."""
    try:
        return dict(inspect.signature(function).parameters)
    except Exception:
        return None


def _split(setting: str) -> tuple[str, str]:
    name, sign, text = setting.partition("=")
    if not sign or not name.strip():
        raise InputError("--set", setting, "NAME=VALUE, such as --set width=64")
    return name.strip(), text.strip()


def _type_of(function: Callable[..., Any], parameter: inspect.Parameter) -> tuple[Any, bool]:
    """The type of an argument's annotation, else of its default, else None; and whether None is allowed."""
    annotation = parameter.annotation
    if isinstance(annotation, str):  # from __future__ import annotations
        try:
            annotation = typing.get_type_hints(function).get(parameter.name)
        except Exception:  # a name that only type checkers know
            annotation = None
    if annotation is None or annotation is parameter.empty:
        default = parameter.default
        return (None if default is None or default is parameter.empty else type(default)), default is None
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not types.NoneType]
        return (kinds[0] if len(kinds) == 1 else None), len(kinds) < len(typing.get_args(annotation))
    return annotation, parameter.default is None


def _typed(name: str, text: str, kind: Any, optional: bool) -> Any:
    origin = typing.get_origin(kind) or kind
    if optional and text.lower() == "none":
        return None
    if origin is typing.Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        if text not in choices:
            raise InputError(f"--set {name}", text, f"one of {', '.join(choices)}", did_you_mean(text, choices))
        return choices[text]
    if origin is bool:
        if text.lower() not in (*TRUE, *FALSE):
            raise InputError(f"--set {name}", text, "true or false")
        return text.lower() in TRUE
    if origin in (int, float, complex, str, Path):
        try:
            return origin(text)
        except ValueError as error:
            raise InputError(f"--set {name}", text, _article(origin)) from error
    if origin in (tuple, list, set):
        value = _literal(text if text.startswith(("(", "[", "{")) or not text else f"({text},)")
        if not isinstance(value, tuple | list | set):
            raise InputError(f"--set {name}", text, f"a {origin.__name__}, such as 1,2,3")
        return origin(value)
    return _literal(text)


def _literal(text: str) -> Any:
    """A number, a list, True, None or the like as Python writes them; anything else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _article(kind: type) -> str:
    return {"int": "an integer", "float": "a number", "complex": "a complex number"}.get(kind.__name__, kind.__name__)
