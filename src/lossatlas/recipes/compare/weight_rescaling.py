"""One function at two weight scales: what filter normalization is for (Li et al. 2018, section 3).

Batch norm undoes any factor on the convolution before it, so a network with weights twice as large computes the same
outputs. Along a random direction of fixed length it nevertheless looks twice as wide; along a filter-normalized one
it looks the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from lossatlas.archive import Archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import norm
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.compute.planes.normalization import Normalize
from lossatlas.errors import InputError

FACTOR = 2
"""A power of two, so that scaled and original weights give the same bits."""
REACH = 1.5
"""Ends of the line of fixed steps, in norms of the original weights: far enough to see both networks' walls."""

NORMALIZATION_LABELS: dict[Normalize, str] = {"none": "steps of one length", "filter": "filter-normalized"}
Key = tuple[Normalize, int]


@dataclass(frozen=True, eq=False)
class Scales:
    """Lines through both networks.

    Attributes:
        lines: by ``(normalize, factor)``, over dims ``("alpha",)``.
        numbers: what the figure proves, as plain numbers.
    """

    lines: dict[Key, xr.Dataset]
    numbers: dict[str, Any]


def rescaled(model: nn.Module, factor: float) -> nn.Module:
    """A copy whose convolutions before batch norms are `factor` times as large, and which computes the same function.

    Running mean, variance and the small constant of each batch norm follow (by `factor` and its square), so that
    the functions are equal to the last bit where `factor` is a power of two. In eval mode only.

    Raises:
        InputError: no convolution is followed by a batch norm of its width.
    """
    scaled = copy.deepcopy(model).eval()
    pairs = list(_pairs(scaled))
    if not pairs:
        raise InputError("model", type(model).__name__, "a network whose convolutions are followed by batch norms")
    with torch.no_grad():
        for _, convolution, after in pairs:
            convolution.weight.mul_(factor)
            if convolution.bias is not None:
                convolution.bias.mul_(factor)
            assert after.running_mean is not None and after.running_var is not None
            after.running_mean.mul_(factor)
            after.running_var.mul_(factor**2)
            after.eps *= factor**2
    return scaled


def compare_scales(
    model: nn.Module,
    objective_of: Callable[[nn.Module], Objective],
    archive: Archive,
    resolution: int = 41,
    seed: int = 0,
    progress: bool | None = None,
) -> Scales:
    """Four lines along one random direction of the scaled convolutions: two scales, without and with filter normalization.

    Without normalization both networks take the very same steps, up to `REACH` times as long as the original weights.

    Args:
        model: the network as it is.
        objective_of: what to measure of it and of its twin.
        archive: gets the lines, named ``scale:NORMALIZATION:FACTOR``.
        resolution: points of a line, ``4 k + 1``, so that points at alpha and alpha / 2 are both on it.
    """
    if resolution < 9 or resolution % (2 * FACTOR) != 1:
        raise InputError("resolution", resolution, f"a multiple of {2 * FACTOR}, and one more")
    models = {1: model, FACTOR: rescaled(model, FACTOR)}
    moving = [f"{name}.weight" for name, *_ in _pairs(model)]
    reach = _reach(model, moving, seed)
    lines: dict[Key, xr.Dataset] = {}
    for normalize in NORMALIZATION_LABELS:
        for factor, one in models.items():
            objective = objective_of(one)
            line = random_plane(objective, seed, normalize, params=moving, ndim=1)
            lines[normalize, factor] = evaluate(
                objective,
                line,
                (-reach, reach) if normalize == "none" else (-1.0, 1.0),
                resolution,
                archive=archive,
                name=f"scale:{normalize}:{factor}",
                title=f"weights × {factor}, {NORMALIZATION_LABELS[normalize]}",
                overwrite=True,
                progress=progress,
            )
    return Scales(lines, {**_numbers(lines, resolution), "output_difference": _output_difference(objective_of(model), models[FACTOR])})


def _numbers(lines: Mapping[Key, xr.Dataset], resolution: int) -> dict[str, Any]:
    """Deviations of the curves from their expected relation: the same when normalized, twice as wide when not."""
    half = (resolution - 1) // 2
    small = np.arange(-(half // FACTOR), half // FACTOR + 1)
    fixed, wide = (lines["none", factor].loss.values for factor in (1, FACTOR))
    normalized = [lines["filter", factor].loss.values for factor in (1, FACTOR)]
    return {
        "factor": FACTOR,
        "center_loss": float(fixed[half]),
        "fixed_step": {
            "width": {str(factor): width(lines["none", factor]) for factor in (1, FACTOR)},
            "largest_difference": float(np.abs(wide - fixed).max()),
            "largest_difference_after_stretching": float(np.abs(wide[half + FACTOR * small] - fixed[half + small]).max()),
        },
        "filter_normalized": {
            "width": {str(factor): width(lines["filter", factor]) for factor in (1, FACTOR)},
            "largest_difference": float(np.abs(normalized[1] - normalized[0]).max()),
        },
    }


def width(line: xr.Dataset, increase: float = 1.0) -> float | None:
    """Length in alpha over which the loss stays within `increase` of the center's; None where the line ends before that.

    >>> axis = np.linspace(-2, 2, 41)
    >>> round(width(xr.Dataset({"loss": ("alpha", axis**2)}, {"alpha": axis})), 6)
    2.0
    """
    alpha, loss = line.alpha.values, line.loss.values
    middle = len(alpha) // 2
    limit = loss[middle] + increase
    ends = [_crossing(alpha[side], loss[side], limit) for side in (slice(middle, None), slice(middle, None, -1))]
    return None if None in ends else abs(ends[0] - ends[1])  # type: ignore[operator]


def _crossing(alpha: np.ndarray, loss: np.ndarray, limit: float) -> float | None:
    above = np.flatnonzero(loss > limit)
    if not len(above):
        return None
    k = above[0]
    share = (limit - loss[k - 1]) / (loss[k] - loss[k - 1])
    return float(alpha[k - 1] + share * (alpha[k] - alpha[k - 1]))


def _reach(model: nn.Module, moving: list[str], seed: int) -> float:
    """Multiple of a raw Gaussian direction that is `REACH` times as long as the weights that it moves."""
    line = random_plane(model, seed, "none", params=moving, ndim=1)
    return REACH * norm({name: line.center[name] for name in moving}) / line.directions[0].norm


def _output_difference(objective: Objective, scaled: nn.Module) -> float:
    """The largest difference between outputs of the two networks on the first batch, in the logits' own units."""
    (x, _), *_ = objective.data.batches
    with torch.no_grad():
        assert objective.module is not None
        return float((objective.module(x) - scaled.to(x.device)(x)).abs().max())


def _pairs(model: nn.Module) -> Iterator[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions directly followed, in order of definition, by a batch norm of their width."""
    named = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    for (name, first), (_, second) in pairwise(named):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d) and first.out_channels == second.num_features:
            yield name, first, second
