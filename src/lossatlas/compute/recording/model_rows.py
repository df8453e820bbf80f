"""Rows of a recording: the weights of a model, its buffers, and what is measured at them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas import schema
from lossatlas.compute.curvature.sharpness import largest_eigenvalue, stability_limit
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.layout import ParamLayout
from lossatlas.compute.params.params import Params, select_param_names
from lossatlas.compute.recording.arguments import loss_to_float
from lossatlas.compute.recording.measurements import Histogram, LayerGroups, gradient_norm, learning_rates
from lossatlas.compute.recording.metric_probe import MetricProbe
from lossatlas.compute.recording.storage.weight_store import Row, WeightStore
from lossatlas.errors import InputError

ALWAYS = ("step", "epoch", "batch_loss", "learning_rate", "weight_norm", "layer_norm", "gradient_norm")
HISTOGRAMS = ("bin", "weight_histogram", "layer_histogram")


class ModelRows:
    """Makes one row of a recording from the model as it is.

    Parameters that do not train beside others that do, as under a LoRA adapter, are stored once and not in every row.

    Args:
        model: what is recorded; it is only read.
        params: record these parameters only; None records all, and the buffers.
        probe: objectives measured at every row.
        sharpness: objective whose largest Hessian eigenvalue is followed.
    """

    def __init__(self, model: torch.nn.Module, params: str | Iterable[str] | None, probe: MetricProbe, sharpness: Objective | None) -> None:
        self.model, self.probe, self.sharpness = model, probe, sharpness
        named: Params = dict(model.named_parameters())
        self.names = tuple(named) if params is None else select_param_names(named, params)
        trains = [n for n in self.names if named[n].requires_grad]
        self.moving = tuple(trains) if trains and params is None else self.names
        self.has_buffers = params is None
        self.layers, self.histogram = LayerGroups.of(self.params()), Histogram.of(self.params())
        self.layout, self.buffer_layout = ParamLayout.of(self._moving_params()), ParamLayout.of(self.buffers())
        self._frozen_squares = self.layers.squares(self.frozen())
        self._eigenvector: np.ndarray | None = None
        self._check_objectives()

    @property
    def is_measured(self) -> bool:
        """Whether an objective is measured at every row, which may take longer than many steps."""
        return self.sharpness is not None or bool(self.probe.evaluators)

    def params(self) -> Params:
        """Every recorded parameter, in the model's order."""
        named: Params = dict(self.model.named_parameters())
        return named if self.has_buffers else {n: named[n] for n in self.names}

    def frozen(self) -> Params:
        """Parameters that are stored once."""
        return {n: p for n, p in self.params().items() if n in self.names and n not in self.moving}

    def buffers(self) -> Params:
        return dict(self.model.named_buffers()) if self.has_buffers else {}

    def flat(self) -> np.ndarray:
        """Weights of a row, ``(parameters,)``."""
        return self.layout.flatten(self._moving_params(), self.layout.widest)

    def thawed(self) -> tuple[str, ...]:
        """Parameters that were stored once and train now, or may have been changed by hand."""
        if len(self.moving) == len(self.names):
            return ()
        frozen = self.frozen()
        squares = self.layers.squares(frozen)
        changed = [n for n in frozen if n in self._frozen_squares and not _same(squares[n], self._frozen_squares[n])]
        return tuple(n for n, p in frozen.items() if p.requires_grad or n in changed)

    def store_in_every_row(self, names: Iterable[str]) -> None:
        """From now on these parameters are part of every row."""
        self.moving = tuple(n for n in self.names if n in self.moving or n in set(names))
        self.layout = ParamLayout.of(self._moving_params())
        self._frozen_squares = self.layers.squares(self.frozen())

    def continue_from(self, store: WeightStore, where: str) -> None:
        """Take over what the first part of a recording stores, after a check that this model fits it."""
        stored = (*store.layout.names, *store.frozen)
        self._check_names(self.params(), where, stored)
        self.names, self.moving = tuple(n for n in self.params() if n in stored), store.layout.names
        store.layout.check(self._moving_params(), where)
        store.buffer_layout.check(self.buffers(), where)
        self.layout, self.buffer_layout = store.layout, store.buffer_layout
        self._frozen_squares = self.layers.squares(self.frozen())
        reach = store.attrs["histogram"]
        self.histogram = Histogram(float(reach["reach"]), tuple(reach["tensors"]))

    def row(self, step: int, loss: Any, epoch: float, optimizer: Any, noted: tuple[float, float] | None) -> Row:
        """The model after `step` updates.

        Args:
            step: updates made so far.
            loss: of the batch, as the user gave it.
            epoch: passes over the data.
            optimizer: gives rate and stability limit.
            noted: gradient norm and learning rate, taken before the update.
        """
        params, buffers = self.params(), self.buffers()
        where = f"step {step}"
        self._check_names(params, where, self.names)
        self.layout.check(moving := {n: params[n] for n in self.moving}, where)
        self.buffer_layout.check(buffers, where)
        flat = self.layout.flatten(moving, self.layout.widest)
        squares = {**self._frozen_squares, **self.layout.squares(flat)}
        values = {"epoch": epoch, "batch_loss": loss_to_float(loss), **self._measure(params, squares, step, optimizer, noted)}
        return Row(step, values, flat, self.buffer_layout.flatten(buffers, self.buffer_layout.widest))

    def variables(self) -> list[schema.Variable]:
        """Everything a row holds beside weights."""
        curvature = ["sharpness", "stability_limit"] if self.sharpness is not None else []
        return [*(schema.variable(n) for n in (*ALWAYS, *HISTOGRAMS, *curvature)), *self.probe.variables]

    def _moving_params(self) -> Params:
        params = self.params()
        return {n: params[n] for n in self.moving}

    def _check_names(self, params: Mapping[str, Tensor], where: str, names: Iterable[str]) -> None:
        """Names other than at the first step are told as `ParamLayout.check` tells them."""
        if params.keys() != set(names):
            ParamLayout.of(dict.fromkeys(names, torch.empty(0))).check(params, where)

    def _measure(
        self, params: Mapping[str, Tensor], squares: Mapping[str, float], step: int, optimizer: Any, noted: tuple[float, float] | None
    ) -> dict[str, Any]:
        norms, counts = self.layers.norms(squares), self.histogram.count(params, self.layers)
        gradient, rate = gradient_norm(params) if step else float("nan"), max(learning_rates(optimizer))
        if noted is not None:
            gradient, rate = gradient if math.isfinite(gradient) else noted[0], noted[1]
        values = {
            "layer_norm": norms,
            "weight_norm": float(np.sqrt((norms**2).sum())),
            "weight_histogram": counts.sum(0),
            "layer_histogram": counts,
            "gradient_norm": gradient,
            "learning_rate": rate,
        }
        if not self.is_measured:
            return values
        # The whole model, also where a part of it is recorded.
        point = {n: t.detach() for n, t in (*self.model.named_parameters(), *self.model.named_buffers())}
        values |= self.probe.measure(point)
        return values if self.sharpness is None else {**values, **self._sharpness(self.sharpness, point, optimizer)}

    def _sharpness(self, objective: Objective, point: Mapping[str, Tensor], optimizer: Any) -> dict[str, float]:
        names = tuple(n for n, p in self.model.named_parameters() if p.requires_grad and n in objective.params)
        result = largest_eigenvalue(objective, dict(point), names=names, start=self._eigenvector)
        self._eigenvector = result.vector
        return {"sharpness": result.value, "stability_limit": float("nan") if optimizer is None else stability_limit(optimizer)}

    def _check_objectives(self) -> None:
        for objective in (self.probe.train, self.probe.test, self.sharpness):
            if objective is not None and (unknown := sorted(set(self.params()) - set(objective.params))):
                raise InputError(
                    "objective",
                    f"an objective without {', '.join(unknown[:4])}",
                    "an objective made of the recorded model",
                    "Build it as la.Objective(model, loss, data)",
                )


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))
