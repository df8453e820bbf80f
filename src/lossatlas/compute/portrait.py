"""What a model or a loss does, as one hash that another process finds again: code, settings and tensors, no addresses.

Of the user's own code the bytecode counts, with defaults, constants, the functions it calls in its own module, and the
values and tensors it finds in closures and globals; names of variables, comments and docstrings do not. Of installed packages
the names count. Lists and dicts in closures and globals are left out: they are where calls get counted and logged.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.compute.params import fingerprint

BASE = frozenset(vars(torch.nn.Module())) | {"reduction"}
"""Attributes that say nothing of what is computed; the mode is told apart, and a sum is refused as a loss."""

HOOKS = ("_forward_pre_hooks", "_forward_hooks")
ENTRIES = ("forward", "__call__")
SCALARS = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
INSTALLED = (*(sysconfig.get_path(key) for key in ("stdlib", "platstdlib")), "<frozen")


def portrait(thing: Any) -> str:
    """A hash of what `thing`, a module, function or callable object, does.

    >>> portrait(lambda a: a + 1) == portrait(lambda b: b + 1), portrait(lambda a: a + 1) == portrait(lambda a: a + 2)
    (True, False)
    """
    return _hash(_told(thing, frozenset()))


def _told(thing: Any, inside: frozenset[int], lists: bool = False) -> str:
    """Words for anything; what cannot be told the same way in another process goes by its type."""
    if id(thing) in inside:
        return "itself"
    inside = inside | {id(thing)} if not isinstance(thing, SCALARS) else inside
    if _is_plain(thing, lists):
        return _plain(thing)
    if isinstance(thing, Tensor):
        return fingerprint({"": thing})
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        return f"{thing.dtype}{thing.shape}{hashlib.sha256(thing.tobytes()).hexdigest()}"
    if isinstance(thing, torch.nn.Module):
        return _module(thing, inside)
    if isinstance(thing, functools.partial):
        words = {k: _told(v, inside) for k, v in thing.keywords.items() if k != "reduction"}
        given = [_told(v, inside) for v in thing.args]
        return f"partial {_told(thing.func, inside)} {given} {sorted(words.items())}" if given or words else _told(thing.func, inside)
    if isinstance(thing, MethodType):
        return f"{_told(thing.__func__, inside)} of {_told(thing.__self__, inside)}"
    if isinstance(thing, FunctionType):
        return _function(thing, inside)
    if isinstance(thing, tuple):
        return str([_told(v, inside) for v in thing])
    return _object(thing, inside)


def _module(module: torch.nn.Module, inside: frozenset[int]) -> str:
    """Every submodule's class and settings. Weights and buffers are the caller's business, but for a module within a function."""
    lines = []
    for name, part in module.named_modules(remove_duplicate=False):
        lines.append(f"{name}: {_class_and_settings(part, inside)}")
        lines += [f"{name}: {_told(hook, inside)}" for kind in HOOKS for hook in vars(part).get(kind, {}).values()]
        if isinstance(part, torch.jit.ScriptModule | torch.fx.GraphModule):
            lines.append(str(getattr(part, "code", "")))
    if len(inside) > 1:
        lines.append(fingerprint({**dict(module.named_parameters()), **dict(module.named_buffers())}))
    return _hash("\n".join(lines))


def _object(thing: Any, inside: frozenset[int]) -> str:
    kind = thing if isinstance(thing, type) else type(thing)
    if not isinstance(thing, type) and isinstance(getattr(thing, "__wrapped__", None), FunctionType):
        return _function(thing.__wrapped__, inside)
    own = hasattr(thing, "__dict__") and (callable(thing) or is_dataclass(thing)) and not _is_installed_class(kind)
    if isinstance(thing, type | BuiltinFunctionType) or not own:
        return f"{kind.__module__}.{kind.__name__} {getattr(thing, '__name__', '')}"
    return _class_and_settings(thing, inside)


def _class_and_settings(thing: Any, inside: frozenset[int]) -> str:
    code, written = _class(type(thing), inside)
    settings = {k: v for k, v in vars(thing).items() if k not in BASE and k not in written}
    # A tensor beside the registered ones is a constant of the user's, but scratch of spectral_norm and the like.
    passed_over = (torch.nn.Module, Tensor) if _is_installed_class(type(thing)) else torch.nn.Module
    told = sorted(f"{k}={_told(v, inside, lists=True)}" for k, v in settings.items() if not isinstance(v, passed_over))
    return f"{code} {told}"


def _class(kind: type, inside: frozenset[int]) -> tuple[str, set[str]]:
    """Words for the methods that a call may reach, and the attributes that they write: those are state, not settings."""
    if _is_installed_class(kind):
        return f"{kind.__module__}.{kind.__qualname__}", set()
    told, written, known, to_do = [kind.__name__], set(), set(), list(ENTRIES)
    while to_do:
        name = to_do.pop(0)
        if name in known:
            continue
        known.add(name)
        for base in kind.__mro__:
            found = _method(vars(base).get(name))
            if _is_installed_class(base):
                continue
            if isinstance(found, FunctionType):
                told.append(f"{name}: {_function(found, inside)}")
                to_do += [n for code in _codes(found.__code__) for n in code.co_names]
                written |= _operands(found.__code__, "STORE_ATTR")
            elif name in vars(base) and _is_plain(found, lists=True):
                told.append(f"{name}: {_plain(found)}")
    bases = [f"{b.__module__}.{b.__qualname__}" for b in kind.__mro__ if _is_installed_class(b)]
    return _hash(f"{told} {bases[0]}"), written


def _function(function: FunctionType, inside: frozenset[int]) -> str:
    if _is_installed(function.__code__.co_filename):
        return f"{function.__module__}.{function.__qualname__}"
    code = function.__code__
    defaults = [_told(v, inside, lists=True) for v in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())]
    return _hash(f"{_code(code, function.__doc__)} {defaults} {list(_found(function, inside))}")


def _found(function: FunctionType, inside: frozenset[int]) -> Iterator[str]:
    """What the function finds in its closure and among its module's globals, less what it writes there itself."""
    code, cells = function.__code__, {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            continue  # not yet assigned
    names = _operands(code, "LOAD_GLOBAL", "LOAD_NAME")
    around = {n: function.__globals__[n] for n in names if n in function.__globals__ and _belongs(function.__globals__[n], function)}
    written = _operands(code, "STORE_GLOBAL", "STORE_DEREF", "STORE_NAME")
    for name, value in sorted({**around, **cells}.items()):
        if name not in written:
            yield f"{name}: {_told(value, inside)}"


def _belongs(value: Any, function: FunctionType) -> bool:
    """Values and tensors, models, and the functions of the same module."""
    if isinstance(value, FunctionType):
        return value.__globals__ is function.__globals__
    return _is_plain(value) or isinstance(value, Tensor | np.ndarray | torch.nn.Module | functools.partial)


def _code(code: CodeType, docstring: str | None = None) -> str:
    constants = [c for c in code.co_consts if docstring is None or c != docstring]
    told = [_code(c) if isinstance(c, CodeType) else _plain(c) for c in constants]
    shape = (code.co_argcount, code.co_kwonlyargcount, code.co_flags, code.co_names)
    return _hash(f"{code.co_code.hex()} {code.co_exceptiontable.hex()} {told} {shape}")


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _operands(code: CodeType, *operations: str) -> set[str]:
    return {i.argval for part in _codes(code) for i in dis.get_instructions(part) if i.opname in operations}


def _method(found: Any) -> Any:
    if isinstance(found, staticmethod | classmethod):
        return found.__func__
    return found.fget if isinstance(found, property) else found


def _is_plain(value: Any, lists: bool = False) -> bool:
    if isinstance(value, tuple | frozenset) or (lists and isinstance(value, list | set)):
        return all(_is_plain(v, lists) for v in value)
    if lists and isinstance(value, dict):
        return all(_is_plain(k) and _is_plain(v, lists) for k, v in value.items())
    return isinstance(value, (*SCALARS, enum.Enum, np.generic, type(Ellipsis)))


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, set | frozenset):  # their order changes from process to process
        return f"{{{', '.join(sorted(map(_plain, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_plain(k)}: {_plain(v)}' for k, v in value.items())}}}"
    return str(value) if isinstance(value, enum.Enum) else repr(value.item() if isinstance(value, np.generic) else value)


def _is_installed(file: str) -> bool:
    return "site-packages" in file or "dist-packages" in file or file.startswith(INSTALLED)


def _is_installed_class(kind: type) -> bool:
    if kind.__module__ == "builtins":
        return True
    file: str | None = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is not None and _is_installed(file)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
