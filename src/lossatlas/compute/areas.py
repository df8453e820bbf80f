"""Decision areas: what a classifier on 2-D data says everywhere, at every recorded step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.func import functional_call

from lossatlas import schema
from lossatlas.compute.grid import Bounds, Grid
from lossatlas.compute.objective import Objective
from lossatlas.compute.params import Params
from lossatlas.compute.record.trajectory import Trajectory
from lossatlas.errors import InputError


def decision_areas(
    model: torch.nn.Module | Objective,
    trajectory: Trajectory | None = None,
    bounds: Bounds = (-1.0, 1.0),
    resolution: int | Any = 100,
    *,
    data: tuple[Tensor, Tensor] | None = None,
    keep: bool = False,
) -> xr.Dataset:
    """The predicted class over a grid of the two input features.

    Args:
        model: a classifier of inputs ``(samples, 2)``, or an Objective made of one.
        trajectory: gives a map for every recorded step; None gives one map of the model as it is.
        bounds: of the two features, as for `evaluate`.
        resolution: points along each feature.
        data: points ``(samples, 2)`` and their classes ``(samples,)``, to be drawn over the areas.
        keep: store the maps beside the recorded curves, in the same trajectory.

    Returns:
        `area_class` over ``("step", "area_x", "area_y")``, small integers; -1 where the outputs are NaN. With `data`
        also `data_x`, `data_y` and `data_class` over ``("sample",)``.

    Raises:
        InputError: a model that does not turn ``(samples, 2)`` into ``(samples, classes)``.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> decision_areas(model, resolution=(2, 2)).area_class.values[0].tolist()
        [[0, 1], [0, 0]]
    """
    module = model.module if isinstance(model, Objective) else model
    if module is None:
        raise InputError("model", "an objective made of a callable", "an nn.Module or an Objective made of one")
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
    if data is not None:
        columns |= {"data_x": (("sample",), data[0][:, 0].numpy()), "data_y": (("sample",), data[0][:, 1].numpy())}
        columns["data_class"] = (("sample",), data[1].numpy())
    areas = xr.Dataset({name: (dims, values, schema.variable(name).attrs) for name, (dims, values) in columns.items()})
    if keep and trajectory is not None:
        trajectory.store.add(areas, {})
    return areas


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
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError("model", f"outputs {found}", f"class scores of shape ({len(points)}, classes)", "Draw the metric's curves instead")
    classes = outputs.argmax(1).to(torch.int16)
    classes[outputs.isnan().any(1)] = -1
    return classes.cpu().numpy()
