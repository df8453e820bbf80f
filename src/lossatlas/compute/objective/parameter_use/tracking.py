"""Tracking of tensor reads while a loss runs."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from lossatlas.compute.objective.loss_functions import Scores
from lossatlas.compute.params.arithmetic import is_differentiable_dtype
from lossatlas.compute.params.params import unwrap_module

PACKAGES = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))

Callers = dict[Any, tuple[str, Tensor]]
"""The caller's tensors with their names, by identity and by address; holding them keeps both from being used again."""


@dataclass(frozen=True)
class Read:
    """An operation on a tensor that no plane moves, and the line of the caller's code that asked for it."""

    tensor: Tensor
    name: str
    line: str


class ReadWatch(TorchFunctionMode):
    """Notes which operations read the caller's tensors; optionally other numbers stand in for them.

    Attributes:
        stale: the caller's tensors that were read, by identity.
        foreign: leaves that require gradients and were not made during the run, by identity.
        outcome: of the run.
    """

    def __init__(self, callers: Callers, stand_ins: bool, internal: list[Tensor]) -> None:
        super().__init__()
        self.callers, self.internal = callers, {id(t): t for t in internal}
        self.instead: dict[int, Tensor] | None = {} if stand_ins else None
        self.stale, self.foreign = dict[int, Read](), dict[int, Read]()
        self.outcome: Scores | None = None

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        read = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for tensor in read:
            self._look(tensor)
        if self.instead is not None:
            args, kwargs = pytree.tree_map_only(Tensor, self._stand_in, (args, kwargs))
        result = function(*args, **kwargs)
        # A tensor that the run itself makes into a leaf, as a physics-informed loss does with its inputs, is nobody's weight.
        made = [leaf for leaf in (*pytree.tree_leaves(result), *read) if isinstance(leaf, Tensor) and _is_weight(leaf)]
        self.internal |= {id(tensor): tensor for tensor in made if id(tensor) not in self.foreign}
        return result

    def _look(self, tensor: Tensor) -> None:
        known = self.callers.get(id(tensor)) or self.callers.get(_address(tensor))
        if known is not None:
            if id(tensor) not in self.stale:
                self.stale[id(tensor)] = Read(tensor, known[0], _line())
        elif _is_weight(tensor) and id(tensor) not in self.internal and id(tensor) not in self.foreign and torch.is_grad_enabled():
            self.foreign[id(tensor)] = Read(tensor, f"a tensor of shape {tuple(tensor.shape)}", _line())

    def _stand_in(self, tensor: Tensor) -> Tensor:
        assert self.instead is not None
        if id(tensor) not in self.stale or not is_differentiable_dtype(tensor):
            return tensor
        if id(tensor) not in self.instead:
            self.instead[id(tensor)] = (3 * tensor.detach() + 1).requires_grad_(tensor.requires_grad)
        return self.instead[id(tensor)]


def callers_tensors(model: Any, caller_params: Mapping[str, Tensor] | None) -> Callers:
    """The weights that the caller handed over; `p.detach()` is another object over the same memory."""
    module_params = dict(unwrap_module(model).named_parameters()) if isinstance(model, torch.nn.Module) else {}
    callers: Callers = {}
    for name, tensor in (*module_params.items(), *(caller_params or {}).items()):
        if isinstance(tensor, Tensor):
            callers[id(tensor)] = f"the caller's own {name}", tensor
            if (address := _address(tensor)) is not None:
                callers[address] = callers[id(tensor)]
    return callers


def _address(tensor: Tensor) -> tuple[int, int] | None:
    """Address of a tensor's numbers, and their count; None where there are none."""
    try:
        return (tensor.data_ptr(), tensor.numel()) if tensor.numel() and tensor.data_ptr() else None
    except RuntimeError:  # tensors without memory, such as those of vmap
        return None


def _is_weight(tensor: Tensor) -> bool:
    return tensor.requires_grad and tensor.is_leaf


def _line() -> str:
    """The innermost line outside of torch and of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGES):
        frame = frame.f_back
    place, number = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(place, number).strip()
    return f"{Path(place).name}:{number}" + (f" ({text[:120]})" if text else "")
