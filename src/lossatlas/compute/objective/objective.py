"""The objective: model, loss and fixed data as one pure function of the parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lossatlas.analysis.sampling import standard_error_fpc
from lossatlas.compute.objective.argument_checks import check_device, check_options
from lossatlas.compute.objective.batch_weights import batch_weights, check_batch_independence
from lossatlas.compute.objective.batchnorm import AUTO, BatchNormCalibration, Mode, check_mode
from lossatlas.compute.objective.data import FrozenData, freeze_data
from lossatlas.compute.objective.description import name_of, shapes_of, units_of
from lossatlas.compute.objective.labels import check_labels
from lossatlas.compute.objective.loss_functions import (
    CallableLoss,
    ModuleLoss,
    ScoreFunction,
    Scores,
    has_tied_weights,
    run_module,
    split_batch,
)
from lossatlas.compute.objective.micro_batches import join_lone_samples, micro_batches
from lossatlas.compute.objective.module_copies import (
    copy_in_mode,
    copy_sharing_parameters,
    frozen_copy,
    load_given_params,
    load_tensors,
    loss_twin,
)
from lossatlas.compute.objective.parameter_use.check import check_reads
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.checks import check_finite, check_subset
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.layer_kinds import layers_by_mode
from lossatlas.compute.params.params import Params, params_of
from lossatlas.errors import InputError, InputTypeError

Precision = Literal["full", "bf16"]

__all__ = ["CallableLoss", "ModuleLoss", "Objective", "ScoreFunction", "Scores", "split_batch"]


@dataclass(frozen=True, init=False, eq=False)
class Objective:
    """A pure function ``params -> per-sample losses`` over fixed data.

    The model is copied once, so that later training or evaluation never touches the original, nor the other way
    round.

    Args:
        model: an nn.Module, or a callable ``f(params, batch)`` that returns losses ``(samples,)`` or their mean.
        loss: ``loss(output, target)``, such as `torch.nn.functional.cross_entropy` or a loss module. None where
            the model returns its own loss (a scalar, `.loss` or ``["loss"]``) or is a callable.
        data: ``(x, y)`` tensors or arrays, a Dataset or a DataLoader. Random order or augmentation is frozen once. Tensors and
            arrays handed over are not copied, for they may be large: do not write into them afterwards.
        params: the parameters at the center; needed for a callable, taken from a module otherwise.
        batch_size: samples a batch (a DataLoader keeps its own); it changes no value beyond rounding.
        samples: use the first so many samples only.
        population: how many samples the data are a random subset of (`random_subset` knows it by itself): standard errors
            then carry the finite-population factor. Give the number of samples itself where the data are all there is:
            standard errors are zero. None takes the data as drawn from an endless supply, the usual view of a training set.
        dtype: cast model and floating-point data, for instance ``torch.float64``.
        device: where to compute.
        mode: "eval" uses stored BatchNorm statistics and no dropout (Li et al. 2018); "interpolated" moves them along a
            plane between models; "recalibrated" estimates them anew at every point, "anchored" too, except near the models
            of a plane, where they become those models' own; "batch" uses each batch's own, with a last sample that would be
            a batch alone joined to the batch before; "train" also drops out, with the same noise everywhere. "auto" is
            "anchored" on planes through several models and "eval" elsewhere.
        split: a word for the provenance, such as "train" or "test".
        units: of the loss; "nats" for cross-entropy.

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

    function: ScoreFunction
    params: Params
    data: FrozenData
    original_data: FrozenData = field(repr=False)
    module: torch.nn.Module | None
    per_sample: bool
    mode: Mode
    automatic: bool
    calibration: BatchNormCalibration | None = field(repr=False)
    weights: tuple[float, ...] = field(repr=False)
    precision: Precision
    loss_uses_autograd: bool
    description: Mapping[str, Any] = field(repr=False)

    def __init__(
        self,
        model: torch.nn.Module | Callable[[Params, Any], Tensor],
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
    ) -> None:
        check_mode(mode)
        check_options(dtype, device, split, units)
        mode, automatic = ("eval", True) if mode == AUTO else (mode, False)
        if loss is not None and not callable(loss):
            allowed, advice = "a function loss(output, target)", "The order is Objective(model, loss, data)"
            raise InputTypeError("loss", type(loss).__name__, allowed, advice)
        module = frozen_copy(model, dtype, device) if isinstance(model, torch.nn.Module) else None
        if module is None and (not callable(model) or params is None):
            raise InputTypeError("model", type(model).__name__, "an nn.Module, or a callable f(params, batch) together with params=")
        given = {} if params is None else {n: _cast(p, dtype, device).clone() for n, p in params_of(params).items()}
        center = given if module is None else load_given_params(module, given)
        check_finite(center)
        fixed = _with_population(population, freeze_data(data, batch_size, samples)).map(lambda t: _cast(t, dtype, device))
        function = CallableLoss(model) if module is None else _module_loss(module, loss, mode, center, fixed)
        self._set(function=function, params=center, module=module, mode=mode, precision="full", loss_uses_autograd=False)
        self._set(data=join_lone_samples(fixed, module, mode))
        self._set(calibration=_calibration(module, mode), automatic=automatic)
        probe = self._probe()
        check_labels(loss, probe.outputs, fixed)
        self._set(per_sample=probe.losses.dim() == 1)
        noise = "the model is random in eval mode: the same noise at every point" if getattr(function, "is_stochastic", False) else None
        fixed = fixed.with_note(check_batch_independence(self), noise, check_reads(self, model, loss, params))
        self._set(data=fixed, original_data=fixed)
        self._set(description=self._describe(model, loss, split, units))
        self._set(data=micro_batches(self))
        self._set(weights=self._weights(self.data))

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
        changed |= {"calibration": _calibration(self.module, mode)}
        data = micro_batches(self._replace(**changed, data=self.original_data))
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
        check_subset(self.state, state, "state")
        params = {n: p if n not in state else state[n].detach().to(p).clone() for n, p in self.params.items()}
        described = {**self.description, "center_hash": hash_tensors(params)}
        if self.module is None:
            return self._replace(params=params, description=described)
        module = copy_sharing_parameters(self.module) if not set(state) & set(params) else frozen_copy(self.module, None, None)
        load_tensors(module, state)
        assert isinstance(self.function, ModuleLoss)
        function = replace(self.function, module=copy_in_mode(module, self.mode))
        calibration = _calibration(module, self.mode)
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
        given = data if self.original_data is self.data else self.original_data.map(lambda t: t.to(device))
        moved = {"params": {n: p.to(device) for n, p in self.params.items()}, "data": data, "original_data": given}
        if self.module is None:
            return self._replace(**moved)
        module = copy.deepcopy(self.module).to(device)
        assert isinstance(self.function, ModuleLoss)
        function = replace(self.function, module=copy_in_mode(module, self.mode))
        return self._replace(**moved, module=module, function=function, calibration=_calibration(module, self.mode))

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
        function = replace(self.function, module=copy_in_mode(module, self.mode), loss=loss_twin(self.function.loss))
        return self._replace(module=module, function=function, calibration=_calibration(module, self.mode))

    # -- values ----------------------------------------------------------------------------------------------

    @property
    def samples(self) -> int:
        return self.data.samples

    @property
    def name(self) -> str:
        return str(self.description["model"])

    @property
    def state(self) -> Params:
        """Parameters and buffers."""
        return self.params if self.module is None else {**self.params, **dict(self.module.named_buffers(remove_duplicate=False))}

    def score(self, params: Params, batch: Any) -> Scores:
        """Scores of one batch where `params` replace the model's own; missing names keep the center's value."""
        if self.precision == "full":
            return self.function(params, batch)
        with torch.autocast(next(iter(self.params.values())).device.type, torch.bfloat16):
            return self.function(params, batch)

    def with_batchnorm_statistics(self, params: Params) -> Params:
        """`params` with what the mode adds at that point: statistics estimated anew in "recalibrated", else nothing."""
        return {**cast_like(params, self.state), **self.estimated(params)} if self.mode == "recalibrated" else params

    def estimated(self, params: Params) -> Params:
        """Normalization statistics estimated from the data with the weights `params`, in modes that do so."""
        if self.calibration is None:
            return {}
        with torch.no_grad():
            return self.calibration.statistics(cast_like(params, self.state), self.data.batches)

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

    @contextmanager
    def no_autograd(self) -> Iterator[None]:
        """Without autograd, unless the loss itself differentiates, as a physics-informed one does."""
        with torch.enable_grad() if self.loss_uses_autograd else torch.inference_mode():
            yield

    @contextmanager
    def traceable(self) -> Iterator[None]:
        """As `quiet`, but so that every simple operation can be watched: inference mode would hide them in larger ones."""
        with torch.inference_mode(False), torch.enable_grad() if self.loss_uses_autograd else torch.no_grad():
            yield

    def _mean(self, params: Params) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=next(iter(self.params.values())).device)
        placed = self.with_batchnorm_statistics(cast_like(params, self.state))
        for batch, weight in self.weighted_batches():
            losses = self.score(placed, batch).losses.double()
            total = total + (losses.sum() if losses.dim() else losses * weight)
        return total / self.samples

    def _weights(self, data: FrozenData) -> tuple[float, ...]:
        return batch_weights(self.function, data, self.per_sample)

    # -- inside ----------------------------------------------------------------------------------------------

    def _replace(self, **changed: Any) -> Objective:
        other = object.__new__(Objective)
        other._set(**{f.name: changed.get(f.name, getattr(self, f.name)) for f in fields(self)})
        return other

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _probe(self) -> Scores:
        """Run the first batch once, so that a model or loss that cannot work says so before the long run."""
        try:
            scores = self._first_batch()
        except InputError:
            raise
        except Exception as error:
            self._set(loss_uses_autograd=True)
            try:
                scores = self._first_batch()
            except Exception:
                self._check_labels_of_first_batch()
                shapes = shapes_of(self.data.batches[0])
                raise InputError("model", f"{type(error).__name__}: {error}", f"a model that runs on a batch of shapes {shapes}") from error
        count = self.data.counts[0]
        if scores.losses.dim() > 1 or (scores.losses.dim() == 1 and len(scores.losses) != count):
            shape = tuple(scores.losses.shape)
            raise InputError(
                "loss",
                f"a result of shape {shape}",
                f"a scalar or one loss a sample, shape ({count},)",
                "Average the other axes in the loss",
            )
        return scores

    def _check_labels_of_first_batch(self) -> None:
        """The usual reason why a loss fails; where the model itself fails there is nothing to check."""
        if not isinstance(self.function, ModuleLoss):
            return
        inputs, outputs = split_batch(self.data.batches[0])[0], None
        with self.no_autograd(), suppress(Exception):
            outputs = run_module(self.function.module, self.with_batchnorm_statistics(self.params), inputs, self.function.has_tied_weights)
        check_labels(self.function.loss, outputs, self.data)

    def _first_batch(self) -> Scores:
        with self.no_autograd():
            return self.function(self.with_batchnorm_statistics(self.params), self.data.batches[0])

    def _describe(self, model: Any, loss: Any, split: str | None, units: str | None) -> dict[str, Any]:
        first = next(iter(self.params.values()))
        loss_name = name_of(loss) if loss is not None else "the model's own loss"
        return {
            "kind": "module" if self.module is not None else "callable",
            "model": type(model).__name__ if self.module is not None else name_of(model),
            "loss": loss_name,
            "units": units if units is not None else units_of(loss_name),
            "samples": self.samples,
            "population": self.data.population,
            "split": split,
            "data_hash": self.data.hash,
            "batch_size": max(self.data.counts),
            "batches": len(self.data.counts),
            "dtype": str(first.dtype).removeprefix("torch."),
            "device": str(first.device),
            "mode": self.mode,
            "mode_layers": layers_by_mode(self.module),
            "per_sample": self.per_sample,
            "note": self.data.note,
            "center_hash": hash_tensors(self.params),
        }


