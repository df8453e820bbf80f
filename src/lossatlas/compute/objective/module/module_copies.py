"""Copies of the user's model, which itself is never touched."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lossatlas.compute.objective.module.batchnorm import Mode, set_batchnorm_mode_
from lossatlas.compute.params.checks import check_subset
from lossatlas.compute.params.params import Params, params_of, unwrap_module
from lossatlas.errors import InputError


def frozen_copy(model: torch.nn.Module, dtype: torch.dtype | None, device: Any) -> torch.nn.Module:
    """A copy of the user's model that is ours alone: frozen, in eval mode, in the given dtype and on the given device."""
    model = unwrap_module(model)
    _check_weights(model)
    # Spectral and weight norm of the old kind keep a computed tensor, which cannot be copied, and compute it anew in every pass.
    made = [t for m in model.modules() for t in vars(m).values() if isinstance(t, Tensor) and not t.is_leaf]
    with torch.no_grad():  # TorchScript copies its parameters with operations
        copied = copy.deepcopy(model, {id(t): t.detach().clone() for t in made})
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    copied.eval()
    return copied.to(device=device, dtype=dtype)


def _check_weights(model: torch.nn.Module) -> None:
    """Refuse a model whose weights are not there yet."""
    for name, value in model.named_parameters():
        if torch.nn.parameter.is_lazy(value):
            raise InputError("model", f"{name}, a lazy parameter without shape", "a model with weights", "Run it once on a batch")
        if value.is_meta:
            raise InputError("model", f"{name} on the meta device", "a model with weights", "Load its weights first")


def copy_sharing_parameters(module: torch.nn.Module) -> torch.nn.Module:
    """Another module with the very same weights; buffers are copied. TorchScript gets weights of its own to write into."""
    if isinstance(module, torch.jit.ScriptModule):
        with torch.no_grad():
            return copy.deepcopy(module)
    return copy.deepcopy(module, {id(p): p for p in module.parameters()})


def copy_loss_module(loss: Callable[..., Tensor] | None) -> Callable[..., Tensor] | None:
    """A loss module of one's own, with the same weights; a function is nothing to copy."""
    return copy_sharing_parameters(loss) if isinstance(loss, torch.nn.Module) else loss


def copy_in_mode(module: torch.nn.Module, mode: Mode) -> torch.nn.Module:
    """The module itself, or a copy in a mode in which samples see each other."""
    return set_batchnorm_mode_(copy_sharing_parameters(module), mode) if mode in ("batch", "train") else module


def load_given_params(module: torch.nn.Module, values: Params) -> Params:
    """Parameters of our own module after `values` was written into it: whoever leaves a name out then gets the center's value."""
    params = params_of(module)
    if unknown := sorted(set(values) - set(params)):
        raise InputError("params", ", ".join(unknown[:4]), f"names of the model such as {next(iter(params))!r}")
    check_subset(params, values, "params")
    load_tensors(module, values)
    return params_of(module)


def load_tensors(module: torch.nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy weights and buffers into the module, by name."""
    tensors = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}
    with torch.no_grad():
        for name, value in state.items():
            tensors[name].copy_(value)
