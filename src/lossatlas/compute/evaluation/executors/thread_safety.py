"""Thread safety of an objective: what its functions reach besides their arguments.

`torch.func.functional_call` swaps a module's parameters while it runs, so two threads that meet on one module give wrong losses
and leave it with the wrong weights. Each thread has its own copy of the model and of a loss module. A function can reach
more, by its closure and its globals, and is trusted only where all of that is found to be constants and other such functions.
"""

from __future__ import annotations

import argparse
import dis
import enum
import functools
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.compute.arrays.array_function import ArrayFunction
from lossatlas.compute.evaluation.evaluators import EvaluationProblem
from lossatlas.compute.objective.objective import CallableLoss, ModuleLoss

CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), enum.Enum, np.generic, torch.dtype, torch.device)
HARMLESS = (*CONSTANTS, Tensor, np.ndarray, np.ufunc, logging.Logger, torch.jit.ScriptFunction)
CONTAINERS = (list, tuple, set, frozenset, Mapping)
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
PACKAGES = ("site-packages", "dist-packages")
WRITES = ("STORE_GLOBAL", "DELETE_GLOBAL")


def thread_hazard(task: EvaluationProblem) -> str | None:
    """Description of what threads might share and change while they measure; None where nothing of that kind is reached."""
    if task.model_metrics:
        return f"the metric {task.model_metrics[0].name}, which measures the whole model, one point at a time"
    function = task.objective.function
    parts: dict[str, Any] = {f"the metric {metric.name}": metric.measure for metric in task.metrics}
    if isinstance(function, ModuleLoss):
        parts |= {"the model": function.module, "the loss": function.loss}
    elif isinstance(function, ArrayFunction):
        parts |= {f"the function {name}": user for name, user in function.user_functions.items()}
    else:
        parts |= {"the callable": function.user if isinstance(function, CallableLoss) else function}
    for label, part in parts.items():
        if (reached := next(_reached(part, set()), None)) is not None:
            return f"{label} reaching {reached}, which threads would share"
    return None


def _reached(thing: Any, seen: set[int], name: str = "") -> Iterator[str]:
    """Names of what a function or a thread's own copy of a module can reach and might change."""
    if id(thing) in seen or isinstance(thing, HARMLESS) or _is_installed(thing):
        return
    seen.add(id(thing))
    if isinstance(thing, torch.nn.Module) and not name:  # with a name it is one module for all threads
        for part in thing.modules():
            yield from _reached_by_module(part, seen)
    elif isinstance(thing, functools.partial):
        for value in (thing.func, *thing.args, *thing.keywords.values()):
            yield from _reached(value, seen, name or "an argument")
    elif isinstance(thing, FunctionType):
        yield from _reached_by_wrapper(thing, seen) if _is_installed_code(thing) else _reached_by_function(thing, seen)
    elif isinstance(thing, type):
        for key, value in vars(thing).items():
            if isinstance(value, Tensor | torch.nn.Module):
                yield f"{thing.__name__}.{key}"
            if isinstance(method := _method(value), FunctionType):
                yield from _reached(method, seen, key)
    elif not _is_constant(thing):
        yield f"{name} ({type(thing).__name__})" if name else f"an object of class {type(thing).__name__}"


def _reached_by_module(module: torch.nn.Module, seen: set[int]) -> Iterator[str]:
    """By the code that one call of it may run, and by its hooks; what hangs on the module itself is copied for every thread."""
    for hook in [hook for kind in HOOKS for hook in vars(module).get(kind, {}).values()]:
        yield from _reached(hook, seen, "a hook")
    left, known = ["forward", "__call__"], set[str]()
    while left:
        known.add(name := left.pop())
        for attribute in (vars(base).get(name) for base in type(module).__mro__ if not _is_installed(base)):
            if isinstance(method := _method(attribute), FunctionType):
                yield from _reached(method, seen, name)
                left += [n for code in _codes(method.__code__) for n in code.co_names if n not in known]


def _reached_by_wrapper(function: FunctionType, seen: set[int]) -> Iterator[str]:
    """By the functions that a decorator such as `torch.no_grad` was given."""
    for value in (*_closure(function).values(), *vars(function).values()):
        own_method = isinstance(value, MethodType) and not _is_installed(type(value.__self__))  # not one of the decorator's own
        if own_method or isinstance(value, FunctionType | functools.partial | torch.nn.Module):
            yield from _reached(value, seen, function.__name__)


def _reached_by_function(function: FunctionType, seen: set[int]) -> Iterator[str]:
    code = function.__code__
    instructions = [i for part in _codes(code) for i in dis.get_instructions(part)]
    written = {i.argval for i in instructions if i.opname in WRITES}
    written |= {i.argval for i in instructions if i.opname == "STORE_DEREF" and i.argval in code.co_freevars}
    yield from sorted(written)
    imported = {i.argval for i in instructions if i.opname == "IMPORT_NAME"}
    yield from sorted(name for name in imported if not _is_installed(sys.modules.get(name)))
    names = {i.argval for i in instructions if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    around = {n: function.__globals__[n] for n in sorted(names) if n in function.__globals__}
    for name, value in {**around, **_closure(function), **vars(function)}.items():
        yield from _reached(value, seen, name)
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield from _reached(value, seen, "a default")


def _closure(function: FunctionType) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not assigned yet, such as the `__class__` of a class being made
            values[name] = cell.cell_contents
    return values


def _method(attribute: Any) -> Any:
    if isinstance(attribute, staticmethod | classmethod):
        return attribute.__func__
    return attribute.fget if isinstance(attribute, property) else attribute


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_constant(value: Any, depth: int = 4) -> bool:
    """Settings: numbers and words, also in containers and namespaces. An empty container is there to be filled."""
    if isinstance(value, CONSTANTS):
        return True
    if isinstance(value, SimpleNamespace | argparse.Namespace) or (is_dataclass(value) and not callable(value)):
        value = vars(value)
    if not isinstance(value, CONTAINERS):
        return False
    values = list(value.values() if isinstance(value, Mapping) else value)
    return depth > 0 and len(values) > 0 and all(_is_constant(v, depth - 1) for v in values)


def _is_installed(thing: Any) -> bool:
    """Modules, classes and functions of Python, of installed packages and of this one that hold nothing of the user's."""
    if isinstance(thing, BuiltinFunctionType):
        return not isinstance(thing.__self__, (*CONTAINERS, torch.nn.Module))  # `calls.append` has a list behind it
    if isinstance(thing, FunctionType):
        return _is_installed_code(thing) and not thing.__closure__ and not vars(thing)
    if not isinstance(thing, ModuleType | type):
        return False
    return _is_installed_module(thing.__name__ if isinstance(thing, ModuleType) else thing.__module__)


def _is_installed_code(function: FunctionType) -> bool:
    """By its file, for decorators give a function the module of another; methods made at run time have no file."""
    file = function.__code__.co_filename
    if any(part in file for part in PACKAGES):
        return True
    return _is_installed_module(str(function.__globals__.get("__name__")))


def _is_installed_module(name: str) -> bool:
    if name.partition(".")[0] in (*sys.stdlib_module_names, "torch", "lossatlas"):
        return name != "__main__"
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and any(part in file for part in PACKAGES)
