"""Frames of mini-batch surfaces, with interpolated transitions that are marked as such."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossatlas.errors import InputError
from lossatlas.viz.scene.model import Arrow, BoolArray, FloatArray, Timeline


@dataclass(frozen=True)
class BatchFrames:
    """Frames that hold each still and blend into the next.

    Attributes:
        batch: the still that a frame shows, or leaves while it blends, (frame,).
        share: how far a frame has blended into the next still, from 0 to 1, (frame,); 0 on true frames.
        hold_index: which of a still's held frames this is, (frame,); -1 on blends.
    """

    batch: NDArray[np.int64]
    share: FloatArray
    hold_index: NDArray[np.int64]

    @property
    def is_transition(self) -> BoolArray:
        """Frames that are blends and no surface of their own, (frame,)."""
        return self.share > 0

    def __len__(self) -> int:
        return len(self.batch)

    def frames(self, stills: FloatArray) -> FloatArray:
        """``(still, …)`` to ``(frame, …)``: true stills, and convex combinations of two neighbors between them."""
        after = np.minimum(self.batch + 1, len(stills) - 1)
        shares = self.share.reshape(-1, *(1,) * (stills.ndim - 1))
        blends = (1 - shares) * stills[self.batch] + shares * stills[after]
        true = ~self.is_transition
        blends[true] = stills[self.batch[true]]
        return blends

    def timeline(self, label: Callable[[int, int], str], steps: Sequence[int] | None = None, milliseconds: int = 60) -> Timeline:
        """A timeline whose words come from ``label(still, turn)``; `steps` (frame,) says where paths are cut."""
        labels = tuple(
            "next batch" if blend else label(int(still), int(turn))
            for still, turn, blend in zip(self.batch, self.hold_index, self.is_transition, strict=True)
        )
        cut = self.batch if steps is None else np.asarray(steps, np.int64)
        return Timeline(cut, labels, self.is_transition, milliseconds)


def interpolate_batches(stills: int, hold: int, blend: int) -> BatchFrames:
    """Each of `stills` for `hold` frames, and `blend` frames of change-over to the next, slow at both ends.

    >>> interpolate_batches(2, hold=1, blend=3).share.round(3).tolist()
    [0.0, 0.146, 0.5, 0.854, 0.0]

    Raises:
        InputError: nothing to show.
    """
    if stills < 1 or hold < 1 or blend < 0:
        raise InputError(
            "shake", f"{stills} stills, {hold} frames held, {blend} blended", "at least one still, held for at least one frame"
        )
    eased = (1 - np.cos(np.pi * np.arange(1, blend + 1) / (blend + 1))) / 2
    share = np.concatenate([np.zeros(hold), eased])
    turn = np.concatenate([np.arange(hold), np.full(blend, -1)])
    count = stills * (hold + blend) - blend
    return BatchFrames(np.repeat(np.arange(stills), hold + blend)[:count], np.tile(share, stills)[:count], np.tile(turn, stills)[:count])


def update_arrows(alpha: FloatArray, beta: FloatArray, shaken: BatchFrames, color: str = "#d11141") -> tuple[Arrow, ...]:
    """One arrow for each update, from iterate k to k + 1, shown while batch k stands still.

    Args:
        alpha: of the iterates, (step,). beta: likewise.
        shaken: its still k is the batch of update k.
    """
    arrows = []
    for k in range(len(alpha) - 1):
        frames = tuple(int(f) for f in np.flatnonzero((shaken.batch == k) & (shaken.hold_index > 0)))
        if frames:
            ends = (float(alpha[k]), float(beta[k])), (float(alpha[k + 1]), float(beta[k + 1]))
            arrows.append(Arrow(*ends, color=color, frames=frames))
    return tuple(arrows)


def growing_steps(shaken: BatchFrames) -> NDArray[np.int64]:
    """Iterate at which the path is cut on every frame, (frame,): k while batch k stands still, k + 1 once it has gone."""
    steps = shaken.batch + shaken.is_transition
    steps[-1] = shaken.batch[-1] + 1
    return steps
