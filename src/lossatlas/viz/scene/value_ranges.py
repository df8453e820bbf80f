"""Value ranges: the limits, levels and heights that panes of one color scale share."""

from __future__ import annotations

import numpy as np

from lossatlas.viz.scene.interpolation import spans_decades
from lossatlas.viz.scene.model import ColorScale, FloatArray, Pane, Scene, Surface

FIELD_PANES = ("contour", "surface")


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


def interpolates_logarithms(surface: Surface, quantity: str) -> bool:
    """Whether a quantity is interpolated as its logarithm: where the computed values of all frames are positive and span decades."""
    values = surface.fields[quantity].values
    known = values[np.isfinite(values) & (True if surface.done is None else surface.done)]
    return known.size > 0 and spans_decades(float(known.min()), float(known.max()))


def panes_by_scale(scene: Scene) -> dict[ColorScale, list[Pane]]:
    """The field panes that are compared, grouped by the color scale they share."""
    groups: dict[ColorScale, list[Pane]] = {}
    for pane in scene.panes:
        if pane.kind in FIELD_PANES:
            groups.setdefault(scene.color_of(pane), []).append(pane)
    return groups
