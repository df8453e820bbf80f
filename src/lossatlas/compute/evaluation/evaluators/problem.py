"""Evaluation problem: an objective on a plane, and which metrics are measured."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakMethod

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from lossatlas._util.caller import caller_level
from lossatlas.compute.evaluation.evaluators.accumulators import MeanAccumulator, ValueCollector, accumulator_of
from lossatlas.compute.evaluation.evaluators.batchnorm_folding import fold_batchnorm
from lossatlas.compute.evaluation.evaluators.features_first import columns, features_first
from lossatlas.compute.evaluation.evaluators.reference_outputs import ReferenceOutputs
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective, Scores
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.anchored_statistics import Anchors, other_buffers
from lossatlas.compute.planes.batchnorm_statistics import resolved
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError


@dataclass(frozen=True, eq=False)
class EvaluationProblem:
    """An objective on a plane; every evaluator measures one.

    Attributes:
        objective: in the mode that suits the plane, with the buffers of the plane's own model (`statistics.resolved`).
        still: parameters that do not move but differ from the objective's own.
        anchors: in mode "anchored", the models of the plane with their statistics.
    """

    objective: Objective
    plane: Plane
    metrics: tuple[Metric, ...]
    static_params: Params
    anchors: Anchors | None = None
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def make(cls, objective: Objective, plane: Plane, metrics: tuple[Metric, ...]) -> EvaluationProblem:
        if objective.mode == "interpolated" and len(plane.buffers) < 2:
            raise InputError("mode", "interpolated", "a plane between models that have buffers", "Make it with between(a, b) of nn.Modules")
        if objective.mode == "anchored" and not any(m.lies_on_plane for m in plane.models):
            raise InputError("mode", "anchored", "a plane made of models", "Make it with between(a, b), or leave the mode out")
        objective, plane = resolved(objective, plane)
        plane = plane.cast_like(objective.state)
        anchors = Anchors.of(objective, plane) if objective.mode == "anchored" else None
        return cls(objective, plane, metrics, static_overrides(objective, plane), anchors)

    @property
    def device(self) -> torch.device:
        return next(iter(self.objective.params.values())).device

    def point(self, place: tuple[float, ...]) -> Params:
        """Tensors that replace the objective's own parameters at ``(alpha, beta)``."""
        moved = {**self.static_params, **self.plane.moving_params(*place)}
        if self.objective.mode == "interpolated":
            moved |= self.plane.buffers_at(*place)
        if self.anchors is not None:
            moved |= other_buffers(self.objective, self.plane, place)
            return moved | self.anchors.statistics(place, lambda: self.objective.estimated(moved))
        return self.objective.with_batchnorm_statistics(moved)

    def held(self, place: tuple[float, ...]) -> Objective:
        """The objective to differentiate at a place: statistics that change over the plane are held at what they are there."""
        if self.objective.mode not in ("interpolated", "anchored"):
            return self.objective
        buffers = {n: t for n, t in self.point(place).items() if n not in self.objective.params}
        return self.cached("eval", lambda: self.objective.with_mode("eval")).with_state(buffers)

    def warn_of_lost_steps(self, spacings: Sequence[float]) -> None:
        """Say so where a step of the grid is less than most weights can tell: bfloat16 has three digits, and neighbors are one point."""
        center = self.plane.center
        for label, step, direction in zip(self.plane.labels, spacings, self.plane.directions, strict=True):
            if not isinstance(direction.params, dict):
                continue  # drawn again for every look
            pairs = [(center[n], d) for n, d in direction.params.items()]
            lost = sum(int(((w.add(d, alpha=step) == w) & (d != 0)).sum()) for w, d in pairs)
            if 2 * lost > sum(int(d.count_nonzero()) for _, d in pairs):
                dtype = str(next(iter(center.values())).dtype).removeprefix("torch.")
                warnings.warn(
                    f"A step of {step:.3g} along {label} rounds away for most weights in {dtype}, so that neighboring cells are the same "
                    "point. Take wider bounds, fewer points, or Objective(..., dtype=torch.float32).",
                    UserWarning,
                    stacklevel=caller_level(),
                )

    def scores(self, params: Params, batch: Any) -> dict[str, Tensor]:
        """Every metric of one batch at one point."""
        result = self.objective.score(params, batch)
        return {metric.name: self.references.measure(metric, result, batch) for metric in self.batch_metrics}

    @property
    def references(self) -> ReferenceOutputs:
        """Outputs of the models that relative metrics compare with."""
        # Through a weak reference: in a cycle with its own cache a task would hold its data until the next garbage collection.
        origin = WeakMethod(self._origin)
        return self.cached("references", lambda: ReferenceOutputs(self.objective, lambda: _alive(origin())()))

    def compute_references(self) -> None:
        """Keep the outputs of reference models on all batches before a function that is traced or vectorized asks for them."""
        for metric in (metric for metric in self.batch_metrics if metric.reference is not None):
            for batch in self.objective.data.batches:
                self.references(metric, batch)

    def _origin(self) -> Params:
        if self.plane.origin is None:
            advice = "Pass the model to compare with, such as la.metrics.kl(ref=model)"
            raise InputError(
                "metrics", "a metric relative to the model at the origin of a plane that has none", "a reference model", advice
            )
        return self.point(self.plane.origin)

    @property
    def batch_metrics(self) -> tuple[Metric, ...]:
        """Metrics measured batch by batch in one pass over the data."""
        return tuple(metric for metric in self.metrics if metric.of == "batch")

    @property
    def model_metrics(self) -> tuple[Metric, ...]:
        """Metrics of the whole model, measured one point at a time."""
        return tuple(metric for metric in self.metrics if metric.of == "model")

    @property
    def only_params_move(self) -> bool:
        """Only weights change from point to point; not so where statistics do, and only the loop can do that."""
        return self.objective.mode not in ("interpolated", "recalibrated", "anchored")

    def score_batch(self, params: Params, batch: Any, compiled: bool = False) -> Scores:
        """The objective's scores, through `torch.compile` where asked."""
        if not compiled:
            return self.objective.scorer.score(params, batch)
        return self.cached("loop", lambda: torch.compile(self.objective.scorer.score, dynamic=False))(params, batch)

    def cached(self, key: str, make: Callable[[], Any]) -> Any:
        """Made once for this task: compiled functions and other layouts are dear."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def __getstate__(self) -> dict[str, Any]:
        """Without the cache: compiled functions cannot travel, and other layouts are made anew faster than they are sent."""
        return {**self.__dict__, "_cache": {}}

    def to(self, device: str) -> EvaluationProblem:
        """The same task on another device, without compiled functions, which cannot travel."""
        if self.device == torch.device(device):
            return replace(self, _cache={})
        plane, still = self.plane.to(device), {n: p.to(device) for n, p in self.static_params.items()}
        anchors = None if self.anchors is None else self.anchors.to(device)
        return replace(self, objective=self.objective.to(device), plane=plane, static_params=still, anchors=anchors, _cache={})

    def has_images(self) -> bool:
        """Batches of images and filters to go with them, for which the layout in memory matters."""
        if not all(isinstance(d.params, dict) for d in self.plane.directions):
            return False
        filters = any(self.plane.center[n].dim() == 4 for n in self.plane.moving_names)
        return filters and any(_is_image(leaf) for leaf in pytree.tree_leaves(self.objective.data.batches[0]))

    def channels_last(self) -> EvaluationProblem:
        """The same task with images and filters laid out channels last."""
        directions = tuple(replace(d, params={n: _channels_last(v) for n, v in d.params.items()}) for d in self.plane.directions)
        center = {n: _channels_last(v) for n, v in self.plane.center.items()}
        plane = replace(self.plane, center=center, directions=directions)
        objective = self.objective.with_data(self.objective.data.map(_channels_last))
        return replace(self, plane=plane, objective=objective, _cache={})

    def folded(self) -> EvaluationProblem | None:
        """The same task with BatchNorm folded into the convolutions, or None where there is none to fold; looked for once."""
        return self.cached("folded", self._folded)

    def _folded(self) -> EvaluationProblem | None:
        function = fold_batchnorm(self.objective.function, self.objective.params, self.objective.data.batches[0])
        return None if function is None else replace(self, objective=self.objective.with_function(function), _cache={})

    def features_first(self) -> EvaluationProblem | None:
        """The same task with samples along the contiguous axis, or None where the model is not a chain; looked for once."""
        return self.cached("features_first", self._features_first)

    def _features_first(self) -> EvaluationProblem | None:
        batch = self.objective.data.batches[0]
        rows = isinstance(batch, tuple) and len(batch) == 2 and all(isinstance(t, Tensor) for t in batch) and batch[0].dim() == 2
        function = features_first(self.objective.function, self.objective.params, batch) if rows else None
        if function is None:
            return None
        return replace(self, objective=self.objective.with_data(self.objective.data.map(columns)).with_function(function), _cache={})

    def sums(self, points: int) -> dict[str, MeanAccumulator]:
        population = self.objective.data.population
        return {
            m.name: ValueCollector(points, self.device, self.samples_width)
            if m.per_sample
            else accumulator_of(m, points, self.device, population)
            for m in self.batch_metrics
        }

    @property
    def samples_width(self) -> int:
        """Values that a metric has at a point: one a sample, or one a batch where the loss has only a mean."""
        return self.objective.samples if self.objective.per_sample else len(self.objective.data.counts)

    @property
    def cell_bytes(self) -> int:
        """Bytes kept per point besides sums."""
        return 8 * self.samples_width * sum(metric.per_sample or metric.summary is not None for metric in self.metrics)

    def first_batch_problem(self) -> EvaluationProblem:
        """The same task on the first batch that counts alone, for probes; itself, with what is cached, where there is no other batch."""
        if len(self.objective.weights) == 1:
            return self
        first = next(number for number, weight in enumerate(self.objective.weights) if weight)
        return replace(self, objective=self.objective.with_data(self.objective.data.single_batch(first)), _cache={})

    @property
    def larger_batches(self) -> tuple[int, ...]:
        """Sizes between that of the micro-batches and that of the batches that were given; none where those were not cut."""
        cut, uncut = max(self.objective.data.counts), max(self.objective.original_data.counts)
        return tuple(sorted({min(4 * cut, uncut), uncut})) if cut < uncut else ()

    def in_batches(self, size: int) -> EvaluationProblem:
        """The same task on micro-batches of another size, cut from the batches that were given; once for every size."""
        cut = self.objective.original_data.split(size)
        return self.cached(f"batches of {size}", lambda: replace(self, objective=self.objective.with_data(cut), _cache={}))

    def uncut_batch_problem(self) -> EvaluationProblem:
        """The same task on the first batch that was given, not cut."""
        return replace(self, objective=self.objective.with_data(self.objective.original_data.single_batch(0)), _cache={})

    def thread_copy(self) -> EvaluationProblem:
        """The same task on a module of its own; tensors are shared (`Objective.thread_copy`)."""
        return replace(self, objective=self.objective.thread_copy(), _cache={})


def _alive(method: Callable[[], Params] | None) -> Callable[[], Params]:
    assert method is not None, "the references of a task live no longer than it"
    return method


def static_overrides(objective: Objective, plane: Plane) -> Params:
    """Parameters that do not move on the plane but differ from the objective's own: another model's plane brings its center."""
    model_params, moving = objective.params, set(plane.moving_names)
    return {
        n: p
        for n, p in plane.center.items()
        if n not in moving and n in model_params and p is not model_params[n] and not torch.equal(p, model_params[n])
    }


def _is_image(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.dim() == 4 and leaf.is_floating_point()


def _channels_last(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
