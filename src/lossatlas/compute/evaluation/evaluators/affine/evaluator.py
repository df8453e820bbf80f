"""Affine evaluator: a layer whose input no direction touches gives z0 + alpha z1 + beta z2 on the whole plane.

Operations of a tape that are linear in the moving parameters are done three times in all, once for the center and
once a direction, instead of once a point. The rest runs under `torch.vmap`. Where the moving weights sit in one
Linear or Conv, as in a plane over two weights or over the last layer, that is a hundred times less work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.compute.evaluation.evaluators.accumulators import TileValues, values_of
from lossatlas.compute.evaluation.evaluators.affine.changed_columns import restrict_to_changed_columns
from lossatlas.compute.evaluation.evaluators.affine.forms import AffineForm, AffineProgram
from lossatlas.compute.evaluation.evaluators.affine.op_graph import Op, OpGraph, Value, leaves, record, with_leaves
from lossatlas.compute.evaluation.evaluators.base import UnsupportedModel, chunks
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.evaluation.evaluators.vmap import add, translate_vmap_errors
from lossatlas.compute.params.params import Params

aten = torch.ops.aten

CHUNK_BYTES = 2 * 2**20
"""Largest varying tensor of a chunk: it should stay in the cache of a core."""
MAX_CHUNK = 1024
KEPT_BYTES = 32 * 2**20
"""Tapes kept from one tile to the next."""


@dataclass(frozen=True, eq=False)
class Affine:
    """Measures with a tape a batch; `chunk` points are played together, None chooses by the size of what varies."""

    task: EvaluationProblem
    chunk: int | None = None

    @property
    def _programs(self) -> dict[int, AffineProgram]:
        """By number of the batch; the task keeps them, so that those of a probe on the only batch are not recorded again."""
        return self.task.cached("affine programs", dict)

    def __call__(self, points: NDArray[np.float64]) -> TileValues:
        task, sums = self.task, None
        with task.objective.no_autograd(), translate_vmap_errors():
            task.compute_references()
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
        return TileValues({n: v[: len(points)] for n, v in values_of(sums, task.objective.samples).items()})

    def _play(self, number: int) -> AffineProgram:
        """The tape of a batch, kept for the next tile while all of them are small."""
        if number not in self._programs:
            self._programs[number] = prepare(self.task, self.task.objective.data.batches[number])
            if sum(play.bytes for play in self._programs.values()) > KEPT_BYTES:
                return self._programs.pop(number)
        return self._programs[number]


def prepare(task: EvaluationProblem, batch: Any) -> AffineProgram:
    """Record one batch and carry the affine forms as far as they go."""
    names = task.plane.moving_names
    with task.objective.scorer.traceable():
        tape = record(lambda moving: task.scores({**task.static_params, **dict(zip(names, moving, strict=True))}, batch), _center(task))
    return restrict_to_changed_columns(_propagate_affine(task.plane.center, tape, [_form(task, n) for n in names]))


def _center(task: EvaluationProblem) -> list[Tensor]:
    return [task.plane.center[n] for n in task.plane.moving_names]


def _form(task: EvaluationProblem, name: str) -> AffineForm:
    return AffineForm((task.plane.center[name], *(d.params.get(name) for d in task.plane.directions)))


def _propagate_affine(center: Params, tape: OpGraph, inputs: list[AffineForm]) -> AffineProgram:
    known: dict[Value, AffineForm] = dict(zip(tape.inputs, inputs, strict=True))
    varying: list[Op] = []
    for step in tape.steps:
        form = _linear(step, known) if all(slot in known for slot in step.inputs) else None
        if form is None:
            varying.append(step)
        else:
            known[step.outputs[0]] = form
    needed = {s for step in varying for s in step.inputs} | {o for o in tape.outputs.values() if isinstance(o, Value)}
    return AffineProgram({slot: form for slot, form in known.items() if slot in needed}, tuple(varying), tape.outputs)


def _linear(step: Op, known: dict[Value, AffineForm]) -> AffineForm | None:
    """The form of a step's output where the step is linear in the forms it takes, else None."""
    rule = RULES.get(step.operation)
    if rule is None or len(step.outputs) != 1:
        return None
    args, kwargs = with_leaves(Value, known.__getitem__, (step.args, step.kwargs))
    return rule(step.operation, args, kwargs)


def _rule_linear_first(operation: Any, args: Any, kwargs: Any) -> AffineForm | None:
    """Linear in the first argument, constant in the others: views, sums, a division by a constant."""
    if any(isinstance(leaf, AffineForm) for leaf in leaves((args[1:], kwargs))):
        return None
    return AffineForm(tuple(None if v is None else operation(v, *args[1:], **kwargs) for v in args[0].values))


