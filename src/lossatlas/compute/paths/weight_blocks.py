"""Linear algebra over all recorded weights, streamed in blocks of columns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lossatlas.archive import Archive, Location
from lossatlas.compute.recording.trajectory import MEMORY, Trajectory, blocks
from lossatlas.errors import InputError, InputTypeError

Array = NDArray[np.float64]


Recording = Trajectory | Location | Archive
"""A recorded run: as a `Trajectory`, or the archive in which it is the only one."""


def as_trajectory(run: Recording, argument: str = "trajectory") -> Trajectory:
    """A recorded run, read from its archive where a path or an archive is given.

    Raises:
        InputError: something else, such as the recorder or the model; an archive without recorded weights, or with several runs.
    """
    if isinstance(run, Trajectory):
        return run
    if isinstance(run, str | os.PathLike | Archive):
        return Trajectory.open(run)
    advice = "Pass recorder.trajectory, the archive's path, or la.Trajectory.from_checkpoints(checkpoints)"
    raise InputTypeError(argument, type(run).__name__, "a Trajectory", advice)


def _layout_mismatch_error(first: Trajectory, other: Trajectory) -> str:
    """In what the parameters of two runs differ."""
    first_shapes, theirs = (dict(zip(run.layout.names, run.layout.shapes, strict=True)) for run in (first, other))
    lacks, brings = [n for n in first_shapes if n not in theirs], [n for n in theirs if n not in first_shapes]
    parts = [f"lacks {', '.join(lacks[:3])}" if lacks else "", f"brings {', '.join(brings[:3])}" if brings else ""]
    parts += [f"{n} is {theirs[n]}, not {first_shapes[n]}" for n in first_shapes if n in theirs and first_shapes[n] != theirs[n]][:1]
    return "; ".join(part for part in parts if part) or "the order or precision of its parameters"


@dataclass(frozen=True, eq=False)
class CenteredWeights:
    """Offsets of the recorded points of one or several runs from a reference point.

    Attributes:
        runs: of equal layout.
        reference: index of the point, over all runs one after the other, that offsets are taken from.
        memory: bytes that a block may take.
    """

    runs: tuple[Trajectory, ...]
    reference: int
    memory: int = MEMORY

    @classmethod
    def of(cls, runs: Recording | Sequence[Recording], reference: int = -1, memory: int = MEMORY) -> CenteredWeights:
        """Raises InputError where there are no two points, or the runs differ in their parameters."""
        listed = runs if isinstance(runs, Sequence) and not isinstance(runs, str) else (runs,)
        several = tuple(as_trajectory(run) for run in listed)
        several = (*several[:1], *(run.renamed_like(several[0].layout.names) for run in several[1:]))
        count = sum(len(run) for run in several)
        if count < 2:
            raise InputError("trajectory", f"{count} recorded point{'s' * (count != 1)}", "at least two", "Record more often: every=1")
        for number, run in enumerate(several[1:], start=1):
            if run.layout != several[0].layout:
                pair = f"trajectories[{number}] ({run.label!r}) differs from trajectories[0] ({several[0].label!r})"
                problem = f"{pair}: {_layout_mismatch_error(several[0], run)}"
                raise InputError(
                    "trajectories", problem, "runs of one model", "Where they train other parts of it, record each with params='*'"
                )
            if other := [n for n, value in several[0].store.frozen.items() if not torch.equal(value, run.store.frozen[n])]:
                problem = f"{run.label!r} and {several[0].label!r}, which differ in {', '.join(other[:3])}, that trained in neither"
                raise InputError("trajectories", problem, "runs of one model")
        return cls(several, reference % count, memory)

    def __len__(self) -> int:
        return sum(len(run) for run in self.runs)

    @property
    def size(self) -> int:
        return self.runs[0].layout.size

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Columns and the offsets in them, ``(points, columns)`` float64."""
        for columns, values in blocks(self.runs, self.memory):
            yield columns, self.offsets(values)

    def offsets(self, values: Array) -> Array:
        if not np.isfinite(values).all():
            raise self._not_finite(int(np.flatnonzero(~np.isfinite(values).all(1))[0]))
        return values - values[self.reference]

    def gram(self) -> tuple[Array, float]:
        """Inner products of all offsets, ``(points, points)``, and the rounding that the stored precision leaves in them."""
        gram = np.zeros((len(self), len(self)))
        for _, block in self.blocks():
            gram += block @ block.T
        return gram, self._rounding()

    def linear_combinations(self, coefficients: Array) -> Array:
        """``coefficients @ offsets``: ``(k, points)`` to ``(k, parameters)``."""
        result = np.empty((len(coefficients), self.size))
        for columns, block in self.blocks():
            result[:, columns] = coefficients @ block
        return result

    def coordinates(self, axes: Array) -> Array:
        """Inner products of every offset with orthonormal axes ``(k, parameters)``: ``(points, k)``."""
        return sum((block @ axes[:, columns].T for columns, block in self.blocks()), np.zeros((len(self), len(axes))))

    def _rounding(self) -> float:
        """Sum over the points of the squared rounding error of their weights."""
        dtype = self.runs[0].store.dtype
        start = 0.0 if self.runs[0].store.delta else 1.0
        last = self.runs[-1].vector(-1).astype(np.float64)
        return float(np.finfo(dtype).eps ** 2 * start * (last @ last) * len(self))

    def _not_finite(self, point: int) -> InputError:
        for run in self.runs:
            if point < len(run):
                step, before = int(run.steps[point]), run.steps[:point]
                advice = (
                    f"Use trajectory.until({int(before[-1])}), the last finite one" if len(before) else "Check the model's first weights"
                )
                return InputError("trajectory", f"NaN or infinite weights at step {step} of {run.label!r}", "finite weights", advice)
            point -= len(run)
        raise AssertionError(point)
