"""Weight matching: permute one model's neurons to match another's (Ainsworth et al. 2022, arXiv 2209.04836, section 3.2).

Networks that differ by the order of their neurons compute the same, and the straight line between them still climbs.
Only orders that were tried on the data and keep the outputs are used (`find_neuron_groups`), so a residual stream is left
as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.arithmetic import difference, norm
from lossatlas.compute.params.checks import check_same_layout
from lossatlas.compute.params.params import Params, params_of
from lossatlas.compute.symmetry.neuron_groups import NeuronGroup, find_neuron_groups, module_with_state, permute_neurons, states_of
from lossatlas.errors import InputError


@dataclass(frozen=True, eq=False)
class WeightMatching:
    """A model whose neurons were put in another's order.

    Attributes:
        module: computes what the given model computes, buffers in order too.
        orders: by producing layer, neuron ``order[i]`` of the given model is now neuron i.
        distance_before: Euclidean distance of the parameters from the reference.
        distance_after: the same after reordering.
        sweeps: passes over the layers until no order changed.
    """

    module: nn.Module
    orders: dict[str, NDArray[np.int64]]
    distance_before: float
    distance_after: float
    sweeps: int


def match_weights(objective: Objective, reference: object, seed: int = 0, sweeps: int = 100) -> WeightMatching:
    """Reorder the neurons of `objective`'s model so that its weights come as near to `reference`'s as possible.

    Coordinate descent: layer after layer, in random order, the linear assignment that maximizes the inner product of
    the incoming and outgoing weights with the reference's, until a whole pass changes nothing. The end is a local
    optimum of the distance; each step lowers it or leaves it.

    Args:
        objective: made from the nn.Module to reorder; its data prove which layers may be reordered.
        reference: a module, parameters or an objective of the same shapes.
        seed: of the order of the layers.
        sweeps: at most so many passes.

    Raises:
        InputError: other shapes, or no layer of the model may be reordered.
    """
    goal = params_of(reference)
    check_same_layout(objective.params, goal)
    groups = [c for c in find_neuron_groups(objective) if c.permutes]
    if not groups:
        raise InputError("objective", objective.name, "a model with layers whose neurons can be reordered")
    states, spent = states_of(objective), 0
    orders = {c.producer: np.arange(c.neurons) for c in groups}
    rng = np.random.default_rng(seed)
    for _ in range(sweeps):
        spent += 1
        changed = False
        for index in rng.permutation(len(groups)):
            group = groups[index]
            order = _best_order(states, goal, group)
            if (order == np.arange(group.neurons)).all():
                continue
            states = permute_neurons(states, group, torch.from_numpy(order).to(next(iter(states.values())).device))
            orders[group.producer], changed = orders[group.producer][order], True
        if not changed:
            break
    params = {n: states[n] for n in objective.params}
    return WeightMatching(module_with_state(objective, states), orders, _distance(objective.params, goal), _distance(params, goal), spent)


def _best_order(states: Params, goal: Params, coupling: NeuronGroup) -> NDArray[np.int64]:
    """The order of the present neurons that gains most over leaving them; equal gains leave them."""
    from scipy.optimize import linear_sum_assignment

    gain = (_features(goal, coupling) @ _features(states, coupling).T).cpu().numpy()
    rows, order = linear_sum_assignment(gain, maximize=True)
    present = float(np.trace(gain))
    if float(gain[rows, order].sum()) <= present + 1e-9 * abs(present):
        return np.arange(coupling.neurons)
    return np.asarray(order, dtype=np.int64)


def _features(states: Params, coupling: NeuronGroup) -> Tensor:
    """Everything that belongs to a neuron, in and out, one row a neuron."""
    names = [f"{coupling.producer}.weight", f"{coupling.producer}.bias"]
    if coupling.norm is not None:
        names += [f"{coupling.norm}.weight", f"{coupling.norm}.bias"]
    columns = states[f"{coupling.consumer}.weight"].transpose(0, 1)
    parts = [states[n] for n in names if n in states]
    return torch.cat([p.reshape(coupling.neurons, -1).double() for p in (*parts, columns)], dim=1)


def _distance(a: Params, b: Params) -> float:
    return norm(difference(a, b))