def _rule_bilinear(operation: Any, args: Any, kwargs: Any) -> AffineForm | None:
    """Linear in each of two arguments: affine as long as only one of them varies."""
    a, b = args[:2]
    if isinstance(a, AffineForm) and isinstance(b, AffineForm):
        return None
    if isinstance(a, AffineForm):
        return AffineForm(tuple(None if v is None else operation(v, b, *args[2:], **kwargs) for v in a.values))
    return AffineForm(tuple(None if v is None else operation(a, v, *args[2:], **kwargs) for v in b.values))


def _rule_add(operation: Any, args: Any, kwargs: Any) -> AffineForm | None:
    a, b = args[:2]
    forms = [f.values if isinstance(f, AffineForm) else None for f in (a, b)]
    length = len(next(f for f in forms if f is not None))
    pairs = [tuple(f[i] if f else (x if i == 0 else None) for f, x in zip(forms, (a, b), strict=True)) for i in range(length)]
    zero = [0.0 if v is None else v for v in pairs[0]]
    shape = torch.broadcast_shapes(*(v.shape for v in pairs[0] if isinstance(v, Tensor)))
    moved = [_added(operation, x, y, kwargs, shape) for x, y in pairs[1:]]
    return AffineForm((operation(*zero, **kwargs), *moved))


def _added(operation: Any, x: Any, y: Any, kwargs: Any, shape: torch.Size) -> Tensor | None:
    if x is None and y is None:
        return None
    like = x if x is not None else y
    zero = torch.zeros((), dtype=like.dtype, device=like.device)
    return operation(zero if x is None else x, zero if y is None else y, **kwargs).expand(shape)


def _addmm(operation: Any, args: Any, kwargs: Any) -> AffineForm | None:
    bias, a, b = args
    if kwargs:
        return None
    product = _rule_bilinear(aten.mm.default, (a, b), {}) if isinstance(a, AffineForm) or isinstance(b, AffineForm) else None
    if product is None and (isinstance(a, AffineForm) or isinstance(b, AffineForm)):
        return None
    return _rule_add(aten.add.Tensor, (bias, product if product is not None else aten.mm.default(a, b)), {})


def _convolution(operation: Any, args: Any, kwargs: Any) -> AffineForm | None:
    x, weight, bias, *rest = args
    if isinstance(x, AffineForm) and isinstance(weight, AffineForm):
        return None
    product = None
    if isinstance(x, AffineForm) or isinstance(weight, AffineForm):
        product = _rule_bilinear(lambda a, b: operation(a, b, None, *rest, **kwargs), (x, weight), {})
    if bias is None:
        return product
    dims = len((weight.base if isinstance(weight, AffineForm) else weight).shape) - 2
    column = (
        _rule_linear_first(aten.view.default, (bias, [1, -1] + [1] * dims), {})
        if isinstance(bias, AffineForm)
        else bias.view(1, -1, *[1] * dims)
    )
    plain = product if product is not None else operation(x, weight, None, *rest, **kwargs)
    return _rule_add(aten.add.Tensor, (plain, column), {})


RULES: dict[Any, Callable[[Any, Any, Any], AffineForm | None]] = {
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
        _rule_linear_first,
    ),
    **dict.fromkeys((aten.mm.default, aten.bmm.default, aten.mul.Tensor, aten.mv.default, aten.dot.default), _rule_bilinear),
    aten.add.Tensor: _rule_add,
    aten.sub.Tensor: _rule_add,
    aten.addmm.default: _addmm,
    aten.convolution.default: _convolution,
}


def _chunk(play: AffineProgram) -> int:
    largest = max((f.base.numel() * f.base.element_size() for f in play.forms.values()), default=1)
    return int(np.clip(CHUNK_BYTES // max(largest, 1), 1, MAX_CHUNK))


def _even(count: int, most: int) -> int:
    """Points a chunk so that the last one needs no filling: 1,600 points are two chunks of 800, not 1,024 and 576."""
    return -(-count // max(1, -(-count // most)))


def has_static_matrix(task: EvaluationProblem) -> bool:
    """Some matrix of the model stays where it is: otherwise no layer's input is fixed and there is nothing to gain."""
    moving = set(task.plane.moving_names)
    return task.objective.per_sample and any(p.dim() > 1 and n not in moving for n, p in task.objective.params.items())


__all__ = ["Affine", "UnsupportedModel", "has_static_matrix", "prepare"]
