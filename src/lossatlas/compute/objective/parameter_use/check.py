"""Check that a loss reads the parameters it is given, and not the caller's model.

Such a loss regularizes the caller's own `model.parameters()`, calls the caller's model, keeps its outputs in a cache, or holds
weights that the module never registered. Every operation of one forward pass is watched; whatever reads such a tensor is told
with the line of the caller's code.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas._util.caller import caller_level
from lossatlas.compute.objective.loss_functions import ModuleLoss, Scores
from lossatlas.compute.objective.module.random_state import seed_generators
from lossatlas.compute.objective.parameter_use.tracking import Callers, Read, ReadWatch, callers_tensors
from lossatlas.compute.objective.scorer import Scorer
from lossatlas.compute.params.arithmetic import is_differentiable_dtype
from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError

SAMPLES = 8
"""Of the first batch: which tensors are read does not depend on how many samples there are."""
MOVES = (0.1, 1.0, 10.0)
"""Relative lengths of the moves that change no value of a constant loss; one that changes some value ends the search."""
MOVED_BYTES = 256 * 2**20
"""Weights that are moved at first: of a large model only the last ones, all of them where those change nothing."""
BOOKKEEPING = frozenset(vars(torch.nn.Module()))


def check_reads(scorer: Scorer, model: Any, loss: Any, caller_params: Mapping[str, Tensor] | None) -> str | None:
    """Refuse a loss that reads the caller's weights in place of those it is given; warn where no weight has a say.

    Args:
        scorer: to run on a few samples of its first batch.
        model: what the caller made it from.
        loss: the caller's.
        caller_params: the caller's parameters, where the model is a callable.

    Returns:
        What stays fixed though it requires gradients, such as a loss's own temperature, for the provenance; or None.

    Raises:
        InputError: the caller's weights, or copies that the model keeps outside its parameters, change the loss.
    """
    probe = _Probe.of(scorer, callers_tensors(model, caller_params))
    with _alone(scorer):
        try:
            watch = probe.track()
            stale = [] if not watch.stale or not probe.matters(watch) else list(watch.stale.values())
            fixed = _reached(watch.outcome, watch.foreign)
            constant = not stale and probe.constant(watch.outcome)
            suspect = _suspect(scorer, fixed)
            if scorer.module is None:
                probe.run(probe.params)  # a function that writes params into the caller's model leaves the center's there
        except Exception:  # what the model does not bear here says nothing of what it reads
            return None
    if stale:
        raise _refusal(stale)
    if suspect:
        _warn(f"The loss reads {_listed(suspect)} at {suspect[0].line}, which no plane moves though gradients are required.", scorer)
    if constant:
        _warn("The loss does not change when every parameter moves.", scorer)
    known = {id(read.tensor) for read in suspect}
    return None if scorer.module is None else _note([read for read in fixed if id(read.tensor) not in known], loss)


@dataclass(frozen=True)
class _Probe:
    """A few samples of an objective's first batch, run again and again with the same noise."""

    function: Callable[[Params, Any], Scores]
    params: Params
    batch: Any
    callers: Callers

    @classmethod
    def of(cls, scorer: Scorer, callers: Callers) -> _Probe:
        function = scorer.function
        if isinstance(function, ModuleLoss) and not isinstance(function.module, torch.jit.ScriptModule):
            # A call swaps every registered parameter; an operation on one of them reads it from elsewhere, such as a list.
            callers = callers | {id(p): (f"{name} by a second reference", p) for name, p in function.module.named_parameters()}
        return cls(scorer.function, scorer.params, scorer.data.single_batch(0).split(SAMPLES).batches[0], callers)

    def run(self, params: Params) -> Scores:
        seed_generators(0)
        return self.function(params, self.batch)

    def track(self, stand_ins: bool = False) -> ReadWatch:
        watch = ReadWatch(self.callers, stand_ins, [t for t in pytree.tree_leaves(self.batch) if isinstance(t, Tensor)])
        with torch.enable_grad(), watch:
            watch.outcome = self.run(self.params)
        return watch

    def matters(self, watch: ReadWatch) -> bool:
        """Whether the loss changes where other numbers stand in for the caller's weights, which themselves are left alone."""
        instead = self.track(stand_ins=True).outcome
        assert watch.outcome is not None and instead is not None
        return not torch.allclose(watch.outcome.losses.double(), instead.losses.double(), rtol=1e-6, atol=0.0, equal_nan=True)

    def constant(self, outcome: Scores | None) -> bool:
        """Whether neither the loss nor the model's outputs change, to the last bit, at any of several other places.

        A plateau, such as that of units which are off for every sample, is none: its gradients are zero, and they are there.
        """
        assert outcome is not None
        before = _values(outcome)
        if not any(is_differentiable_dtype(p) and p.numel() for p in self.params.values()) or not before[0].isfinite().all():
            return False
        last = dict(_last(self.params))
        for number, length in enumerate(MOVES):
            for part in (last, self.params) if len(last) < len(self.params) else (last,):
                with torch.no_grad():
                    after = _values(self.run({**self.params, **_moved(part, length, seed=number)}))
                if len(after) != len(before) or not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
                    return False
        return not self.depends_on_params()

    def depends_on_params(self) -> bool:
        """Whether a path of derivatives leads from the loss to some parameter, be they all zero."""
        params = {n: p.detach().requires_grad_() if is_differentiable_dtype(p) else p for n, p in self.params.items()}
        with torch.enable_grad():
            losses = self.run(params).losses
        inputs = [p for p in params.values() if p.requires_grad]
        return losses.requires_grad and any(g is not None for g in torch.autograd.grad(losses.sum(), inputs, allow_unused=True))


