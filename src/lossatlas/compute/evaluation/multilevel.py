"""Multilevel sampling of a surface: few samples at most cells, all of them at few, at an error that is asked for.

`lossatlas.analysis.multilevel` holds the statistics. Here samples are drawn, in one random order for all cells: a pilot, then blocks
that double. Blocks are evaluated as surfaces of their own, by any evaluator and executor, and stored tile by tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.progress import Advance
from lossatlas.analysis.adaptive_refinement import Scale
from lossatlas.analysis.grid import Grid
from lossatlas.analysis.multilevel import Allocation, LatticeHierarchy, allocate, estimate, same_draws
from lossatlas.analysis.multilevel.allocation import CONFIDENCE, ladder
from lossatlas.archive.sample_draws import SampleDraws
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, Loop
from lossatlas.compute.evaluation.executors.base import Cells, Tile
from lossatlas.compute.evaluation.storage.resume import Rounding, changed, place_in_words, scale_of
from lossatlas.compute.objective.data.beyond_memory import SourceBatches
from lossatlas.compute.objective.data.sample_selection import take_samples
from lossatlas.errors import ArchiveError

PILOT = 32
"""Samples that every cell gets first, to say how many more it needs."""
FEWEST_SAMPLES = 1000
"""With fewer there is little to save."""
FEWEST_CELLS = 5
"""Along each axis; below that no lattice is coarser than the grid."""
WORTHWHILE = 0.1
"""Share of the passes of the full grid at which sampling beats coarse to fine, which computes about as many cells at all samples."""

Measure = Callable[[EvaluationProblem, Cells], Iterator[Tile]]
"""Values of a problem at some cells, tile by tile."""


def sampling_refusal(task: EvaluationProblem, grid: Grid) -> str | None:
    """Why the mean over all samples cannot be estimated from some of them; None where it can."""
    objective = task.objective
    if not objective.per_sample:
        return "a loss that has only a mean over each batch"
    if objective.mode not in ("eval", "interpolated"):
        return f"mode {objective.mode}, where a sample's loss depends on the others"
    if others := [metric.name for metric in task.metrics if not metric.is_mean_over_samples]:
        return f"{others[0]}, which is no mean over samples"
    if any(metric.per_sample for metric in task.metrics):
        return "a metric that keeps every sample's value"
    if any(weight != count for weight, count in zip(objective.weights, objective.data.counts, strict=True)):
        return "labels that the loss ignores or weights"
    if getattr(objective.function, "is_stochastic", False):
        return "a model that draws random numbers"
    if objective.samples <= 2 * PILOT:
        return f"{objective.samples} samples, of which {PILOT} are the pilot's"
    if min(grid.shape) < FEWEST_CELLS:
        return f"a grid of {' x '.join(map(str, grid.shape))} cells"
    return None


def is_worth_trying(task: EvaluationProblem, grid: Grid) -> bool:
    """Enough samples and cells for sampling to save more than its pilot costs."""
    return task.objective.samples >= FEWEST_SAMPLES and sampling_refusal(task, grid) is None


@dataclass(eq=False)
class MultilevelRun:
    """The sampling of one surface.

    Attributes:
        task: objective, plane and metrics; the loss is among them.
        grid: the cells.
        draws: where values are kept.
        tol: half the 95 % interval wanted, as a fraction of the range in `scale`.
        scale: "linear", "log" or "robust".
        seed: of the order in which samples are drawn.
    """

    task: EvaluationProblem
    grid: Grid
    draws: SampleDraws
    tol: float
    scale: Scale
    seed: int = 0

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Samples in the order in which they are drawn at every cell, the pilot first."""
        return np.random.default_rng(self.seed).permutation(self.task.objective.samples)

    @cached_property
    def hierarchy(self) -> LatticeHierarchy:
        return LatticeHierarchy.of_grid(self.grid.shape)

    @cached_property
    def stops(self) -> NDArray[np.int64]:
        """Ends of the blocks of the order, the pilot's first; none is longer than `longest_block`."""
        ends = [PILOT, *(PILOT + ladder(self.task.objective.samples - PILOT))]
        cut = [np.append(np.arange(a, b, self.longest_block or b - a)[1:], b) for a, b in pairwise(ends)]
        return np.concatenate([[PILOT], *cut])

    @cached_property
    def longest_block(self) -> int | None:
        """Samples that fit in memory at once, of data that do not; None where there is no limit."""
        batches = self.task.objective.data.batches
        return batches.samples_at_once if isinstance(batches, SourceBatches) else None

    @cached_property
    def allocation(self) -> Allocation:
        """From the pilot of the loss, which must be complete."""
        remaining = self.task.objective.samples - PILOT
        return allocate(self.hierarchy, self.grid.shape, self.pilot("loss"), remaining, self.tol, self.scale)

    @cached_property
    def samples_drawn(self) -> NDArray[np.int64]:
        """At every cell, flat, those of the pilot included."""
        return PILOT + self.allocation.draws

    def pilot(self, metric: str) -> NDArray[np.float64]:
        return self.draws.of(0, metric, np.arange(self.grid.size))

    @property
    def passes(self) -> int:
        """Evaluations of one sample at one cell, in all."""
        return int(self.samples_drawn.sum())

    @property
    def share(self) -> float:
        """Of the passes of the full grid."""
        return self.passes / (self.grid.size * self.task.objective.samples)

    def prepare(self) -> None:
        """Continue what an earlier run drew, or begin anew.

        Raises:
            ArchiveError: the model, the loss or a metric gives other values than it drew before.
        """
        described = {"seed": self.seed, "pilot": PILOT, "samples": self.task.objective.samples, "metrics": list(self.draws.metrics)}
        described |= {"longest_block": self.longest_block} if self.longest_block else {}
        if self.draws.attrs != described:
            self.draws.begin(described)
            return
        self.draws.load(range(len(self.stops)))
        if reasons := self._changed():
            raise ArchiveError(
                f"The samples drawn for the surface {self.draws.name!r} in {self.draws.archive.location} are another objective's: "
                f"{'; '.join(reasons)}. Choose another name= or archive=, or pass overwrite=True to replace it."
            )

    def draw_pilot(self, measure: Measure, advance: Advance) -> None:
        """The same few samples at every cell."""
        for finished in self._draw(0, self.grid.order(), measure):
            advance(finished)

    def draw(self, measure: Measure, advance: Advance) -> None:
        """Draw the samples that the allocation asks for, block by block."""
        for block, cells in self._wanted():
            for finished in self._draw(block, cells, measure):
                advance(finished)

    def passes_left(self) -> int:
        """Evaluations that the allocation still asks for."""
        return sum(len(self.draws.missing(block, cells)) * self._length(block) for block, cells in self._wanted())

    def estimates(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Mean over all samples and its standard error at every cell, by metric, in the grid's shape."""
        made = {}
        for metric in self.draws.metrics:
            blocks = [(cells, self.draws.of(block, metric, cells)) for block, cells in self._wanted()]
            pilot, chosen = self.pilot(metric), self.allocation
            if metric != "loss":
                chosen = same_draws(self.hierarchy, chosen, self.grid.shape, pilot)
            result = estimate(self.hierarchy, chosen, pilot, blocks, self.task.objective.samples)
            made[metric] = result.mean.reshape(self.grid.shape), result.standard_error.reshape(self.grid.shape)
        return made

    def describe(self) -> dict[str, Any]:
        """Attributes of the surface: from how many samples it was estimated, and how far off it may be.

        The errors are half a 95 % interval at the worst cell, as a fraction of the range in the scale asked for.
        """
        worst = {
            name: _worst_error(mean, error, self.scale if name == "loss" else "linear") for name, (mean, error) in self.estimates().items()
        }
        sampling = {
            "samples": self.task.objective.samples,
            "drawn": self.passes,
            "share": self.share,
            "pilot": PILOT,
            "seed": self.seed,
            "scale": self.scale,
        }
        loss = worst.pop("loss")
        scale = "log" if self.scale == "log" else "linear"
        return {"sampling": sampling, "tol": self.tol, "estimated_error": loss, "estimated_error_scale": scale, "estimated_errors": worst}

    # -- inside ----------------------------------------------------------------------------------------------

    def _wanted(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        for block in range(1, len(self.stops)):
            cells = np.flatnonzero(self.samples_drawn >= self.stops[block])
            if len(cells):
                yield block, cells

    def _length(self, block: int) -> int:
        return int(self.stops[block] - (self.stops[block - 1] if block else 0))

    def _draw(self, block: int, cells: NDArray[np.int64], measure: Measure) -> Iterator[int]:
        """Store the block's values at those of the cells that lack them; yields how many passes each tile was."""
        missing = self.draws.missing(block, cells)
        if not len(missing):
            return
        for finished, measured in measure(self.problem(block), missing):
            self.draws.write(block, finished, {metric: measured.values[metric] for metric in self.draws.metrics})
            yield len(finished) * self._length(block)

    def problem(self, block: int) -> EvaluationProblem:
        """Every sample's value of the block's samples."""
        begin = int(self.stops[block - 1]) if block else 0
        return samples_problem(self.task, np.sort(self.order[begin : int(self.stops[block])]))

    def _changed(self) -> list[str]:
        """In what the pilot differs at some of its cells when it is drawn again, in words."""
        if 0 not in self.draws.rows:
            return []
        there = np.sort(self.draws.rows[0][0])
        cells = np.unique(there[[0, len(there) // 2, -1]])
        stored = {metric: self.draws.of(0, metric, cells) for metric in self.draws.metrics}
        problem, points = self.problem(0), self.grid.points(cells)
        devices = [str(self.task.objective.description.get("device"))]
        scales = {metric: scale_of(values) for metric, values in stored.items()}
        rounding = Rounding.of(problem.objective, devices)
        return changed(stored, lambda: Loop(problem)(points).values, rounding, scales, [place_in_words(point) for point in points])


def samples_problem(task: EvaluationProblem, chosen: NDArray[np.int64]) -> EvaluationProblem:
    """Every sample's value of those numbered `chosen`, in ascending order."""
    metrics = tuple(replace(metric, per_sample=True) for metric in task.metrics)
    return replace(task, objective=task.objective.with_data(take_samples(task.objective.data, chosen)), metrics=metrics, _cache={})


def _worst_error(mean: NDArray[np.float64], error: NDArray[np.float64], scale: str) -> float:
    """Half the widest 95 % interval, as a fraction of the range."""
    known = np.isfinite(mean) & np.isfinite(error) & ((mean > 0) if scale == "log" else True)
    if not known.any():
        return 0.0
    values, half = mean[known], CONFIDENCE * error[known]
    if scale == "log":
        values, half = np.log(values), half / values
    low, high = np.percentile(values, [5, 95]) if scale == "robust" else (values.min(), values.max())
    return float(half.max() / (high - low)) if high > low else 0.0
