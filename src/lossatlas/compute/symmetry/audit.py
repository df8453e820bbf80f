"""Symmetry audit: which rescalings and permutations of the given model a landscape notices.

A network computes the same function at many places in weight space (Dinh et al. 2017, arXiv 1703.04933). Whatever
changes between them is about the weights and not about the function. Each symmetry is applied to the model, the same
seeded direction is normalized anew, and the change of the curve along it is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import Params
from lossatlas.compute.planes.direction import random_directions
from lossatlas.compute.planes.filter_axes import filter_axes
from lossatlas.compute.planes.normalization import Normalize, normalize_direction
from lossatlas.compute.symmetry.neuron_groups import (
    NeuronGroup,
    batchnorm_pairs,
    find_neuron_groups,
    module_with_state,
    outputs,
    permute_neurons,
    relative_change,
    scale_batchnorm,
    scale_neurons,
    states_of,
)
from lossatlas.errors import InputError

LAYER_FACTOR = 10.0
RESPECTED = 1e-3
"""A curve that changes by less than this share of its range is called the same."""


@dataclass(frozen=True)
class SymmetryFinding:
    """Effect of one symmetry on the model and on its landscape.

    Attributes:
        symmetry: "layer", "neuron", "batchnorm" or "permutation".
        applied: to how many layers; 0 where the model has none of it.
        function_change: greatest relative change of the outputs; near 0 for a true symmetry.
        landscape_change: greatest change of the loss along the line, as a share of its range.
        respected: whether the landscape is the same.
        sentence: the finding in words.
    """

    symmetry: str
    applied: int
    function_change: float
    landscape_change: float
    respected: bool | None
    sentence: str


@dataclass(frozen=True)
class SymmetryAudit:
    """The findings for one normalization."""

    normalize: str
    seed: int
    findings: tuple[SymmetryFinding, ...]

    def __getitem__(self, symmetry: str) -> SymmetryFinding:
        return next(f for f in self.findings if f.symmetry == symmetry)

    def __str__(self) -> str:
        head = f"symmetry audit, normalize={self.normalize!r}, seed {self.seed}"
        rows = [f"{f.symmetry:12} {_verdict(f):14} {f.sentence}" for f in self.findings]
        return "\n".join([head, *rows])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a summary."""
        return {"normalize": self.normalize, "seed": self.seed, "findings": [vars(f) for f in self.findings]}


def symmetry_audit(
    objective: Objective, normalize: Normalize = "filter", seed: int = 0, *, bounds: tuple[float, float] = (-1.0, 1.0), resolution: int = 9
) -> SymmetryAudit:
    """Measure, on this very model, which symmetries a normalized random line respects.

    Args:
        objective: made from an nn.Module; its data are used at every point.
        normalize: of the direction, as in `random_plane`.
        seed: of the direction and of the transformations.
        bounds: of the line.
        resolution: points along it.

    Raises:
        InputError: the objective has no module.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()
        >>> data = torch.randn(20, 4, dtype=torch.float64), torch.arange(20) % 3
        >>> audit = symmetry_audit(Objective(net, nn.functional.cross_entropy, data))
        >>> audit["layer"].respected, audit["neuron"].respected
        (True, False)
    """
    states = states_of(objective)
    groups = find_neuron_groups(objective)
    line = _Line(objective, normalize, seed, tuple(np.linspace(*bounds, resolution).tolist()))
    before = line.curve(states)
    findings = []
    for symmetry, (count, change) in _transformations(objective, groups, seed).items():
        findings.append(_finding(symmetry, count, change, states, line, before))
    return SymmetryAudit(normalize, seed, tuple(findings))


def balance_neurons(objective: Objective, sweeps: int = 100, tol: float = 1e-12) -> nn.Module:
    """A copy of the model that computes the same and whose every rescalable neuron is balanced.

    Row i of a layer is multiplied by ``sqrt(|outgoing weights| / |incoming weights|)``, its bias too, and the outgoing
    weights are divided by it, layer after layer until nothing moves (equi-normalization, Stock et al. 2019). The fixed
    point is unique, so planes of rescaled copies agree afterwards. Behind a BatchNorm the neuron's own scale and shift
    stand for its incoming weights.

    Args:
        objective: made from an nn.Module.
        sweeps: at most so many passes over the layers.
        tol: stop when no factor differs from 1 by more.

    Raises:
        InputError: the objective has no module, or no layer of it can be rescaled.
    """
    groups = [c for c in find_neuron_groups(objective) if c.scales]
    if not groups:
        raise InputError("objective", objective.name, "a model with rescalable neurons (layers with ReLU between them)")
    states = {n: t.double() if t.is_floating_point() else t for n, t in states_of(objective).items()}
    for _ in range(sweeps):
        moved = 0.0
        for group in groups:
            factors = _balancing(states, group)
            states = scale_neurons(states, group, factors)
            moved = max(moved, float((factors - 1).abs().max()))
        if moved <= tol:
            break
    return module_with_state(objective, states)


