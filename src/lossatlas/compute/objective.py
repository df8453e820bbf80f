"""The objective: model, loss and fixed data as one pure function of the parameters."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torch.utils import _pytree as pytree

from lossatlas.compute.data import FixedData, count_of, fix
from lossatlas.compute.microbatch import micro_batches
from lossatlas.compute.params import Params, fingerprint, params_of
from lossatlas.errors import InputError

Mode = Literal["eval", "train"]


@dataclass(frozen=True)
class Scores:
    """What one batch gives at one point.

    Attributes:
        losses: ``(samples,)``, or ``()`` where the loss has only a mean over the batch.
        outputs: what the model returned, for metrics such as accuracy; None from a plain callable.
        targets: the batch's targets, or None.
    """

    losses: Float[Tensor, "*samples"]
    outputs: Any = None
    targets: Any = None


ScoreFunction = Callable[[Params, Any], Scores]


@dataclass(frozen=True, init=False, eq=False)
class Objective:
    """A pure function ``params -> per-sample losses`` over fixed data.

    The model is copied once, so that later training or evaluation never touches the original, nor the other way
    round.

    Args:
        model: an nn.Module, or a callable ``f(params, batch)`` that returns losses ``(samples,)`` or their mean.
        loss: ``loss(output, target)``, such as `torch.nn.functional.cross_entropy` or a loss module. None where
            the model returns its own loss (a scalar, `.loss` or ``["loss"]``) or is a callable.
        data: ``(x, y)`` tensors or arrays, a Dataset or a DataLoader. Random order or augmentation is frozen once.
        params: the parameters at the center; needed for a callable, taken from a module otherwise.
        batch_size: samples a batch (a DataLoader keeps its own); it changes no value beyond rounding.
        samples: use the first so many samples only.
        dtype: cast model and floating-point data, for instance ``torch.float64``.
        device: where to compute.
        mode: "eval" uses stored BatchNorm statistics and no dropout (Li et al. 2018); "train" the batch's own.
        split: a word for the provenance, such as "train" or "test".
        units: of the loss; "nats" for cross-entropy.

    Raises:
        InputError: an empty dataset, a model that does not run on the batch, NaN weights, or a loss of the wrong shape.

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
    data: FixedData
    module: torch.nn.Module | None
    per_sample: bool
    mode: Mode
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
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        mode: Mode = "eval",
        split: str | None = None,
        units: str | None = None,
    ) -> None:
        if mode not in ("eval", "train"):
            raise InputError("mode", mode, '"eval" or "train"')
        module = _own_copy(model, dtype, device, mode) if isinstance(model, torch.nn.Module) else None
        if module is None and (not callable(model) or params is None):
            raise InputError("model", type(model).__name__, "an nn.Module, or a callable f(params, batch) together with params=")
        given = {} if params is None else {n: _cast(p, dtype, device).clone() for n, p in params_of(params).items()}
        center = given if module is None else _override(params_of(module), given)
        _check_finite(center)
        fixed = fix(data, batch_size, samples).map(lambda t: _cast(t, dtype, device))
        function = CallableLoss(model) if module is None else ModuleLoss(module, loss).resolved(center, fixed)
        self._set(function=function, params=center, data=fixed, module=module, mode=mode)
        probe = self._probe()
        self._set(per_sample=probe.losses.dim() == 1)
        self._set(description=self._describe(model, loss, split, units))
        self._set(data=micro_batches(self))

    def with_data(self, data: FixedData) -> Objective:
        """The same function over other batches, for probes and micro-batches; the description stays."""
        return self._like(data=data)

    def replica(self) -> Objective:
        """The same function on a module of its own, for another thread; weights are shared, running statistics copied.

        `functional_call` swaps the module's parameters while it runs, so two threads on one module give wrong values.
        """
        if self.module is None:
            return self
        shared = {id(p): p for p in self.module.parameters()}
        module = copy.deepcopy(self.module, shared)
        assert isinstance(self.function, ModuleLoss)
        return self._like(module=module, function=replace(self.function, module=module))

    # -- values ----------------------------------------------------------------------------------------------

    @property
    def samples(self) -> int:
        return self.data.samples

    @property
    def name(self) -> str:
        return str(self.description["model"])

    def score(self, params: Params, batch: Any) -> Scores:
        """Scores of one batch where `params` replace the model's own; missing names keep the center's value."""
        return self.function(params, batch)

    def loss(self, params: Params | None = None) -> float:
        """Mean loss over all of the data, summed in float64; at the center where `params` is None."""
        with self.quiet():
            return float(self._mean(self.params if params is None else params))

    def differentiable_loss(self, params: Params) -> Tensor:
        """The same mean as `loss`, as a 0-d float64 tensor that autograd follows back to `params`."""
        return self._mean(params)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Without autograd, and with the module's buffers put back afterwards, whatever happens."""
        live = {} if self.module is None or self.mode == "eval" else dict(self.module.named_buffers())
        saved = {name: buffer.clone() for name, buffer in live.items()}
        try:
            with torch.inference_mode():
                yield
        finally:
            with torch.no_grad():
                for name, buffer in live.items():
                    buffer.copy_(saved[name])

    def _mean(self, params: Params) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=next(iter(self.params.values())).device)
        for batch, count in zip(self.data.batches, self.data.counts, strict=True):
            losses = self.score(params, batch).losses.double()
            total = total + (losses.sum() if losses.dim() else losses * count)
        return total / self.samples

    # -- inside ----------------------------------------------------------------------------------------------

    def _like(self, **changed: Any) -> Objective:
        other = object.__new__(Objective)
        other._set(**{f.name: changed.get(f.name, getattr(self, f.name)) for f in fields(self)})
        return other

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _probe(self) -> Scores:
        """Run the first batch once, so that a model or loss that cannot work says so before the long run."""
        with self.quiet():
            try:
                scores = self.function(self.params, self.data.batches[0])
            except InputError:
                raise
            except Exception as error:
                shapes = _shapes(self.data.batches[0])
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

    def _describe(self, model: Any, loss: Any, split: str | None, units: str | None) -> dict[str, Any]:
        first = next(iter(self.params.values()))
        loss_name = _name(loss) if loss is not None else "the model's own loss"
        return {
            "kind": "module" if self.module is not None else "callable",
            "model": type(model).__name__ if self.module is not None else _name(model),
            "loss": loss_name,
            "units": units if units is not None else _units(loss_name),
            "samples": self.samples,
            "split": split,
            "data_hash": self.data.hash,
            "batch_size": max(self.data.counts),
            "batches": len(self.data.counts),
            "dtype": str(first.dtype).removeprefix("torch."),
            "device": str(first.device),
            "mode": self.mode,
            "per_sample": self.per_sample,
            "note": self.data.note,
            "center_hash": fingerprint(self.params),
        }


