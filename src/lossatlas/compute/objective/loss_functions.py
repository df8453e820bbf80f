"""Loss functions of one batch: a module with its loss, or a user's callable, as pure functions of the parameters."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas._util.caller import caller_level
from lossatlas.compute.objective.data.fixed_data import FrozenData, count_of
from lossatlas.compute.objective.data.targets import DEFAULT_TARGET_FORMAT, TargetFormat, is_mean_over_samples
from lossatlas.compute.objective.module.batchnorm import Mode
from lossatlas.compute.objective.module.random_state import fixed_rng
from lossatlas.compute.objective.module.run_module import run_module
from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Scores:
    """Losses and outputs of one batch at one point.

    Attributes:
        losses: ``(samples,)``, or ``()`` where the loss has only a mean over the batch.
        outputs: what the model returned, for metrics such as accuracy; None from a plain callable.
        targets: the batch's targets, or None.
        target_format: how the targets are to be read.
        reference: what another model returned on this batch, for metrics relative to it.
        terms: by name, what a loss that returns a mapping gives beside "loss", each shaped like `losses` or ``()``.
    """

    losses: Tensor
    outputs: Any = None
    targets: Any = None
    target_format: TargetFormat = DEFAULT_TARGET_FORMAT
    reference: Any = None
    terms: Mapping[str, Tensor] = field(default_factory=dict)


ScoreFunction = Callable[[Params, Any], Scores]


@dataclass(frozen=True)
class ModuleLoss:
    """A module with other parameters, then the loss; `function` of an Objective made from an nn.Module.

    Attributes:
        module: in the mode to be measured.
        loss: ``loss(output, target)``, or None where the model returns its own.
        mode: see `batchnorm`.
        has_tied_weights: some weight has two names; looking for them at every call costs as much as a small network.
        target_format: how accuracy reads the targets of these data.
        is_stochastic: the model draws random numbers in eval mode too; each call then draws the same ones.
        clones_inputs: the model writes into its buffers or inputs, so each call gets copies of them.
    """

    module: torch.nn.Module
    loss: Callable[..., Tensor] | None
    mode: Mode = "eval"
    clones_inputs: bool = False
    has_tied_weights: bool = True
    target_format: TargetFormat = DEFAULT_TARGET_FORMAT
    is_stochastic: bool = False

    def __call__(self, params: Params, batch: Any) -> Scores:
        if self.clones_inputs:
            batch = pytree.tree_map_only(Tensor, torch.clone, batch)
            params = {**{name: buffer.clone() for name, buffer in self.module.named_buffers()}, **params}
        inputs, targets = split_batch(batch, has_loss=self.loss is not None)
        with fixed_rng(self.is_stochastic or self.mode == "train"):
            outputs = run_module(self.module, params, inputs, self.has_tied_weights)
        if self.loss is None:
            return Scores(model_loss(outputs), outputs, targets, self.target_format)
        result = self.loss(outputs) if targets is None else self.loss(outputs, targets)
        is_plain = isinstance(result, Tensor) and result.dim() < 2
        losses, terms = (result, {}) if is_plain else split_terms(result, count_of(batch))
        return Scores(losses, outputs, targets, self.target_format, terms=terms)

    @property
    def allows_layout_change(self) -> bool:
        """Layers may be computed another way: stored statistics, nothing written in place, one name a weight, Python modules."""
        return (
            self.mode == "eval"
            and not self.clones_inputs
            and not self.has_tied_weights
            and not isinstance(self.module, torch.jit.ScriptModule)
        )

    def detect_inplace_writes(self, center: Params, data: FrozenData) -> ModuleLoss:
        """Guarded where the model is found to change its buffers or its inputs; a landscape needs the same ones everywhere."""
        batch = data.batches[0]
        before = pytree.tree_map_only(Tensor, torch.clone, (dict(self.module.named_buffers()), batch))

        def tried() -> tuple[ModuleLoss, bool]:
            steady, held = replace(self, clones_inputs=True).detect_randomness(center, batch)
            replace(steady, clones_inputs=False)(center, batch)
            return steady, held

        try:
            steady, held = without_gradients_if_possible(tried)
        except Exception:
            return self
        after = (dict(self.module.named_buffers()), batch)
        pairs = list(zip(pytree.tree_leaves(before), pytree.tree_leaves(after), strict=True))
        changed = [(old, new) for old, new in pairs if isinstance(new, Tensor) and not _identical(old, new)]
        for old, new in changed:
            new.copy_(old)
        if steady.is_stochastic:
            _warn_stochastic(held)
        return replace(steady, clones_inputs=bool(changed))

    def detect_randomness(self, center: Params, batch: Any) -> tuple[ModuleLoss, bool]:
        """With the same noise at every call where two calls differ, else a landscape shows the noise; and whether calls then agree."""

        def repeats(function: ModuleLoss) -> bool:
            one, two = (function(center, batch).losses for _ in range(2))
            return torch.allclose(one, two, rtol=1e-4, atol=1e-7, equal_nan=True)

        device = next(iter(center.values())).device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            if repeats(self):
                return self, True
            noisy = replace(self, is_stochastic=True)
            return noisy, repeats(noisy)

    def with_per_sample_loss(self, center: Params, data: FrozenData) -> ModuleLoss:
        """With the per-sample form of the loss where one exists and its mean is the loss, and with how these data's targets are read."""
        targets = [split_batch(batch, self.loss is not None)[1] for batch in data.batches]
        predicts_next = self.loss is None and predicts_next_token(self.module)
        form = replace(TargetFormat.of(self.loss, targets), predicts_next=predicts_next)
        whole, candidate = replace(self, target_format=form), per_sample_form(self.loss)
        if candidate is None or not is_mean_over_samples(self.loss, targets):
            return whole
        per_sample = replace(whole, loss=candidate)
        try:
            one, each = without_gradients_if_possible(lambda: [f(center, data.batches[0]).losses.detach() for f in (self, per_sample)])
        except Exception:
            return whole
        same = one.dim() == 0 and each.dim() == 1 and len(each) == data.counts[0]
        return per_sample if same and torch.allclose(each.double().mean(), one.double(), rtol=1e-4, atol=1e-8, equal_nan=True) else whole


