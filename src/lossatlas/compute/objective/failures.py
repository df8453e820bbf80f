"""Usual reasons why a model or a loss fails on the first batch, told with the next step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas.compute.objective.loss_functions import ModuleLoss, split_batch
from lossatlas.compute.objective.module.run_module import run_module
from lossatlas.compute.objective.scorer import Scorer
from lossatlas.errors import InputError, InputTypeError


def explain_failure(scorer: Scorer) -> None:
    """Raise the error of a usual reason, where it is one.

    Raises:
        InputError: no data, data of another precision than the model, outputs that the loss cannot take, targets of another type.
    """
    function, batch = scorer.function, scorer.data.batches[0]
    if not isinstance(function, ModuleLoss):
        return
    if batch is None:
        raise InputError(
            "data", "None", "what the loss is measured on", "Pass la.Objective(model, loss, (x, y)), a Dataset or a DataLoader"
        )
    inputs, targets = split_batch(batch)
    _check_precision(scorer, inputs)
    try:
        with scorer.no_autograd():
            outputs = run_module(function.module, scorer.with_batchnorm_statistics(scorer.params), inputs, function.has_tied_weights)
    except Exception:  # the model's own failure is told as it is
        return
    _check_outputs(function.loss, outputs)
    _check_targets(function.loss, outputs, targets)


def _check_precision(scorer: Scorer, inputs: Any) -> None:
    model_dtypes = {p.dtype for p in scorer.params.values() if p.is_floating_point()}
    input_dtypes = {leaf.dtype for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, Tensor) and leaf.is_floating_point()}
    if len(model_dtypes) == 1 and input_dtypes and not input_dtypes <= model_dtypes:
        (dtype,) = model_dtypes
        advice = f"Cast the data, x.to({dtype}), or cast both: la.Objective(model, loss, data, dtype={dtype})"
        raise InputError("data", f"inputs of {', '.join(sorted(map(str, input_dtypes)))}", f"{dtype}, as the model is", advice)


def _check_outputs(loss: Any, outputs: Any) -> None:
    if loss is None or isinstance(outputs, Tensor | tuple | list):
        return
    entries = outputs if isinstance(outputs, dict) else vars(outputs) if hasattr(outputs, "__dict__") else {}
    name = next((name for name in ("logits", "prediction", "output", *entries) if name in entries), "logits")
    entry = f"output[{name!r}]" if isinstance(outputs, dict) else f"output.{name}"
    advice = f"Pass loss=lambda output, target: loss({entry}, target), or loss=None where the model returns its own loss"
    raise InputTypeError("loss", f"an output of type {type(outputs).__name__}", "a model whose output the loss takes", advice)


def _check_targets(loss: Any, outputs: Any, targets: Any) -> None:
    name = getattr(loss, "__name__", type(loss).__name__)
    if name not in ("cross_entropy", "CrossEntropyLoss", "nll_loss", "NLLLoss") or not isinstance(targets, Tensor):
        return
    if targets.is_floating_point() and targets.dim() == 1:
        raise InputError("data", f"targets of {targets.dtype}", "class numbers, torch.int64", "Pass y.long()")
    if not targets.is_floating_point() and isinstance(outputs, Tensor) and targets.shape == outputs.shape and outputs.dim() > 1:
        raise InputError("data", f"targets of shape {tuple(targets.shape)}", f"class numbers, shape ({len(targets)},)", "Pass y.argmax(1)")
    if targets.dtype not in (torch.int64, torch.uint8) and not targets.is_floating_point():
        raise InputError("data", f"targets of {targets.dtype}", "class numbers, torch.int64", "Pass y.long()")
