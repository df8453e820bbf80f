"""Restriction of separable losses to the output units that move; the others are summed once.

A plane over two weights of one neuron changes one column of the last layer's output. If everything between that
output and a sum over it works entry by entry (a sigmoid, a squared difference), the other columns are a constant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossatlas.compute.evaluation.evaluators.affine.op_graph import Op, Value, with_leaves

if TYPE_CHECKING:
    from lossatlas.compute.evaluation.evaluators.affine.forms import AffineForm, AffineProgram

aten = torch.ops.aten
REDUCTIONS = (aten.sum.dim_IntList, aten.mean.dim)


def restrict_to_changed_columns(play: AffineProgram) -> AffineProgram:
    """The same play on the columns of its only form that move, or the play itself where that cannot be done."""
    if len(play.forms) != 1:
        return play
    ((slot, form),) = play.forms.items()
    touched = _changed_columns(form)
    if touched is None or 2 * len(touched[0]) > form.base.shape[-1]:
        return play
    steps = _restricted(play, slot, form, *touched)
    if steps is None:
        return play
    restricted = replace(form, values=tuple(None if v is None else v[..., touched[0]].contiguous() for v in form.values))
    return replace(play, forms={slot: restricted}, steps=tuple(steps))


def _changed_columns(form: AffineForm) -> tuple[Tensor, Tensor] | None:
    """Columns of the last axis that some direction moves, and those that none does."""
    moved = [v for v in form.values[1:] if v is not None]
    if form.base.dim() < 2 or not moved:
        return None
    still = torch.stack([(v == 0).reshape(-1, v.shape[-1]).all(0) for v in moved]).all(0)
    return torch.nonzero(~still).flatten(), torch.nonzero(still).flatten()


def _restricted(play: AffineProgram, slot: Value, form: AffineForm, touched: Tensor, rest: Tensor) -> list[Op] | None:
    columns, fixed = form.base.shape[-1], {slot: form.base[..., rest]}
    wide, steps = {slot}, []
    if any(out == slot for out in play.outputs.values()):
        return None
    for step in play.steps:
        if not any(s in wide for s in step.inputs):
            steps.append(step)
        elif step.operation in REDUCTIONS:
            reduced = _reduction(step, fixed, columns)
            if reduced is None:
                return None
            steps.append(reduced)
        elif _is_pointwise(step, wide):
            cut = [_columns(step, columns, chosen) for chosen in (touched, rest)]
            cut[1].run(fixed)
            steps.append(cut[0])
            wide.update(step.outputs)
        else:
            return None
    return None if any(out in wide for out in play.outputs.values() if isinstance(out, Value)) else steps


def _is_pointwise(step: Op, wide: set[Value]) -> bool:
    pointwise = torch.Tag.pointwise in getattr(step.operation, "tags", ())
    return pointwise and len(step.outputs) == 1 and all(s in wide for s in step.inputs)


def _columns(step: Op, columns: int, chosen: Tensor) -> Op:
    """The step with its constants cut to the chosen columns."""

    def cut(constant: Tensor) -> Tensor:
        return constant[..., chosen] if constant.dim() and constant.shape[-1] == columns else constant

    args, kwargs = with_leaves(Tensor, cut, (step.args, step.kwargs))
    return replace(step, args=args, kwargs=kwargs)


def _reduction(step: Op, fixed: dict[Value, Any], columns: int) -> Op | None:
    """A sum or mean over the columns: the moving part, plus the sum of the columns that stand still."""
    source, over = step.args[0], step.args[1] if len(step.args) > 1 else None
    dims = fixed[source].dim()
    if not over or [d % dims for d in over] != [dims - 1] or step.kwargs:
        return None
    keep = bool(step.args[2]) if len(step.args) > 2 else False
    scale = 1.0 if step.operation is aten.sum.dim_IntList else 1.0 / columns
    constant = fixed[source].sum(-1, keepdim=keep)

    def reduce(value: Tensor) -> Tensor:
        return (value.sum(-1, keepdim=keep) + constant) * scale

    return Op(reduce, (source,), {}, step.outputs)
