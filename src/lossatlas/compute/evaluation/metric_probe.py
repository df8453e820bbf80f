"""Probe of metrics of one's own before a long run: measured at the model's own place, those of the whole model twice."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lossatlas._util.out_of_memory import out_of_memory
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.metrics import Metric
from lossatlas.compute.metrics.model_measurement import ModelMeasurement
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError

PAGE = 'Metrics of="batch" get scores with losses, outputs and targets; for a function of the model pass of="model"'


def probe_metrics(task: EvaluationProblem) -> tuple[tuple[Metric, ...], float]:
    """The metrics with what their values at the model's own place tell of them, and seconds that those of the model take there.

    Raises:
        InputError: a metric raises there, gives other values the second time, or something that is no value a sample or an item.
    """
    if all(metric.is_builtin and metric.of == "batch" for metric in task.metrics):
        return task.metrics, 0.0
    plane = task.plane
    params = task.point(plane.origin if plane.origin is not None else (0.0,) * plane.ndim)
    check_batch_metrics(task.metrics, task.objective, params)
    began = time.perf_counter()
    measurement = ModelMeasurement.of(task.objective) if task.model_metrics else None
    metrics = tuple(m if measurement is None or m.of == "batch" else measured_twice(m, measurement, params) for m in task.metrics)
    return metrics, (time.perf_counter() - began) / 2 if measurement is not None else 0.0


def check_batch_metrics(metrics: tuple[Metric, ...], objective: Objective, params: Params) -> None:
    """Measure metrics of one's own on the first batch; the package's may leave out labels that do not count.

    Raises:
        InputError: one raises, or gives something that is no value a sample and no mean.
    """
    foreign = [metric for metric in metrics if metric.of == "batch" and not metric.is_builtin]
    if not foreign:
        return
    with objective.no_autograd():
        try:
            scores = objective.score(params, objective.data.batches[0])
        except Exception:
            return  # a model that raises at its own weights: the evaluator says so
        for metric in foreign:
            try:
                value = metric.measure(scores)
            except InputError:
                raise
            except Exception as error:
                if out_of_memory(error):
                    raise
                raise InputError(
                    "metrics", f"{metric.name}, which raises {type(error).__name__}: {error}", "one that runs on a batch", PAGE
                ) from error
            _check_batch_value(metric, value, objective.data.counts[0], next(iter(objective.params.values())).device)


def _check_batch_value(metric: Metric, value: object, count: int, device: torch.device) -> None:
    allowed = f"one value a sample, ({count},), or the batch's mean, (), as a tensor on {device}"
    if not isinstance(value, Tensor):
        raise InputError("metrics", f"{metric.name}, which returns {type(value).__name__}", allowed, PAGE)
    if value.device != device or value.is_complex():
        raise InputError("metrics", f"{metric.name}, which returns a tensor of {value.dtype} on {value.device}", allowed)
    if value.shape not in ((), (count,)):
        raise InputError("metrics", f"{metric.name}, which returns shape {tuple(value.shape)}", allowed, "Average the other axes")


def measured_twice(metric: Metric, measurement: ModelMeasurement, params: Params) -> Metric:
    """The metric with its number of items, once it was measured twice with one result."""
    try:
        first, second = measurement.rows(metric, params), measurement.rows(metric, params)
    except InputError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        allowed = "a metric that runs at the model's own place"
        raise InputError("metrics", f"{metric.name}, which raises {type(error).__name__}: {error}", allowed) from error
    if not metric.noisy and not np.array_equal(first, second, equal_nan=True):
        problem = f"{metric.name}, which gives {first.mean():.9g} and then {second.mean():.9g} for the same model"
        advice = "Seed its own random numbers and reset what it counts or caches at each call, or pass noisy=True and repeats=5"
        raise InputError("metrics", problem, "one that gives the same values twice", advice)
    if first.ndim < 2:
        return metric
    return replace(metric, count=first.shape[1], zero_one=bool(np.isin(first, (0.0, 1.0)).all()) and metric.repeats == 1)
