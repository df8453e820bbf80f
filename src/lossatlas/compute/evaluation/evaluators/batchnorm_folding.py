"""Folding of BatchNorm with stored statistics into the convolution before it.

In eval mode ``gamma (W * x - mean) / sqrt(var + eps) + beta`` is a convolution with other weights, made anew at every
point from those that move there. ResNet-20 gains a sixth over channels last alone.
"""

from __future__ import annotations

import copy
import weakref
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas.compute.objective.loss_functions import ModuleLoss, Scores, split_batch
from lossatlas.compute.objective.module.run_module import run_module
from lossatlas.compute.params.params import Params

NORMS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}


@dataclass(frozen=True)
class ConvBatchNormPair:
    """A convolution and the BatchNorm behind it, by name, and what the stored statistics multiply and subtract."""

    convolution: str
    norm: str
    inverse_deviation: Tensor
    mean: Tensor

    def folded(self, params: Params) -> Params:
        """The weight and bias of the one convolution that does both."""
        scale, shift = self.inverse_deviation, torch.zeros_like(self.mean)
        if f"{self.norm}.weight" in params:
            scale, shift = scale * params[f"{self.norm}.weight"], params[f"{self.norm}.bias"]
        weight, bias = params[f"{self.convolution}.weight"], params.get(f"{self.convolution}.bias")
        offset = -self.mean if bias is None else bias - self.mean
        shape = (-1,) + (1,) * (weight.dim() - 1)
        return {f"{self.convolution}.weight": weight * scale.view(shape), f"{self.convolution}.bias": shift + offset * scale}


@dataclass(frozen=True)
class FoldedLoss:
    """A score function that gives `base`'s values with fewer layers."""

    base: ModuleLoss
    pairs: tuple[ConvBatchNormPair, ...]
    batchnorm_buffers: Params

    def __call__(self, params: Params, batch: Any) -> Scores:
        merged = {**self.batchnorm_buffers, **params}
        for pair in self.pairs:
            merged |= pair.folded(merged)
        gone = tuple(f"{pair.norm}." for pair in self.pairs)
        return self.base({name: value for name, value in merged.items() if not name.startswith(gone)}, batch)


def fold_batchnorm(base: Any, model_params: Params, batch: Any) -> FoldedLoss | None:
    """The same function with every foldable BatchNorm gone, or None where there is none.

    Args:
        base: an objective's function.
        model_params: the objective's parameters.
        batch: to run once and see which BatchNorm reads which convolution.
    """
    if (
        not isinstance(base, ModuleLoss)
        or not base.allows_layout_change
        or not any(type(m) in NORMS.values() for m in base.module.modules())
    ):
        return None
    module = copy.deepcopy(base.module)
    pairs = _pairs(module, model_params, split_batch(batch, base.loss is not None)[0])
    for pair in pairs:
        _remove_batchnorm(module, pair)
    return FoldedLoss(replace(base, module=module), tuple(pairs), model_params) if pairs else None


def _pairs(module: nn.Module, model_params: Params, inputs: Any) -> list[ConvBatchNormPair]:
    """Each BatchNorm with stored statistics that reads a convolution of its own; both are called once.

    Whether something else reads the convolution too is not seen here; the check of values against the loop sees it.
    """
    named = {name: m for name, m in module.named_modules() if type(m) in NORMS or type(m) in NORMS.values()}
    made, read, calls = dict[str, Any](), dict[str, str](), Counter[str]()

    def after(name: str, result: Tensor) -> None:
        calls[name] += 1
        made[name] = weakref.ref(result)

    def before(name: str, received: Tensor) -> None:
        calls[name] += 1
        for other, result in made.items():
            if result() is received:
                read[name] = other

    handles = [
        m.register_forward_hook(lambda _m, _i, result, n=name: after(n, result))
        if type(m) in NORMS
        else m.register_forward_pre_hook(lambda _m, hook_inputs, n=name: before(n, hook_inputs[0]))
        for name, m in named.items()
    ]
    try:
        with torch.inference_mode():
            run_module(module, model_params, inputs, tied=False)
    except Exception:
        return []
    finally:
        for handle in handles:
            handle.remove()
    readers = Counter(read.values())
    alone = {norm: one for norm, one in read.items() if calls[norm] == calls[one] == readers[one] == 1}
    return [_pair(named, one, norm) for norm, one in alone.items() if _fits(named[one], named[norm])]


def _fits(convolution: Any, norm: Any) -> bool:
    return NORMS[type(convolution)] is type(norm) and norm.running_var is not None and not norm.training


def _pair(named: dict[str, Any], convolution: str, norm: str) -> ConvBatchNormPair:
    layer = named[norm]
    return ConvBatchNormPair(convolution, norm, torch.rsqrt(layer.running_var + layer.eps), layer.running_mean.clone())


def _remove_batchnorm(module: nn.Module, pair: ConvBatchNormPair) -> None:
    """Let the convolution's own result pass, and give it a bias."""
    parent, _, name = pair.norm.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Identity())
    convolution = module.get_submodule(pair.convolution)
    if convolution.bias is None:
        convolution.bias = nn.Parameter(torch.zeros_like(pair.mean), requires_grad=False)
