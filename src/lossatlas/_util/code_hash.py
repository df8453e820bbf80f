"""A hash of what a function computes: its code, and the constants, defaults, closures and functions that it reads.

A run that is continued must be the same function's. What may change while it runs is left out: lists, dictionaries, the contents of
arrays, attributes of objects that are not frozen, and variables that the function itself assigns, such as a counter of its calls. A
change there, or in a file that the function reads, is told by measuring some points again.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
VALUES = ("dtype", "device")
"""Names of types of values that NumPy, torch and others pick from a few."""
INSTALLED = ("site-packages", "dist-packages")
DEEPEST = 12
"""Levels of functions in functions; what lies deeper is left to the comparison of values."""


def code_hash(*functions: Any) -> str:
    """The hash, after the Python version that compiled the code: bytecode of different versions cannot be compared.

    Example:
        >>> def scaled(factor):
        ...     return lambda x: factor * x
        >>> code_hash(scaled(2.0)) == code_hash(scaled(2.0)), code_hash(scaled(2.0)) == code_hash(scaled(3.0))
        (True, False)
    """
    digest = hashlib.sha256()
    for function in functions:
        for part in _parts(function, set(), DEEPEST):
            digest.update(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part)
            digest.update(b"\0")
    return f"{sys.version_info.major}.{sys.version_info.minor} {digest.hexdigest()[:32]}"


def same_code(stored: str, now: str) -> bool:
    """Whether two hashes agree; those of different Python versions cannot be told apart.

    >>> same_code("3.11 aa", "3.12 bb"), same_code("3.11 aa", "3.11 bb")
    (True, False)
    """
    return stored == now or stored.split()[0] != now.split()[0]


def _parts(thing: Any, seen: set[int], depth: int) -> Iterator[str | bytes]:
    if isinstance(thing, (*CONSTANTS, np.generic)) or type(thing).__name__ in VALUES:
        yield f"{type(thing).__name__} {thing!r}"
        return
    if isinstance(thing, ModuleType | BuiltinFunctionType | np.ufunc) or id(thing) in seen or not depth:
        yield f"{type(thing).__name__} {getattr(thing, '__name__', '')}"
        return
    seen.add(id(thing))
    if isinstance(thing, CodeType):
        yield from _of_code(thing, seen, depth - 1)
    elif isinstance(thing, functools.partial):
        yield from _of_several((thing.func, thing.args, tuple(sorted(thing.keywords.items()))), seen, depth)
    elif isinstance(thing, MethodType):
        yield from _of_several((thing.__func__, thing.__self__), seen, depth)
    elif (inner := _attribute(thing, "__wrapped__")) is not None:  # what a compiler such as jax.jit was given
        yield from _parts(inner, seen, depth - 1)
    elif isinstance(thing, FunctionType):
        yield from _of_function(thing, seen, depth - 1)
    elif isinstance(thing, tuple):
        yield from _of_several(thing, seen, depth)
    elif isinstance(thing, frozenset):  # its order changes from process to process
        yield repr(sorted(map(repr, thing)))
    elif isinstance(thing, list | set | MutableMapping):
        yield type(thing).__name__
    elif isinstance(thing, type):
        yield from _of_class(thing, seen, depth - 1)
    elif (dtype := _attribute(thing, "dtype")) is not None and (shape := _attribute(thing, "shape")) is not None:
        yield f"array {dtype} {shape}"
    else:
        yield from _parts(type(thing), seen, depth - 1)
        if is_dataclass(thing) and type(thing).__dataclass_params__.frozen:  # type: ignore[attr-defined]
            yield from _of_several(tuple(getattr(thing, f.name) for f in fields(thing)), seen, depth - 1)


def _of_several(things: Any, seen: set[int], depth: int) -> Iterator[str | bytes]:
    yield f"{len(things)} parts"
    for thing in things:
        yield from _parts(thing, seen, depth - 1 if depth else 0)


def _of_function(function: FunctionType, seen: set[int], depth: int) -> Iterator[str | bytes]:
    if _is_installed(function.__module__, function.__code__.co_filename):
        yield f"{function.__module__}.{function.__qualname__}"
    else:
        yield from _of_code(function.__code__, seen, depth)
        yield repr(function.__code__.co_varnames[: function.__code__.co_argcount])
        names = sorted({name for code in _codes(function.__code__) for name in code.co_names})
        written = _written(function.__code__)
        for name in names:
            if name in function.__globals__ and name not in written:
                yield name
                yield from _parts(function.__globals__[name], seen, depth)
    yield from _of_several((function.__defaults__, tuple(sorted((function.__kwdefaults__ or {}).items()))), seen, depth)
    written = _written(function.__code__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not assigned yet
            yield from _parts(None if name in written else cell.cell_contents, seen, depth)


def _of_code(code: CodeType, seen: set[int], depth: int) -> Iterator[str | bytes]:
    """Instructions with what they load; neither line numbers nor the docstring, which no instruction loads."""
    for instruction in dis.get_instructions(code):
        yield instruction.opname
        if isinstance(instruction.argval, CodeType):
            yield from _of_code(instruction.argval, seen, depth)
        else:
            yield repr(sorted(map(repr, instruction.argval)) if isinstance(instruction.argval, frozenset) else instruction.argval)


def _of_class(kind: type, seen: set[int], depth: int) -> Iterator[str | bytes]:
    yield f"{kind.__module__}.{kind.__qualname__}"
    if _is_installed(kind.__module__, getattr(sys.modules.get(kind.__module__), "__file__", None) or ""):
        return
    for name, attribute in sorted(vars(kind).items()):
        plain = getattr(attribute, "__func__", getattr(attribute, "fget", attribute))
        if isinstance(plain, FunctionType) or (isinstance(plain, CONSTANTS) and name not in ("__module__", "__doc__", "__firstlineno__")):
            yield name
            yield from _parts(plain, seen, depth)


def _attribute(thing: Any, name: str) -> Any:
    """An attribute, or None; objects that load themselves when they are asked for one may raise anything."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def _written(code: CodeType) -> set[str]:
    """Global and outer variables that the function assigns."""
    stores = ("STORE_GLOBAL", "STORE_DEREF", "DELETE_GLOBAL", "DELETE_DEREF")
    return {str(i.argval) for part in _codes(code) for i in dis.get_instructions(part) if i.opname in stores}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_installed(module: str | None, file: str) -> bool:
    name = str(module).partition(".")[0]
    return (name in sys.stdlib_module_names and name != "__main__") or any(part in file for part in INSTALLED)
