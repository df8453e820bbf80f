"""Control of a running evaluation from its live page: pause, resume, stop, refine a region.

An evaluation calls `checkpoint` after every tile. A stop leaves it as Ctrl-C would, with everything finished stored;
the same command continues. A closer look is a surface of its own over the region, on the same plane.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lossatlas.errors import InputError

Region = tuple[tuple[float, float], tuple[float, float]]
"""``((alpha low, high), (beta low, high))``."""
Result = TypeVar("Result")
FINER = 4
"""How many cells of a closer look stand where one cell stood."""
FEWEST, MOST = 9, 51
"""Cells a closer look has along an axis."""
MOST_REGIONS = 8
"""Closer looks that may wait at a time."""


class RegionRequested(Exception):
    """Leaves an evaluation in its middle, to look closer somewhere first; what was finished is stored."""


@dataclass
class RunControl:
    """Shared by a page's server and an evaluation in another thread.

    Attributes:
        can_refine: the evaluation knows how to look closer.
        regions: closer looks that are still wanted.
    """

    can_refine: bool = True
    regions: list[Region] = field(default_factory=list)
    _going: threading.Event = field(default_factory=threading.Event)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._going.set()

    @property
    def state(self) -> str:
        """ "running", "paused" or "stopping"."""
        return "stopping" if self._stopped else "running" if self._going.is_set() else "paused"

    def describe(self) -> dict[str, Any]:
        """For the page: which buttons make sense."""
        return {"state": self.state, "refine": self.can_refine, "waiting": len(self.regions)}

    def request(self, message: Mapping[str, Any]) -> None:
        """Take a wish: ``{"do": "pause"}``, "resume", "stop", or "refine" with ``alpha`` and ``beta``, two numbers each.

        Raises:
            InputError: anything else, or more closer looks than may wait.
        """
        done = message.get("do")
        if done == "refine" and self.can_refine:
            if len(self.regions) >= MOST_REGIONS:
                raise InputError("do", done, f"at most {MOST_REGIONS} closer looks that wait", "Ask again when one of them is done")
            self.regions.append((_span("alpha", message.get("alpha")), _span("beta", message.get("beta"))))
            self._going.set()
        elif done in ("resume", "stop"):
            self._stopped |= done == "stop"
            self._going.set()
        elif done == "pause":
            self._going.clear()
        else:
            raise InputError("do", done, "pause, resume, stop or refine")

    def checkpoint(self, turning: bool = True) -> None:
        """Wait while the evaluation is paused, or end it; `turning` lets it be left for a closer look.

        Raises:
            KeyboardInterrupt: it was asked to stop.
            RegionRequested: a closer look is wanted first.
        """
        self._going.wait()
        if self._stopped:
            raise KeyboardInterrupt
        if turning and self.regions:
            raise RegionRequested

    def run(self, run: Callable[[], Result], closer: Callable[[Region], object]) -> Result:
        """Call `run` until it is through, and `closer` for every region that is asked for on the way."""
        while True:
            result, through = None, True
            try:
                result = run()
            except RegionRequested:
                through = False
            while self.regions:
                closer(self.regions.pop(0))
            if through:
                return result  # pyright: ignore[reportReturnType]


def region_grid(region: Region, bounds: Region, resolution: Sequence[int]) -> tuple[Region, tuple[int, int]]:
    """Bounds and resolution of a closer look: whole cells of the surface, four for one, 51 at most along an axis.

    >>> region_grid(((-0.5, 0.5), (0.93, 3.0)), ((-1, 1), (-1, 1)), (21, 21))
    (((-0.5, 0.5), (0.9, 1.0)), (41, 9))

    Raises:
        InputError: the region lies beside the surface.
    """
    axes = [_closer_axis(*span, *whole, count) for span, whole, count in zip(region, bounds, resolution, strict=True)]
    if None in axes:
        raise InputError("region", region, f"a rectangle within {bounds}")
    (first, na), (second, nb) = [axis for axis in axes if axis is not None]
    return (first, second), (na, nb)


def _closer_axis(low: float, high: float, a: float, b: float, count: int) -> tuple[tuple[float, float], int] | None:
    """The cells that a span touches, as its ends and a finer count."""
    step = (b - a) / max(count - 1, 1)
    first, last = max(0, math.floor((low - a) / step + 1e-9)), min(count - 1, math.ceil((high - a) / step - 1e-9))
    if last <= first:
        return None
    ends = tuple(round(a + k * step, 12) for k in (first, last))
    return (ends[0], ends[1]), min(MOST, max(FEWEST, (last - first) * FINER + 1))


def _span(name: str, value: Any) -> tuple[float, float]:
    numbers = value if isinstance(value, list | tuple) else ()
    if len(numbers) != 2 or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise InputError(name, value, "two numbers")
    low, high = min(numbers), max(numbers)
    if not (-1e300 < low < high < 1e300):
        raise InputError(name, value, "two different finite numbers")
    return float(low), float(high)
