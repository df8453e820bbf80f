"""The plug-in point of a metric: one number a sample, averaged over the data at every point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lossatlas import schema
from lossatlas.compute.objective import Scores


@dataclass(frozen=True)
class Metric:
    """A named mean over samples.

    Attributes:
        name: a variable of `schema`.
        measure: scores of a batch to one value a sample, ``(samples,)``; ``()`` where only the batch's mean is known.
    """

    name: str
    measure: Callable[[Scores], Tensor]

    @property
    def variable(self) -> schema.Variable:
        return schema.variable(self.name)