def check_objective(objective: object, argument: str = "objective") -> None:
    """Refuse what is no objective, such as the bare loss function.

    Raises:
        InputError: something else than an `Objective`.
    """
    if not isinstance(objective, Objective):
        given = getattr(objective, "__name__", type(objective).__name__)
        raise InputTypeError(argument, given, "an la.Objective", "Make one of model, loss and data: la.Objective(model, loss, (x, y))")


def _module_loss(module: torch.nn.Module, loss: Callable[..., Tensor] | None, mode: Mode, center: Params, data: FrozenData) -> ModuleLoss:
    return (
        ModuleLoss(copy_in_mode(module, mode), loss, mode, has_tied_weights=has_tied_weights(module))
        .detect_inplace_writes(center, data)
        .with_per_sample_loss(center, data)
    )


def _calibration(module: torch.nn.Module | None, mode: Mode) -> BatchNormCalibration | None:
    if mode not in ("recalibrated", "anchored") or module is None:
        return None
    return BatchNormCalibration.of(copy_sharing_parameters(module), lambda m, params, batch: run_module(m, params, split_batch(batch)[0]))


def _with_population(population: int | None, data: FrozenData) -> FrozenData:
    standard_error_fpc(data.samples, population)  # refuses a population that is too small
    return data if population is None else replace(data, population=population)


def _cast(tensor: Tensor, dtype: torch.dtype | None, device: Any) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
