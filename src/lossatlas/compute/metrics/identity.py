"""Identity of a metric of one's own: hashes of its code and of the data it is measured on, compared before a surface is continued."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor

SCALARS = (bool, int, float, complex, str, bytes, type(None), np.generic, torch.dtype, torch.device)
DIGITS = 32


def code_hash(function: Any) -> str:
    """Hash of the bytecode, constants and closure scalars of a function and of the functions of one's own that it calls.

    Lists, arrays and objects are left out, for a metric may change them while it runs; `Metric.items` names the data that count.
    Another minor version of Python compiles to other bytecode, so it leads the hash and only hashes of one version are compared.

    >>> code_hash(lambda x: x + 1) == code_hash(lambda x: x + 1), code_hash(lambda x: x + 1) == code_hash(lambda x: x + 2)
    (True, False)
    """
    digest = hashlib.sha256(repr(list(_parts(function, set()))).encode())
    return f"{sys.implementation.cache_tag}:{digest.hexdigest()[:DIGITS]}"


def items_hash(items: Any) -> str | None:
    """Hash of the data that a metric is measured on: text, numbers, arrays, tensors, and containers of them; None for None."""
    if items is None:
        return None
    digest = hashlib.sha256()
    for part in _content(items):
        digest.update(part)
    return digest.hexdigest()[:DIGITS]


def same_code(stored: str, now: str) -> bool:
    """Whether two code hashes are equal, or of two versions of Python and so not comparable."""
    return stored == now or stored.partition(":")[0] != now.partition(":")[0]


def edited_metrics(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Metrics of one's own that are other ones by now, in words."""
    labels = {"version": "version", "code": "code", "items": "items", "repeats": "repeats", "seed": "seed", "population": "population"}
    lines = []
    for name in sorted(set(stored) & set(asked)):
        before, now = stored[name], asked[name]
        changed = [key for key in labels if key in before and before[key] != now.get(key)]
        changed = [key for key in changed if key != "code" or not same_code(str(before[key]), str(now.get(key)))]
        if changed:
            lines.append(f"the {', '.join(labels[key] for key in changed)} of its metric {name} changed")
    return lines


def _parts(thing: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(thing, SCALARS):
        yield repr(thing)
    elif isinstance(thing, tuple | frozenset):
        yield [list(_parts(item, seen)) for item in (thing if isinstance(thing, tuple) else sorted(thing, key=repr))]
    elif isinstance(thing, CodeType):
        yield thing.co_code.hex()
        yield thing.co_names
        yield [list(_parts(constant, seen)) for constant in thing.co_consts]
    elif id(thing) in seen:
        return
    elif isinstance(thing, functools.partial):
        seen.add(id(thing))
        yield [
            list(_parts(part, seen)) for part in (thing.func, *thing.args, *(p for pair in sorted(thing.keywords.items()) for p in pair))
        ]
    elif isinstance(thing, MethodType):
        yield from _parts(thing.__func__, seen)
    elif isinstance(thing, FunctionType):
        seen.add(id(thing))
        yield from _parts_of_function(thing, seen)
    elif callable(thing) and not isinstance(thing, type):
        seen.add(id(thing))
        yield from _parts(vars(type(thing)).get("__call__"), seen)


def _parts_of_function(function: FunctionType, seen: set[int]) -> Iterator[Any]:
    """Its own code without the docstring, and what its names stand for."""
    if not _is_of_the_user(function):
        yield f"{function.__module__}.{function.__qualname__}"
        return
    code = function.__code__
    yield from _parts(code.replace(co_consts=tuple(c for c in code.co_consts if c != function.__doc__ or c is None)), seen)
    closure = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    named = [function.__globals__[name] for name in code.co_names if name in function.__globals__]
    for part in (*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items()), *closure, *named):
        if isinstance(part, (*SCALARS, tuple, frozenset, FunctionType, functools.partial)):
            yield list(_parts(part, seen))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def _is_of_the_user(function: FunctionType) -> bool:
    """Installed packages are told by their names: an update of one is not an edit of the metric."""
    file = function.__code__.co_filename
    return (
        "site-packages" not in file and "dist-packages" not in file and function.__module__.partition(".")[0] not in sys.stdlib_module_names
    )


def _content(thing: Any) -> Iterator[bytes]:
    yield type(thing).__name__.encode()
    if isinstance(thing, Tensor):
        thing = thing.detach().cpu().contiguous()
        yield f"{thing.dtype} {tuple(thing.shape)}".encode()
        yield thing.reshape(-1).view(torch.uint8).numpy().tobytes() if thing.numel() else b""
    elif isinstance(thing, np.ndarray):
        yield f"{thing.dtype} {thing.shape}".encode()
        yield repr(thing.tolist()).encode() if thing.dtype.hasobject else np.ascontiguousarray(thing).tobytes()
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _content(key)
            yield from _content(value)
    elif isinstance(thing, list | tuple):
        yield str(len(thing)).encode()
        for item in thing:
            yield from _content(item)
    elif isinstance(thing, SCALARS):
        yield repr(thing).encode()
