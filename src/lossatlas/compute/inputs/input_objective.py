"""`InputObjective`: the loss as a function of the inputs of some samples, at fixed weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lossatlas._util.argument_checks import check_integer, check_number
from lossatlas.compute.objective.builder import ObjectiveParts
from lossatlas.compute.objective.data.fixed_data import FrozenData, freeze_data
from lossatlas.compute.objective.loss_functions import ModuleLoss, ScoreFunction, Scores
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.objective.scorer import Scorer
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError

INPUT = "input"
"""The name under which the inputs go as parameters."""
Box = tuple[float, float]


@dataclass(frozen=True)
class InputLoss:
    """`function` of an `InputObjective`: a model's scores where the inputs are what moves.

    Attributes:
        function: the model's own, of weights and a batch.
        weights: parameters and buffers, which stay.
        box: lowest and highest allowed value of an entry, or None.
        clip: inputs beyond the box are moved back into it before they are scored.
    """

    function: ScoreFunction
    weights: Params
    box: Box | None = None
    clip: bool = False

    def __call__(self, params: Params, batch: Any) -> Scores:
        index, targets = batch
        inputs = params[INPUT][index]
        if self.clip and self.box is not None:
            inputs = inputs.clamp(*self.box)
        return self.function(self.weights, (inputs, targets))


@dataclass(frozen=True, init=False, eq=False, repr=False)
class InputObjective(Objective):
    """The loss of some samples as a function of their inputs, ``x -> loss(model(x), y)``: a landscape in input space.

    Its one parameter is called "input", ``(samples, *shape)``: all samples move at once, each along its own direction
    (`input_plane`), and a surface is the mean over them. Accuracy, margin and every other metric of a batch are measured at the moved
    inputs. The weights, and BatchNorm's stored statistics, stay.

    Args:
        objective: model, loss and data, of one input tensor of real numbers a sample, with integer classes or other targets.
        samples: an index, several of them, or a number of first samples as ``range(n)``.
        box: lowest and highest value that an entry may have, such as ``(0.0, 1.0)`` of a picture; figures of one sample mark where the
            plane leaves it.
        clip: move inputs beyond the box back to its border before they are scored, as attacks do.

    Raises:
        InputError: an objective of a callable, inputs that are not one tensor of real numbers, an index that is not there, or a wrong box.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> data = (torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
        >>> one = InputObjective(Objective(model, torch.nn.functional.cross_entropy, data), samples=0)
        >>> round(one.loss(), 6)  # log(1 + exp(-2))
        0.126928
    """

    def __init__(self, objective: Objective, samples: int | Sequence[int] = 0, *, box: Box | None = None, clip: bool = False) -> None:
        check_objective(objective)
        if objective.module is None or not isinstance(objective.function, ModuleLoss):
            raise InputError(
                "objective", "one made of a callable", "an objective made from an nn.Module", "The inputs of a callable are unknown"
            )
        objective = objective if objective.mode == "eval" and not objective.automatic else objective.with_mode("eval")
        inputs, targets = _tensors(objective.original_data)
        chosen = _indices(samples, len(inputs))
        box, clip = _checked_box(box, clip, inputs[chosen])
        function = InputLoss(objective.function, dict(objective.state), box, clip)
        size = max(objective.data.counts)
        index = torch.arange(len(chosen), device=inputs.device)
        data = freeze_data((index, targets[chosen]), batch_size=size)
        params = {INPUT: inputs[chosen].detach().clone()}
        scorer = Scorer(function, params, data, None, "eval", None, objective.per_sample)
        self._fill(ObjectiveParts(scorer, data, False, tuple(map(float, data.counts)), _described(objective, scorer, chosen)))

    @property
    def input_loss(self) -> InputLoss:
        """The model at its weights, with the box."""
        function = self.function
        assert isinstance(function, InputLoss)
        return function

    @property
    def box(self) -> Box | None:
        """Lowest and highest allowed value of an entry."""
        return self.input_loss.box

    @property
    def inputs(self) -> Tensor:
        """The samples' own inputs, ``(samples, *shape)``."""
        return self.params[INPUT]

    def __repr__(self) -> str:
        count = len(self.inputs)
        return f"<InputObjective: {self.name} at {count:,} sample{'' if count == 1 else 's'} of shape {tuple(self.inputs.shape[1:])}>"

    def gradients(self) -> Tensor:
        """Gradient of each sample's loss by its input, ``(samples, *shape)``."""
        inputs = self.inputs.clone().requires_grad_()
        loose = replace(self.input_loss, clip=False)
        with torch.enable_grad():
            total = torch.zeros((), dtype=torch.float64, device=inputs.device)
            for (batch, weight), count in zip(self.weighted_batches(), self.data.counts, strict=True):
                losses = loose({INPUT: inputs}, batch).losses.double()
                total = total + (losses.sum() if losses.dim() else losses * weight * (count / weight))
            (gradient,) = torch.autograd.grad(total, inputs)
        return gradient


def _tensors(data: FrozenData) -> tuple[Tensor, Tensor]:
    """Inputs and targets of all samples."""
    allowed = "batches (inputs, targets) of one tensor of real numbers and one of targets"
    if not all(isinstance(b, tuple) and len(b) == 2 and all(isinstance(t, Tensor) for t in b) for b in data.batches):
        raise InputError("objective", "an objective of other batches", allowed)
    try:
        inputs, targets = (torch.cat([batch[i] for batch in data.batches]) for i in (0, 1))
    except RuntimeError as error:
        raise InputError("objective", "samples of several shapes", allowed) from error
    if not inputs.is_floating_point():
        step = "Tokens and indices do not move in small steps; make the objective one of their embeddings"
        raise InputError("objective", f"inputs of type {str(inputs.dtype).removeprefix('torch.')}", allowed, step)
    return inputs, targets


def _indices(samples: Any, count: int) -> list[int]:
    several = [samples] if isinstance(samples, int) or not hasattr(samples, "__iter__") else list(samples)
    indices = [check_integer("samples", int(i) if isinstance(i, Tensor) else i, least=0, most=count - 1) for i in several]
    if not indices or len(set(indices)) != len(indices):
        raise InputError("samples", samples, f"one or more different indices from 0 to {count - 1}")
    return indices


def _checked_box(box: Any, clip: Any, inputs: Tensor) -> tuple[Box | None, bool]:
    if not isinstance(clip, bool):
        raise InputError("clip", clip, "True or False")
    if box is None:
        if clip:
            raise InputError("clip", "True without a box", "box=(low, high) with it", "Pass box=(0.0, 1.0) for pictures")
        return None, False
    if not isinstance(box, tuple | list) or len(box) != 2:
        raise InputError("box", box, "(low, high), such as (0.0, 1.0)")
    low, high = (check_number("box", value) for value in box)
    if low >= high:
        raise InputError("box", box, "a lower number first")
    if bool((inputs < low).any() or (inputs > high).any()):
        found_range = f"[{float(inputs.min()):.4g}, {float(inputs.max()):.4g}]"
        raise InputError(
            "box", f"({low:g}, {high:g}) around inputs in {found_range}", "a box that holds the samples", "Were they standardized?"
        )
    return (low, high), clip


def _described(objective: Objective, scorer: Scorer, chosen: list[int]) -> dict[str, Any]:
    function = scorer.function
    assert isinstance(function, InputLoss)
    return {
        **objective.description,
        "samples": scorer.data.samples,
        "population": None,
        "data_hash": scorer.data.hash,
        "batch_size": max(scorer.data.counts),
        "batches": len(scorer.data.counts),
        "mode": "eval",
        "space": "input",
        "sample_indices": chosen,
        "box": None if function.box is None else list(function.box),
        "clip": function.clip,
        "center_hash": hash_tensors(scorer.params),
        "code": f"model {hash_tensors(function.weights)} {function.clip and function.box}",
    }
