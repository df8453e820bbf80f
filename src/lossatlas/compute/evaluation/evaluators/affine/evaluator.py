"""The affine shortcut: a layer whose input no direction touches gives z0 + alpha z1 + beta z2 on the whole plane.

Operations of a tape that are linear in the moving parameters are done three times in all, once for the center and
once a direction, instead of once a point. The rest runs under `torch.vmap`. Where the moving weights sit in one
Linear or Conv, as in a plane over two weights or over the last layer, that is a hundred times less work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas.compute.evaluation.evaluators.accumulators import Measured, values_of
from lossatlas.compute.evaluation.evaluators.affine.changed_columns import only_touched
from lossatlas.compute.evaluation.evaluators.affine.op_graph import Slot, Step, Tape, record
from lossatlas.compute.evaluation.evaluators.problem import Task
from lossatlas.compute.evaluation.evaluators.vmap import Unsuitable, add, chunks, refusals
from lossatlas.compute.params.arithmetic import Params

aten = torch.ops.aten

CHUNK_BYTES = 2 * 2**20
"""Largest varying tensor of a chunk: it should stay in the cache of a core."""
MAX_CHUNK = 1024
KEPT_BYTES = 32 * 2**20
"""Tapes kept from one tile to the next."""


@dataclass(frozen=True)
class Form:
    """``values[0] + sum_i coordinate_i * values[i]``; None is zero."""

    values: tuple[Tensor | None, ...]

    @property
    def base(self) -> Tensor:
        assert self.values[0] is not None
        return self.values[0]

    def at(self, coordinates: Tensor) -> Tensor:
        """Values at coordinates ``(chunk, ndim)``, with a leading axis."""
        shape = (len(coordinates),) + (1,) * self.base.dim()
        total = self.base
        for axis, value in enumerate(self.values[1:]):
            if value is not None:
                total = torch.addcmul(total, coordinates[:, axis].to(value.dtype).view(shape), value)
        return total if total.dim() > self.base.dim() else total.expand(len(coordinates), *total.shape)


@dataclass(frozen=True)
class Play:
    """A tape made ready: forms to fill in at every point, and the steps that follow."""

    forms: dict[Slot, Form]
    steps: tuple[Step, ...]
    outputs: dict[str, Slot | Tensor]

    @property
    def bytes(self) -> int:
        """What keeping it costs: forms, and constants of the steps."""
        held = [v for form in self.forms.values() for v in form.values if v is not None]
        held += [leaf for step in self.steps for leaf in pytree.tree_leaves((step.args, step.kwargs)) if isinstance(leaf, Tensor)]
        return sum(t.untyped_storage().nbytes() for t in held)

    def point(self, entries: dict[int, Tensor]) -> dict[str, Tensor]:
        """Outputs at one point, from the forms filled in there; runs under vmap."""
        values: dict[Slot, Any] = {Slot(i): v for i, v in entries.items()}
        for step in self.steps:
            step.run(values)
        return {name: values[out] if isinstance(out, Slot) else out for name, out in self.outputs.items()}


@dataclass(frozen=True, eq=False)
class Affine:
    """Measures with a tape a batch; `chunk` points are played together, None chooses by the size of what varies."""

    task: Task
    chunk: int | None = None
    _plays: dict[int, Play] = field(default_factory=dict, repr=False)

    def __call__(self, points: NDArray[np.float64]) -> Measured:
        task, sums = self.task, None
        with task.objective.quiet(), refusals():
            for number, weight in enumerate(task.objective.weights):
                play = self._play(number)
                size = self.chunk or _even(len(points), _chunk(play))
                coordinates = chunks(points, size).to(task.device)
                # Batches of other sizes may come in other chunks; the sums are as long as the longest needs.
                sums = sums or task.sums(len(points) + MAX_CHUNK)
                score = torch.vmap(play.point)
                for index, block in enumerate(coordinates):
                    filled = {slot.index: form.at(block) for slot, form in play.forms.items()}
                    add(sums, slice(index * size, (index + 1) * size), score(filled), weight)
        assert sums is not None
        return Measured({n: v[: len(points)] for n, v in values_of(sums, task.objective.samples).items()})

    def _play(self, number: int) -> Play:
        """The tape of a batch, kept for the next tile while all of them are small."""
        if number not in self._plays:
            self._plays[number] = prepare(self.task, self.task.objective.data.batches[number])
            if sum(play.bytes for play in self._plays.values()) > KEPT_BYTES:
                return self._plays.pop(number)
        return self._plays[number]


def prepare(task: Task, batch: Any) -> Play:
    """Record one batch and carry the affine forms as far as they go."""
    names = task.plane.moving
    with task.objective.watched():
        tape = record(lambda moving: task.scores({**task.still, **dict(zip(names, moving, strict=True))}, batch), _center(task))
    return only_touched(_carry(task.plane.center, tape, [_form(task, n) for n in names]))


def _center(task: Task) -> list[Tensor]:
    return [task.plane.center[n] for n in task.plane.moving]


def _form(task: Task, name: str) -> Form:
    return Form((task.plane.center[name], *(d.params.get(name) for d in task.plane.directions)))


def _carry(center: Params, tape: Tape, inputs: list[Form]) -> Play:
    known: dict[Slot, Form] = dict(zip(tape.inputs, inputs, strict=True))
    varying: list[Step] = []
    for step in tape.steps:
        form = _linear(step, known) if all(slot in known for slot in step.inputs) else None
        if form is None:
            varying.append(step)
        else:
            known[step.outputs[0]] = form
    needed = {s for step in varying for s in step.inputs} | {o for o in tape.outputs.values() if isinstance(o, Slot)}
    return Play({slot: form for slot, form in known.items() if slot in needed}, tuple(varying), tape.outputs)


def _linear(step: Step, known: dict[Slot, Form]) -> Form | None:
    """The form of a step's output where the step is linear in the forms it takes, else None."""
    rule = RULES.get(step.operation)
    if rule is None or len(step.outputs) != 1:
        return None
    args, kwargs = pytree.tree_map_only(Slot, known.__getitem__, (step.args, step.kwargs))
    return rule(step.operation, args, kwargs)