@dataclass(frozen=True)
class ModuleLoss:
    """`functional_call` of a module, then the loss; `function` of an Objective made from an nn.Module."""

    module: torch.nn.Module
    loss: Callable[..., Tensor] | None

    def __call__(self, params: Params, batch: Any) -> Scores:
        inputs, targets = split_batch(batch, has_loss=self.loss is not None)
        args, kwargs = _arguments(inputs)
        outputs = functional_call(self.module, params, args, kwargs)
        if self.loss is None:
            return Scores(_own_loss(outputs), outputs, targets)
        losses = self.loss(outputs) if targets is None else self.loss(outputs, targets)
        if losses.dim() > 1 and len(losses) == count_of(batch):
            losses = losses.flatten(1).mean(1)
        return Scores(losses, outputs, targets)

    def resolved(self, center: Params, data: FixedData) -> ModuleLoss:
        """The per-sample form of the loss where one exists and its mean is the loss itself; else this very function."""
        candidate = _unreduced(self.loss)
        if candidate is None or _has_ignored_targets(self.loss, data):
            return self
        per_sample = ModuleLoss(self.module, candidate)
        with torch.no_grad():
            try:
                one, each = self(center, data.batches[0]).losses, per_sample(center, data.batches[0]).losses
            except Exception:
                return self
        same = one.dim() == 0 and each.dim() == 1 and len(each) == data.counts[0]
        return per_sample if same and torch.allclose(each.double().mean(), one.double(), rtol=1e-4, atol=1e-8, equal_nan=True) else self


