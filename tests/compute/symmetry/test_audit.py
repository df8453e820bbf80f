"""Couplings, the audit and balancing on models whose symmetries are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from compute.curvature.cases import attention, convolutional, recurrent
from lossatlas.compute.symmetry.audit import balance_neurons, symmetry_audit
from lossatlas.compute.symmetry.neuron_groups import (
    find_neuron_groups,
    module_with_state,
    outputs,
    permute_neurons,
    scale_neurons,
    states_of,
)


def relu_net(seed: int = 0, activation: type[nn.Module] = nn.ReLU) -> la.Objective:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 16), activation(), nn.Linear(16, 12), activation(), nn.Linear(12, 3)).double()
    return la.Objective(net, F.cross_entropy, (torch.randn(60, 6).double(), torch.arange(60) % 3))


class Residual(nn.Module):
    """Inside the block neurons are free; on the stream they are not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv1, self.bn1 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5)
        self.conv2, self.head = nn.Conv2d(5, 4, 3, padding=1), nn.Linear(4 * 9, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(x + self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return self.head(F.max_pool2d(x, 2).flatten(1))


def residual() -> la.Objective:
    torch.manual_seed(1)
    net = Residual().double()
    net.bn1.running_var.uniform_(0.5, 2)
    return la.Objective(net, F.cross_entropy, (torch.randn(30, 1, 6, 6).double(), torch.arange(30) % 3))


def test_couplings_of_a_perceptron() -> None:
    found = find_neuron_groups(relu_net())
    assert [(c.producer, c.consumer, c.neurons, c.scales, c.permutes) for c in found] == [
        ("0", "2", 16, True, True),
        ("2", "4", 12, True, True),
    ]


def test_tanh_neurons_can_be_reordered_but_not_rescaled() -> None:
    assert [(c.scales, c.permutes) for c in find_neuron_groups(relu_net(activation=nn.Tanh))] == [(False, True)] * 2


def test_only_what_is_inside_a_residual_block_is_free() -> None:
    found = find_neuron_groups(residual())
    assert [(c.producer, c.norm, c.consumer) for c in found] == [("conv1", "bn1", "conv2")]


def test_flattened_channels_stay_together() -> None:
    (found,) = find_neuron_groups(convolutional())
    assert (found.producer, found.norm, found.consumer, found.neurons, found.inputs_per_neuron) == ("0", "1", "5", 3, 4)


@pytest.mark.parametrize("make", [recurrent, attention])
def test_models_without_couplings_have_none(make) -> None:
    assert find_neuron_groups(make()) == ()
    assert symmetry_audit(make())["neuron"].respected is None


@pytest.mark.parametrize("make", [relu_net, residual, convolutional])
def test_transformed_models_compute_the_same(make) -> None:
    objective = make()
    for coupling in find_neuron_groups(objective):
        order, factors = torch.randperm(coupling.neurons), torch.rand(coupling.neurons, dtype=torch.float64) + 0.1
        for states in (permute_neurons(states_of(objective), coupling, order), scale_neurons(states_of(objective), coupling, factors)):
            module = module_with_state(objective, states)
            batch = objective.data.batches[0][0]
            assert objective.module is not None
            torch.testing.assert_close(module(batch), objective.module(batch), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("normalize", "layer", "neuron"),
    [("filter", True, False), ("layer", True, False), ("weight", True, True), ("none", False, False)],
)
def test_what_each_normalization_respects(normalize, layer, neuron) -> None:
    audit = symmetry_audit(relu_net(), normalize)
    assert audit["layer"].function_change < 1e-12
    assert audit["layer"].respected is layer
    assert audit["neuron"].respected is neuron
    assert audit["permutation"].respected is True
    assert audit["permutation"].landscape_change < 1e-12
    if layer:
        assert audit["layer"].landscape_change < 1e-9


def test_filter_normalization_respects_batchnorm_scale_as_its_epsilon_vanishes() -> None:
    objective = residual()
    assert objective.module is not None
    objective.module.bn1.eps = 1e-14
    assert symmetry_audit(objective, "filter")["batchnorm"].landscape_change < 1e-11
    assert symmetry_audit(objective, "layer")["batchnorm"].respected is False


def test_the_audit_reads_as_a_table() -> None:
    text = str(symmetry_audit(relu_net()))
    assert "neuron       NOT respected" in text
    assert "batchnorm    –              not found" in text


def test_balancing_makes_planes_of_rescaled_copies_agree() -> None:
    objective = relu_net()
    states = states_of(objective)
    for coupling in find_neuron_groups(objective):
        states = scale_neurons(states, coupling, torch.rand(coupling.neurons, dtype=torch.float64) * 3 + 0.1)
    x, y = objective.data.batches[0]
    copies = [la.Objective(m, F.cross_entropy, (x, y)) for m in (objective.module, module_with_state(objective, states))]
    raw, even = (
        [_line(la.Objective(change(o), F.cross_entropy, (x, y))) for o in copies] for change in (lambda o: o.module, balance_neurons)
    )
    assert np.abs(raw[0] - raw[1]).max() > 0.1 * np.ptp(raw[0])
    np.testing.assert_allclose(even[0], even[1], rtol=1e-11)


@pytest.mark.parametrize("make", [relu_net, residual, convolutional])
def test_balancing_keeps_the_function_and_the_given_model(make) -> None:
    objective = make()
    before = {n: t.clone() for n, t in states_of(objective).items()}
    again = la.Objective(balance_neurons(objective), F.cross_entropy, objective.data.batches[0])
    torch.testing.assert_close(outputs(again, states_of(again)), outputs(objective, states_of(objective)), rtol=1e-11, atol=1e-12)
    assert all(torch.equal(before[n], t) for n, t in states_of(objective).items())


def test_nothing_to_balance_or_to_look_at() -> None:
    with pytest.raises(la.InputError, match="rescalable"):
        balance_neurons(relu_net(activation=nn.Tanh))
    with pytest.raises(la.InputError, match="made from an"):
        symmetry_audit(la.Objective(lambda p, _: p["w"].sum(), params={"w": torch.ones(2)}))


def _line(objective: la.Objective) -> np.ndarray:
    return la.evaluate(objective, la.random_plane(objective, seed=1, ndim=1), resolution=5).loss.values