def _of_first(operation: Any, args: Any, kwargs: Any) -> Form | None:
    """Linear in the first argument, constant in the others: views, sums, a division by a constant."""
    if any(isinstance(leaf, Form) for leaf in pytree.tree_leaves((args[1:], kwargs))):
        return None
    return Form(tuple(None if v is None else operation(v, *args[1:], **kwargs) for v in args[0].values))


def _product(operation: Any, args: Any, kwargs: Any) -> Form | None:
    """Linear in each of two arguments: affine as long as only one of them varies."""
    a, b = args[:2]
    if isinstance(a, Form) and isinstance(b, Form):
        return None
    if isinstance(a, Form):
        return Form(tuple(None if v is None else operation(v, b, *args[2:], **kwargs) for v in a.values))
    return Form(tuple(None if v is None else operation(a, v, *args[2:], **kwargs) for v in b.values))


def _sum(operation: Any, args: Any, kwargs: Any) -> Form | None:
    a, b = args[:2]
    forms = [f.values if isinstance(f, Form) else None for f in (a, b)]
    length = len(next(f for f in forms if f is not None))
    pairs = [tuple(f[i] if f else (x if i == 0 else None) for f, x in zip(forms, (a, b), strict=True)) for i in range(length)]
    zero = [0.0 if v is None else v for v in pairs[0]]
    shape = torch.broadcast_shapes(*(v.shape for v in pairs[0] if isinstance(v, Tensor)))
    moved = [_added(operation, x, y, kwargs, shape) for x, y in pairs[1:]]
    return Form((operation(*zero, **kwargs), *moved))


def _added(operation: Any, x: Any, y: Any, kwargs: Any, shape: torch.Size) -> Tensor | None:
    if x is None and y is None:
        return None
    like = x if x is not None else y
    zero = torch.zeros((), dtype=like.dtype, device=like.device)
    return operation(zero if x is None else x, zero if y is None else y, **kwargs).expand(shape)


def _addmm(operation: Any, args: Any, kwargs: Any) -> Form | None:
    bias, a, b = args
    if kwargs:
        return None
    product = _product(aten.mm.default, (a, b), {}) if isinstance(a, Form) or isinstance(b, Form) else None
    if product is None and (isinstance(a, Form) or isinstance(b, Form)):
        return None
    return _sum(aten.add.Tensor, (bias, product if product is not None else aten.mm.default(a, b)), {})


def _convolution(operation: Any, args: Any, kwargs: Any) -> Form | None:
    x, weight, bias, *rest = args
    if isinstance(x, Form) and isinstance(weight, Form):
        return None
    product = None
    if isinstance(x, Form) or isinstance(weight, Form):
        product = _product(lambda a, b: operation(a, b, None, *rest, **kwargs), (x, weight), {})
    if bias is None:
        return product
    dims = len((weight.base if isinstance(weight, Form) else weight).shape) - 2
    column = _of_first(aten.view.default, (bias, [1, -1] + [1] * dims), {}) if isinstance(bias, Form) else bias.view(1, -1, *[1] * dims)
    plain = product if product is not None else operation(x, weight, None, *rest, **kwargs)
    return _sum(aten.add.Tensor, (plain, column), {})


RULES: dict[Any, Callable[[Any, Any, Any], Form | None]] = {
    **dict.fromkeys(
        (
            aten.t.default,
            aten.transpose.int,
            aten.permute.default,
            aten.view.default,
            aten._unsafe_view.default,
            aten.reshape.default,
            aten.expand.default,
            aten.squeeze.dim,
            aten.unsqueeze.default,
            aten.slice.Tensor,
            aten.select.int,
            aten.alias.default,
            aten.detach.default,
            aten.clone.default,
            aten.neg.default,
            aten.div.Tensor,
            aten.div.Scalar,
            aten.sum.dim_IntList,
            aten.mean.dim,
            aten.avg_pool2d.default,
        ),
        _of_first,
    ),
    **dict.fromkeys((aten.mm.default, aten.bmm.default, aten.mul.Tensor, aten.mv.default, aten.dot.default), _product),
    aten.add.Tensor: _sum,
    aten.sub.Tensor: _sum,
    aten.addmm.default: _addmm,
    aten.convolution.default: _convolution,
}


def _chunk(play: Play) -> int:
    largest = max((f.base.numel() * f.base.element_size() for f in play.forms.values()), default=1)
    return int(np.clip(CHUNK_BYTES // max(largest, 1), 1, MAX_CHUNK))


def _even(count: int, most: int) -> int:
    """Points a chunk so that the last one needs no filling: 1,600 points are two chunks of 800, not 1,024 and 576."""
    return -(-count // max(1, -(-count // most)))


def worthwhile(task: Task) -> bool:
    """Some matrix of the model stays where it is: otherwise no layer's input is fixed and there is nothing to gain."""
    moving = set(task.plane.moving)
    return task.objective.per_sample and any(p.dim() > 1 and n not in moving for n, p in task.objective.params.items())


__all__ = ["Affine", "Unsuitable", "prepare", "worthwhile"]
