"""Masks of a surface's cells: drawable, or the reason for a hole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossatlas.errors import InputError
from lossatlas.viz.scene.model import BoolArray, ColorScale, FloatArray, Surface


@dataclass(frozen=True)
class CellMasks:
    """One frame of one quantity, sorted into what can be drawn and why the rest cannot; every mask has the shape of `values`.

    Attributes:
        values: the numbers, NaN in every hole.
        missing: not computed yet. broken: computed, and NaN or infinite. unlogged: finite and <= 0 on a log scale.
    """

    values: FloatArray
    missing: BoolArray
    not_finite: BoolArray
    not_positive: BoolArray

    @property
    def holes(self) -> BoolArray:
        return self.missing | self.not_finite | self.not_positive

    @property
    def drawable(self) -> FloatArray:
        """The values that are drawn, flat; empty where nothing can be."""
        return self.values[~self.holes]


def classify_cells(surface: Surface, color: ColorScale, quantity: str, frame: int = 0) -> CellMasks:
    """Sort the cells of a frame.

    Raises:
        InputError: the surface has no such quantity.
    """
    if quantity not in surface.fields:
        raise InputError("quantity", quantity, f"one that {surface.name} holds: {', '.join(surface.fields)}")
    values = np.asarray(surface.frame_values(quantity, frame), float)
    missing = np.zeros(values.shape, bool) if surface.done is None else ~surface.done
    broken = ~missing & ~np.isfinite(values)
    with np.errstate(invalid="ignore"):
        unlogged = ~missing & ~broken & (values <= 0) & (color.scale == "log")
    return CellMasks(np.where(missing | broken | unlogged, np.nan, values), missing, broken, unlogged)
