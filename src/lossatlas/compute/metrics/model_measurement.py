"""Measurement of metrics of the whole model, on a copy of it that they may not change, with common random numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas.analysis.sampling import standard_error_fpc, wilson_interval
from lossatlas.compute.arrays.array_function import ArrayFunction
from lossatlas.compute.metrics.base import Metric
from lossatlas.compute.objective.loss_functions import ModuleLoss
from lossatlas.compute.objective.module.module_copies import copy_in_mode, frozen_copy, load_tensors
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.params.params import VECTOR, Params
from lossatlas.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ModelMeasurement:
    """Hands an objective's model to metrics, at any point of weight space.

    Attributes:
        objective: whose model it is, in the mode to be measured.
        module: a copy of its module; None where the objective is a callable, whose metrics get a dict of parameters, or a vector.
        training: by name of a submodule, whether it is in training mode there.
    """

    objective: Objective
    module: torch.nn.Module | None
    training: Mapping[str, bool] = field(repr=False)

    @classmethod
    def of(cls, objective: Objective) -> ModelMeasurement:
        module = None if objective.module is None else copy_in_mode(frozen_copy(objective.module, None, None), objective.mode)
        return cls(objective, module, {} if module is None else {name: part.training for name, part in module.named_modules()})

    def rows(self, metric: Metric, tensors: Mapping[str, Tensor]) -> Array:
        """Results of the metric at one point, one a repeat: ``(repeats, items)``, or ``(repeats,)`` for single numbers.

        Raises:
            InputError: no number and no vector of numbers, one of another length than before, or a model that was changed.
        """
        state = {**self.objective.state, **cast_like(tensors, self.objective.state)}
        return _stacked(metric, [self._once(metric, state, metric.seed + repeat) for repeat in range(metric.repeats)])

    def values(self, metric: Metric, tensors: Mapping[str, Tensor]) -> dict[str, float]:
        """The metric with its error at one point, by name of the array."""
        return summarize(metric, self.rows(metric, tensors))

    def _once(self, metric: Metric, state: Params, seed: int) -> Array:
        with torch.inference_mode(False), torch.enable_grad():
            model: Any = self._without_module(state) if self.module is None else self._loaded(self.module, state)
            with common_random_numbers(seed):
                result = metric.measure(model)
            self._check_unchanged(metric, model, state)
            return as_items(metric, result)

    def _without_module(self, state: Params) -> Any:
        """A copy of the parameters of a function; the vector of a function of a vector."""
        if isinstance(self.objective.function, ArrayFunction):
            return state[VECTOR].detach().cpu().numpy().copy()
        return {name: value.detach().clone() for name, value in state.items()}

    def _loaded(self, module: torch.nn.Module, state: Params) -> torch.nn.Module:
        """The module with these tensors and in its own mode, whatever an earlier measurement left behind."""
        present = named_tensors(module)
        load_tensors(module, {name: value for name, value in state.items() if name in present})
        for name, part in module.named_modules():
            part.training = self.training.get(name, part.training)
        for parameter in module.parameters():
            parameter.grad = None
            parameter.requires_grad_(False)
        return module

    def _check_unchanged(self, metric: Metric, model: Any, state: Params) -> None:
        """A metric that trains, adapts or counts inside the model measures another model at the next point."""
        after = named_tensors(model) if isinstance(model, torch.nn.Module) else model
        after = {VECTOR: torch.from_numpy(after)} if isinstance(after, np.ndarray) else after
        writes_itself = isinstance(self.objective.function, ModuleLoss) and self.objective.function.clones_inputs
        free = {name for name, _ in model.named_buffers()} if isinstance(model, torch.nn.Module) and writes_itself else set[str]()
        for name, before in state.items():
            if name in free or (isinstance(model, torch.nn.Module) and name not in after):
                continue
            if name not in after or not _identical(before, after[name]):
                what = f"{metric.name}, which changes {name} of the model it measures"
                raise InputError("metrics", what, "a metric that leaves the model as it is", "Let it work on copy.deepcopy(model)")


def named_tensors(module: torch.nn.Module) -> Params:
    """Parameters and buffers by name, tied ones under each of their names."""
    return {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}


@contextmanager
def common_random_numbers(seed: int) -> Iterator[None]:
    """Seed torch, NumPy and `random`, and put their states back afterwards."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - metrics may use the legacy generator
    with torch.random.fork_rng():
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.manual_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def as_items(metric: Metric, result: Any) -> Array:
    """The result of a metric of the model as ``()`` or ``(items,)`` float64.

    Raises:
        InputError: something else.
    """
    allowed, advice = "one number, or one value an item, (items,)", ""
    if isinstance(result, Tensor):
        if result.is_meta:
            raise InputError("metrics", f"{metric.name}, which returns a tensor on the meta device, which holds no numbers", allowed)
        result = result.detach().cpu()
        result = (result if result.is_complex() else result.double()).numpy()
    elif isinstance(result, list | tuple):
        result = [item.detach().cpu() if isinstance(item, Tensor) else item for item in result]
    try:
        values = np.asarray(result)
        values = values.astype(np.float64) if values.dtype.kind in "fiub" else None
    except (TypeError, ValueError, RuntimeError):
        values = None
    if values is None or values.ndim > 1 or not values.size:
        shape = "" if values is None else f" of shape {values.shape}"
        raise InputError("metrics", f"{metric.name}, which returns {type(result).__name__}{shape}", allowed, advice)
    named = _length(metric.items)
    if values.ndim and named is not None and len(values) != named:
        raise InputError(
            "metrics", f"{metric.name}, which returns {len(values)} values", f"one number, or {named} values, one for each of its items"
        )
    return values


def summarize(metric: Metric, rows: Array) -> dict[str, float]:
    """Mean, standard error and interval, by name of the array.

    Items are averaged over repeats first: repeats of an item depend on each other, items do not.
    """
    sample = rows.mean(0) if rows.ndim > 1 else rows
    fpc = standard_error_fpc(len(sample), metric.population) if rows.ndim > 1 else 1.0
    with np.errstate(invalid="ignore"):
        spread = float(sample.std(ddof=1)) if len(sample) > 1 else math.nan
    values = {metric.name: float(sample.mean()), f"{metric.name}_standard_error": spread / math.sqrt(len(sample)) * fpc}
    if metric.zero_one:
        are_zero_one = rows.ndim > 1 and bool(np.isin(sample, (0.0, 1.0)).all())
        ends = wilson_interval(sample.mean(), len(sample), fpc) if are_zero_one else (math.nan, math.nan)
        values |= {f"{metric.name}_lower": float(ends[0]), f"{metric.name}_upper": float(ends[1])}
    return values


def _stacked(metric: Metric, rows: list[Array]) -> Array:
    """Rows of one length, that of the model's own place."""
    shapes = {row.shape for row in rows} | ({(metric.count,)} if metric.count is not None else set())
    if len(shapes) > 1:
        lengths = " and ".join("one number" if not shape else f"{shape[0]} values" for shape in sorted(shapes, key=str))
        raise InputError("metrics", f"{metric.name}, which returns {lengths}", "as many values at every point")
    return np.stack(rows)


def _length(items: Any) -> int | None:
    try:
        return None if items is None or isinstance(items, str | bytes | Mapping) else len(items)
    except TypeError:
        return None


def _identical(before: Tensor, after: Tensor) -> bool:
    if before.shape != after.shape or after.is_meta:
        return False
    before = before.to(after)
    return torch.equal(before, after) or bool(torch.allclose(before, after, rtol=0, atol=0, equal_nan=True))
