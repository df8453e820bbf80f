"""Weights as `dict[str, Tensor]`, the form `torch.func.functional_call` takes, and the little algebra they need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from lossatlas.errors import InputError

Params = dict[str, Tensor]


def params_of(source: torch.nn.Module | Mapping[str, Tensor] | Any) -> Params:
    """The parameters of a module, an `Objective` or a mapping, detached; tied weights appear once, under their first name.

    Raises:
        InputError: none of these, or no parameters in it.
    """
    if isinstance(source, torch.nn.Module):
        found: Params = {name: p.detach() for name, p in unwrap_module(source).named_parameters()}
    elif isinstance(source, Mapping):
        found = {str(name): _tensor(str(name), value) for name, value in source.items()}
    elif isinstance(getattr(source, "params", None), Mapping):
        return dict(source.params)
    else:
        raise InputError("model", type(source).__name__, "an nn.Module, an Objective or a dict of tensors")
    if not found:
        raise InputError("model", type(source).__name__, "a model with at least one parameter")
    return found


def unwrap_module(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside `torch.compile`, `DataParallel` or `DistributedDataParallel`, whose names have no prefix."""
    wrappers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    inner = module.module if isinstance(module, wrappers) else getattr(module, "_orig_mod", None)
    return unwrap_module(inner) if isinstance(inner, torch.nn.Module) else module


def select_param_names(params: Params, patterns: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names that match any glob or module prefix, in the order of `params`; None selects all.

    >>> select({"layer1.weight": torch.ones(1), "layer2.weight": torch.ones(1)}, "layer2")
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


def dot(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Inner product in float64, of complex weights that of their real and imaginary parts; a missing name means zero."""
    return float(sum((_product(a[n], b[n]) for n in a if n in b), start=torch.zeros((), dtype=torch.float64)))


def to_double(value: Tensor) -> Tensor:
    """In double precision, real or complex as it is."""
    return value.to(torch.complex128) if value.is_complex() else value.double()


def is_differentiable_dtype(value: Tensor) -> bool:
    """A direction can move it; integers stay."""
    return value.is_floating_point() or value.is_complex()


def norm(a: Mapping[str, Tensor]) -> float:
    """Euclidean norm in float64."""
    return dot(a, a) ** 0.5


def difference(a: Params, b: Params) -> Params:
    """``a - b``, name by name.

    Raises:
        InputError: names or shapes differ.
    """
    check_same_layout(a, b)
    return {name: a[name] - b[name].to(a[name]) for name in a}


def check_same_layout(a: Mapping[str, Tensor], b: Mapping[str, Tensor], what: str = "models") -> None:
    """Both hold the same names with the same shapes, or an error says which do not."""
    sides = [f"{', '.join(names[:6])} in the {word} only" for word, names in _missing_names(a, b) if names]
    if sides:
        raise InputError(what, f"names in one of them only: {'; '.join(sides)}", "the same parameter names in both")
    if wrong := [n for n in a if a[n].shape != b[n].shape]:
        shapes = f"{wrong[0]} is {tuple(a[wrong[0]].shape)} in one and {tuple(b[wrong[0]].shape)} in the other"
        raise InputError(what, shapes, "the same shapes in both")


def check_subset(whole: Mapping[str, Tensor], part: Mapping[str, Tensor], what: str = "models") -> None:
    """Every name of `part` is in `whole`, with the same shape, or an error says which is not."""
    if not isinstance(part, Mapping) or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in part.items()):
        raise InputError(what, type(part).__name__, "tensors by name, such as model.state_dict()")
    if unknown := [n for n in part if n not in whole]:
        raise InputError(what, f"{', '.join(unknown[:6])}, which this model has not", f"names of the model such as {next(iter(whole))!r}")
    check_same_layout({n: whole[n] for n in part}, part, what)


def check_finite(params: Mapping[str, Tensor], what: str = "model") -> None:
    """No weight is NaN or infinite, or an error says where."""
    for name, value in params.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            found = f"{int((~torch.isfinite(value)).sum())} NaN or infinite weights in {name}"
            raise InputError(what, found, "finite weights", "Load an earlier checkpoint; this one has diverged")


def cast_like(params: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Params:
    """`params` in the dtypes of `like`: a model and a plane made of its float32 twin meet in the model's own precision."""
    return {n: p.to(like[n].dtype) if n in like and not _fits(p, like[n]) else p for n, p in params.items()}


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (to_double(a).conj() * to_double(b)).real.sum() if a.is_complex() or b.is_complex() else (a.double() * b.double()).sum()


def _fits(value: Tensor, like: Tensor) -> bool:
    return value.dtype == like.dtype or not like.is_floating_point() or value.is_complex()


def hash_tensors(params: Mapping[str, Tensor]) -> str:
    """A hash of names, dtypes, shapes and bytes, the same on every machine of the same byte order."""
    digest = hashlib.sha256()
    for name in sorted(params):
        update_hash(digest, name, params[name])
    return digest.hexdigest()[:32]


def update_hash(digest: Any, name: str, value: Tensor) -> None:
    """Feed one tensor to a running hash."""
    tensor = value.detach().cpu().contiguous()
    digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
    if tensor.numel():
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)


def _missing_names(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> tuple[tuple[str, list[str]], ...]:
    return ("first", [n for n in a if n not in b]), ("second", [n for n in b if n not in a])


def _tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise InputError(f"params[{name!r}]", type(value).__name__, "a torch.Tensor")
    return value.detach()


def _listing(params: Params) -> str:
    names = list(params)
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
