"""Normalization of directions by filter, layer or weight (Li et al. 2018, section 4).

Normalization follows Li et al. 2018 (arXiv 1712.09913), section 4: every filter of a random direction is scaled to
the norm of the same filter of the weights. Biases and other one-dimensional parameters (BatchNorm scale and shift)
stay fixed unless asked for, as in all of the paper's planes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from torch import Tensor

from lossatlas.compute.params.arithmetic import is_differentiable_dtype, to_double
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.filter_axes import FIRST, FilterAxis
from lossatlas.errors import InputError

Normalize = Literal["filter", "layer", "weight", "none"]
EPSILON = 1e-10
"""Added to the norm of a random filter before dividing, as in Li et al.'s code."""


def normalize_direction(
    direction: Params, center: Params, normalize: Normalize, axes: Mapping[str, FilterAxis] | None = None, biases: bool = False
) -> Params:
    """Scale a direction to the weights it will be added to.

    Args:
        direction: what to scale.
        center: the weights.
        normalize: "filter": every filter gets the norm of its weights (Li et al. 2018, section 4); "layer": every tensor
            does; "weight": every entry is multiplied by its weight, sign included, as in their code; "none".
        axes: where the filters lie of tensors that do not count them along axis 0 (`filter_axes`).
        biases: False leaves one-dimensional tensors out; True scales each of them as one tensor.

    Raises:
        InputError: an unknown way.
    """
    if normalize not in get_args(Normalize):
        raise InputError("normalize", normalize, "one of " + ", ".join(map(repr, get_args(Normalize))))
    moving = {n: d for n, d in direction.items() if is_differentiable_dtype(center[n]) and (biases or d.dim() > 1)}
    if not moving:
        raise InputError(
            "params",
            ", ".join(direction),
            "at least one tensor of two or more dimensions, no integers",
            "Pass biases=True to move biases too",
        )
    return {n: _scaled(d, center[n], normalize, (axes or {}).get(n, FIRST)) for n, d in moving.items()}


def _scaled(d: Tensor, w: Tensor, how: Normalize, where: FilterAxis) -> Tensor:
    if how == "none":
        return d
    if how == "weight":
        return d * w
    if how == "layer" or d.dim() <= 1:
        return d * (to_double(w).norm() / (to_double(d).norm() + EPSILON)).to(d.dtype)
    return (where.grouped(d) * (where.norms(w) / (where.norms(d) + EPSILON))).reshape(d.shape).to(d.dtype)
