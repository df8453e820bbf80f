"""Evaluator specification as plain data, and the wrapper that checks a fast evaluator against the loop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from lossatlas._util.out_of_memory import out_of_memory
from lossatlas.compute.evaluation.evaluators.accumulators import TileValues
from lossatlas.compute.evaluation.evaluators.affine.evaluator import Affine
from lossatlas.compute.evaluation.evaluators.agreement import SpotCheck
from lossatlas.compute.evaluation.evaluators.base import Evaluator, MemoryLayout, UnsupportedModel
from lossatlas.compute.evaluation.evaluators.loop import Loop
from lossatlas.compute.evaluation.evaluators.model_metrics import ModelMetrics
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.evaluation.evaluators.vmap import Vmap

log = logging.getLogger("lossatlas")


@dataclass(frozen=True)
class EvaluatorSpec:
    """Specification of an evaluator, which travels to workers and into the archive.

    Attributes:
        evaluator: "loop", "vmap" or "affine".
        chunk: points at a time; None lets the evaluator decide by size.
        layout: "channels_last" for images and filters, which convolutions like; "folded" the same with BatchNorm folded into them;
            "features_first" for chains of Linear layers.
        compiled: through `torch.compile`.
        batch: samples a micro-batch, as a probe found them fastest; None leaves them as the objective cut them.
        seconds: expected time of one point over all of the data, or None where nothing was timed.
        loop_seconds: the same for the loop.
        reasons: why other evaluators were not taken.
    """

    evaluator: str = "loop"
    chunk: int | None = 1
    layout: MemoryLayout = "given"
    compiled: bool = False
    batch: int | None = None
    seconds: float | None = None
    loop_seconds: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def is_reference(self) -> bool:
        """Whether it is the plain loop that all others are checked against."""
        return self.evaluator == "loop" and self.layout == "given" and not self.compiled and self.batch is None

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> EvaluatorSpec | None:
        """The specification that an archive describes; None where that is not one, or compiled code, which cannot be stored."""
        evaluator, layout, sizes = description.get("evaluator"), description.get("layout"), [description.get(k) for k in ("chunk", "batch")]
        known = evaluator in ("loop", "vmap", "affine") and layout in get_args(MemoryLayout) and not description.get("compiled")
        if not known or any(size is not None and (type(size) is not int or size < 1) for size in sizes):
            return None
        return cls(str(evaluator), sizes[0], cast("MemoryLayout", layout), batch=sizes[1])

    def unchecked(self, task: EvaluationProblem) -> Loop | Vmap | Affine:
        """The evaluator alone."""
        task = self._laid_out(task)
        if self.evaluator == "affine":
            return Affine(task, self.chunk)
        return Vmap(task, self.chunk or 1, self.compiled) if self.evaluator == "vmap" else Loop(task, self.compiled)

    def _laid_out(self, task: EvaluationProblem) -> EvaluationProblem:
        task = task.in_batches(self.batch) if self.batch is not None else task
        if self.layout == "features_first":
            return task.features_first() or task
        if self.layout == "folded":
            task = task.folded() or task
        return task.channels_last() if self.layout in ("channels_last", "folded") else task

    def create(self, task: EvaluationProblem) -> Evaluator:
        """The evaluator, wrapped so that it can be trusted, and beside it what measures the whole model."""
        if not task.model_metrics:
            return self._batched(task)
        return ModelMetrics(task, self._batched(task) if task.batch_metrics else None)

    def _batched(self, task: EvaluationProblem) -> Evaluator:
        """The evaluator of metrics of batches; the plain loop needs no wrapper."""
        return (
            Loop(task)
            if self.is_reference
            else CheckedEvaluator(self.unchecked(task), Loop(task), SpotCheck(Loop(task)) if self.compiled else None)
        )

    def describe(self) -> dict[str, Any]:
        return {"evaluator": self.evaluator, "chunk": self.chunk, "layout": self.layout, "compiled": self.compiled, "batch": self.batch}


@dataclass(eq=False)
class CheckedEvaluator:
    """A fast evaluator with the loop behind it: for the model's own cell, and for whatever the fast one refuses.

    Out of memory halves the chunk, for good, and goes on. Compiled values are compared with the loop's in every tile.
    """

    evaluator: Loop | Vmap | Affine
    loop: Loop
    check: SpotCheck | None = None

    @property
    def task(self) -> EvaluationProblem:
        return self.loop.task

    @property
    def chunk(self) -> int | None:
        return self.evaluator.chunk

    def __call__(self, points: NDArray[np.float64]) -> TileValues:
        fast_values = self._fast(points)
        loop_values = self._by_loop(points)
        if fast_values is None or len(loop_values) == len(points):
            return self.loop(points)
        if self.check is not None:
            self.check(points, fast_values)
        if len(loop_values):
            for name, values in self.loop(points[loop_values]).values.items():
                fast_values.values[name][loop_values] = values
        return fast_values

    def _fast(self, points: NDArray[np.float64]) -> TileValues | None:
        while True:
            try:
                return self.evaluator(points)
            except UnsupportedModel as error:
                log.info("these points fall back to the loop: %s", error)
                return None
            except Exception as error:
                if not out_of_memory(error) or isinstance(self.evaluator, Loop) or self.evaluator.chunk == 1:
                    raise
                self._halve()

    def _halve(self) -> None:
        assert not isinstance(self.evaluator, Loop)
        chunk = max(1, (self.evaluator.chunk or 256) // 2)
        log.warning("out of memory: %d points at a time from now on", chunk)
        self.evaluator = replace(self.evaluator, chunk=chunk)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _by_loop(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Indices of the points at the model itself; the value there is the model's own loss to the last bit."""
        origin = self.task.plane.origin
        return np.flatnonzero((points == np.asarray(origin)).all(1)) if origin is not None else np.empty(0, np.int64)
