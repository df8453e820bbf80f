"""Value ranges: the limits, levels and heights that panes of one color scale share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lossatlas.viz.scene.interpolation import spans_decades
from lossatlas.viz.scene.model import ColorScale, FloatArray, Pane, Scale, Scene, Surface

FIELD_PANES = ("contour", "surface")
FLAT_RANGE, FLAT_SHARE = 0.1, 0.25
"""A quarter of a map in the lowest tenth of its range: a linear scale draws that as one dark pool without shape."""


def automatic_scale(surfaces: Sequence[Surface], quantity: str = "loss", clip: float | None = None) -> Scale:
    """The scale for maps and reliefs of a quantity where nobody chose one.

    Logarithmic where all finite values are positive, the largest (or `clip`) is more than `LOG_RATIO` = 20 times the smallest, and
    a quarter of the values lie in the lowest tenth of the range: there a linear color map shows one dark pool just where
    optimizers end. A quadratic bowl, of which a sixth lies there, stays linear, and so do

    - zero and negative values, which have no logarithm: one of them makes the scale linear;
    - lines alone, whose heights are read off an axis;
    - terms of a loss, which are compared with each other, and scores where higher is better, whose low values are of no interest;
    - cells that were interpolated with an error estimated on a linear scale, for between them low values are not known.

    >>> from lossatlas.viz.scene.model import Field
    >>> r = np.linspace(-1, 1, 21)
    >>> bowl, valley = 0.01 + r[:, None] ** 2 + r**2, 0.01 + (r[:, None] ** 2 + r**2) ** 2
    >>> [automatic_scale([Surface("s", r, r, {"loss": Field(values, "loss")})]) for values in (bowl, valley, valley - 0.01)]
    ['linear', 'log', 'linear']
    """
    planes = [surface for surface in surfaces if not surface.is_line and quantity in surface.fields]
    values = np.concatenate([_finite_values(surface, quantity) for surface in planes]) if planes else np.zeros(0)
    is_score = any(surface.fields[quantity].better == "higher" for surface in planes)
    if not values.size or is_score or quantity.startswith("term_") or any(s.provenance.estimated_on == "linear" for s in planes):
        return "linear"
    low, high = float(values.min()), float(values.max() if clip is None else min(values.max(), clip))
    flat = spans_decades(low, high) and np.mean(values < low + FLAT_RANGE * (high - low)) >= FLAT_SHARE
    return "log" if flat else "linear"


def _finite_values(surface: Surface, quantity: str) -> FloatArray:
    """Drawn values of all frames, flat."""
    values = np.asarray(surface.fields[quantity].values, float)
    return values[np.isfinite(values) & (True if surface.done is None else surface.done)]


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
    known = _finite_values(surface, quantity)
    return known.size > 0 and spans_decades(float(known.min()), float(known.max()))


def panes_by_scale(scene: Scene) -> dict[ColorScale, list[Pane]]:
    """The field panes that are compared, grouped by the color scale they share."""
    groups: dict[ColorScale, list[Pane]] = {}
    for pane in scene.panes:
        if pane.kind in FIELD_PANES:
            groups.setdefault(scene.color_of(pane), []).append(pane)
    return groups
