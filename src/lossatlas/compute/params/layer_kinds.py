"""Kinds of layers and weights in a model: which depend on the BatchNorm mode, which are one-dimensional, how many move."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from lossatlas.compute.params.params import Params, unwrap_module

OTHERS = "one-dimensional weights"
MODE_LAYERS = {"BatchNorm": _BatchNorm, "InstanceNorm": _InstanceNorm, "dropout": _DropoutNd, "RReLU": nn.RReLU}


def moved_weights(center: Params, directions: Sequence[Mapping[str, Tensor]]) -> dict[str, int]:
    """Single weights that some direction moves, those of the model, and the model's tensors: ``{"moved": …, "of": …, "tensors": …}``.

    An entry that is zero in every direction stays where it is, as do filters of norm zero in a filter-normalized plane.

    Example:
        >>> moved_weights({"w": torch.ones(3), "b": torch.ones(2)}, [{"w": torch.tensor([0.0, 1.0, 0.0])}])
        {'moved': 1, 'of': 5, 'tensors': 2}
    """
    moving = ([d[name] != 0 for d in directions if name in d] for name in center)
    moved = sum(int(functools.reduce(torch.logical_or, moves).sum()) for moves in moving if moves)
    return {"moved": moved, "of": sum(p.numel() for p in center.values()), "tensors": len(center)}


def one_dimensional(center: Params, names: Iterable[str], module: nn.Module | None) -> dict[str, int]:
    """Number of single weights in tensors of at most one dimension, which `biases` decides about, by kind.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        >>> one_dimensional(dict(net.named_parameters()), ("0.weight", "0.bias", "1.weight", "1.bias"), net)
        {'biases': 3, 'BatchNorm': 6}
    """
    layers = {} if module is None else dict(unwrap_module(module).named_modules())
    counts: Counter[str] = Counter()
    for name in names:
        if center[name].dim() <= 1:
            owner, _, leaf = name.rpartition(".")
            counts[_kind(layers.get(owner), leaf)] += center[name].numel()
    return dict(counts)


def layers_by_mode(module: nn.Module | None) -> list[str]:
    """The kinds of layers that compute otherwise in train mode; a model's own code may do so too, and of a callable nothing is known.

    Example:
        >>> layers_by_mode(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.1)))
        ['BatchNorm', 'dropout']
    """
    layers = [] if module is None else list(module.modules())
    modes = {word for word, kind in MODE_LAYERS.items() if any(issubclass(_class_of(layer), kind) for layer in layers)}
    rates = [getattr(layer, "dropout", None) for layer in layers]  # as an LSTM has
    return sorted(modes | {"dropout"} if any(isinstance(rate, int | float) and rate for rate in rates) else modes)


def _class_of(layer: nn.Module) -> type:
    """Its class; of a layer of TorchScript, the class of PyTorch that it was made from."""
    return getattr(nn, layer.original_name, nn.Module) if isinstance(layer, torch.jit.ScriptModule) else type(layer)


def _kind(layer: nn.Module | None, name: str) -> str:
    """Such as "biases", "BatchNorm" or "RMSNorm"."""
    if isinstance(layer, _BatchNorm):
        return "BatchNorm"
    if layer is not None and (norm := re.match(r"\w*Norm", type(layer).__name__)):
        return norm.group()
    return "biases" if layer is not None and "bias" in name else OTHERS
