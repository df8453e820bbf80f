"""Retries of tiles whose worker died, hung or raised."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field

from lossatlas.compute.evaluation.executors.base import Cells
from lossatlas.errors import InputError, LossatlasError

log = logging.getLogger("lossatlas")


@dataclass
class Attempt:
    """A tile and how often it was tried."""

    cells: Cells
    tries: int = 0
    started: float = field(default_factory=time.monotonic)


class TileQueue:
    """The tiles that are not handed out, first come first served; what fails goes to the end.

    Args:
        tiles: to be measured.
        retries: how often a tile may fail before the run ends.
    """

    def __init__(self, tiles: list[Cells], retries: int) -> None:
        self.left = deque(Attempt(cells) for cells in tiles)
        self.retries = retries

    def __bool__(self) -> bool:
        return bool(self.left)

    def take(self) -> Attempt:
        attempt = self.left.popleft()
        attempt.started = time.monotonic()
        return attempt

    def put_back(self, attempt: Attempt) -> None:
        """It was taken and never handed out."""
        self.left.appendleft(attempt)

    def retry(self, attempt: Attempt, error: BaseException | str, first: bool = False) -> None:
        """Try this tile once more, or end the run with the reason; what other tiles gave is stored already.

        Args:
            attempt: what failed.
            error: why.
            first: as the next tile, so that workers that never start cost one tile all of its tries and not every tile one.

        Raises:
            LossatlasError: it failed too often.
        """
        if isinstance(error, InputError):
            raise error
        attempt.tries += 1
        if attempt.tries > self.retries:
            cause = error if isinstance(error, BaseException) else None
            what = f"{len(attempt.cells)} cells failed {attempt.tries} times: {str(error).rstrip('.')}"
            raise LossatlasError(f"{what}. Finished cells are stored; run the same call to continue.") from cause
        log.warning("a tile of %d cells is tried again: %s", len(attempt.cells), error)
        if first:
            self.left.appendleft(attempt)
        else:
            self.left.append(attempt)
