"""Selection of the evaluator by a short timing probe, each candidate checked against the loop.

Only evaluators that agree with the loop at every probe point are trusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from lossatlas.compute.evaluation.evaluators.accumulators import TileValues
from lossatlas.compute.evaluation.evaluators.affine.evaluator import has_static_matrix
from lossatlas.compute.evaluation.evaluators.agreement import disagreement, tolerance_of
from lossatlas.compute.evaluation.evaluators.base import UnsupportedModel
from lossatlas.compute.evaluation.evaluators.evaluator_spec import EvaluatorSpec, log
from lossatlas.compute.evaluation.evaluators.loop import Loop
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.evaluation.evaluators.vmap import forbid_vmap_fallback
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import InputError

Named = Literal["auto", "loop", "vmap", "affine"]
CHUNKS = (16, 64, 256)
COMPILED_CHUNK = 8
MIN_PROBED_SECONDS = 0.3
"""Shorter jobs take what is good for their sizes: a probe would cost as much as it saves."""
MIN_JOB_PRODUCTS = 2**29
"""Weights times samples times cells of a job, a few hundredths of a second, below which the loop does it."""
STATIC_FACTOR = 4
"""The affine shortcut wins where so many times more weights stand still than move."""
_PLANES: ContextVar[int] = ContextVar("planes", default=1)
VMAP_SECONDS = 1.5e-3
"""vmap never won where a batch takes longer (it wins below about a millisecond)."""
MIN_SPEEDUP = 1.05
GIVE_UP_RATIO = 1.25
"""A chunk this much slower than the best so far: larger ones will not help."""
PROBE_SHARE = 0.05
"""Of the whole job's points, on the first batch, that trying one chunk may cost."""
BATCH_ROUNDS = 3
"""Times that each size of micro-batches is tried, in turns."""
TIMING_BUDGET_SECONDS = 0.01
"""For timing one candidate again and again."""
_REMEMBERED: WeakKeyDictionary[Objective, dict[tuple[Hashable, ...], EvaluatorSpec]] = WeakKeyDictionary()
"""What probes of this process chose, by objective and kind of task: on the next plane of a kind the choice is checked, not timed."""
MOSTLY_WAITING = 10.0
"""Elapsed time over computed time beyond which a model waits for something, and not for a busy machine."""
CLEAR_WIN_RATIO = 4.0
"""An affine shortcut this much faster is taken without trying others."""


@dataclass(frozen=True)
class Probe:
    """The first batch, a few points, and what the loop says there.

    Attributes:
        seconds: the loop's time of a point on this batch.
        cells: how many points the job has; a candidate is timed on no more.
        share: how much larger the whole data is than this batch.
        idle_seconds: of a point, in which nothing is computed, as while a simulator runs elsewhere; 0 where they are few.
    """

    task: EvaluationProblem
    points: NDArray[np.float64]
    expected: TileValues
    seconds: float
    cells: int
    share: float
    idle_seconds: float

    @classmethod
    def of(cls, task: EvaluationProblem, points: NDArray[np.float64], cells: int) -> Probe:
        head = task.first_batch_problem()
        began, computed = time.perf_counter(), _clock()
        expected, seconds = _timed(Loop(head), points)
        elapsed, computed = time.perf_counter() - began, _clock() - computed
        idle_seconds = seconds * (elapsed / max(computed, 1e-9) - 1) if elapsed > MOSTLY_WAITING * computed else 0.0
        return cls(head, points, expected, seconds, cells, task.objective.samples / head.objective.samples, idle_seconds)

    def time(self, candidate: EvaluatorSpec) -> float:
        """Seconds of a point on this batch.

        Raises:
            Unsuitable: the candidate refuses, or its values differ from the loop's.
        """
        evaluator = candidate.unchecked(self.task)
        count = max(min(self.cells, evaluator.chunk or 256), len(self.points))
        points = np.resize(self.points, (count, self.points.shape[1]))
        with forbid_vmap_fallback():
            began = _clock()
            self.check(evaluator(points))
            first = (_clock() - began) / count
            return first if first * 10 < self.seconds else min(first, _best_of(lambda: evaluator(points)) / count)

    def check(self, result: TileValues) -> None:
        """Raise `UnsupportedModel` where the result at the probed points is not the loop's."""
        if result.failures:
            raise UnsupportedModel(next(iter(result.failures.values())))
        if reason := disagreement(result.values, self.expected.values, tolerance_of(self.task)):
            raise UnsupportedModel(reason)


@contextmanager
def planes_to_come(count: int) -> Iterator[None]:
    """Judge the worth of a probe by that many jobs, each as large as the one it is made for."""
    token = _PLANES.set(count)
    try:
        yield
    finally:
        _PLANES.reset(token)


