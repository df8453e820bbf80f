"""A reordered copy is put back in order exactly, and its barrier is zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lossatlas as la
from compute.curvature.cases import attention
from compute.symmetry.test_audit import relu_net, residual
from lossatlas.compute.connectivity import Curve, evaluate_curve, match_weights
from lossatlas.compute.symmetry.neuron_groups import find_neuron_groups, module_with_state, permute_neurons, states_of


@pytest.mark.parametrize("make", [relu_net, residual])
def test_a_shuffled_copy_is_recovered_with_barrier_zero(make) -> None:
    objective = make()
    states, orders = states_of(objective), {}
    for coupling in find_neuron_groups(objective):
        orders[coupling.producer] = torch.randperm(coupling.neurons, generator=torch.Generator().manual_seed(7))
        states = permute_neurons(states, coupling, orders[coupling.producer])
    batch = objective.data.batches[0]
    shuffled = la.Objective(module_with_state(objective, states), F.cross_entropy, batch)
    found = match_weights(shuffled, objective)
    for layer, order in orders.items():
        np.testing.assert_array_equal(order.numpy()[found.orders[layer]], np.arange(len(order)))
    assert found.distance_before > 1
    assert found.distance_after == 0
    for name, value in found.module.state_dict().items():
        assert torch.equal(value, states_of(objective)[name]), name
    raw, aligned = (evaluate_curve(objective, Curve.polygonal(objective, m), 5, mode="eval") for m in (shuffled, found.module))
    assert np.ptp(raw.loss.values) > 1e-3
    assert np.ptp(aligned.loss.values) < 1e-12
    assert aligned.attrs["barrier"]["loss"] == pytest.approx(0, abs=1e-12)


def test_two_networks_come_nearer_and_compute_what_they_did() -> None:
    a, b = relu_net(0), relu_net(5)
    found = match_weights(b, a)
    assert found.distance_after < found.distance_before
    x = b.data.batches[0][0]
    assert b.module is not None
    torch.testing.assert_close(found.module(x), b.module(x), rtol=1e-12, atol=1e-12)
    again = match_weights(la.Objective(found.module, F.cross_entropy, b.data.batches[0]), a)
    assert again.distance_after == pytest.approx(found.distance_after, rel=0.05)


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(la.InputError, match="reordered"):
        match_weights(attention(), attention())
    with pytest.raises(la.InputError, match="names"):
        match_weights(relu_net(), residual())
