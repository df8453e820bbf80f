"""Text for readers (percentages, durations, sizes in bytes, the nearest of known names), and values as strict JSON holds them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

SHORTEST_ABBREVIATION = 3
"""Letters of a word that is taken for the beginning of a name."""
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def format_percent(share: float) -> str:
    """A share in percent with one decimal, or with two digits below one percent.

    >>> format_percent(0.9365), format_percent(0.0047), format_percent(1e-6), format_percent(0)
    ('93.7 %', '0.47 %', 'below 0.01 %', '0.0 %')
    """
    if 0 < share < 1e-4:
        return "below 0.01 %"
    return f"{100 * share:.1f} %" if abs(share) >= 0.01 or share == 0 else f"{100 * share:.2g} %"


def format_rough_percent(share: float) -> str:
    """A share that is only estimated, or compared with others at a glance: two digits, and never ``1e+02 %``.

    >>> format_rough_percent(0.883), format_rough_percent(0.0623), format_rough_percent(0.9999), format_rough_percent(1e-6)
    ('88 %', '6.2 %', '100 %', 'below 0.01 %')
    """
    if 0 < share < 1e-4:
        return "below 0.01 %"
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 else f"{100 * share:.2g} %"


def format_duration(seconds: float) -> str:
    """A duration in seconds, minutes, hours or days, to about two digits.

    >>> format_duration(0.0031), format_duration(3.21), format_duration(240), format_duration(9000), format_duration(400_000)
    ('3.1 ms', '3.2 s', '4 min', '2.5 h', '4.6 days')
    """
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds >= 0.1 or not seconds else f"{1000 * seconds:.2g} ms"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def format_bytes(count: float) -> str:
    """A size in binary units, three digits, as documents and PyTorch give it.

    >>> format_bytes(480), format_bytes(45_000), format_bytes(17_000_000), format_bytes(3 * 2**29), format_bytes(1023)
    ('480 B', '43.9 KiB', '16.2 MiB', '1.5 GiB', '0.999 KiB')
    """
    amount, units = float(count), iter(_BYTE_UNITS)
    unit = next(units)
    # From 999.5 on, three digits would read 1e+03.
    while amount >= 999.5 and unit != _BYTE_UNITS[-1]:
        amount, unit = amount / 1024, next(units)
    return f"{amount:.3g} {unit}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question that names the nearest of the known names, or the one that is abbreviated; empty where none is near.

    >>> did_you_mean("objectiv", ["objective", "model"]), did_you_mean("x", ["objective"]), did_you_mean("Acc", ["loss", "accuracy"])
    ('Did you mean objective?', '', 'Did you mean accuracy?')
    """
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not near and len(word) >= SHORTEST_ABBREVIATION:
        near = [name for name in names if name.lower().startswith(word.lower())]
    return f"Did you mean {near[0]}?" if near else ""


def to_json_value(value: Any) -> Any:
    """The value as strict JSON knows it: NaN and infinity become None, NumPy scalars and arrays plain numbers, other things text.

    >>> to_json_value({"loss": float("nan"), 3: (np.float32(0.5), np.arange(2)), "kind": None})
    {'loss': None, '3': [0.5, [0, 1]], 'kind': None}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
