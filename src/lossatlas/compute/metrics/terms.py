"""Terms of a loss that returns a mapping: a metric for each, and the check that they add up to the loss at every cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas._util.caller import caller_level
from lossatlas.compute.metrics.base import TERM, Metric
from lossatlas.compute.objective.objective import Objective, Scores

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Of the loss less its terms, as a share of the sum of their absolute values."""
LOW_PRECISION = 3e-2


@dataclass(frozen=True)
class TermMeasure:
    """One term's contribution to the loss: its value times its weight."""

    name: str
    weight: float

    def __call__(self, scores: Scores) -> Tensor:
        return scores.terms[self.name] * self.weight


def term_metrics(objective: Objective) -> tuple[Metric, ...]:
    """A metric ``term_NAME`` for every term that the objective's loss returns beside "loss"; none for a loss of one number."""
    return tuple(_term_metric(name, weight) for name, weight in dict(objective.description.get("terms") or {}).items())


def _term_metric(name: str, weight: float) -> Metric:
    label = name.replace("_", " ")
    long_name = f"{label} term" if weight == 1 else f"{label} term x {weight:g}"
    return Metric(f"{TERM}{name}", TermMeasure(name, weight), long_name=long_name, code=f"lossatlas:term {name} {weight!r}", per_label=True)


@dataclass(eq=False)
class TermCheck:
    """Compares the loss with the sum of its terms, ``|loss - sum w t| <= tolerance * sum |w t|``; warns once, at the first cell.

    Attributes:
        names: of the arrays of terms; nothing is compared where there are none, or no loss.
        tolerance: by the precision that the loss is computed in: 1e-12 in float64, 1e-5 in float32, 3e-2 below.
    """

    names: tuple[str, ...]
    tolerance: float
    warned: bool = False

    @classmethod
    def of(cls, metrics: Sequence[Metric], objective: Objective) -> TermCheck:
        names = tuple(metric.name for metric in metrics if metric.is_builtin and metric.name.startswith(TERM))
        dtype = next(iter(objective.params.values())).dtype
        low = objective.precision != "full"
        return cls(names if any(m.name == "loss" for m in metrics) else (), LOW_PRECISION if low else TOLERANCES.get(dtype, LOW_PRECISION))

    def __call__(self, points: NDArray[np.float64], values: Mapping[str, NDArray[Any]]) -> None:
        """Warn of the first cell, at coordinates ``(points, ndim)``, where the terms do not add up."""
        if self.warned or not self.names:
            return
        cells = np.flatnonzero(self.differs(values))
        if len(cells):
            self.warned = True
            place = ", ".join(f"{coordinate:.6g}" for coordinate in np.atleast_1d(points[cells[0]]))
            parts = " + ".join(f"{float(values[name][cells[0]]):.9g} ({name})" for name in self.names)
            warnings.warn(
                f"The terms of the loss do not add up: at ({place}) the loss is {float(values['loss'][cells[0]]):.9g} and its "
                f"terms are {parts}. "
                "Return every term, each in the sum as it is, or say its factor: la.Objective(..., term_weights={'NAME': factor}).",
                UserWarning,
                stacklevel=caller_level(),
            )

    def differs(self, values: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Cells where they do not add up; those that are not finite are not compared."""
        terms = np.stack([values[name] for name in self.names])
        with np.errstate(invalid="ignore", over="ignore"):
            gap, scale = np.abs(values["loss"] - terms.sum(0)), np.abs(terms).sum(0)
            return np.isfinite(gap) & np.isfinite(scale) & (gap > self.tolerance * scale)

    def note(self, values: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Attributes of a surface where they do not add up everywhere: in how many cells."""
        count = int(self.differs(values).sum()) if self.names else 0
        return {"terms_differ": count} if count else {}
