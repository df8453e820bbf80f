"""Tick locations and labels for color bars, height axes and footnotes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.ticker import MaxNLocator

from lossatlas.viz.scene.model import ColorScale, FloatArray

_STEPS = [1, 2, 2.5, 5, 10]


def scale_ticks(color: ColorScale, limits: tuple[float, float], most: int = 7) -> FloatArray:
    """Round values inside the limits of a color scale."""
    return log_ticks(limits) if color.scale == "log" else linear_ticks(*limits, most)


def linear_ticks(low: float, high: float, most: int = 5, clear: float = 0.0) -> FloatArray:
    """Round values, none nearer to an end than `clear` of the span: there the labels of two 3-D axes would meet.

    >>> linear_ticks(-1.0, 1.0), linear_ticks(-1.0, 1.0, clear=0.04)
    (array([-1. , -0.5,  0. ,  0.5,  1. ]), array([-0.5,  0. ,  0.5]))
    """
    ticks = MaxNLocator(most, steps=_STEPS).tick_values(low, high)
    ticks = np.where(np.abs(ticks) < 1e-9 * (high - low), 0.0, ticks)
    slack = 1e-9 * (high - low)
    inside = ticks[(ticks >= low - slack) & (ticks <= high + slack)]
    apart = inside[(inside - low > clear * (high - low)) & (high - inside > clear * (high - low))] if clear else inside
    return apart if len(apart) >= 2 else inside


def log_ticks(limits: tuple[float, float], most: int = 8) -> FloatArray:
    """Round numbers from low to high, about evenly spaced in their logarithm.

    >>> log_ticks((0.1, 10.0))
    array([ 0.1,  0.2,  0.5,  1. ,  2. ,  5. , 10. ])
    """
    low, high = limits
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = decades
    for digits in (tuple(range(1, 10)), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = np.unique([float(f"{d * k:.6g}") for d in decades for k in digits])
        ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        if 2 <= len(ticks) <= most:
            return ticks
    if len(ticks) > most:
        return ticks[:: int(np.ceil(len(ticks) / most))]
    return linear_ticks(low, high)


def tick_labels(ticks: Iterable[float]) -> list[str]:
    r"""Plain numbers; equally spaced ones show equally many decimals, very large and small ones powers of ten.

    >>> tick_labels([4.8, 4.81]), tick_labels([0.1, 1.0, 10.0]), tick_labels([-1.0, 0.0])
    (['4.80', '4.81'], ['0.1', '1', '10'], ['−1', '0'])
    >>> tick_labels([1e12, 3e12])
    ['$10^{12}$', '$3\\!\\times\\!10^{12}$']
    """
    values = [float(tick) for tick in ticks]
    short = [f"{value:.6g}" for value in values]
    if any("e" in text for text in short):
        return [_power(value) for value in values]
    if len(values) < 3 or np.allclose(np.diff(values), values[1] - values[0]):
        decimals = max((len(text.partition(".")[2]) for text in short), default=0)
        short = [f"{value:.{decimals}f}" for value in values]
    return [text.replace("-", "−") for text in short]


def _power(value: float) -> str:
    """A number as digits times a power of ten, in mathtext."""
    if value == 0:
        return "0"
    digits, _, exponent = f"{value:.3e}".partition("e")
    digits = digits.rstrip("0").rstrip(".")
    power = f"10^{{{int(exponent)}}}"
    sign = "-" if digits.startswith("-") else ""
    return f"${sign}{power}$" if digits.lstrip("-") == "1" else f"${digits}\\!\\times\\!{power}$"
