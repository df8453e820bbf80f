"""Operation graph of one batch: the operations that depend on moving parameters, all else computed beforehand.

Recording runs the model once at the center. What does not depend on a moving parameter becomes a constant of the
tape, so a plane over the last layers never recomputes the first ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lossatlas.compute.evaluation.evaluators.base import UnsupportedModel


def leaves(arguments: Any) -> Iterator[Any]:
    """Leaves of an operation's arguments or results, lists and dicts taken apart; in a fifth of the time of torch's trees.

    >>> list(leaves((1, [2, {"k": 3}], None)))
    [1, 2, 3, None]
    """
    if isinstance(arguments, list | tuple | dict):
        for argument in arguments.values() if isinstance(arguments, dict) else arguments:
            yield from leaves(argument)
    else:
        yield arguments


def with_leaves(kind: type[Any], change: Callable[[Any], Any], arguments: Any) -> Any:
    """The same arguments with every leaf of a kind changed.

    >>> with_leaves(int, lambda k: -k, (1, [2.0, 3], {"k": 4}))
    (-1, [2.0, -3], {'k': -4})
    """
    if isinstance(arguments, kind):
        return change(arguments)
    if isinstance(arguments, dict):
        return {key: with_leaves(kind, change, argument) for key, argument in arguments.items()}
    if isinstance(arguments, list | tuple):
        return type(arguments)([with_leaves(kind, change, argument) for argument in arguments])
    return arguments


@dataclass(frozen=True)
class Value:
    """A place on the tape where a tensor that depends on the moving parameters stands."""

    index: int


@dataclass(frozen=True)
class Op:
    """One operation; arguments are constants or `Value`s, and its tensors go to `outputs`."""

    operation: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Value, ...]

    def run(self, values: dict[Value, Any]) -> None:
        args, kwargs = with_leaves(Value, values.__getitem__, (self.args, self.kwargs))
        result = self.operation(*args, **kwargs)
        values.update(zip(self.outputs, leaves(result), strict=True))

    @property
    def inputs(self) -> list[Value]:
        return [leaf for leaf in leaves((self.args, self.kwargs)) if isinstance(leaf, Value)]


@dataclass(frozen=True)
class OpGraph:
    """Graph of operations recorded by `record`.

    Attributes:
        inputs: slots of the moving parameters, in the order given.
        steps: operations that depend on them, in order.
        outputs: by name, a slot, or a tensor where the output does not depend on the parameters at all.
    """

    inputs: tuple[Value, ...]
    steps: tuple[Op, ...]
    outputs: dict[str, Value | Tensor]


def record(function: Callable[[Sequence[Tensor]], dict[str, Tensor]], moving: Sequence[Tensor]) -> OpGraph:
    """Run ``function(moving)`` once and keep what depends on `moving`.

    Raises:
        Unsuitable: a value is read into Python (`.item()`, a branch), or randomness is drawn.
    """
    recorder = _Recorder(moving)
    with recorder:
        output = function(recorder.moving)
    outputs = {name: recorder.slot_of(value) or value for name, value in output.items()}
    return OpGraph(tuple(Value(i) for i in range(len(moving))), tuple(recorder.steps), outputs)


class _Recorder(TorchDispatchMode):
    def __init__(self, moving: Sequence[Tensor]) -> None:
        super().__init__()
        self.moving = [p.detach() for p in moving]
        # Tensors are held while recording, so that no id is given out twice.
        self.slots: dict[int, tuple[Value, Tensor]] = {id(p): (Value(i), p) for i, p in enumerate(self.moving)}
        self.count = len(self.moving)
        self.steps: list[Op] = []

    def slot_of(self, value: Any) -> Value | None:
        return self.slots[id(value)][0] if id(value) in self.slots else None

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operands = with_leaves(Tensor, lambda t: self.slot_of(t) or t, (args, kwargs))
        result = operation(*args, **kwargs)
        if any(isinstance(leaf, Value) for leaf in leaves(operands)):
            self._keep(_replayable(operation), operands, result)
        return result

    def _keep(self, operation: Any, operands: Any, result: Any) -> None:
        outputs: list[Value] = []
        for leaf in leaves(result):
            if not isinstance(leaf, Tensor):
                raise UnsupportedModel("a value that depends on the moved weights is read into Python")
            self.slots[id(leaf)] = (Value(self.count), leaf)
            outputs.append(Value(self.count))
            self.count += 1
        self.steps.append(Op(operation, tuple(operands[0]), operands[1], tuple(outputs)))


def _replayable(operation: Any) -> Any:
    """The operation itself, or its form without writing in place: a tape is played many times."""
    if torch.Tag.nondeterministic_seeded in operation.tags:
        raise UnsupportedModel(f"{operation} draws random numbers")
    if not operation._schema.is_mutable:
        return operation
    name, overload = operation._schema.name.split("::")[1], operation._overloadname
    functional = getattr(getattr(torch.ops.aten, name[:-1], None), overload, None) if name.endswith("_") else None
    if functional is None or functional._schema.is_mutable:
        raise UnsupportedModel(f"{operation} writes in place")
    return functional
