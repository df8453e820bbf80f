"""Groups of neurons that can be rescaled or permuted without changing what the model computes.

Two layers are coupled when the one's output neurons are the other's inputs and nothing else reads them. The structure
only suggests couplings; each is then tried on the data and kept if the outputs stay the same. So a residual stream,
a tanh or a layer used twice is never mistaken for a symmetry.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import Params, params_of
from lossatlas.errors import InputError

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
TRIED_SAMPLES = 64


@dataclass(frozen=True)
class NeuronGroup:
    """Neurons between two layers.

    Attributes:
        producer: the layer whose outputs they are.
        consumer: the layer that reads them.
        norm: the BatchNorm in between, or None.
        neurons: how many.
        inputs_per_neuron: consecutive inputs of the consumer that belong to one neuron (pixels of a flattened channel), else 1.
        scales: multiplying a neuron and dividing what reads it changes nothing (ReLU and its like).
        permutes: reordering the neurons changes nothing (any activation).
    """

    producer: str
    consumer: str
    norm: str | None
    neurons: int
    inputs_per_neuron: int
    scales: bool = False
    permutes: bool = False


def states_of(objective: Objective) -> Params:
    """Parameters and buffers together: all that `functional_call` replaces.

    Raises:
        InputError: the objective has no module.
    """
    if objective.module is None:
        raise InputError("objective", "a callable", "an Objective made from an nn.Module", "Symmetries are looked for in its layers")
    return {**{n: b.detach() for n, b in objective.module.named_buffers()}, **objective.params}


def find_neuron_groups(objective: Objective) -> tuple[NeuronGroup, ...]:
    """Every coupling that holds on the objective's own data, in the order of the layers."""
    states = states_of(objective)
    groups: dict[str, NeuronGroup] = {}
    for candidate in _candidates(objective):
        if candidate.producer in groups:
            continue
        scales, permutes = (
            _preserves_outputs(objective, states, candidate, "scale"),
            _preserves_outputs(objective, states, candidate, "permute"),
        )
        if scales or permutes:
            c = candidate
            groups[c.producer] = NeuronGroup(c.producer, c.consumer, c.norm, c.neurons, c.inputs_per_neuron, scales, permutes)
    return tuple(groups.values())


def scale_neurons(states: Params, coupling: NeuronGroup, factors: Tensor) -> Params:
    """Multiply each neuron by its positive factor and divide what reads it; behind a BatchNorm, its scale and shift.

    Args:
        states: parameters and buffers.
        coupling: which neurons.
        factors: ``(neurons,)``, float64 to keep the function to the last digits.
    """
    source = coupling.norm or coupling.producer
    return {
        **states,
        **_times(states, (f"{source}.weight", f"{source}.bias"), factors, axis=0),
        **_times(states, (f"{coupling.consumer}.weight",), 1 / _spread(factors, coupling), axis=1),
    }


