"""Affine forms z0 + alpha z1 + beta z2, and the program that replays what follows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossatlas.compute.evaluation.evaluators.affine.op_graph import Op, Value, leaves


@dataclass(frozen=True)
class AffineForm:
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
class AffineProgram:
    """A tape made ready: forms to fill in at every point, and the steps that follow."""

    forms: dict[Value, AffineForm]
    steps: tuple[Op, ...]
    outputs: dict[str, Value | Tensor]

    @property
    def bytes(self) -> int:
        """Memory in bytes: forms, and constants of the steps."""
        held = [v for form in self.forms.values() for v in form.values if v is not None]
        held += [leaf for step in self.steps for leaf in leaves((step.args, step.kwargs)) if isinstance(leaf, Tensor)]
        return sum(t.untyped_storage().nbytes() for t in held)

    def point(self, entries: dict[int, Tensor]) -> dict[str, Tensor]:
        """Outputs at one point, from the forms filled in there; runs under vmap."""
        values: dict[Value, Any] = {Value(i): v for i, v in entries.items()}
        for step in self.steps:
            step.run(values)
        return {name: values[out] if isinstance(out, Value) else out for name, out in self.outputs.items()}