@contextmanager
def _alone(scorer: Scorer) -> Iterator[None]:
    """The caller's random state, gradients and warnings are left alone."""
    device = next(iter(scorer.params.values())).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _reached(outcome: Scores | None, foreign: Mapping[int, Read]) -> list[Read]:
    """The reads whose tensors the loss's graph reaches."""
    assert outcome is not None
    pending, seen, leaves = [outcome.losses.grad_fn], set[Any](), {id(outcome.losses)}
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (variable := getattr(node, "variable", None)) is not None:
            leaves.add(id(variable))
        pending += [following for following, _ in node.next_functions]
    return [read for number, read in foreign.items() if number in leaves]


def _values(scores: Scores) -> list[Tensor]:
    """The loss, and the outputs where a module gives them."""
    outputs = [t.detach() for t in pytree.tree_leaves(scores.outputs) if isinstance(t, Tensor)]
    return [scores.losses.detach(), *outputs]


def _last(params: Params) -> Iterator[tuple[str, Tensor]]:
    """The last tensors, no more than `MOVED_BYTES` of them."""
    left = MOVED_BYTES
    for name, value in reversed(params.items()):
        left -= value.numel() * value.element_size()
        if left < 0 and left + value.numel() * value.element_size() < MOVED_BYTES:
            return
        yield name, value


def _moved(params: Params, length: float, seed: int) -> Params:
    """Other weights: every one plus noise of `length` times its tensor's root mean square."""
    generator = torch.Generator().manual_seed(seed)
    moved: Params = {}
    for name, value in params.items():
        if is_differentiable_dtype(value) and value.numel():
            scale = length * (float(value.abs().double().square().mean().sqrt()) + 0.1)
            noise = torch.randn(value.shape, generator=generator).to(value.device)
            moved[name] = value + (scale * noise).to(value.dtype)
    return moved


def _suspect(scorer: Scorer, reads: list[Read]) -> list[Read]:
    """Reads of what ought to be a parameter.

    A callable that writes params into the caller's model has moved those weights by now; the center's numbers are still in
    the weights of one that forgot to.
    """
    if scorer.module is not None:
        return _held(scorer.function, reads)
    return [read for read in reads if _among(read.tensor, scorer.params)]


def _among(tensor: Tensor, params: Params) -> bool:
    """The very numbers of one of the parameters; several equal numbers, such as zeros, tell nothing."""
    alike = (p for p in params.values() if p.shape == tensor.shape and p.dtype == tensor.dtype and p.device == tensor.device)
    return any(torch.equal(tensor.detach(), p) and bool((p != p.flatten()[0]).any()) for p in alike)


def _held(function: Any, reads: list[Read]) -> list[Read]:
    """Those of the reads whose tensors the module keeps without having registered them, with their names."""
    if not isinstance(function, ModuleLoss) or not reads:
        return []
    names = dict[int, str]()
    for prefix, module in function.module.named_modules():
        for key, value in vars(module).items():
            if key not in BOOKKEEPING:
                _name_weights(f"{prefix}.{key}".lstrip("."), value, names)
    loss = {id(p) for p in _modules_parameters(function.loss)}
    return [replace(r, name=names[id(r.tensor)]) for r in reads if id(r.tensor) in names and id(r.tensor) not in loss]


def _name_weights(path: str, value: Any, names: dict[int, str], depth: int = 3) -> None:
    """Names of the tensors in a list, tuple, dict or hidden module."""
    if isinstance(value, Tensor):
        names[id(value)] = path
    elif isinstance(value, torch.nn.Module):
        names |= {id(p): f"{path}.{name}" for name, p in value.named_parameters()}
    elif depth and isinstance(value, list | tuple):
        for number, each in enumerate(value):
            _name_weights(f"{path}[{number}]", each, names, depth - 1)
    elif depth and isinstance(value, Mapping):
        for key, each in value.items():
            _name_weights(f"{path}[{key!r}]", each, names, depth - 1)


def _modules_parameters(loss: Any) -> list[Tensor]:
    """Of a loss module, or of the one whose method the loss is."""
    owner = loss if isinstance(loss, torch.nn.Module) else getattr(loss, "__self__", None)
    return list(owner.parameters()) if isinstance(owner, torch.nn.Module) else []


def _note(reads: list[Read], loss: Any) -> str | None:
    """Note for figures on tensors that require gradients and stay as they are."""
    if not reads:
        return None
    owner = loss if isinstance(loss, torch.nn.Module) else getattr(loss, "__self__", None)
    named = {id(p): name for name, p in owner.named_parameters()} if isinstance(owner, torch.nn.Module) else {}
    return f"the loss's own weights stay fixed: {_listed([replace(r, name=named.get(id(r.tensor), r.name)) for r in reads])}"


def _refusal(reads: list[Read]) -> InputError:
    return InputError(
        "loss",
        f"one that reads {_listed(reads)} at {reads[0].line}",
        "a loss whose weights are all given to it: in the model's output, or as params of a callable f(params, batch)",
        "Where such a weight is meant to be a constant, read a copy of it: weight.detach().clone()",
    )


def _listed(reads: list[Read]) -> str:
    return ", ".join(read.name for read in reads[:2]) + (f" and {len(reads) - 2} more" if len(reads) > 2 else "")


def _warn(what: str, scorer: Scorer) -> None:
    remedy = "Register weights with nn.Parameter, nn.ModuleList or nn.ParameterList, and keep no outputs between calls."
    if scorer.module is None:
        remedy = "Take every weight from params, as torch.func.functional_call(model, params, inputs) does."
    warnings.warn(f"{what} {remedy}", UserWarning, stacklevel=caller_level())
