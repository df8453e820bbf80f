"""The objective: model, loss and fixed data as one pure function of the parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lossatlas._util.keywords import explain_keywords
from lossatlas._util.summary_table import html_table
from lossatlas.compute.objective.argument_checks import check_device, check_options
from lossatlas.compute.objective.batch_weights import batch_weights
from lossatlas.compute.objective.builder import ObjectiveParts, build_objective, calibration_of
from lossatlas.compute.objective.data.fixed_data import FrozenData
from lossatlas.compute.objective.loss_functions import CallableLoss, ModuleLoss, ScoreFunction, Scores, split_batch
from lossatlas.compute.objective.micro_batches import micro_batches
from lossatlas.compute.objective.module.batchnorm import AUTO, BatchNormCalibration, Mode, check_mode
from lossatlas.compute.objective.module.module_copies import (
    copy_in_mode,
    copy_loss_module,
    copy_sharing_parameters,
    frozen_copy,
    load_tensors,
)
from lossatlas.compute.objective.scorer import Precision, Scorer
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.checks import check_subset
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.params import Params
from lossatlas.compute.params.prefixes import rename_to_match
from lossatlas.errors import InputError, InputTypeError

__all__ = ["CallableLoss", "ModuleLoss", "Objective", "Precision", "ScoreFunction", "Scores", "split_batch"]

SCORER_FIELDS = frozenset(f.name for f in fields(Scorer))


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Objective:
    """A pure function ``params -> per-sample losses`` over fixed data.

    The model is copied once, so that later training or evaluation never touches the original, nor the other way
    round.

    Args:
        model: an nn.Module, or a callable ``f(params, batch)`` that returns losses ``(samples,)`` or their mean.
        loss: ``loss(output, target)``, such as `torch.nn.functional.cross_entropy` or a loss module. None where
            the model returns its own loss (a scalar, `.loss` or ``["loss"]``) or is a callable.
        data: ``(x, y)`` tensors or arrays, a Dataset, a DataLoader, a list of samples as dicts, or a tokenizer's
            batch. Random order or augmentation is frozen once; more than 8 GiB are read from their source for every pass.
            Tensors and arrays handed over are not copied, for they may be large: do not write into them afterwards.
        params: the parameters at the center; needed for a callable, taken from a module otherwise.
        batch_size: samples a batch (a DataLoader keeps its own); it changes no value beyond rounding.
        samples: use the first so many samples only.
        population: how many samples the data are a random subset of (`random_subset` knows it by itself): standard errors
            then carry the finite-population factor. Give the number of samples itself where the data are all there is:
            standard errors are zero. None takes the data as drawn from an endless supply, the usual view of a training set.
        dtype: cast model and floating-point data, for instance ``torch.float64``.
        device: where to compute; None is where the model lies, and the data go there.
        mode: "eval" uses stored BatchNorm statistics and no dropout (Li et al. 2018); "interpolated" moves them along a
            plane between models; "recalibrated" estimates them anew at every point, "anchored" too, except near the models
            of a plane, where they become those models' own; "batch" uses each batch's own, with a last sample that would be
            a batch alone joined to the batch before; "train" also drops out, with the same noise everywhere. "auto" is
            "anchored" on planes through several models and "eval" elsewhere.
        split: a word for the provenance, such as "train" or "test".
        units: of the loss; "nats" for cross-entropy.
        term_weights: of a loss that returns a mapping, ``{"loss": ..., "data": ..., "boundary": ...}``: factors with which terms enter the
            loss, 1 for those left out. Surfaces then hold ``term_data`` and ``term_boundary``, each times its factor, and `evaluate`
            checks that they add up to the loss at every cell.

    Raises:
        InputError: an empty dataset, a model that does not run on the batch, NaN weights, a loss of the wrong shape, or one that
            reads the caller's own model in place of the parameters it is given.

    Example:
        >>> x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [5.0]])
        >>> model = torch.nn.Linear(1, 1, bias=False, dtype=torch.float32)
        >>> _ = torch.nn.init.constant_(model.weight, 2.0)
        >>> objective = Objective(model, torch.nn.functional.mse_loss, (x, y))
        >>> objective.loss(), objective.samples
        (1.0, 2)
    """

    scorer: Scorer
    original_data: FrozenData = field(repr=False)
    automatic: bool = field(repr=False)
    weights: tuple[float, ...] = field(repr=False)
    description: Mapping[str, Any] = field(repr=False)

    @explain_keywords
    def __init__(
        self,
        model: torch.nn.Module | Callable[[Params, Any], Any],
        loss: Callable[..., Tensor] | None = None,
        data: Any = None,
        *,
        params: Mapping[str, Tensor] | None = None,
        batch_size: int | None = None,
        samples: int | None = None,
        population: int | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        mode: Mode | Literal["auto"] = "auto",
        split: str | None = None,
        units: str | None = None,
        term_weights: Mapping[str, float] | None = None,
    ) -> None:
        check_mode(mode)
        check_options(dtype, device, split, units)
        self._fill(
            build_objective(
                model,
                loss,
                data,
                params=params,
                batch_size=batch_size,
                samples=samples,
                population=population,
                dtype=dtype,
                device=device,
                mode=mode,
                split=split,
                units=units,
                term_weights=term_weights,
            )
        )

    def with_mode(self, mode: Mode | Literal["auto"]) -> Objective:
        """The same objective in another BatchNorm and dropout mode.

        Raises:
            InputError: an unknown mode, or an objective made from a callable.
        """
        check_mode(mode)
        automatic, mode = mode == AUTO, "eval" if mode == AUTO else mode
        if self.module is None or not isinstance(self.function, ModuleLoss):
            raise InputError("mode", mode, "an objective made from an nn.Module")
        function = replace(self.function, module=copy_in_mode(self.module, mode), mode=mode)
        described = {**self.description, "mode": mode}
        # Micro-batches suit one mode: where samples see each other, batches are those that were given.
        changed = {"function": function, "mode": mode, "automatic": automatic, "description": described}
        changed |= {"calibration": calibration_of(self.module, mode)}
        data = micro_batches(self._replace(**changed, data=self.original_data).scorer)
        return self._replace(**changed, data=data, weights=self._weights(data))

    def with_state(self, state: Mapping[str, Tensor]) -> Objective:
        """The same objective about another model: weights, and buffers such as BatchNorm statistics, that `state` names.

        Args:
            state: such as ``trajectory.state(-1)`` or ``model.state_dict()``; names that it lacks keep their values, and
                entries that are neither parameter nor buffer of this model are refused.

        Raises:
            InputError: names or shapes that this model has not.

        Example:
            >>> square = Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0])})
            >>> square.with_state({"w": torch.tensor([2.0])}).loss()
            4.0
        """
        state = rename_to_match(state, self.state, "state") if isinstance(state, Mapping) else state
        check_subset(self.state, state, "state")
        params = {n: p if n not in state else state[n].detach().to(p).clone() for n, p in self.params.items()}
        described = {**self.description, "center_hash": hash_tensors(params)}
        if self.module is None:
            return self._replace(params=params, description=described)
        module = copy_sharing_parameters(self.module) if not set(state) & set(params) else frozen_copy(self.module, None, None)
        load_tensors(module, state)
        assert isinstance(self.function, ModuleLoss)
        function = replace(self.function, module=copy_in_mode(module, self.mode))
        calibration = calibration_of(module, self.mode)
        return self._replace(params=params, module=module, function=function, calibration=calibration, description=described)

    def with_precision(self, precision: Precision) -> Objective:
        """The same objective in "full" precision or under bfloat16 autocast ("bf16").

        On ResNet-20 bf16 errs by 6e-4 to 9e-3 of the loss, most near a minimum: it falsifies log plots there.

        Raises:
            InputError: an unknown precision.
        """
        if precision not in get_args(Precision):
            raise InputError("precision", precision, '"full" or "bf16"')
        if precision == self.precision:
            return self
        return self._replace(precision=precision, description={**self.description, "precision": precision})

    def to(self, device: str) -> Objective:
        """The same objective on another device."""
        check_device(device)
        data = self.data.map(lambda t: t.to(device))
        original_data = data if self.original_data is self.data else self.original_data.map(lambda t: t.to(device))
        moved = {"params": {n: p.to(device) for n, p in self.params.items()}, "data": data, "original_data": original_data}
        if self.module is None:
            return self._replace(**moved)
        module = copy.deepcopy(self.module).to(device)
        assert isinstance(self.function, ModuleLoss)
        function = replace(self.function, module=copy_in_mode(module, self.mode))
        return self._replace(**moved, module=module, function=function, calibration=calibration_of(module, self.mode))

    def with_description(self, **more: Any) -> Objective:
        """The same objective of which the provenance says `more`."""
        return self._replace(description={**self.description, **more})

    def with_data(self, data: FrozenData) -> Objective:
        """The same function over other batches, for probes and micro-batches; the description stays."""
        return self._replace(data=data, original_data=data, weights=self._weights(data))

    def with_function(self, function: ScoreFunction) -> Objective:
        """The same objective computed another way; the caller answers for its values."""
        return self._replace(function=function)

    def thread_copy(self) -> Objective:
        """The same function on a module of its own, for another thread; weights are shared, running statistics copied.

        `functional_call` swaps the module's parameters while it runs, so two threads on one module give wrong values.
        """
        if self.module is None:
            return self
        assert isinstance(self.function, ModuleLoss)
        module = copy_sharing_parameters(self.module)
        function = replace(self.function, module=copy_in_mode(module, self.mode), loss=copy_loss_module(self.function.loss))
        return self._replace(module=module, function=function, calibration=calibration_of(module, self.mode))

    def __repr__(self) -> str:
        rows = self._summary()
        loss, model = rows["loss"], rows["model"]
        return f"<Objective: {loss} of {model} on {rows['data']}, {rows['parameters']} parameters, mode {rows['mode']}>"

    def _repr_html_(self) -> str:
        return html_table("Objective", self._summary())

    def _summary(self) -> dict[str, str]:
        described, device = self.description, next(iter(self.params.values())).device
        return {
            "model": self.name,
            "loss": str(described.get("loss") or "its own loss"),
            "data": _data_in_words(self.original_data, str(described.get("split") or "")),
            "parameters": f"{sum(p.numel() for p in self.params.values()):,}",
            "mode": "auto" if self.automatic else self.mode,
            "device": str(device),
        }

    @property
    def samples(self) -> int:
        return self.data.samples

    @property
    def name(self) -> str:
        return str(self.description["model"])

    def weighted_batches(self) -> Iterator[tuple[Any, float]]:
        """The batches that count and what the mean of each counts for; one without any target that counts has no mean but NaN."""
        return ((b, w) for b, w in zip(self.data.batches, self.weights, strict=True) if w)

    def loss(self, params: Params | None = None) -> float:
        """Mean loss over all of the data, summed in float64; at the center where `params` is None."""
        with self.no_autograd():
            return float(self._mean(self.params if params is None else params).detach())

    def differentiable_loss(self, params: Params) -> Tensor:
        """The same mean as `loss`, as a 0-d float64 tensor that autograd follows back to `params`."""
        return self._mean(params)

    def _mean(self, params: Params) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=next(iter(self.params.values())).device)
        placed = self.with_batchnorm_statistics(cast_like(params, self.state))
        for batch, weight in self.weighted_batches():
            losses = self.score(placed, batch).losses.double()
            total = total + (losses.sum() if losses.dim() else losses * weight)
        return total / self.samples

    def _weights(self, data: FrozenData) -> tuple[float, ...]:
        return batch_weights(self.function, data, self.per_sample)

    # -- the scorer ------------------------------------------------------------------------------------------

    @property
    def function(self) -> ScoreFunction:
        return self.scorer.function

    @property
    def params(self) -> Params:
        """Parameters at the center, by name."""
        return self.scorer.params

    @property
    def data(self) -> FrozenData:
        return self.scorer.data

    @property
    def module(self) -> torch.nn.Module | None:
        return self.scorer.module

    @property
    def mode(self) -> Mode:
        return self.scorer.mode

    @property
    def calibration(self) -> BatchNormCalibration | None:
        return self.scorer.calibration

    @property
    def per_sample(self) -> bool:
        """Whether the loss of each sample is known, or only a batch's mean."""
        return self.scorer.per_sample

    @property
    def precision(self) -> Precision:
        return self.scorer.precision

    @property
    def loss_uses_autograd(self) -> bool:
        return self.scorer.loss_uses_autograd

    @property
    def state(self) -> Params:
        """Parameters and buffers."""
        return self.scorer.state

    def score(self, params: Params, batch: Any) -> Scores:
        """Scores of one batch where `params` replace the model's own; missing names keep the center's value."""
        return self.scorer.score(params, batch)

    def with_batchnorm_statistics(self, params: Params) -> Params:
        """`params` with what the mode adds at that point: statistics estimated anew in "recalibrated", else nothing."""
        return self.scorer.with_batchnorm_statistics(params)

    def estimated(self, params: Params) -> Params:
        """Normalization statistics estimated from the data with the weights `params`, in modes that do so."""
        return self.scorer.estimated(params)

    def no_autograd(self) -> AbstractContextManager[None]:
        """Without autograd, unless the loss itself differentiates, as a physics-informed one does."""
        return self.scorer.no_autograd()

    # -- inside ----------------------------------------------------------------------------------------------

    def _replace(self, **changed: Any) -> Objective:
        of_scorer = {name: changed.pop(name) for name in SCORER_FIELDS & set(changed)}
        parts = {"scorer": replace(self.scorer, **of_scorer), **changed}
        other = object.__new__(type(self))
        other._fill(ObjectiveParts(**{f.name: parts.get(f.name, getattr(self, f.name)) for f in fields(self)}))
        return other

    def _fill(self, parts: ObjectiveParts) -> None:
        """Set all fields, once: a frozen dataclass whose arguments are not its fields."""
        for name, value in parts._asdict().items():
            object.__setattr__(self, name, value)


def _data_in_words(data: FrozenData, split: str) -> str:
    if data.batches == (None,):
        return "no data"
    return f"{data.samples:,} sample{'s' * (data.samples != 1)}" + (f" ({split})" if split else "")


def check_objective(objective: object, argument: str = "objective") -> None:
    """Refuse what is no objective, such as the bare loss function.

    Raises:
        InputError: something else than an `Objective`.
    """
    if not isinstance(objective, Objective):
        label = getattr(objective, "__name__", type(objective).__name__)
        raise InputTypeError(argument, label, "an la.Objective", "Make one of model, loss and data: la.Objective(model, loss, (x, y))")
