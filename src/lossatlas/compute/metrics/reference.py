"""Metrics relative to a reference model, by default the one at the origin: Kullback-Leibler divergence and disagreement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.objective.data.targets import is_integer
from lossatlas.compute.objective.objective import Objective, Scores
from lossatlas.compute.params.hashing import hash_tensors
from lossatlas.compute.params.params import Params, params_of
from lossatlas.errors import InputError

ORIGIN = "origin"
Model = torch.nn.Module | Mapping[str, Tensor] | Objective


def kl(ref: Model | None = None) -> Metric:
    """Kullback-Leibler divergence from a reference model, ``(1/n) sum KL(p_ref || p)`` over samples or labels that count, in nats.

    Probabilities are the softmax of the model's outputs. At the reference itself it is exactly zero. It does not change under a
    reparametrization that leaves the network's function alone, as a distance of weights does.

    Args:
        ref: a module, a state dict or an Objective; None is the model at the origin of the plane, at 0 on a line between models, the
            objective's own in a recording.

    Example:
        >>> import torch, lossatlas as la
        >>> objective = la.Objective(torch.nn.Linear(2, 3), torch.nn.functional.cross_entropy, (torch.randn(8, 2), torch.arange(8) % 3))
        >>> surface = la.evaluate(objective, la.random_plane(objective), resolution=3, metrics=("loss", la.metrics.kl()))
        >>> float(surface.kl.sel(alpha=0, beta=0)), bool((surface.kl >= 0).all())
        (0.0, True)
    """
    return _relative_metric("kl", _divergence, "KL divergence from the reference model", "nats", ref, zero_one=False)


def disagreement(ref: Model | None = None) -> Metric:
    """Share of samples, or of labels that count, to which the model and a reference give different classes.

    Args:
        ref: as for `kl`.
    """
    return _relative_metric("disagreement", _differs, "disagreement with the reference model", "fraction", ref, zero_one=True)


def class_logits(scores: Scores, name: str) -> tuple[Tensor, Tensor]:
    """Class scores of the model and of the reference, ``(n, classes)`` each in float64, at the labels that count.

    Raises:
        InputError: the model returns no class scores, or the axis of the classes cannot be told.
    """
    outputs, reference = (getattr(o, "logits", o) for o in (scores.outputs, scores.reference))
    axis = _class_axis(outputs, scores, name)
    counts = _counted(outputs, scores, axis)
    flat = tuple(o.movedim(axis, -1).flatten(0, -2).double() for o in (outputs, reference))
    return (flat[0], flat[1]) if counts is None else (flat[0][counts], flat[1][counts])


def _divergence(scores: Scores) -> Tensor:
    model, reference = (logits.log_softmax(1) for logits in class_logits(scores, "kl"))
    share = reference.exp()
    return torch.where(share == 0, torch.zeros_like(share), share * (reference - model)).sum(1)


def _differs(scores: Scores) -> Tensor:
    model, reference = class_logits(scores, "disagreement")
    unknown = model.isnan().any(1) | reference.isnan().any(1)
    return torch.where(unknown, torch.nan, (model.argmax(1) != reference.argmax(1)).double())


def _class_axis(outputs: Any, scores: Scores, name: str) -> int:
    targets = scores.targets
    if not isinstance(outputs, Tensor) or outputs.dim() < 2:
        what = f"outputs of shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise _refusal(name, f"the model returns {what}")
    if isinstance(targets, Tensor) and targets.shape == outputs.shape and not scores.target_format.are_probabilities:
        raise _refusal(name, "the targets are values, not classes")
    along_last = is_integer(targets) and targets.shape == outputs.shape[:-1]
    along_one = is_integer(targets) and targets.shape == (outputs.shape[0], *outputs.shape[2:])
    if outputs.dim() > 2 and along_last and along_one and not scores.target_format.class_axis_is_one:
        raise _refusal(name, f"the classes of outputs {tuple(outputs.shape)} may be along axis 1 or the last one")
    axis = outputs.dim() - 1 if along_last and not (along_one and scores.target_format.class_axis_is_one) else 1
    if outputs.dim() > 2 and targets is None and scores.target_format.predicts_next:
        axis = outputs.dim() - 1
    if outputs.shape[axis] < 2:
        raise _refusal(name, "the model returns one class only")
    return axis


def _counted(outputs: Tensor, scores: Scores, axis: int) -> Tensor | None:
    """Mask of the labels that count, flat; a model that predicts the next token is scored where that one counts."""
    targets, form = scores.targets, scores.target_format
    if not is_integer(targets) or (form.ignored is None and not form.predicts_next):
        return None
    counts = torch.ones_like(targets, dtype=torch.bool) if form.ignored is None else targets != form.ignored
    if form.predicts_next and axis == outputs.dim() - 1:
        counts = torch.cat([counts[..., 1:], torch.zeros_like(counts[..., :1])], -1)
    return counts.flatten()


def _relative_metric(name: str, measure: Any, long_name: str, units: str, ref: Model | None, zero_one: bool) -> Metric:
    reference: Any = ORIGIN if ref is None else _tensors(ref)
    label = "the model at the origin" if ref is None else hash_tensors(reference)
    return Metric(
        name,
        measure,
        units,
        long_name.replace("the reference model", label) if ref is None else long_name,
        better=None,
        code=f"lossatlas:{name} {label}",
        zero_one=zero_one,
        reference=reference,
        per_label=True,
    )


def _tensors(ref: Model) -> Params:
    """Parameters and buffers of the reference, copied: training goes on."""
    buffers = dict(ref.named_buffers()) if isinstance(ref, torch.nn.Module) else {}
    state = ref.state if isinstance(ref, Objective) else {**params_of(ref), **buffers}
    return {name: value.detach().clone() for name, value in state.items()}


def _refusal(name: str, why: str) -> InputError:
    return InputError(
        "metrics", f"{name}, but {why}", "outputs (samples, classes, ...) or (samples, tokens, classes)", f'Leave "{name}" out'
    )