def select_evaluator(
    task: EvaluationProblem,
    points: NDArray[np.float64],
    cells: int,
    named: str = "auto",
    chunk: int | None = None,
    compiled: bool = False,
    stored: EvaluatorSpec | None = None,
) -> EvaluatorSpec:
    """The fastest evaluator that agrees with the loop.

    Args:
        task: what is to be measured.
        points: some points of the grid to check at, ``(n, ndim)``.
        cells: how many cells are to be measured.
        named: "auto", or the one to use; a named one that disagrees or refuses is an error, not a fallback.
        chunk: points at a time; None leaves it to the probe.
        compiled: also try `torch.compile`, which takes most of a minute before it gains anything.
        stored: of the run that is continued; taken as it is, if it can do this task and nothing else is asked for.

    Raises:
        InputError: an unknown name, or the named evaluator cannot do this task.
    """
    if named not in get_args(Named):
        raise InputError("evaluator", named, "one of " + ", ".join(get_args(Named)))
    stored = stored if named == "auto" and not compiled and task.only_params_move else None
    if (named == "loop" and not compiled) or not task.batch_metrics or (stored is not None and stored.is_reference):
        return EvaluatorSpec()
    if named not in ("auto", "loop") and not task.only_params_move:
        advice = 'the statistics change from cell to cell: objective.with_mode("eval") keeps one model\'s everywhere'
        raise InputError("evaluator", f"{named} in mode {task.objective.mode}", '"loop" or "auto"', advice)
    cells *= _PLANES.get()
    remembered, key = _REMEMBERED.setdefault(task.objective, {}), _kind_of_task(task, cells, named, chunk, compiled)
    if stored is None and key in remembered and _still_agrees(remembered[key], task, points):
        return remembered[key]
    probe = Probe.of(task, points, cells)
    loop = EvaluatorSpec(seconds=probe.seconds, loop_seconds=probe.seconds)
    if stored is not None and (timed := _timed_if_able(probe, replace(loop, **stored.describe()))) is not None:
        best = timed
    elif named != "auto":
        best = _requested(probe, replace(loop, evaluator=named, chunk=_size(named, chunk), compiled=compiled))
    elif not task.only_params_move:
        best = loop
    elif probe.seconds * probe.share * cells < MIN_PROBED_SECONDS and not compiled:
        best = _by_sizes(probe, loop, chunk)
    else:
        best = _with_fastest_batches(task, probe, _search_fastest(probe, loop, chunk, compiled))
    whole = [((seconds or 0.0) + probe.idle_seconds) * probe.share for seconds in (best.seconds, probe.seconds)]
    remembered[key] = replace(best, seconds=whole[0], loop_seconds=whole[1])
    return remembered[key]


def _kind_of_task(task: EvaluationProblem, cells: int, named: str, chunk: int | None, compiled: bool) -> tuple[Hashable, ...]:
    """Key of what the choice for an objective depends on: the kind of plane, the metrics, the size of the job, the threads."""
    plane, metrics = task.plane, tuple(metric.name for metric in task.metrics)
    return plane.kind, plane.ndim, plane.moving_names, metrics, cells.bit_length(), named, chunk, compiled, torch.get_num_threads()


def _still_agrees(choice: EvaluatorSpec, task: EvaluationProblem, points: NDArray[np.float64]) -> bool:
    """Whether an evaluator that was chosen on another plane agrees with the loop at some points of this one."""
    if choice.is_reference:
        return True
    head = task.first_batch_problem()
    try:
        with forbid_vmap_fallback():
            result = choice.unchecked(head)(points)
    except UnsupportedModel:
        return False
    return not result.failures and disagreement(result.values, Loop(head)(points).values, tolerance_of(head)) is None


def _size(named: str, chunk: int | None) -> int | None:
    return {"loop": 1, "affine": chunk}.get(named, chunk or CHUNKS[0])


def _requested(probe: Probe, choice: EvaluatorSpec) -> EvaluatorSpec:
    try:
        return replace(choice, seconds=probe.time(choice))
    except UnsupportedModel as error:
        raise InputError("evaluator", f"{choice.evaluator}, which cannot do this: {error}", '"auto" or "loop" for this model') from error


def _timed_if_able(probe: Probe, choice: EvaluatorSpec) -> EvaluatorSpec | None:
    try:
        return replace(choice, seconds=probe.time(choice))
    except UnsupportedModel as error:
        log.info("evaluator %s: %s", choice.evaluator, error)
        return None


def _by_sizes(probe: Probe, loop: EvaluatorSpec, chunk: int | None) -> EvaluatorSpec:
    """Usual best evaluator for a network of these sizes, if it agrees with the loop; nothing is timed."""
    task, weights = probe.task, sum(p.numel() for p in probe.task.objective.params.values())
    moving = sum(task.plane.center[n].numel() for n in task.plane.moving_names)
    if weights * task.objective.samples * probe.share * probe.cells < MIN_JOB_PRODUCTS or task.device.type != "cpu":
        return loop
    if has_static_matrix(task) and STATIC_FACTOR * moving <= weights:
        candidate = replace(loop, evaluator="affine", chunk=chunk)
    elif task.features_first() is not None:
        candidate = replace(loop, layout="features_first")
    else:
        return loop
    try:
        with forbid_vmap_fallback():
            probe.check(candidate.unchecked(task)(probe.points))
    except UnsupportedModel as error:
        log.info("evaluator %s: %s", candidate.evaluator, error)
        return loop
    return candidate


