"""Weights as `dict[str, Tensor]`, the form that `torch.func.functional_call` takes, and their selection by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.errors import InputError

Params = dict[str, Tensor]

VECTOR = "theta"
"""The name of the one parameter of an `ArrayObjective`, and of a NumPy vector wherever weights are asked for."""


def params_of(source: torch.nn.Module | Mapping[str, Tensor] | Any) -> Params:
    """The parameters of a module, an `Objective`, a mapping or a NumPy vector, detached; tied weights appear once, under their first name.

    Raises:
        InputError: none of these, or no parameters in it.
    """
    if isinstance(source, torch.nn.Module):
        params: Params = {name: p.detach() for name, p in unwrap_module(source).named_parameters()}
    elif isinstance(source, Mapping):
        params = {str(name): _tensor(str(name), value) for name, value in source.items()}
    elif isinstance(getattr(source, "params", None), Mapping):
        return dict(source.params)
    elif isinstance(source, np.ndarray) and source.ndim == 1 and source.dtype.kind == "f":
        params = {VECTOR: torch.tensor(source)}
    else:
        raise InputError("model", type(source).__name__, "an nn.Module, an Objective, a dict of tensors, or a NumPy vector")
    if not params:
        raise InputError("model", type(source).__name__, "a model with at least one parameter")
    return params


def unwrap_module(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside `torch.compile`, `DataParallel` or `DistributedDataParallel`, whose names have no prefix."""
    wrappers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    inner = module.module if isinstance(module, wrappers) else getattr(module, "_orig_mod", None)
    return unwrap_module(inner) if isinstance(inner, torch.nn.Module) else module


def select_param_names(params: Params, patterns: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names that match any glob or module prefix, in the order of `params`; None selects all.

    >>> select_param_names({"layer1.weight": torch.ones(1), "layer2.weight": torch.ones(1)}, "layer2")
    ('layer2.weight',)
    """
    if patterns is None:
        return tuple(params)
    listed = isinstance(patterns, Iterable) and not isinstance(patterns, bytes)
    wanted = (patterns,) if isinstance(patterns, str) else tuple(patterns) if listed else ()
    if not listed or not all(isinstance(pattern, str) for pattern in wanted):
        raise InputError("params", patterns, "a name, a module or a glob, or several of them, or None for all")
    matched = {p: [n for n in params if fnmatchcase(n, p) or n.startswith(f"{p}.")] for p in wanted}
    chosen = tuple(name for name in params if any(name in names for names in matched.values()))
    if not chosen or not all(matched.values()):
        unmatched = ", ".join(repr(p) for p, names in matched.items() if not names) or wanted
        raise InputError(
            "params", unmatched, f"a name, a module or a glob such as {next(iter(params))!r}", f"The model has: {_listing(params)}"
        )
    return chosen


def _tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise InputError(f"params[{name!r}]", type(value).__name__, "a torch.Tensor")
    return value.detach()


def _listing(params: Params) -> str:
    names = list(params)
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
