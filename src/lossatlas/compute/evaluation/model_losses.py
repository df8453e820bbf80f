"""Losses of the models on a plane beside what the plane reads at their places.

The two are one number unless the statistics all over the plane are another model's, which an explicit ``mode="eval"`` asks for
on a plane through several models. What is left beyond a standard error is then warned of, and figures say it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from lossatlas._util.caller import caller_level
from lossatlas._util.text import to_json_value
from lossatlas.compute.evaluation.evaluators.accumulators import MeanAccumulator
from lossatlas.compute.evaluation.evaluators.loop import Loop
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.metrics import metrics_named
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import cast_like
from lossatlas.compute.planes.plane import Plane, PlaneModel

LEAST = 1e-3
"""Two losses of one model on data batched otherwise agree far better than this, relatively, also in half precision."""
ANOTHER = "BatchNorm statistics of another model"
LAG = "BatchNorm statistics estimated from the data, behind which the model's own running averages lag"
WITHOUT_ERROR = 1e-2
"""Where a loss has no standard error, it may differ by this much, relatively."""


def model_losses(objective: Objective, plane: Plane) -> list[dict[str, Any]]:
    """By model on the plane: its own loss and standard error, the plane's there, and whether the two differ; warns where they do.

    Nothing is measured where they cannot differ: modes that take statistics from the data, models whose buffers are not known.
    """
    models = [model for model in plane.models if model.lies_on_plane and model.buffers]
    if objective.module is None or objective.mode not in ("eval", "interpolated") or not models:
        return []
    task = EvaluationProblem.make(objective, plane, metrics_named("loss"))
    if task.anchors is not None:
        return []
    read = Loop(task)(np.array([model.place for model in models])).values["loss"]
    rows = [_beside(objective, plane, model, float(value)) for model, value in zip(models, read, strict=True)]
    for each in rows:
        if each["differs"]:
            warn_of_difference(each["label"], each["loss"], each["plane_loss"], ANOTHER)
    return rows


def _beside(objective: Objective, plane: Plane, model: PlaneModel, read: float) -> dict[str, Any]:
    known = set(objective.state)
    model_loss, error = loss_with_error(objective, {**plane.point(*model.place), **{n: b for n, b in model.buffers.items() if n in known}})
    values = {"loss": model_loss, "loss_standard_error": error, "plane_loss": read}
    return {"label": model.label, "place": list(model.place), **to_json_value(values), "differs": differ(model_loss, read, error)}


def loss_with_error(objective: Objective, tensors: Mapping[str, Tensor]) -> tuple[float, float]:
    """The mean loss at one point of weight space, buffers included, and its standard error."""
    (metric,) = metrics_named("loss")
    sums = MeanAccumulator(1, next(iter(objective.params.values())).device, objective.data.population)
    with objective.no_autograd():
        placed = objective.with_batchnorm_statistics(cast_like(tensors, objective.state))
        for batch, weight in objective.weighted_batches():
            sums.add(0, metric.measure(objective.score(placed, batch)), weight)
    return float(sums.mean(objective.samples)[0]), float(sums.standard_error(objective.samples)[0])


def differ(model_loss: float, read: float, error: float) -> bool:
    """Whether two losses differ by more than two standard errors and rounding."""
    if not (math.isfinite(model_loss) and math.isfinite(read)):
        return math.isfinite(model_loss) != math.isfinite(read)
    share = LEAST if math.isfinite(error) else WITHOUT_ERROR
    return abs(read - model_loss) > max(2 * error if math.isfinite(error) else 0.0, share * abs(model_loss))


def warn_of_difference(label: str, model_loss: float | None, read: float | None, why: str) -> None:
    advice = {
        ANOTHER: 'Leave the objective\'s mode out, or take objective.with_mode("auto"), which is right at every model on the plane.',
        LAG: 'Compare objective.with_mode("recalibrated") on both, or train some steps at a small learning rate.',
    }
    warnings.warn(
        f"At {label} this plane reads a loss of {_number(read)}, that model's own is {_number(model_loss)} ({why}). {advice[why]}",
        UserWarning,
        stacklevel=caller_level(),
    )


def _number(value: float | None) -> str:
    return "NaN or infinity" if value is None else f"{value:.4g}"
