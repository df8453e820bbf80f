"""Arithmetic of weights as `dict[str, Tensor]`: inner products, norms, differences, casts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lossatlas.compute.params.checks import check_same_layout
from lossatlas.compute.params.params import Params


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


def cast_like(params: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Params:
    """`params` in the dtypes of `like`: a model and a plane made of a float32 copy of it meet in the model's own precision."""
    return {n: p.to(like[n].dtype) if n in like and not _fits(p, like[n]) else p for n, p in params.items()}


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (to_double(a).conj() * to_double(b)).real.sum() if a.is_complex() or b.is_complex() else (a.double() * b.double()).sum()


def _fits(value: Tensor, like: Tensor) -> bool:
    return value.dtype == like.dtype or not like.is_floating_point() or value.is_complex()
