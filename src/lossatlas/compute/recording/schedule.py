"""Schedule of recorded steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from lossatlas.errors import InputError

MOST_ROWS, LEAST_ROWS = 400, 16
MOST_BYTES = 256 * 2**20
"""A recording without `every=` holds at most so many rows, and fewer where these would hold more bytes of weights: a row of a larger
model takes as long as several of its steps."""
MOST_MEASURED_ROWS = 100
"""The same where an objective is measured at every row."""


@dataclass(frozen=True)
class Schedule:
    """Step 0, every `every` steps, and the steps of `at`; the last step is added when the recorder closes.

    Attributes:
        every: period in steps; None where `at` says all.
        at: further steps.
        limit: more rows than this are thinned to every second one; None keeps all.

    Example:
        >>> schedule = Schedule.make(every=10, at=[3])
        >>> [step for step in range(25) if schedule.due(step)]
        [0, 3, 10, 20]
    """

    every: int | None
    at: frozenset[int]
    limit: int | None = None

    @classmethod
    def make(
        cls,
        every: int | None = None,
        every_epochs: float | None = None,
        at: Iterable[int] | None = None,
        steps_per_epoch: int | None = None,
    ) -> Schedule:
        """Parse the user's words; without any of them every step, thinned to at most `MOST_ROWS` rows.

        Raises:
            InputError: a period that is not a whole number of steps above zero, epochs of unknown length, both kinds of
                period, or steps below zero.
        """
        per_epoch = (
            None if steps_per_epoch is None else check_int("steps_per_epoch", steps_per_epoch, 1, "a positive number of steps or None")
        )
        if every is not None and every_epochs is not None:
            raise InputError("every", f"every={every} and every_epochs={every_epochs}", "one of the two")
        period = None if every is None else check_int("every", every, 1, "a positive number of steps")
        if every is None and every_epochs is None and at is None:
            return cls(1, frozenset(), MOST_ROWS)
        return cls(period if every_epochs is None else _steps(every_epochs, per_epoch), _chosen(at))

    @classmethod
    def of_attrs(cls, attrs: Any) -> Schedule:
        """The schedule that a recording's attribute `schedule` describes."""
        return cls(attrs.get("every"), frozenset(attrs.get("at", ())), attrs.get("limit"))

    @property
    def attrs(self) -> dict[str, Any]:
        """Plain values to store."""
        return {"every": self.every, "at": sorted(self.at), "limit": self.limit}

    def limited_to(self, bytes_per_row: int, is_measured: bool = False) -> Schedule:
        """The same schedule, its limit such that the weights of all rows stay within `MOST_BYTES`, and measurements few."""
        if self.limit is None:
            return self
        most = min(self.limit, MOST_MEASURED_ROWS) if is_measured else self.limit
        return replace(self, limit=min(most, max(LEAST_ROWS, MOST_BYTES // max(bytes_per_row, 1))))

    def thinned(self) -> Schedule:
        """Half as often.

        >>> Schedule.make().thinned().thinned().every
        4
        """
        return replace(self, every=2 * (self.every or 1))

    def missing(self, after: int | None, before: int) -> list[int]:
        """Due steps strictly between two recorded ones; None stands for no recorded step.

        >>> Schedule.make(every=10).missing(after=10, before=45)
        [20, 30, 40]
        """
        return [step for step in range(0 if after is None else after + 1, before) if self.due(step)]

    def due(self, step: int) -> bool:
        return step == 0 or step in self.at or (self.every is not None and step % self.every == 0)


def check_int(argument: str, value: Any, least: int, allowed: str) -> int:
    """A whole number of at least `least`, or an error in words."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(argument, value, allowed)
    return int(value)


def _chosen(at: Iterable[int] | None) -> frozenset[int]:
    if at is None:
        return frozenset()
    if isinstance(at, str) or not isinstance(at, Iterable):
        raise InputError("at", at, "a list of steps", f"Pass at=[{at}]")
    return frozenset(check_int("at", step, 0, "steps from 0 on") for step in at)


def _steps(every_epochs: float, steps_per_epoch: int | None) -> int:
    if not isinstance(every_epochs, Real) or not math.isfinite(every_epochs):
        raise InputError("every_epochs", every_epochs, "a positive number of epochs")
    if steps_per_epoch is None:
        raise InputError("every_epochs", every_epochs, "steps_per_epoch= beside it", "Pass steps_per_epoch=len(loader)")
    steps = round(every_epochs * steps_per_epoch)
    if steps < 1:
        raise InputError("every_epochs", every_epochs, f"at least one step, that is {1 / steps_per_epoch:g} epochs")
    return steps
