"""Decision regions of a classifier on 2-D data, at every recorded step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.func import functional_call

from lossatlas import schema
from lossatlas.analysis.grid import Bounds, Grid
from lossatlas.compute.inputs.input_objective import InputObjective
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.checks import check_same_layout
from lossatlas.compute.params.params import Params
from lossatlas.compute.paths.weight_blocks import Recording, as_trajectory
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.errors import InputError


def decision_regions(
    model: torch.nn.Module | Objective,
    trajectory: Recording | None = None,
    bounds: Bounds = (-1.0, 1.0),
    resolution: int | Any = 100,
    *,
    data: tuple[Tensor, Tensor] | None = None,
    plane: Plane | None = None,
    save: bool = False,
) -> xr.Dataset:
    """The predicted class over a grid of the two input features, or of a plane in input space.

    Args:
        model: a classifier of inputs ``(samples, 2)``, or an Objective made of one.
        trajectory: gives a map for every recorded step; None gives one map of the model as it is.
        bounds: of the two features, as for `evaluate`.
        resolution: points along each feature.
        data: points ``(samples, 2)`` and their classes ``(samples,)``, to be drawn over the areas.
        save: store the maps beside the recorded curves, in the same trajectory.

        plane: an `input_plane` around the one sample of an `InputObjective`, which is then `model`: the grid lies on it.

    Returns:
        `area_class` over ``("step", "area_x", "area_y")``, small integers; -1 where the outputs are NaN. With `data`
        also `data_x`, `data_y` and `data_class` over ``("sample",)``.

    Raises:
        InputError: a model that does not turn ``(samples, 2)`` into ``(samples, classes)``, the trajectory of another model, or
            points and classes that do not go together; `save` without a trajectory.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> decision_regions(model, resolution=(2, 2)).area_class.values[0].tolist()
        [[0, 1], [0, 0]]
    """
    if plane is not None or isinstance(model, InputObjective):
        return _regions_on_plane(model, plane, trajectory, Grid.make(bounds, resolution, 2))
    module = model.module if isinstance(model, Objective) else model
    if not isinstance(module, torch.nn.Module):
        description = (
            "an objective made of a callable" if isinstance(model, Objective) else getattr(model, "__name__", type(model).__name__)
        )
        raise InputError("model", description, "an nn.Module or an Objective made of one")
    if trajectory is not None:
        trajectory = as_trajectory(trajectory).renamed_like(dict(module.named_parameters()))
        check_same_layout(dict(module.named_parameters()), _whole(module, trajectory), "model and trajectory")
    elif save:
        raise InputError("save", True, "False without a trajectory to save the maps in", "Pass trajectory=")
    drawn = {} if data is None else _points(data)
    grid = Grid.make(bounds, resolution, 2)
    first = next(module.parameters())
    points = torch.as_tensor(grid.points(np.arange(grid.size)), dtype=first.dtype, device=first.device)
    states = [None] if trajectory is None else [trajectory.state(index) for index in range(len(trajectory))]
    steps = np.zeros(1, np.int64) if trajectory is None else trajectory.steps
    maps = np.stack([_classes(module, state, points).reshape(grid.shape) for state in states])
    columns: dict[str, Any] = {
        "step": (("step",), steps),
        "area_x": (("area_x",), grid.axes[0]),
        "area_y": (("area_y",), grid.axes[1]),
        "area_class": (("step", "area_x", "area_y"), maps),
    }
    columns |= drawn
    areas = xr.Dataset({name: (dims, values, schema.variable(name).attrs) for name, (dims, values) in columns.items()})
    if save and trajectory is not None:
        trajectory.store.add(areas, {})
    return areas


def _regions_on_plane(model: Any, plane: Plane | None, trajectory: object, grid: Grid) -> xr.Dataset:
    """The predicted class over a plane in input space; the sample itself stands at (0, 0), in the color of its class."""
    if not isinstance(model, InputObjective) or len(model.inputs) != 1:
        step = "Make one: la.InputObjective(objective, samples=0)"
        raise InputError("model", getattr(model, "name", type(model).__name__), "an la.InputObjective of one sample with plane=", step)
    if plane is None or plane.kind != "input" or plane.ndim != 2 or trajectory is not None:
        raise InputError("plane", plane and plane.kind, "an la.input_plane of two directions, and no trajectory")
    (batch,), classes = model.data.batches, np.empty(grid.size, np.int16)
    with model.no_autograd():
        for number, place in enumerate(grid.points(np.arange(grid.size)).tolist()):
            outputs = model.score(plane.point(*place), batch).outputs
            outputs = getattr(outputs, "logits", outputs)
            if not isinstance(outputs, Tensor) or outputs.dim() != 2 or outputs.shape[1] < 2:
                raise InputError("model", "other outputs", "class scores of shape (1, classes)")
            classes[number] = -1 if bool(outputs.isnan().any()) else int(outputs.argmax(1))
    label = batch[1].argmax(1) if batch[1].dim() > 1 else batch[1]
    columns: dict[str, Any] = {
        "step": (("step",), np.zeros(1, np.int64)),
        "area_x": (("area_x",), grid.axes[0]),
        "area_y": (("area_y",), grid.axes[1]),
        "area_class": (("step", "area_x", "area_y"), classes.reshape(1, *grid.shape)),
        "data_x": (("sample",), np.zeros(1)),
        "data_y": (("sample",), np.zeros(1)),
        "data_class": (("sample",), label.cpu().numpy().astype(np.int64)),
    }
    areas = xr.Dataset({name: (dims, values, schema.variable(name).attrs) for name, (dims, values) in columns.items()})
    return areas.assign_attrs(kind="regions", plane=plane.describe(), objective=dict(model.description))


def _whole(module: torch.nn.Module, trajectory: Trajectory) -> Params:
    """The first recorded weights; those that a partial recording leaves out are the module's own."""
    recorded = trajectory.params(0)
    params = dict(module.named_parameters())
    return recorded if set(recorded) - set(params) or len(recorded) == len(params) else {**params, **recorded}


def _points(data: Any) -> dict[str, Any]:
    """Columns of the points to draw, found to be 2-D and as many as their classes."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError("data", type(data).__name__, "points (samples, 2) and their classes (samples,)", "Pass data=(x, y)")
    points, classes = (part.detach().cpu() if isinstance(part, Tensor) else torch.as_tensor(part) for part in data)
    if points.dim() != 2 or points.shape[1] != 2 or classes.shape != points.shape[:1]:
        problem = f"points {tuple(points.shape)} and classes {tuple(classes.shape)}"
        raise InputError("data", problem, "points (samples, 2) and as many classes (samples,)")
    columns = {"data_x": points[:, 0], "data_y": points[:, 1], "data_class": classes}
    return {name: (("sample",), values.numpy()) for name, values in columns.items()}


def _classes(module: torch.nn.Module, state: Params | None, points: Tensor) -> np.ndarray:
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            outputs = functional_call(module, state or {}, (points,))
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError("model", f"{type(error).__name__}: {error}", "a model that takes inputs of shape (samples, 2)") from error
    finally:
        module.train(was_training)
    if not isinstance(outputs, Tensor) or outputs.shape[:-1] != points.shape[:1] or outputs.shape[-1] < 2:
        problem = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            "model", f"outputs {problem}", f"class scores of shape ({len(points)}, classes)", "Draw the metric's curves instead"
        )
    classes = outputs.argmax(1).to(torch.int16)
    classes[outputs.isnan().any(1)] = -1
    return classes.cpu().numpy()
