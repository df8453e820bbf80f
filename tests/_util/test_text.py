"""Numbers as text: wherever a unit changes, the text before and after it reads as a number of few digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossatlas._util.arrays import fill_nearest
from lossatlas._util.text import format_bytes, format_duration, format_percent, format_rough_percent, to_json_value


@pytest.mark.parametrize(
    ("share", "text", "rough"),
    [
        (0.0, "0.0 %", "0 %"),
        (9.9e-5, "below 0.01 %", "below 0.01 %"),
        (1e-4, "0.01 %", "0.01 %"),
        (0.00934, "0.93 %", "0.93 %"),
        (0.0126, "1.3 %", "1.3 %"),
        (0.0994, "9.9 %", "9.9 %"),
        (0.0996, "10.0 %", "10 %"),
        (0.997, "99.7 %", "100 %"),
        (1.0, "100.0 %", "100 %"),
        (-0.25, "-25.0 %", "-25 %"),
    ],
)
def test_percent(share: float, text: str, rough: str) -> None:
    assert (format_percent(share), format_rough_percent(share)) == (text, rough)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (0.05, "50 ms"), (0.1, "0.1 s"), (3.21, "3.2 s"), (59, "59 s"), (89.4, "89 s"), (90, "2 min")),
        *((5399, "90 min"), (5400, "1.5 h"), (2 * 86400, "2.0 days")),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("exponent", range(1, 62))
def test_sizes_never_read_as_powers_of_ten(exponent: int) -> None:
    """The text is within half a unit of its third digit, 0.5 %, of the size, and has a unit of its own order."""
    units = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5, "EiB": 6}
    for count in (2**exponent - 1, 2**exponent, int(999.4 * 1024 ** (exponent // 10))):
        text = format_bytes(count)
        amount, unit = text.split()
        assert "e" not in amount and float(amount) * 1024 ** units[unit] == pytest.approx(count, rel=5e-3)


def test_json_values_are_strict_json_and_plain_python() -> None:
    value: dict[Any, Any] = {
        "nan": float("nan"),
        "inf": np.float32(-np.inf),
        "flag": np.bool_(True),
        "counts": (np.int64(3), np.arange(2)),
        "grid": np.array([[0.5, np.nan]]),
        3: None,
        "path": Path("a"),
    }
    expected = {"nan": None, "inf": None, "flag": True, "counts": [3, [0, 1]], "grid": [[0.5, None]], "3": None, "path": "a"}
    assert json.loads(json.dumps(to_json_value(value), allow_nan=False)) == expected
    assert to_json_value(value)["flag"] is True


def test_holes_take_their_nearest_neighbor() -> None:
    values = np.array([[1.0, np.nan, np.nan, 4.0], [5.0, np.nan, np.nan, np.inf]])
    holes = ~np.isfinite(values)
    np.testing.assert_array_equal(fill_nearest(values, holes), [[1, 1, 4, 4], [5, 5, 4, 4]])
    np.testing.assert_array_equal(fill_nearest(values, np.ones_like(holes)), np.zeros((2, 4)))
