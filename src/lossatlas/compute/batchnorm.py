"""What BatchNorm and dropout do away from the trained weights: the mode is part of what a landscape means.

- "eval": the stored statistics at every point and no dropout, as in all planes of Li et al. 2018.
- "interpolated": the running statistics move along with the weights of a plane between models.
- "recalibrated": at every point the statistics are estimated anew from the data, then used as in eval.
- "batch": every batch is normalized by its own statistics; no dropout.
- "train": as "batch", and dropout with the same noise at every point.

Between two solutions, interpolating weights without statistics is wrong by an order of magnitude (a small network
at the far end: loss 1.96 against the true 0.21), while around one solution "eval" is what the literature shows.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lossatlas.compute.params import Params
from lossatlas.errors import InputError

Mode = Literal["eval", "interpolated", "recalibrated", "batch", "train"]
MODES: tuple[str, ...] = get_args(Mode)
_RANDOM = threading.RLock()


def check_mode(mode: str) -> None:
    """Refuse an unknown mode.

    Raises:
        InputError: not one of `MODES`.
    """
    if mode not in MODES:
        raise InputError("mode", mode, "one of " + ", ".join(map(repr, MODES)))


def set_mode(module: torch.nn.Module, mode: Mode) -> torch.nn.Module:
    """Set the mode on a module of our own, in place.

    Batch statistics come from leaving the running ones out: nothing is written while a point is measured.
    """
    module.train(mode == "train")
    if mode in ("batch", "train"):
        for norm in norms(module).values():
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return module


def norms(module: torch.nn.Module) -> dict[str, _BatchNorm]:
    """BatchNorm layers that keep running statistics, by name."""
    return {name: m for name, m in module.named_modules() if isinstance(m, _BatchNorm) and m.running_mean is not None}


def running_statistics(module: torch.nn.Module) -> Params:
    """Running means and variances, under their buffers' names."""
    return {f"{name}.{kind}": getattr(m, kind) for name, m in norms(module).items() for kind in ("running_mean", "running_var")}


@contextmanager
def same_noise(active: bool) -> Iterator[None]:
    """Dropout, or a model that samples, draws the same noise at every point; the caller's random state is left alone."""
    if not active:
        yield
        return
    with _RANDOM, torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@dataclass(frozen=True)
class Calibration:
    """Estimates statistics by one pass over the data with every batch normalized by its own.

    Moments are pooled over batches in float64, with the biased variance that batch mode uses: on a single batch the
    two modes agree exactly.
    """

    module: torch.nn.Module
    names: tuple[str, ...]
    call: Callable[[torch.nn.Module, Params, Any], Any] = field(repr=False)

    @classmethod
    def of(cls, module: torch.nn.Module, call: Callable[[torch.nn.Module, Params, Any], Any]) -> Calibration:
        names = tuple(norms(module))
        return cls(set_mode(copy.deepcopy(module), "batch"), names, call)

    def statistics(self, params: Params, batches: tuple[Any, ...]) -> Params:
        """Running means and variances at `params`."""
        moments = {name: _Moments() for name in self.names}
        modules = dict(self.module.named_modules())
        handles = [modules[name].register_forward_pre_hook(moments[name].note) for name in self.names]
        try:
            for batch in batches:
                self.call(self.module, params, batch)
        finally:
            for handle in handles:
                handle.remove()
        return {key: value for name in self.names for key, value in moments[name].buffers(name, modules[name])}


class _Moments:
    """Sums over everything but the channel axis."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(()), torch.zeros(())

    def note(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        values = args[0].detach().double().movedim(1, 0).flatten(1)
        self.count += values.shape[1]
        self.total = self.total + values.sum(1)
        self.squares = self.squares + values.square().sum(1)

    def buffers(self, name: str, module: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
        if not self.count:
            return
        dtype = module.weight.dtype if isinstance(module.weight, Tensor) else torch.get_default_dtype()
        mean = self.total / self.count
        yield f"{name}.running_mean", mean.to(dtype)
        yield f"{name}.running_var", (self.squares / self.count - mean.square()).clamp(min=0).to(dtype)
