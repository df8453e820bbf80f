"""Schedule of recorded steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from lossatlas.errors import InputError

DEFAULT_EVERY = 250


@dataclass(frozen=True)
class Schedule:
    """Step 0, every `every` steps, and the steps of `at`; the last step is added when the recorder closes.

    Example:
        >>> schedule = Schedule.make(every=10, at=[3])
        >>> [step for step in range(25) if schedule.due(step)]
        [0, 3, 10, 20]
    """

    every: int | None
    at: frozenset[int]

    @classmethod
    def make(
        cls,
        every: int | None = None,
        every_epochs: float | None = None,
        at: Iterable[int] | None = None,
        steps_per_epoch: int | None = None,
    ) -> Schedule:
        """Parse the user's words; without any of them, once an epoch where its length is known, else every 250 steps.

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
            period = per_epoch or DEFAULT_EVERY
        return cls(period if every_epochs is None else _steps(every_epochs, per_epoch), _chosen(at))

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
