"""Whose buffers a plane is measured with: BatchNorm's running statistics belong to one model, and lie about any other.

An objective built before a training holds the statistics of the untrained network. Measured with those, the final weights of
a small network have a loss of 0.85 where their own is 0.03.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor

from lossatlas.compute.batchnorm import norms
from lossatlas.compute.objective import Objective, check_objective
from lossatlas.compute.params import Params
from lossatlas.compute.plane import Plane

SAME = 4e-3
"""Weights this close, relative to their norm, are one model: the rounding of a recording in half precision."""


def about(objective: Objective, plane: Plane) -> Objective:
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
        own = dict(objective.module.named_buffers())
        with_theirs = objective.at({n: b for n, b in plane.buffers[0].items() if n in own})
        return with_theirs.described(statistics="plane") if keeps_statistics(objective) else with_theirs
    if not keeps_statistics(objective) or _same_model(objective.params, plane):
        return objective
    warnings.warn(
        f"The objective's BatchNorm statistics belong to another model than the one on this plane (kind {plane.kind!r}), "
        "and the plane brings none: its values are not that model's loss. Pass objective.at(state) with the model's weights and "
        "buffers, such as trajectory.state(-1), or an Objective made of that model.",
        UserWarning,
        stacklevel=4,
    )
    return objective.described(statistics="another model")


def keeps_statistics(objective: Objective) -> bool:
    """Whether stored BatchNorm statistics have a say in the objective's values."""
    return objective.mode == "eval" and objective.module is not None and bool(norms(objective.module))


def without_statistics(objective: Objective, tensors: Mapping[str, Tensor]) -> Params:
    """`tensors` less the buffers that the mode leaves out: handed to BatchNorm, they would undo "batch" and "train"."""
    if objective.module is None or objective.mode not in ("batch", "train"):
        return dict(tensors)
    left_out = {f"{name}.{kind}" for name in norms(objective.module) for kind in ("running_mean", "running_var", "num_batches_tracked")}
    return {name: value for name, value in tensors.items() if name not in left_out}


def _same_model(own: Params, plane: Plane) -> bool:
    """Whether the model on the plane is the one of weights `own`; one between or off them all is nobody's."""
    if plane.origin is None or len(plane.buffers) > 1:
        return True
    here = plane.point(*plane.origin) if any(plane.origin) else plane.center
    shared = [n for n in here if n in own and here[n].is_floating_point() and here[n].shape == own[n].shape]
    apart = sum(float((here[n].to(own[n]) - own[n]).double().square().sum()) for n in shared if here[n] is not own[n])
    return apart <= SAME**2 * sum(float(own[n].double().square().sum()) for n in shared)