@dataclass(frozen=True)
class CallableLoss:
    """A user's ``f(params, batch)``; `function` of an Objective made from a callable."""

    user: Callable[[Params, Any], Tensor]

    def __call__(self, params: Params, batch: Any) -> Scores:
        losses = self.user(params, batch)
        return Scores(losses if isinstance(losses, Tensor) else torch.as_tensor(losses))


def split_batch(batch: Any, has_loss: bool = True) -> tuple[Any, Any]:
    """``(inputs, targets)`` of a batch; a dict carries its targets as "labels" and goes to the model whole."""
    if isinstance(batch, Mapping):
        return batch, batch.get("labels")
    if isinstance(batch, tuple) and len(batch) >= 2 and has_loss:
        return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1]
    return batch, None


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)), {}


def _own_loss(outputs: Any) -> Tensor:
    found = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", outputs)
    if not isinstance(found, Tensor):
        raise InputError("loss", "None", "a loss function, since the model does not return a tensor, `.loss` or ['loss']")
    return found


def _unreduced(loss: Callable[..., Tensor] | None) -> Callable[..., Tensor] | None:
    """The same loss with ``reduction="none"``, or None where it has no such form."""
    if isinstance(loss, torch.nn.Module):
        reduction = getattr(loss, "reduction", None)
        if reduction == "mean":
            candidate = copy.copy(loss)
            setattr(candidate, "reduction", "none")  # noqa: B010 - nn.Module types its attributes as tensors
            return candidate
        chosen = reduction
    else:
        try:
            parameter = inspect.signature(loss).parameters.get("reduction") if loss is not None else None
        except (TypeError, ValueError):
            return None
        if parameter is None:
            return None
        if parameter.default == "mean":
            assert loss is not None
            return functools.partial(loss, reduction="none")
        chosen = parameter.default
    if chosen == "sum":
        raise InputError(
            "loss", "reduction='sum'", "reduction='mean' or 'none'", "A sum depends on the number of samples; means can be compared"
        )
    return None


def _has_ignored_targets(loss: Any, data: FixedData) -> bool:
    """Cross-entropy divides by the targets it does not ignore, so its mean is not the mean over samples."""
    keywords = loss.keywords if isinstance(loss, functools.partial) else {}
    ignored = getattr(loss, "ignore_index", keywords.get("ignore_index", -100))
    targets = (split_batch(batch)[1] for batch in data.batches)
    return any(isinstance(t, Tensor) and not t.is_floating_point() and bool((t == ignored).any()) for t in targets)


def _own_copy(model: torch.nn.Module, dtype: torch.dtype | None, device: Any, mode: Mode) -> torch.nn.Module:
    own = copy.deepcopy(model)
    own.requires_grad_(False)
    own.train(mode == "train")
    return own.to(device=device, dtype=dtype)


def _cast(tensor: Tensor, dtype: torch.dtype | None, device: Any) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)


def _check_finite(params: Params) -> None:
    for name, value in params.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            count = int((~torch.isfinite(value)).sum())
            raise InputError(
                "model", f"{count} NaN or infinite weights in {name}", "finite weights", "Load an earlier checkpoint; this one has diverged"
            )


def _override(own: Params, given: Params) -> Params:
    if unknown := sorted(set(given) - set(own)):
        raise InputError("params", ", ".join(unknown[:4]), f"names of the model such as {next(iter(own))!r}")
    return {**own, **given}


def _shapes(batch: Any) -> str:
    return ", ".join(str(tuple(t.shape)) for t in pytree.tree_leaves(batch) if isinstance(t, Tensor)) or "none"


def _name(function: Any) -> str:
    if isinstance(function, functools.partial):
        return _name(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def _units(loss_name: str) -> str:
    entropic = ("crossentropy", "nll", "kldiv", "bce", "binarycrossentropy")
    return "nats" if any(word in loss_name.lower().replace("_", "") for word in entropic) else ""
