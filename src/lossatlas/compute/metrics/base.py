"""Metric: the plug-in point for a number measured at every point, one value a sample or a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from lossatlas import schema
from lossatlas.compute.objective.objective import Scores


@dataclass(frozen=True)
class Metric:
    """A named mean over samples.

    Attributes:
        name: a variable of `schema`.
        measure: scores of a batch to one value a sample, ``(samples,)``; ``()`` where only the batch's mean is known.
        per_sample: every value is kept instead of their mean; the variable then has an axis beyond the plane.
        dtype: of the stored values; None is the schema's.
    """

    name: str
    measure: Callable[[Scores], Tensor]
    per_sample: bool = False
    dtype: str | None = None

    @property
    def variable(self) -> schema.Variable:
        declared = schema.variable(self.name)
        return declared if self.dtype is None else replace(declared, dtype=self.dtype)