def permute_neurons(states: Params, coupling: NeuronGroup, order: Tensor) -> Params:
    """Put neuron ``order[i]`` at place i, in the layer, its BatchNorm and what reads it."""
    rows = [f"{coupling.producer}.{part}" for part in ("weight", "bias")]
    if coupling.norm is not None:
        rows += [f"{coupling.norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    changed = {name: states[name][order] for name in rows if name in states}
    columns = f"{coupling.consumer}.weight"
    wide = (order[:, None] * coupling.inputs_per_neuron + torch.arange(coupling.inputs_per_neuron, device=order.device)).reshape(-1)
    return {**states, **changed, columns: states[columns][:, wide]}


def scale_batchnorm(states: Params, producer: str, norm: str, factors: Tensor) -> Params:
    """Rescale the filters before a BatchNorm, and its statistics with them: the same function up to its epsilon."""
    return {
        **states,
        **_times(states, (f"{producer}.weight", f"{producer}.bias", f"{norm}.running_mean"), factors, axis=0),
        **_times(states, (f"{norm}.running_var",), factors**2, axis=0),
    }


def batchnorm_pairs(objective: Objective) -> tuple[tuple[str, str, int], ...]:
    """Layers followed by a BatchNorm over their outputs: producer, BatchNorm and neurons, as registered."""
    return tuple((p, n, len(layer.weight)) for p, layer, n in _traced_order(objective) if n is not None)


def outputs(objective: Objective, states: Params, samples: int = TRIED_SAMPLES) -> Tensor:
    """The model's outputs on the first samples, for parameters and buffers given together."""
    with objective.no_autograd():
        scores = objective.score(states, _head(objective.data.batches[0], samples))
    logits = getattr(scores.outputs, "logits", scores.outputs)
    if not isinstance(logits, Tensor):
        raise InputError("objective", type(logits).__name__, "a model that returns a tensor")
    return logits


def relative_change(new: Tensor, old: Tensor) -> float:
    """The greatest difference over the greatest value."""
    return float((new - old).abs().max() / old.abs().max().clamp(min=1e-30))


def _preserves_outputs(objective: Objective, states: Params, coupling: NeuronGroup, kind: str) -> bool:
    generator = torch.Generator().manual_seed(0)
    like = states[f"{coupling.producer}.weight"]
    try:
        if kind == "scale":
            factors = torch.rand(coupling.neurons, generator=generator).add(0.5).to(like.device).double()
            changed = scale_neurons(states, coupling, factors)
        else:
            changed = permute_neurons(states, coupling, torch.randperm(coupling.neurons, generator=generator).to(like.device))
        change = relative_change(outputs(objective, changed), outputs(objective, states))
    except (RuntimeError, IndexError, KeyError):
        return False
    return change < (1e-9 if like.dtype == torch.float64 else 1e-4)


def _candidates(objective: Objective) -> Iterator[NeuronGroup]:
    """Neighbors in the order of registration; with the BatchNorm between them, and without."""
    layers = _traced_order(objective)
    for (producer, a, norm), (consumer, b, _) in pairwise(layers):
        neurons, inputs = len(a.weight), b.weight.shape[1]
        if neurons < 2 or inputs % neurons or (inputs != neurons and not isinstance(b, nn.Linear)):
            continue
        for between in dict.fromkeys((norm, None)):
            yield NeuronGroup(producer, consumer, between, neurons, inputs // neurons)


def _traced_order(objective: Objective) -> list[tuple[str, Layer, str | None]]:
    """Every ungrouped layer with the BatchNorm that comes next, or that has its number (``conv2`` and ``bn2``)."""
    assert objective.module is not None
    modules = [(n, m) for n, m in objective.module.named_modules() if isinstance(m, LAYERS + NORMS)]
    order: list[tuple[str, Layer, str | None]] = []
    for index, (name, module) in enumerate(modules):
        if not isinstance(module, LAYERS) or getattr(module, "groups", 1) != 1:
            continue
        norms = [
            n
            for n, m in (*modules[index + 1 : index + 2], *_numbered(name, modules))
            if isinstance(m, NORMS) and m.num_features == len(module.weight)
        ]
        order.append((name, module, norms[0] if norms else None))
    return order


def _numbered(name: str, modules: Sequence[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    parent, _, local_name = name.rpartition(".")
    digits = re.search(r"\d+$", local_name)
    if not digits or local_name.isdigit():
        return []
    return [(n, m) for n, m in modules if n.rpartition(".")[0] == parent and n != name and n.endswith(digits.group())]


def _times(states: Params, names: Sequence[str], factors: Tensor, axis: int) -> Params:
    changed: Params = {}
    for name in names:
        if (value := states.get(name)) is not None:
            shape = [1] * value.dim()
            shape[axis] = -1
            changed[name] = (value * factors.reshape(shape)).to(value)
    return changed


def _spread(factors: Tensor, coupling: NeuronGroup) -> Tensor:
    return factors.repeat_interleave(coupling.inputs_per_neuron)


def _head(batch: object, samples: int) -> object:
    return pytree.tree_map_only(Tensor, lambda t: t[:samples] if t.dim() else t, batch)


def module_with_state(objective: Objective, states: Params) -> nn.Module:
    """A copy of the objective's module that holds these parameters and buffers."""
    assert objective.module is not None
    module = copy.deepcopy(objective.module)
    state = params_of(module) | dict(module.named_buffers())
    with torch.no_grad():
        for name, value in states.items():
            state[name].copy_(value)
    return module
