"""Lazy random directions: kept as a seed, their tensors drawn again one at a time when asked for.

A plane through a model of 70 billion parameters then costs no copies of it, only five kilobytes a tensor: the state
of the generator just before that tensor was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from lossatlas.compute.params.arithmetic import is_differentiable_dtype
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.direction import direction_dtype, sample_normal
from lossatlas.compute.planes.filter_axes import FilterAxis
from lossatlas.compute.planes.normalization import Normalize, normalize_direction


class LazyRandomDirection(Mapping[str, Tensor]):
    """Read as a `dict[str, Tensor]`; every access draws the tensor anew, bit for bit the same.

    Args:
        center: the weights that the direction is scaled to; held, not copied.
        states: the generator's state before each tensor.
        how: normalization.
        axes: as for `normalize_direction`.
    """

    def __init__(self, center: Params, states: Mapping[str, Tensor], how: Normalize, axes: Mapping[str, FilterAxis]) -> None:
        self.center, self.states, self.axes = center, dict(states), dict(axes)
        self.how: Normalize = how

    def __getitem__(self, name: str) -> Tensor:
        weight, generator = self.center[name], torch.Generator()
        generator.set_state(self.states[name])
        drawn = sample_normal(weight, generator).to(device=weight.device, dtype=direction_dtype(weight))
        return normalize_direction({name: drawn}, {name: weight}, self.how, self.axes, biases=True)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.states)

    def __len__(self) -> int:
        return len(self.states)

    def __contains__(self, name: object) -> bool:
        return name in self.states


class CastMapping(Mapping[str, Tensor]):
    """Another such mapping in the dtypes of `like`, cast at every access.

    Args:
        params: what to cast.
        like: holds every name of `params`.
    """

    def __init__(self, params: Mapping[str, Tensor], like: Params) -> None:
        self.params, self.like = params, like

    def __getitem__(self, name: str) -> Tensor:
        return self.params[name].to(self.like[name].dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self.params)

    def __len__(self) -> int:
        return len(self.params)

    def __contains__(self, name: object) -> bool:
        return name in self.params


def lazy_random_directions(
    center: Params, seed: int, count: int, names: tuple[str, ...], how: Normalize, axes: Mapping[str, FilterAxis], biases: bool
) -> list[LazyRandomDirection]:
    """The directions of `random_directions`, normalized, as seeds: same order of drawing, no tensor kept."""
    generator, selected = (
        torch.Generator().manual_seed(seed),
        {n for n in names if is_differentiable_dtype(center[n]) and (biases or center[n].dim() > 1)},
    )
    if not selected:
        normalize_direction({n: center[n] for n in names}, center, how, axes, biases)
    directions = []
    for _ in range(count):
        states: dict[str, Tensor] = {}
        for name, weight in center.items():
            states[name] = generator.get_state()
            sample_normal(weight, generator)
        directions.append(LazyRandomDirection(center, {n: states[n] for n in names if n in selected}, how, axes))
    return directions
