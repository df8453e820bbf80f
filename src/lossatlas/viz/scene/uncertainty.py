"""Uncertain cells, from the standard errors of the cells alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lossatlas._util.text import format_rough_percent
from lossatlas.errors import InputError
from lossatlas.viz.scene.model import BoolArray, FloatArray, HatchedCells, Surface

LOCATED_WITHIN = 2
"""Cells, along each axis, that an estimated minimum may be off and still be marked."""

NOTE = "hatching from each cell's own standard error: it ignores that all cells share their samples, so it hatches too many"


def mark_uncertain(surface: Surface, quantity: str = "loss") -> Surface:
    """The surface with the cells marked that lie within two standard errors of the lowest one.

    A cell is marked where ``f - f_low <= 2 sqrt(se^2 + se_low^2)``. Losses of two cells on the same samples rise and fall
    together, so the error of their difference is far smaller: this marks too many cells, seldom too few. What the
    samples themselves told (`SampleLossArray.store_differences`) is kept.

    >>> from lossatlas.viz.scene.model import Field
    >>> error = np.full(3, 0.1)
    >>> surface = Surface("cut", np.arange(3.0), None, {"loss": Field(np.array([1.0, 1.2, 1.4]), "loss", standard_error=error)})
    >>> mark_uncertain(surface).fields["loss"].doubtful
    array([ True,  True, False])

    Raises:
        InputError: no standard errors, as where the loss has no form per sample.
    """
    field = surface.fields[quantity]
    if field.doubtful is not None:
        return surface
    error = field.standard_error
    if error is None or not np.isfinite(error).any() or field.values.shape != error.shape:
        raise InputError(
            "uncertainty", f"{surface.name} without standard errors of {quantity}", "a surface with a standard error at each cell"
        )
    known = np.isfinite(field.values) & np.isfinite(error) & (True if surface.done is None else surface.done)
    marked = replace(field, doubtful=_near_the_lowest(field.values, error, known)[0], conservative=True)
    return replace(surface, fields={**surface.fields, quantity: marked}, notes=(*surface.notes, NOTE))


def is_minimum_located(values: FloatArray, error: FloatArray) -> bool:
    """Whether all estimates within two standard errors of the lowest one lie at most `LOCATED_WITHIN` cells from it along each axis.

    >>> error = np.full(9, 0.1)
    >>> is_minimum_located((np.arange(9) - 4.0) ** 2, error), is_minimum_located(0.01 * (np.arange(9) - 4.0) ** 2, error)
    (True, False)
    """
    known = np.isfinite(values) & np.isfinite(error)
    if not known.any():
        return False
    near, low = _near_the_lowest(values, error, known)
    return bool((np.abs(np.argwhere(near) - low) <= LOCATED_WITHIN).all())


def _near_the_lowest(values: FloatArray, error: FloatArray, known: BoolArray) -> tuple[BoolArray, tuple[np.intp, ...]]:
    """Known cells within two standard errors of both of the lowest one, and the place of that."""
    low = np.unravel_index(np.argmin(np.where(known, values, np.inf)), known.shape)
    with np.errstate(invalid="ignore"):
        return known & (values - values[low] <= 2 * np.sqrt(error**2 + error[low] ** 2)), low


def cells_beyond_tolerance(
    values: FloatArray, error: FloatArray, tol: float, scale: str, limits: tuple[float, float] | None = None
) -> HatchedCells | None:
    """Cells whose 95 % interval is wider than `tol`, a share of the range, to either side; None where there are none.

    Wider by a tenth: the standard error of some dozens of samples is not known better.

    Args:
        values: estimates, NaN where there is none.
        error: their standard errors.
        tol: half the interval that was asked for, as a fraction of the range in `scale`.
        scale: "linear"; "log", where the range is that of the logarithms; "robust", between the 5th and 95th percentile.
        limits: values between which the range lies, such as those of a color scale that several maps share; None takes that of `values`.

    >>> cells_beyond_tolerance(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.01, 0.04]), 0.02, "linear").mask
    array([False, False,  True])
    """
    known = np.isfinite(values) & np.isfinite(error) & ((values > 0) if scale == "log" else True)
    if not known.any():
        return None
    shown = values[known] if limits is None else np.array(limits)
    shown = np.log(shown) if scale == "log" else shown
    low, high = np.percentile(shown, [5, 95]) if scale == "robust" else (shown.min(), shown.max())
    half = np.zeros(values.shape)
    half[known] = 1.96 * error[known] / (values[known] if scale == "log" else 1.0)
    mask = half > 1.1 * tol * (high - low)
    spread = {"log": "log range", "robust": "range of the middle 90 %"}.get(scale, "range")
    return HatchedCells(mask, f"less certain than the {format_rough_percent(tol)} of the {spread} asked for") if mask.any() else None
