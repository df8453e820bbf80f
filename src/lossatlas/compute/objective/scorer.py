"""Scorer: losses of batches as a pure function of the parameters, the part of an objective that computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from lossatlas.compute.objective.data.fixed_data import FrozenData
from lossatlas.compute.objective.loss_functions import ScoreFunction, Scores
from lossatlas.compute.objective.module.batchnorm import BatchNormCalibration, Mode
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.params import Params

Precision = Literal["full", "bf16"]


@dataclass(frozen=True, eq=False)
class Scorer:
    """Losses of the batches of fixed data as a pure function of the parameters.

    Attributes:
        function: parameters and a batch to scores.
        params: at the center, by name.
        data: batches, the same at every point.
        module: a copy of the caller's model; None where that is a callable.
        mode: what BatchNorm and dropout do.
        calibration: estimates BatchNorm statistics, in the modes that do so.
        per_sample: whether the loss of each sample is known, or only a batch's mean.
        precision: "full", or "bf16" for bfloat16 autocast.
        loss_uses_autograd: the loss itself differentiates, as a physics-informed one does.
    """

    function: ScoreFunction
    params: Params
    data: FrozenData
    module: torch.nn.Module | None
    mode: Mode
    calibration: BatchNormCalibration | None = field(repr=False)
    per_sample: bool = False
    precision: Precision = "full"
    loss_uses_autograd: bool = False

    @property
    def state(self) -> Params:
        """Parameters and buffers."""
        return self.params if self.module is None else {**self.params, **dict(self.module.named_buffers(remove_duplicate=False))}

    @property
    def device(self) -> torch.device:
        return next(iter(self.params.values())).device

    def score(self, params: Params, batch: Any) -> Scores:
        """Scores of one batch where `params` replace the model's own; missing names keep the center's value."""
        if self.precision == "full":
            return self.function(params, batch)
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.function(params, batch)

    def with_batchnorm_statistics(self, params: Params) -> Params:
        """`params` with what the mode adds at that point: statistics estimated anew in "recalibrated", else nothing."""
        return {**cast_like(params, self.state), **self.estimated(params)} if self.mode == "recalibrated" else params

    def estimated(self, params: Params) -> Params:
        """Normalization statistics estimated from the data with the weights `params`, in modes that do so."""
        if self.calibration is None:
            return {}
        with torch.no_grad():
            return self.calibration.statistics(cast_like(params, self.state), tuple(self.data.batches))

    @contextmanager
    def no_autograd(self) -> Iterator[None]:
        """Without autograd, unless the loss itself differentiates, as a physics-informed one does."""
        with torch.enable_grad() if self.loss_uses_autograd else torch.inference_mode():
            yield

    @contextmanager
    def traceable(self) -> Iterator[None]:
        """As `no_autograd`, but visible to TorchDispatchMode: inference mode would show composite operations only."""
        with torch.inference_mode(False), torch.enable_grad() if self.loss_uses_autograd else torch.no_grad():
            yield
