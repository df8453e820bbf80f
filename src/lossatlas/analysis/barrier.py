"""Barrier height and monotonicity of a loss curve between two models, from its stored values."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema

Array = NDArray[np.float64]
ROUNDING = 1e-6
"""Rises and dents below this share of the curve's range count as rounding."""


def monotonicity_stats(alpha: Array, values: Array) -> dict[str, Any]:
    """Monotonicity and convexity of the curve between 0 and 1, for `interpolate`; None where a value there is not finite."""
    inside = (alpha >= 0) & (alpha <= 1)
    x, f = alpha[inside], values[inside]
    if not np.isfinite(f).all():
        return {"monotone": None, "largest_rise": None, "rise_from": None, "rise_to": None, "convexity_defects": None}
    small = ROUNDING * float(np.ptp(f))
    lowest = np.minimum.accumulate(f)
    top = int(np.argmax(f - lowest))
    bottom = int(np.argmin(f[: top + 1]))
    largest_rise = float(f[top] - f[bottom])
    chord = f[:-2] + (f[2:] - f[:-2]) * (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    return {
        "monotone": largest_rise <= small,
        "largest_rise": largest_rise,
        "rise_from": float(x[bottom]),
        "rise_to": float(x[top]),
        "convexity_defects": int((f[1:-1] - chord > small).sum()),
    }


def barrier_height(alpha: Array, values: Array) -> tuple[float, float]:
    """Greatest height of a curve over [0, 1] above the chord of its ends, and its position; NaN where a value is not finite.

    >>> barrier_height(np.array([0.0, 0.5, 1.0]), np.array([1.0, 3.0, 2.0]))
    (1.5, 0.5)
    """
    above = values - ((1 - alpha) * values[0] + alpha * values[-1])
    if not np.isfinite(above).all():
        return float("nan"), float("nan")
    top = int(np.argmax(above))
    return float(above[top]), float(alpha[top])


def barrier_heights(line: xr.Dataset) -> dict[str, float]:
    """Barriers of the loss, of the error (1 - accuracy) and of other metrics on a line from model `a` at 0 to `b` at 1.

    Args:
        line: over ``("alpha",)``, such as `interpolate` and `evaluate_curve` return or an archive holds; points beyond
            0 and 1 do not count.

    Returns:
        `loss` and `loss_at` (its alpha) where the loss was measured, `error` and `error_at` where accuracy was, and likewise of every
        other metric by its name: how far it lies above the chord, or below it where higher is better. Empty where the models at 0 and 1
        are not among the points.

    >>> alpha = np.array([-1.0, 0.0, 0.5, 1.0])
    >>> barrier_heights(xr.Dataset({"loss": ("alpha", [9.0, 1.0, 3.0, 2.0])}, coords={"alpha": alpha}))
    {'loss': 1.5, 'loss_at': 0.5}
    """
    inside = line.sel(alpha=slice(-1e-12, 1 + 1e-12))
    t = inside.alpha.values
    if len(t) < 2 or abs(t[0]) > 1e-9 or abs(t[-1] - 1) > 1e-9:
        return {}
    heights: dict[str, float] = {}
    for name, values in _worse_upwards(inside).items():
        heights[name], heights[f"{name}_at"] = barrier_height(t, values)
    return heights


def _worse_upwards(line: xr.Dataset) -> dict[str, Array]:
    """Every metric of a line, the loss first, turned so that larger is worse; accuracy as the error."""
    names = [str(n) for n, v in line.data_vars.items() if n != "done" and v.dims == ("alpha",) and not str(n).endswith(schema.SUFFIXES)]
    names.sort(key=lambda name: (name != "loss", name != "accuracy"))
    curves: dict[str, Array] = {}
    for name in names:
        sign = -1.0 if line[name].attrs.get("better") == "higher" else 1.0
        curves.setdefault(
            "error" if name == "accuracy" else name, 1 - line[name].values if name == "accuracy" else sign * line[name].values
        )
    return curves
