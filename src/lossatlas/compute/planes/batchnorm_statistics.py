"""BatchNorm statistics with which a plane is evaluated.

An objective built before a training holds the statistics of the untrained network. Measured with those, the final weights of
a small network have a loss of 0.85 where their own is 0.03.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from lossatlas._util.caller import caller_level
from lossatlas.compute.objective.module.batchnorm import batchnorm_layers, statistics_names
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.plane import Plane, PlaneModel, buffers_of

SAME_WEIGHTS_RTOL = 4e-3
"""Weights this close, relative to their norm, are one model: the rounding of a recording in half precision."""


def resolved(objective: Objective, plane: Plane) -> tuple[Objective, Plane]:
    """The objective in the mode that this plane is measured in, and the plane with what is known of its models' statistics.

    The mode "auto" becomes "anchored" where the plane goes through several models whose normalization statistics matter: one
    model's would be wrong at all the others. Buffers of layers that nobody knows how to estimate are interpolated where they
    differ between the models. Otherwise the statistics are those of `about`.
    """
    check_objective(objective)
    anchored = objective.mode == "anchored" or (objective.automatic and uses_running_stats(objective) and len(plane.models) > 1)
    if objective.automatic and not anchored and _other_buffers_differ(objective, plane):
        return objective.with_mode("interpolated"), plane
    if not anchored:
        return with_plane_buffers(objective, plane), plane
    assert objective.module is not None
    plane = replace(plane, models=tuple(_with_statistics(model, plane, objective) for model in plane.models))
    if len(plane.buffers) == 1:
        module_buffers = dict(objective.module.named_buffers())
        objective = objective.with_state({n: b for n, b in plane.buffers[0].items() if n in module_buffers})
    return objective if objective.mode == "anchored" else objective.with_mode("anchored"), plane


def with_plane_buffers(objective: Objective, plane: Plane) -> Objective:
    """The objective with the buffers that belong to the plane's own model, so that the plane shows that model's loss.

    A plane through recorded weights brings the buffers that were recorded with the model at its origin. Another plane has
    none: the objective's own are right where its weights are those of the plane's model. Where they are not, the numbers
    are no model's loss, which a warning and the figure say.

    Returns:
        An objective whose `description` says in `statistics` whose BatchNorm statistics it has: "plane" or "another model".
    """
    check_objective(objective)
    if objective.module is None:
        return objective
    if len(plane.buffers) == 1:
        model_buffers = dict(objective.module.named_buffers())
        with_theirs = objective.with_state({n: b for n, b in plane.buffers[0].items() if n in model_buffers})
        return with_theirs.with_description(statistics="plane") if uses_running_stats(objective) else with_theirs
    if not uses_running_stats(objective) or len(plane.buffers) > 1 or plane.origin is None or _is_model_at(objective, plane, plane.origin):
        return objective
    warnings.warn(
        f"The objective's BatchNorm statistics belong to another model than the one on this plane (kind {plane.kind!r}), "
        "and the plane brings none: its values are not that model's loss. Pass objective.at(state) with the model's weights and "
        "buffers, such as trajectory.state(-1), or an Objective made of that model.",
        UserWarning,
        stacklevel=caller_level(),
    )
    return objective.with_description(statistics="another model")


def uses_running_stats(objective: Objective) -> bool:
    """Whether stored BatchNorm statistics have a say in the objective's values."""
    return objective.mode == "eval" and objective.module is not None and bool(batchnorm_layers(objective.module))


def drop_running_stats(objective: Objective, tensors: Mapping[str, Tensor]) -> Params:
    """`tensors` less the buffers that the mode leaves out: handed to BatchNorm, they would undo "batch", "train" and "recalibrated"."""
    if objective.module is None or objective.mode not in ("batch", "train", "recalibrated"):
        return dict(tensors)
    left_out = statistics_names(objective.module)
    return {name: value for name, value in tensors.items() if name not in left_out}


def _other_buffers_differ(objective: Objective, plane: Plane) -> bool:
    return objective.module is not None and any(bool(value.any()) for each in plane.buffers[1:] for value in each.values())


def _with_statistics(model: PlaneModel, plane: Plane, objective: Objective) -> PlaneModel:
    """A model that came without buffers has the objective's own where it is the objective's model."""
    if model.buffers or not model.lies_on_plane or not _is_model_at(objective, plane, model.place):
        return model
    return replace(model, buffers=buffers_of(objective))


def _is_model_at(objective: Objective, plane: Plane, place: tuple[float, ...]) -> bool:
    """Whether the weights of the plane there are the objective's."""
    center = objective.params
    here = plane.point(*place) if any(place) else plane.center
    shared = [n for n in here if n in center and here[n].is_floating_point() and here[n].shape == center[n].shape]
    apart = sum(float((here[n].to(center[n]) - center[n]).double().square().sum()) for n in shared if here[n] is not center[n])
    return apart <= SAME_WEIGHTS_RTOL**2 * sum(float(center[n].double().square().sum()) for n in shared)
