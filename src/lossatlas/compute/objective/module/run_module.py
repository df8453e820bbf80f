"""Calls of a module with other parameters and buffers in place of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.func import functional_call

from lossatlas.compute.params.params import Params


def run_module(module: torch.nn.Module, params: Params, inputs: Any, tied: bool = True) -> Any:
    """The module's outputs with `params` (and buffers) in place of its own.

    Args:
        module: left as it was; only one thread may call it at a time.
        params: by name; names that are missing keep the module's own tensors.
        inputs: a mapping of keyword arguments, a tuple of positional ones, or the only one.
        tied: some weight may go by several names, all of which then get the tensor given for one of them.
    """
    args, kwargs = _arguments(inputs)
    if isinstance(module, torch.jit.ScriptModule):
        return _run_script(module, params, args, kwargs)
    slots = None if tied or torch.compiler.is_compiling() else TensorSlots.of(module, params)
    if slots is None:
        return functional_call(module, params, args, kwargs, tie_weights=tied)
    with slots.swapped(params):
        return module(*args, **kwargs)


@dataclass(frozen=True, eq=False)
class TensorSlots:
    """The entries of a module's dictionaries that hold its tensors, looked up once.

    `functional_call` looks all of them up at every call, which takes longer than a small network does: 70 microseconds for two layers
    and a millisecond for ResNet-20, against 5 and 20 for the swap alone.

    Attributes:
        places: by name, the dictionary and the key.
        tree: every submodule's dictionary, key and module, to notice one that was replaced.
    """

    places: Mapping[str, tuple[dict[str, Tensor | None], str]]
    tree: tuple[tuple[dict[str, torch.nn.Module | None], str, torch.nn.Module], ...]

    @classmethod
    def of(cls, module: torch.nn.Module, params: Params) -> TensorSlots | None:
        """Those of a module that has all of `params`, or None."""
        slots = _KNOWN.get(module)
        if slots is None or not slots._is_current():
            slots = _KNOWN[module] = cls._looked_up(module)
        return slots if slots.places.keys() >= params.keys() else None

    @classmethod
    def _looked_up(cls, module: torch.nn.Module) -> TensorSlots:
        places, tree = {}, []
        for prefix, part in module.named_modules(remove_duplicate=False):
            start = f"{prefix}." if prefix else ""
            for tensors in (part._parameters, part._buffers):
                places |= {start + key: (tensors, key) for key, tensor in tensors.items() if tensor is not None}
            tree += [(part._modules, key, child) for key, child in part._modules.items() if child is not None]
        return cls(places, tuple(tree))

    def _is_current(self) -> bool:
        return all(modules.get(key) is child for modules, key, child in self.tree)

    @contextmanager
    def swapped(self, params: Params) -> Iterator[None]:
        """With `params` in place of the module's tensors while the block runs."""
        before: list[tuple[dict[str, Tensor | None], str, Tensor | None]] = []
        try:
            for name, value in params.items():
                tensors, key = self.places[name]
                before.append((tensors, key, tensors[key]))
                tensors[key] = value
            yield
        finally:
            for tensors, key, value in reversed(before):
                tensors[key] = value


_KNOWN: WeakKeyDictionary[torch.nn.Module, TensorSlots] = WeakKeyDictionary()


def _run_script(module: torch.nn.Module, params: Params, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`functional_call` cannot swap the parameters of TorchScript: write them in, run, write the old ones back."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    before = {name: tensors[name].detach().clone() for name in params}
    try:
        with torch.no_grad():
            for name, value in params.items():
                tensors[name].copy_(value)
        return module(*args, **kwargs)
    finally:
        with torch.no_grad():
            for name, value in before.items():
                tensors[name].copy_(value)


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)), {}
