"""At which steps a recorder records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
            InputError: a period below one step, epochs of unknown length, or both kinds of period.
        """
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise InputError("steps_per_epoch", steps_per_epoch, "a positive number of steps or None")
        if every is not None and every_epochs is not None:
            raise InputError("every", f"every={every} and every_epochs={every_epochs}", "one of the two")
        if every is not None and every < 1:
            raise InputError("every", every, "a positive number of steps")
        chosen = frozenset(int(step) for step in at) if at is not None else frozenset()
        if every is None and every_epochs is None and at is None:
            every = steps_per_epoch or DEFAULT_EVERY
        return cls(every if every_epochs is None else _steps(every_epochs, steps_per_epoch), chosen)

    def due(self, step: int) -> bool:
        return step == 0 or step in self.at or (self.every is not None and step % self.every == 0)


def _steps(every_epochs: float, steps_per_epoch: int | None) -> int:
    if steps_per_epoch is None:
        raise InputError("every_epochs", every_epochs, "steps_per_epoch= beside it", "Pass steps_per_epoch=len(loader)")
    steps = round(every_epochs * steps_per_epoch)
    if steps < 1:
        raise InputError("every_epochs", every_epochs, f"at least one step, that is {1 / steps_per_epoch:g} epochs")
    return steps
