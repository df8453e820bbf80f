"""Numbers read out of text, so that a test compares numbers and not how many digits somebody printed."""

from __future__ import annotations

import re

NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


def numbers_after(label: str, text: str) -> list[float]:
    """Every number that follows a label, in the order of the text; thousands may be parted by commas.

    Example:
        >>> numbers_after("loss", "best loss 1.25e-1, last loss: 1,024.5; path_loss 3")
        [0.125, 1024.5]
    """
    found = re.findall(rf"(?<!\w){re.escape(label)}[\s:=≈]*({NUMBER})", text)
    return [float(number.rstrip(",").replace(",", "")) for number in found]


def numbers_before(label: str, text: str) -> list[float]:
    """Every number that stands before a label, such as a unit, in the order of the text.

    Example:
        >>> numbers_before("% computed", "37 % computed of 1,024 cells")
        [37.0]
    """
    return [float(number.replace(",", "")) for number in re.findall(rf"({NUMBER})\s*{re.escape(label)}", text)]
