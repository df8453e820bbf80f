"""Anchored BatchNorm statistics: re-estimated over the plane, and at each model on it that model's own.

At a point the statistics are estimated anew from the data (`BatchNormCalibration`). A model's stored averages differ from what
is estimated with its weights: they lag behind, hold another data set, or are those of an untrained network. Within reach of a
model, which is half the distance to the nearest other one, the estimate is therefore shifted by a share ``(1 - (d / reach)^2)^2``
of that difference: all of it at the model (d = 0), where the loss is that model's own, and smoothly nothing at the reach. Means
are shifted by a sum, variances by a factor, so that they stay positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossatlas._util.out_of_memory import out_of_memory
from lossatlas.compute.objective.module.batchnorm import batchnorm_layers, statistics_names
from lossatlas.compute.params.arithmetic import cast_like, dot
from lossatlas.compute.params.params import Params
from lossatlas.errors import InputError

if TYPE_CHECKING:
    from lossatlas.compute.objective.objective import Objective
    from lossatlas.compute.planes.plane import Plane, PlaneModel

HERE = 1e-9
"""A point this close to a model, as a share of its reach, is the model."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """The models that lie on a plane, with their own statistics.

    Attributes:
        places: coordinates, ``(models, ndim)``.
        gram: inner products of the plane's directions, ``(ndim, ndim)``.
        reaches: half the distance from each to the nearest other model, ``(models,)``.
        stored: each model's stored statistics.
        shifts: from the estimate with its weights to its own; of variances the factor.
        epsilons: what each layer adds to its variances.
    """

    places: NDArray[np.float64]
    gram: NDArray[np.float64]
    reaches: NDArray[np.float64]
    stored: tuple[Params, ...]
    shifts: tuple[Params, ...]
    epsilons: Mapping[str, float]

    @classmethod
    def of(cls, objective: Objective, plane: Plane) -> Anchors:
        """Estimate the statistics at every model on the plane once, and note how the stored ones differ.

        Args:
            objective: in mode "anchored".
            plane: through several models, in the objective's dtypes.
        """
        assert objective.module is not None
        gram = np.array([[dot(a.params, b.params) for b in plane.directions] for a in plane.directions])
        epsilons = {name: layer.eps for name, layer in batchnorm_layers(objective.module).items()}
        names = statistics_names(objective.module)
        held = [(m, {n: b for n, b in m.buffers.items() if n in names}) for m in plane.models if m.lies_on_plane]
        held = [(model, cast_like(stored, objective.state)) for model, stored in held if stored]
        points = [{**plane.point(*model.place), **other_buffers(objective, plane, model.place)} for model, _ in held]
        shifts = [_shift(stored, _estimated(objective, point), epsilons) for point, (_, stored) in zip(points, held, strict=True)]
        return cls(
            np.array([model.place for model, _ in held]).reshape(-1, plane.ndim),
            gram,
            np.array([_reach(model, plane.models, gram) for model, _ in held]),
            tuple(stored for _, stored in held),
            tuple(shifts),
            epsilons,
        )

    def statistics(self, place: tuple[float, ...], estimate: Callable[[], Params]) -> Params:
        """Statistics at a place; `estimate` gives those of the data there, and is not asked at a model's own place."""
        if not self.stored:
            return estimate()
        offsets = self.places - np.asarray(place)
        away = np.sqrt(np.einsum("ij,jk,ik->i", offsets, self.gram, offsets)) / self.reaches
        nearest = int(np.argmin(away))
        if away[nearest] <= HERE:
            return dict(self.stored[nearest])
        estimated = estimate()
        share = (1 - float(away[nearest]) ** 2) ** 2 if away[nearest] < 1 else 0.0
        return _shifted(estimated, self.shifts[nearest], share, self.epsilons) if share else estimated

    def to(self, device: str) -> Anchors:
        """The same with tensors on another device."""
        stored, shifts = (tuple({n: t.to(device) for n, t in each.items()} for each in several) for several in (self.stored, self.shifts))
        return replace(self, stored=stored, shifts=shifts)


def _estimated(objective: Objective, point: Params) -> Params:
    try:
        return objective.estimated(point)
    except Exception as error:
        if isinstance(error, InputError) or out_of_memory(error):
            raise
        expected, advice = "a model whose statistics can be estimated from every batch", 'Choose another batch_size, or mode="eval"'
        raise InputError("model", f"{type(error).__name__}: {error}", expected, advice) from error


def other_buffers(objective: Objective, plane: Plane, place: tuple[float, ...]) -> Params:
    """Buffers that are no normalization statistics, mixed between the models as their weights are."""
    names = frozenset() if objective.module is None else statistics_names(objective.module)
    return {n: b for n, b in plane.buffers_at(*place).items() if n not in names}


def _reach(model: PlaneModel, models: tuple[PlaneModel, ...], gram: NDArray[np.float64]) -> float:
    """Half the distance to the nearest other model; two at one place, such as two starts of one network, are one."""
    offsets = np.array([other.place for other in models]) - np.asarray(model.place)
    squares = np.einsum("ij,jk,ik->i", offsets, gram, offsets) + np.array([other.residual for other in models]) ** 2
    others = np.sqrt(squares[squares > 1e-12 * squares.max(initial=0.0)])
    return float(others.min()) / 2 if len(others) else float("inf")


def _shift(stored: Params, estimate: Params, epsilons: Mapping[str, float]) -> Params:
    return {n: _logarithm(stored[n], n, epsilons) - _logarithm(value, n, epsilons) for n, value in estimate.items() if n in stored}


def _shifted(estimate: Params, shift: Params, share: float, epsilons: Mapping[str, float]) -> Params:
    return {n: v if n not in shift else _back(_logarithm(v, n, epsilons) + share * shift[n], n, epsilons) for n, v in estimate.items()}


def _logarithm(value: Tensor, name: str, epsilons: Mapping[str, float]) -> Tensor:
    """The logarithm of a variance and its epsilon, by which a layer divides; a mean as it is."""
    return (value + _epsilon(name, epsilons)).log() if name.endswith("running_var") else value


def _back(value: Tensor, name: str, epsilons: Mapping[str, float]) -> Tensor:
    return (value.exp() - _epsilon(name, epsilons)).clamp(min=0) if name.endswith("running_var") else value


def _epsilon(name: str, epsilons: Mapping[str, float]) -> float:
    # A layer may be given an epsilon of zero, and a dead channel has no variance.
    return max(epsilons[name.rpartition(".")[0]], torch.finfo(torch.float32).tiny)
