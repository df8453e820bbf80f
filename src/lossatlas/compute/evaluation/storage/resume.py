"""Resuming of a stored surface: damaged chunks are taken for not computed, and some stored cells are measured again.

Hashes tell whether weights, buffers and data are the same. What a model, loss or metric computes with them depends on code and on
settings that may lie anywhere (lists, namespaces, classes, files): measured again, a few cells show whether it is still the same.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.caller import caller_level
from lossatlas.analysis.grid import Grid
from lossatlas.archive import Archive
from lossatlas.compute.evaluation.evaluators.agreement import LOW_PRECISION, TOLERANCES
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import ArchiveError

log = logging.getLogger("lossatlas")

Cells = NDArray[np.int64]
Values = Mapping[str, NDArray[Any]]
"""By variable, one row a cell: ``(cells,)`` or ``(cells, samples)``."""

TOLERANCE_FACTOR = 10.0
"""Evaluators may be off by `TOLERANCES`; other processors, batch sizes and versions of torch round differently as well."""
TF32 = 5e-3
"""Accelerators may multiply float32 with ten bits of mantissa, each product off by up to 5e-4."""
ULPS = 8.0
"""A cross-entropy near zero is a difference of logits of about ten, and as far off as those are."""
FLIPPED = 2
"""Samples that rounding may put on the other side of a threshold, as in accuracy."""


@dataclass(frozen=True)
class Rounding:
    """Tolerance between two measurements of one cell.

    Attributes:
        relative: share of the value.
        eps: of the floating-point type that the model computes in.
        samples: in a mean.
    """

    relative: float
    eps: float
    samples: int

    @classmethod
    def of(cls, objective: Objective, devices: Sequence[str]) -> Rounding:
        """For an objective whose cells were and are measured on `devices`."""
        low = torch.bfloat16 if objective.precision == "bf16" else None
        dtype = low or max(
            (p.dtype for p in objective.params.values() if p.is_floating_point()), key=lambda d: torch.finfo(d).eps, default=torch.float32
        )
        relative = min(TOLERANCE_FACTOR * TOLERANCES.get(dtype, LOW_PRECISION), LOW_PRECISION)
        if dtype == torch.float32 and any(device != "cpu" for device in devices):
            relative = max(relative, TF32)
        return cls(relative, torch.finfo(dtype).eps, objective.samples)

    def agree(self, name: str, stored: NDArray[Any], now: NDArray[Any], scale: float) -> bool:
        """Whether the values of a cell, or the rows of its samples as a whole, are equal but for rounding."""
        stored, now = np.atleast_1d(stored), np.atleast_1d(now)
        finite = np.isfinite(stored)
        if (finite != np.isfinite(now)).any():
            return False
        eps = max(self.eps, float(np.finfo(stored.dtype).eps))
        a, b = stored[finite].astype(float), now[finite].astype(float)
        absolute = ULPS * eps * min(scale, 1.0) * len(a) ** 0.5
        if "loss" not in name:
            absolute += FLIPPED / self.samples * scale
        return bool(np.linalg.norm(a - b) <= max(self.relative, 2 * eps if eps > self.eps else 0.0) * np.linalg.norm(a) + absolute)


def compared_cells(done: NDArray[np.bool_], usable: NDArray[np.bool_], model_cell: int | None) -> Cells:
    """First, middle and last of the finished cells, and the model's own; those that hold a value where there are any.

    >>> compared_cells(np.array([True, False, True, True, True]), np.ones(5, bool), model_cell=3).tolist()
    [0, 2, 3, 4]
    """
    candidates = np.flatnonzero(done & usable) if (done & usable).any() else np.flatnonzero(done)
    if not len(candidates):
        return candidates
    spread = candidates[[0, (len(candidates) - 1) // 2, -1]]
    return np.unique(np.append(spread, model_cell) if model_cell is not None and model_cell in candidates else spread)


def changed(
    stored: Values, measure: Callable[[], Values], rounding: Rounding, scales: Mapping[str, float], places: Sequence[str]
) -> list[str]:
    """In what cells differ from those stored, in words; empty where all agree.

    Values that differ from themselves when measured twice, as those of an objective that draws random numbers of its own, are not compared.

    Args:
        stored: what the archive holds.
        measure: the same cells now.
        rounding: how far apart they may be.
        scales: by variable, the largest value stored.
        places: the cells in words.
    """
    now, again = measure(), None
    for name, row in ((name, row) for name in stored for row in range(len(places))):
        if rounding.agree(name, stored[name][row], now[name][row], scales[name]):
            continue
        again = measure() if again is None else again
        if not rounding.agree(name, now[name][row], again[name][row], scales[name]):
            log.warning("the %s of one cell differs between two measurements, so that stored cells cannot be compared", name)
            continue
        return [difference(name, places[row], stored[name][row], now[name][row])]
    return []


def difference(name: str, place: str, stored: Any, now: Any) -> str:
    """The words for a cell that has another value than before."""
    return (
        f"its {name} at {place} is {_short(stored)} there and {_short(now)} now on the same weights and data, "
        "as after a change in the code or a setting of the model, the loss or a metric (undo it to continue)"
    )


def scale_of(values: NDArray[Any]) -> float:
    """The largest finite size; 0 where there is none."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def place_in_words(point: Sequence[float]) -> str:
    """
    >>> place_in_words([0.5, -1.0])
    '(alpha, beta) = (0.5, -1)'
    """
    return f"({', '.join(('alpha', 'beta')[: len(point)])}) = ({', '.join(f'{c:.6g}' for c in point)})"


def _short(value: Any) -> str:
    return f"{float(value):.9g}" if np.ndim(value) == 0 else f"{float(np.mean(value)):.9g} in the mean over {len(value)} values"


def stored_attrs(store: Archive, name: str, overwrite: bool) -> dict[str, Any] | None:
    """Provenance of the stored surface; None where that is lost and it may be replaced."""
    try:
        return store.surface_attrs(name)
    except ArchiveError:
        if overwrite:
            return None
        raise


def mend(store: Archive, name: str, grid: Grid, variables: Iterable[str], overwrite: bool) -> bool:
    """Take the cells of damaged chunks for not computed, with a warning; False where more is lost and it may be replaced."""
    try:
        lost = store.mend_surface(name, dict(zip(schema.PLANE, grid.axes, strict=False)), variables)
    except ArchiveError:
        if overwrite:
            return False
        raise
    if lost:
        warnings.warn(
            f"Chunks of {name!r} in {store.location} are damaged: {lost:,} cells are measured anew. Look after the disk.",
            stacklevel=caller_level(),
        )
    return True