@dataclass(frozen=True)
class CallableLoss:
    """A user's ``f(params, batch)``; `function` of an Objective made from a callable."""

    user: Callable[[Params, Any], Any]

    def __call__(self, params: Params, batch: Any) -> Scores:
        losses, terms = split_terms(self.user(params, batch))
        return Scores(losses, terms=terms)


def split_terms(result: Any, count: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its terms: a mapping holds them by name, the loss itself under "loss"; anything else is the loss alone.

    Axes beyond that of `count` samples are averaged.

    Raises:
        InputError: a mapping without "loss", or a name of a term that cannot name an array.
    """
    if not isinstance(result, Mapping):
        return _sample_means(result, count), {}
    names = [name for name in result if name != "loss"]
    if "loss" not in result:
        advice = 'Return the value that is minimized under "loss", and its terms beside it'
        raise InputError("loss", f"a mapping of {', '.join(map(str, names)) or 'nothing'}", 'a mapping that holds "loss"', advice)
    if odd := [name for name in names if not (isinstance(name, str) and name.isidentifier())]:
        raise InputError("loss", f"a term named {odd[0]!r}", "names of letters, digits and underscores, such as 'boundary'")
    return _sample_means(result["loss"], count), {name: _sample_means(result[name], count) for name in names}


def _sample_means(values: Any, count: int | None) -> Tensor:
    values = values if isinstance(values, Tensor) else torch.as_tensor(values)
    return values.flatten(1).mean(1) if count is not None and values.dim() > 1 and len(values) == count else values


def split_batch(batch: Any, has_loss: bool = True) -> tuple[Any, Any]:
    """``(inputs, targets)`` of a batch; a dict carries its targets as "labels" and goes to the model whole."""
    if isinstance(batch, Mapping):
        return batch, batch.get("labels")
    if isinstance(batch, tuple) and len(batch) >= 2 and has_loss:
        return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1]
    return batch, None


def without_gradients_if_possible(function: Callable[[], Result]) -> Result:
    """The function's result without autograd, or with it where the model differentiates in its forward pass."""
    with torch.no_grad():
        try:
            return function()
        except Exception:
            with torch.enable_grad():
                return function()


def predicts_next_token(module: torch.nn.Module) -> bool:
    """Whether the model's own loss compares each output with the label after it, as those of transformers do."""
    return any(type(part).__name__.endswith(("ForCausalLM", "LMHeadModel")) for part in module.modules())


def has_tied_weights(module: torch.nn.Module) -> bool:
    """Whether some parameter or buffer goes by several names."""
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return len({id(tensor) for _, tensor in named}) < len(named)


def _warn_stochastic(held: bool) -> None:
    what = "every point now sees the same noise" if held else "its noise comes from elsewhere than torch and shows in every value"
    warnings.warn(
        f"The model is random in eval mode: {what}. Take the randomness out of it, such as a VAE's sampling, for its mean loss.",
        UserWarning,
        stacklevel=caller_level(),
    )


def _identical(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a, b) or bool(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True))


def model_loss(outputs: Any) -> Tensor:
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", outputs)
    if not isinstance(loss, Tensor):
        has_logits = "logits" in outputs if isinstance(outputs, Mapping) else hasattr(outputs, "logits")
        advice = "Models of Transformers return it where the batches hold labels: {'input_ids': ids, 'labels': ids}" if has_logits else ""
        allowed = "a loss function, since the model does not return a tensor, `.loss` or ['loss']"
        raise InputError("loss", "None", allowed, advice)
    return loss


def per_sample_form(loss: Callable[..., Tensor] | None) -> Callable[..., Tensor] | None:
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
