"""What each cell of a surface can show: its value, or the reason it is a hole; and the limits that panes share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossatlas.errors import InputError
from lossatlas.viz.scene.model import BoolArray, ColorScale, FloatArray, Pane, Scene, Surface

FIELD_PANES = ("contour", "surface")


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


def limits_of(scene: Scene, pane: Pane) -> tuple[float, float]:
    """The scene's limits for a pane, widened where they would be empty: a constant surface, or nothing to show.

    >>> limits_of(Scene(panes=(Pane("contour"),)), Pane("contour"))
    (0.0, 1.0)
    """
    low, high = scene.limits(pane)
    log = scene.color_of(pane).scale == "log"
    if log and low <= 0:
        low = min(0.1, high / 10) if high > 0 else 0.1
    if high > low:
        return low, high
    if log:
        return low / 1.1, low * 1.1
    margin = max(abs(low) * 1e-3, 1e-6)
    return low - margin, low + margin


def levels_of(color: ColorScale, limits: tuple[float, float]) -> FloatArray:
    """Contour levels from end to end: equal steps, or equal ratios on a log scale."""
    count = max(2, color.levels)
    return np.geomspace(*limits, count) if color.scale == "log" else np.linspace(*limits, count)


def heights_of(values: FloatArray, color: ColorScale) -> FloatArray:
    """Values as heights: themselves, or their decimal logarithm; what has no logarithm becomes NaN."""
    if color.scale == "linear":
        return np.asarray(values, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(values) > 0, np.log10(values), np.nan)


def panes_by_scale(scene: Scene) -> dict[ColorScale, list[Pane]]:
    """The field panes that are compared, grouped by the color scale they share."""
    groups: dict[ColorScale, list[Pane]] = {}
    for pane in scene.panes:
        if pane.kind in FIELD_PANES:
            groups.setdefault(scene.color_of(pane), []).append(pane)
    return groups
