"""BatchNorm modes: which statistics and which dropout a landscape is computed with.

- "eval": the stored statistics at every point and no dropout, as in all planes of Li et al. 2018.
- "interpolated": the running statistics move along with the weights of a plane between models.
- "recalibrated": at every point the statistics are estimated anew from the data, then used as in eval.
- "anchored": as "recalibrated" away from the models of a plane, and at each of them exactly its own stored statistics
  (`anchors`), so that a plane through several models shows the own loss of every one that lies on it.
- "batch": every batch is normalized by its own statistics; no dropout.
- "train": as "batch", and dropout with the same noise at every point.
- "auto", the default of an objective: "anchored" on a plane through several models, where running statistics matter;
  "eval" everywhere else.

Around one solution "eval" is what the literature shows. Between solutions it is wrong by an order of magnitude. Digits, two
convolutional networks with BatchNorm from different starts, against what the running averages become when they are collected
with the weights of that point (docs/log.md): halfway 3.37 with one model's statistics, 1.81 interpolated, 1.648 re-estimated,
1.646 the reference; a quarter of the way 2.39, 0.70, 0.344 and 0.346. At a model's own place re-estimation is not that
model's loss (0.055 for 0.194, whose averages lag behind), hence the anchors.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError

Mode = Literal["eval", "interpolated", "recalibrated", "anchored", "batch", "train"]
MODES: tuple[str, ...] = get_args(Mode)
AUTO = "auto"
Norm = _BatchNorm | _InstanceNorm
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def check_mode(mode: str) -> None:
    """Refuse an unknown mode.

    Raises:
        InputError: neither "auto" nor one of `MODES`.
    """
    if mode not in (AUTO, *MODES):
        raise InputError("mode", mode, "one of " + ", ".join(map(repr, (AUTO, *MODES))))


def set_batchnorm_mode_(module: torch.nn.Module, mode: Mode) -> torch.nn.Module:
    """Set the mode on a module of our own, in place.

    Batch statistics come from leaving the running ones out: nothing is written while a point is measured.
    """
    module.train(mode == "train")
    if mode in ("batch", "train"):
        for norm in batchnorm_layers(module).values():
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return module


def batchnorm_layers(module: torch.nn.Module) -> dict[str, Norm]:
    """BatchNorm (and InstanceNorm) layers that keep running statistics, by name."""
    return {name: m for name, m in module.named_modules() if isinstance(m, Norm) and m.running_mean is not None}


def statistics_names(module: torch.nn.Module) -> frozenset[str]:
    """Names of the buffers in which these layers keep their statistics."""
    return frozenset(f"{name}.{kind}" for name in batchnorm_layers(module) for kind in STATISTICS)


def running_statistics(module: torch.nn.Module) -> Params:
    """Running means and variances, under their buffers' names."""
    return {f"{name}.{kind}": getattr(m, kind) for name, m in batchnorm_layers(module).items() for kind in ("running_mean", "running_var")}


def mixed(name: str, shares: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """A weighted sum of tensors, with shares that add up to 1; bit for bit one of them where its share is 1 and the rest 0.

    Beyond the models some shares are negative, and a straight line would make variances negative too: `running_var` is then
    extrapolated by its logarithm. Of v at 0 and w at 1 it is ``w (w / v)^(t - 1)`` at t > 1.

    >>> mixed("running_var", (-1.0, 2.0), [torch.tensor(4.0), torch.tensor(2.0)]).item()
    1.0
    """
    if 1.0 in shares and sum(map(bool, shares)) == 1:
        return values[shares.index(1.0)]
    if not name.endswith("running_var") or min(shares) >= 0:
        return sum((share * value for share, value in zip(shares, values, strict=True)), start=torch.zeros_like(values[0]))
    tiny = torch.finfo(values[0].dtype).tiny
    total = sum(share for share in shares if share > 0)
    inside = sum((share / total * value for share, value in zip(shares, values, strict=True) if share > 0), torch.zeros_like(values[0]))
    logarithm = total * inside.clamp(min=tiny).log()
    for share, value in zip(shares, values, strict=True):
        logarithm = logarithm + min(share, 0.0) * value.clamp(min=tiny).log()
    return logarithm.clamp(max=math.log(torch.finfo(values[0].dtype).max)).exp()


@dataclass(frozen=True)
class BatchNormCalibration:
    """Estimates statistics by one pass over the data with every batch normalized by its own.

    Moments are pooled over batches in float64, with the biased variance that batch mode uses: on a single batch the
    two modes agree exactly.
    """

    module: torch.nn.Module
    dtypes: Mapping[str, torch.dtype]
    forward: Callable[[torch.nn.Module, Params, Any], Any] = field(repr=False)

    @classmethod
    def of(cls, module: torch.nn.Module, call: Callable[[torch.nn.Module, Params, Any], Any]) -> BatchNormCalibration:
        dtypes = {name: norm.running_mean.dtype for name, norm in batchnorm_layers(module).items() if norm.running_mean is not None}
        return cls(set_batchnorm_mode_(copy.deepcopy(module), "batch"), dtypes, call)

    def statistics(self, params: Params, batches: tuple[Any, ...]) -> Params:
        """Running means and variances at `params`; those among `params` are left out, for a layer given some normalizes by them."""
        moments = {name: _Moments() for name in self.dtypes}
        modules = dict(self.module.named_modules())
        handles = [modules[name].register_forward_pre_hook(moment.observe) for name, moment in moments.items()]
        params = {n: p for n, p in params.items() if not (n.rpartition(".")[0] in moments and n.rpartition(".")[2] in STATISTICS)}
        try:
            for batch in batches:
                self.forward(self.module, params, batch)
        finally:
            for handle in handles:
                handle.remove()
        return {key: value for name, moment in moments.items() for key, value in moment.buffers(name, self.dtypes[name])}


class _Moments:
    """Mean and variance over everything but the channel axis; of InstanceNorm, the means of each sample's own, which it keeps."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(()), torch.zeros(())
        self.pooled = True

    def observe(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        values = args[0].detach().double()
        if isinstance(module, _InstanceNorm):
            each = (values if values.dim() > module._get_no_batch_dim() else values[None]).flatten(2)
            self.pooled = False
            self._add(len(each), each.mean(2).sum(0), each.var(2, unbiased=False).sum(0))
        else:
            channels = values.movedim(1, 0).flatten(1)
            self._add(channels.shape[1], channels.sum(1), channels.square().sum(1))

    def _add(self, count: int, total: Tensor, squares: Tensor) -> None:
        self.count, self.total, self.squares = self.count + count, self.total.to(total) + total, self.squares.to(squares) + squares

    def buffers(self, name: str, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        if not self.count:
            return
        mean, variance = self.total / self.count, self.squares / self.count
        yield f"{name}.running_mean", mean.to(dtype)
        yield f"{name}.running_var", (variance - mean.square() if self.pooled else variance).clamp(min=0).to(dtype)