def _balancing(states: Params, coupling: NeuronGroup) -> Tensor:
    consumer = states[f"{coupling.consumer}.weight"]
    out = consumer.transpose(0, 1).reshape(coupling.neurons, -1).norm(dim=1)
    rows = [states[f"{coupling.producer}.weight"].flatten(1)]
    if coupling.norm is not None:
        rows = [states[f"{coupling.norm}.{part}"][:, None] for part in ("weight", "bias")]
    into = torch.cat(rows, dim=1).norm(dim=1)
    ratio = (out / into).sqrt()
    return torch.where((out > 0) & (into > 0), ratio, torch.ones_like(ratio))


Change = Callable[[Params], Params]


def _transformations(objective: Objective, groups: tuple[NeuronGroup, ...], seed: int) -> dict[str, tuple[int, Change]]:
    """By symmetry, on how many layers it acts and what it does to the states."""
    generator = torch.Generator().manual_seed(seed)
    scalable, movable = [c for c in groups if c.scales], [c for c in groups if c.permutes]
    pairs = batchnorm_pairs(objective)
    uneven = {c: torch.rand(c.neurons, generator=generator, dtype=torch.float64).mul(2.3).sub(1.15).exp() for c in scalable}
    orders = {c: torch.randperm(c.neurons, generator=generator) for c in movable}
    factors = {pair: torch.rand(pair[2], generator=generator, dtype=torch.float64).mul(2.3).sub(1.15).exp() for pair in pairs}
    return {
        "layer": (
            min(1, len(scalable)),
            _chain(scale_neurons, {c: torch.full((c.neurons,), LAYER_FACTOR, dtype=torch.float64) for c in scalable[:1]}),
        ),
        "neuron": (len(scalable), _chain(scale_neurons, uneven)),
        "batchnorm": (len(pairs), _chain(lambda s, p, f: scale_batchnorm(s, p[0], p[1], f), factors)),
        "permutation": (len(movable), _chain(permute_neurons, orders)),
    }


def _chain(apply: Callable[[Params, Any, Tensor], Params], steps: dict[Any, Tensor]) -> Change:
    def change(states: Params) -> Params:
        device = next(iter(states.values())).device
        for what, how in steps.items():
            states = apply(states, what, how.to(device))
        return states

    return change


@dataclass(frozen=True)
class _Line:
    """A seeded, normalized random line through whatever states it is given."""

    objective: Objective
    normalize: Normalize
    seed: int
    places: tuple[float, ...]

    def direction(self, states: Params) -> Params:
        center = {n: states[n] for n in self.objective.params}
        (drawn,) = random_directions(center, self.seed, 1)
        return normalize_direction(drawn, center, self.normalize, filter_axes(self.objective.module))

    def curve(self, states: Params, direction: Params | None = None) -> NDArray[np.float64]:
        step = self.direction(states) if direction is None else direction
        return np.array([self.objective.loss({**states, **{n: states[n] + place * d for n, d in step.items()}}) for place in self.places])


def _finding(symmetry: str, count: int, change: Change, states: Params, line: _Line, before: NDArray[np.float64]) -> SymmetryFinding:
    if not count:
        return SymmetryFinding(symmetry, 0, 0.0, 0.0, None, "not found in this model")
    new = change(states)
    function = relative_change(outputs(line.objective, new), outputs(line.objective, states))
    moved = _curve_change(line.curve(new), before)
    if symmetry != "permutation":
        return SymmetryFinding(symmetry, count, function, moved, moved < RESPECTED, _sentence(count, function, moved))
    # The direction is permuted with the model: the same seed on reordered neurons is only another draw.
    along = _curve_change(line.curve(new, _permuted_direction(change, states, line)), before)
    text = f"{_sentence(count, function, along)} (with the direction reordered too; the bare seed draws another line: {moved:.2g})"
    return SymmetryFinding(symmetry, count, function, along, along < RESPECTED, text)


def _permuted_direction(change: Change, states: Params, line: _Line) -> Params:
    step = line.direction(states)
    moved = change({n: step.get(n, torch.zeros_like(t)) for n, t in states.items()})
    return {n: moved[n] for n in step}


def _curve_change(new: NDArray[np.float64], old: NDArray[np.float64]) -> float:
    return float(np.nanmax(np.abs(new - old)) / max(float(np.nanmax(old) - np.nanmin(old)), 1e-300))


def _sentence(count: int, function: float, moved: float) -> str:
    return f"{count} layer{'s' if count > 1 else ''}, outputs change by {function:.1g}, the line by {moved:.2g} of its range"


def _verdict(finding: SymmetryFinding) -> str:
    return {None: "–", True: "respected", False: "NOT respected"}[finding.respected]
