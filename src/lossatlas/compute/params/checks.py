"""Checks of parameter dictionaries: same names and shapes, subsets, finite values."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lossatlas.errors import InputError


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
            problem = f"{int((~torch.isfinite(value)).sum())} NaN or infinite weights in {name}"
            raise InputError(what, problem, "finite weights", "Load an earlier checkpoint; this one has diverged")


def _missing_names(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> tuple[tuple[str, list[str]], ...]:
    return ("first", [n for n in a if n not in b]), ("second", [n for n in b if n not in a])
