"""Which evaluator does the work: a short probe on the first batch, each candidate checked against the loop.

Only evaluators that agree with the loop at two points are trusted, and the model's own cell is always the loop's,
so that the center of a surface is the model's own loss to the last bit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from lossatlas.compute.evaluators.affine import Affine, worthwhile
from lossatlas.compute.evaluators.loop import Loop
from lossatlas.compute.evaluators.sums import Measured
from lossatlas.compute.evaluators.task import Task
from lossatlas.compute.evaluators.vmap import Unsuitable, Vmap, without_slow_paths
from lossatlas.errors import InputError

log = logging.getLogger("lossatlas")

Named = Literal["auto", "loop", "vmap", "affine"]
CHUNKS = (16, 64)
WORTH_SECONDS = 0.3
"""Shorter jobs are done by the loop: a probe would cost as much as it saves."""
VMAP_SECONDS = 5e-3
"""vmap never won where one point of the loop takes longer (PERFORMANCE: it wins below about 1 ms)."""
GAIN = 1.1
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}


class Evaluator(Protocol):
    """Points ``(n, ndim)`` to their values."""

    @property
    def name(self) -> str: ...
    @property
    def task(self) -> Task: ...
    @property
    def chunk(self) -> int | None: ...
    def __call__(self, points: NDArray[np.float64]) -> Measured: ...


@dataclass(frozen=True)
class Choice:
    """What was chosen: plain data that travels to workers and into the archive.

    Attributes:
        evaluator: "loop", "vmap" or "affine".
        chunk: points at a time; None lets the evaluator decide by size.
        seconds: expected time of one point over all of the data, or None where nothing was timed.
        loop_seconds: the same for the loop.
        reasons: why other evaluators were not taken.
    """

    evaluator: str = "loop"
    chunk: int | None = 1
    seconds: float | None = None
    loop_seconds: float | None = None
    reasons: tuple[str, ...] = ()

    def build(self, task: Task) -> Evaluator:
        """The evaluator, wrapped so that it can be trusted."""
        loop = Loop(task)
        if self.evaluator == "loop":
            return loop
        return Trusted(Vmap(task, self.chunk or CHUNKS[0]) if self.evaluator == "vmap" else Affine(task, self.chunk), loop)

    def describe(self) -> dict[str, Any]:
        return {"evaluator": self.evaluator, "chunk": self.chunk}


@dataclass(frozen=True, eq=False)
class Trusted:
    """A fast evaluator with the loop behind it: for the model's own cell, and for whatever the fast one refuses."""

    fast: Evaluator
    loop: Loop

    @property
    def name(self) -> str:
        return self.fast.name

    @property
    def task(self) -> Task:
        return self.fast.task

    @property
    def chunk(self) -> int | None:
        return self.fast.chunk

    def __call__(self, points: NDArray[np.float64]) -> Measured:
        try:
            found = self.fast(points)
        except Unsuitable as error:
            log.info("%s cannot do these points (%s); the loop does them", self.name, error)
            return self.loop(points)
        own = self._own(points)
        if not len(own):
            return found
        exact = self.loop(points[own])
        for name, values in exact.values.items():
            found.values[name][own] = values
        return found

    def _own(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        origin = self.task.plane.origin
        return np.flatnonzero((points == np.asarray(origin)).all(1)) if origin is not None else np.empty(0, np.int64)


def choose(task: Task, probes: NDArray[np.float64], cells: int, named: str = "auto", chunk: int | None = None) -> Choice:
    """The fastest evaluator that agrees with the loop.

    Args:
        task: what is to be measured.
        probes: two points of the grid, ``(2, ndim)``.
        cells: how many cells are to be measured.
        named: "auto", or the one to use; a named one that disagrees or refuses is an error, not a fallback.
        chunk: points at a time; None leaves it to the probe.

    Raises:
        InputError: an unknown name, or the named evaluator cannot do this task.
    """
    if named not in get_args(Named):
        raise InputError("evaluator", named, "one of " + ", ".join(get_args(Named)))
    if chunk is not None and chunk < 1:
        raise InputError("chunk", chunk, "a positive number of points or None")
    if named == "loop":
        return Choice()
    if named != "auto" and not task.same_everywhere:
        raise InputError("evaluator", f"{named} in mode {task.objective.mode}", '"loop" or "auto"')
    head = task.head()
    share = task.objective.samples / head.objective.samples
    expected, seconds = _timed(Loop(head), probes)
    loop = Choice("loop", 1, seconds * share, seconds * share)
    if named != "auto":
        return _demanded(head, named, chunk, probes, expected, loop, share)
    if seconds * share * cells < WORTH_SECONDS or not task.same_everywhere:
        return loop
    return _fastest(head, probes, expected, loop, share, cells, chunk)


def _fastest(
    head: Task, probes: NDArray[np.float64], expected: Measured, loop: Choice, share: float, cells: int, chunk: int | None
) -> Choice:
    best, reasons = loop, list[str]()
    assert loop.seconds is not None
    for name, size in _candidates(head, loop.seconds / share, best, chunk):
        if best.evaluator == "affine" and name == "vmap" and best.seconds is not None and best.seconds * 4 < loop.seconds:
            continue
        try:
            seconds = _tried(replace(loop, evaluator=name, chunk=size), head, probes, expected, cells) * share
        except Unsuitable as error:
            reasons.append(f"{name}: {error}")
            if name == "vmap":
                break
            continue
        if best.seconds is None or seconds * GAIN < best.seconds:
            best = replace(loop, evaluator=name, chunk=size, seconds=seconds)
    for reason in reasons:
        log.info("evaluator %s", reason)
    return replace(best, reasons=tuple(reasons))


def _candidates(head: Task, seconds: float, best: Choice, chunk: int | None) -> Iterator[tuple[str, int | None]]:
    if worthwhile(head):
        yield "affine", chunk
    if head.device.type == "cuda" or seconds <= VMAP_SECONDS:
        yield from (("vmap", size) for size in ((chunk,) if chunk else CHUNKS))


def _demanded(
    head: Task, named: str, chunk: int | None, probes: NDArray[np.float64], expected: Measured, loop: Choice, share: float
) -> Choice:
    size = chunk if named == "affine" else chunk or CHUNKS[0]
    choice = replace(loop, evaluator=named, chunk=size)
    try:
        return replace(choice, seconds=_tried(choice, head, probes, expected, len(probes)) * share)
    except Unsuitable as error:
        raise InputError("evaluator", f"{named}, which cannot do this: {error}", '"auto" or "loop" for this model') from error


def _tried(choice: Choice, head: Task, probes: NDArray[np.float64], expected: Measured, cells: int) -> float:
    """Seconds a point on the first batch.

    Raises:
        Unsuitable: it refuses, or its values differ from the loop's.
    """
    evaluator = Affine(head, choice.chunk) if choice.evaluator == "affine" else Vmap(head, choice.chunk or 1)
    points = np.resize(probes, (max(min(cells, evaluator.chunk or 256), len(probes)), probes.shape[1]))
    with without_slow_paths():
        began = time.perf_counter()
        _check(evaluator(points), expected, head)
        first = (time.perf_counter() - began) / len(points)
        clear = choice.loop_seconds is not None and first * 10 < choice.loop_seconds
        return first if clear else min(first, _best_of(lambda: evaluator(points), 2) / len(points))


def _check(found: Measured, expected: Measured, head: Task) -> None:
    dtype = next(iter(head.objective.params.values())).dtype
    tolerance = TOLERANCES.get(dtype, 1e-2)
    for name, values in expected.values.items():
        here = found.values[name][: len(values)]
        if not name.endswith("_standard_error") and not np.allclose(here, values, rtol=tolerance, atol=tolerance**2, equal_nan=True):
            raise Unsuitable(f"its {name} {here.tolist()} is not the loop's {values.tolist()}")


def _timed(loop: Loop, probes: NDArray[np.float64]) -> tuple[Measured, float]:
    """Values at the probes, and seconds a point; the first call warms up."""
    began = time.perf_counter()
    found = loop(probes)
    first = (time.perf_counter() - began) / len(probes)
    return found, first if first > 0.05 else _best_of(lambda: loop(probes), 2) / len(probes)


def _best_of(call: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)