def _search_fastest(probe: Probe, loop: EvaluatorSpec, chunk: int | None, compiled: bool) -> EvaluatorSpec:
    """Try groups of candidates; within a group each next one is tried unless the last one was far off."""
    best, reasons = loop, list[str]()
    for group in _candidates(probe, loop, chunk, compiled):
        for candidate in group:
            if not candidate.compiled and 3 * (candidate.chunk or 1) > PROBE_SHARE * probe.cells * probe.share:
                break
            try:
                seconds = probe.time(candidate)
            except UnsupportedModel as error:
                reasons.append(f"{candidate.evaluator}: {error}")
                log.info("evaluator %s", reasons[-1])
                break
            if seconds > GIVE_UP_RATIO * (best.seconds or 0.0):
                break
            if seconds * MIN_SPEEDUP < (best.seconds or 0.0):
                best = replace(candidate, seconds=seconds)
        if best.evaluator == "affine" and (best.seconds or 0.0) * CLEAR_WIN_RATIO < probe.seconds:
            break
    return replace(best, reasons=tuple(reasons))


def _with_fastest_batches(task: EvaluationProblem, probe: Probe, best: EvaluatorSpec) -> EvaluatorSpec:
    """The same loop on larger micro-batches than the objective's, where those are faster on this machine and in this process.

    What small ones gain depends on the allocator, and that on what ran before: LeNet's loop on 2,000 digits is 1.4 times faster in
    pieces of 64 than in one in a fresh process, and as fast where blocks of 50 MB are kept.
    """
    sizes = (max(task.objective.data.counts), *task.larger_batches)
    uncut = task.uncut_batch_problem()
    share = uncut.objective.samples / task.objective.samples
    if best.evaluator != "loop" or best.compiled or len(sizes) < 2 or BATCH_ROUNDS * len(sizes) * share > PROBE_SHARE * probe.cells:
        return best
    evaluators = {size: replace(best, batch=size).unchecked(uncut) for size in sizes}
    expected = evaluators[sizes[0]](probe.points[:1])
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(BATCH_ROUNDS):
        for size, evaluator in evaluators.items():
            began = _clock()
            result = evaluator(probe.points[:1])
            taken[size].append(_clock() - began)
            if result.failures or disagreement(result.values, expected.values, tolerance_of(task)):
                return best
    seconds = {size: min(each) for size, each in taken.items()}
    fastest = min(seconds, key=seconds.__getitem__)
    if seconds[fastest] * MIN_SPEEDUP > seconds[sizes[0]]:
        return best
    return replace(best, batch=fastest, seconds=(best.seconds or 0.0) * seconds[fastest] / seconds[sizes[0]])


def _candidates(probe: Probe, loop: EvaluatorSpec, chunk: int | None, compiled: bool) -> Iterator[list[EvaluatorSpec]]:
    if has_static_matrix(probe.task):
        yield [replace(loop, evaluator="affine", chunk=chunk)]
    layout = "given"
    if probe.task.device.type == "cpu" and probe.task.features_first() is not None:
        layout = "features_first"
        yield [replace(loop, layout=layout)]
    takes_many = getattr(probe.task.objective.function, "vectorized", False)  # a function of a vector that scores many points at once
    if probe.task.device.type != "cpu" or probe.seconds <= VMAP_SECONDS or takes_many:
        yield [replace(loop, evaluator="vmap", chunk=size, layout=layout) for size in ((chunk,) if chunk else CHUNKS)]
    if probe.task.device.type == "cpu" and probe.task.has_images():
        yield [replace(loop, layout="channels_last")]
        if probe.task.folded() is not None:
            yield [replace(loop, layout="folded")]
    if compiled:
        yield [replace(loop, compiled=True)]
        yield [replace(loop, evaluator="vmap", chunk=chunk or COMPILED_CHUNK, compiled=True)]


def _timed(loop: Loop, points: NDArray[np.float64]) -> tuple[TileValues, float]:
    """Values at the points, and seconds a point; the first call warms up."""
    began = _clock()
    result = loop(points)
    first = _clock() - began
    return result, (first if first > 10 * TIMING_BUDGET_SECONDS else _best_of(lambda: loop(points))) / len(points)


def _clock() -> float:
    """CPU time where one thread computes, which a busy machine does not disturb; the wall clock otherwise."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time() if alone else time.perf_counter()


def _best_of(call: Callable[[], Any]) -> float:
    """The quickest of two to twenty calls, as many as patience allows."""
    taken: list[float] = []
    while len(taken) < 2 or (len(taken) < 20 and sum(taken) < TIMING_BUDGET_SECONDS):
        began = _clock()
        call()
        taken.append(_clock() - began)
    return min(taken)
