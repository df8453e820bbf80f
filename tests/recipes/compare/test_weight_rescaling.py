"""One function at two weight scales: equal to the bit, stretched along fixed steps, the same when filter-normalized."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

import lossatlas as la
from lossatlas.errors import InputError
from lossatlas.recipes.compare.weight_rescaling import FACTOR, compare_scales, rescaled, width
from lossatlas.zoo.networks import ResNet


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A small residual network whose batch norms have seen data."""
    torch.manual_seed(3)
    made = ResNet(8, shortcut="B")
    with torch.no_grad():
        for _ in range(3):
            made.train()(2 * torch.randn(16, 3, 32, 32) + 1)
    return made.eval()


@pytest.fixture(scope="module")
def objective_of() -> Callable[[nn.Module], la.Objective]:
    torch.manual_seed(4)
    x, y = torch.randn(6, 3, 32, 32), torch.arange(6)
    return lambda model: la.Objective(model, F.cross_entropy, (x, y))


@pytest.mark.parametrize("factor", [2.0, 4.0, 0.5])
def test_the_function_is_the_same_to_the_last_bit(model: nn.Module, factor: float) -> None:
    x = torch.randn(5, 3, 32, 32)
    twin = rescaled(model, factor)
    with torch.no_grad():
        assert torch.equal(model(x), twin(x))
    assert torch.equal(twin.get_parameter("conv1.weight"), factor * model.get_parameter("conv1.weight"))


def test_other_factors_change_it_by_rounding_only(model: nn.Module) -> None:
    exact = model.double()
    x = torch.randn(5, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(rescaled(exact, 3.0)(x), exact(x), rtol=1e-12, atol=1e-12)
    model.float()


def test_convolutions_with_biases_follow() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(plain(x), rescaled(plain, 2.0)(x))


def test_a_network_without_batch_norm_is_refused() -> None:
    with pytest.raises(InputError, match="batch norms"):
        rescaled(nn.Linear(2, 2), 2.0)


@pytest.mark.slow
def test_lines(model: nn.Module, objective_of: Callable[[nn.Module], la.Objective]) -> None:
    """Closed form: along fixed steps the twin's loss at alpha is the original's at alpha / factor."""
    archive = la.open_archive(None, "a")
    found = compare_scales(model, objective_of, archive, resolution=17, seed=1)
    numbers = found.numbers
    assert numbers["output_difference"] == 0.0
    assert numbers["fixed_step"]["largest_difference_after_stretching"] < 1e-6
    assert numbers["filter_normalized"]["largest_difference"] < 1e-4
    assert numbers["fixed_step"]["largest_difference"] > 0.01
    assert sorted(archive.surfaces) == ["scale:filter:1", f"scale:filter:{FACTOR}", "scale:none:1", f"scale:none:{FACTOR}"]
    direct = objective_of(model)
    line = la.random_plane(direct, 1, "none", params=[n for n, p in model.named_parameters() if p.dim() == 4], ndim=1)
    alpha = float(found.lines["none", 1].alpha[3])
    assert float(found.lines["none", 1].loss[3]) == pytest.approx(direct.loss(line.point(alpha)), rel=1e-5)


def test_width_of_a_parabola_and_of_a_line_that_ends_too_early() -> None:
    axis = np.linspace(-3, 3, 61)
    assert width(xr.Dataset({"loss": ("alpha", 4 * axis**2 + 7)}, {"alpha": axis})) == pytest.approx(1.0, abs=0.02)
    assert width(xr.Dataset({"loss": ("alpha", 0.01 * axis**2)}, {"alpha": axis})) is None


def test_a_resolution_that_cannot_be_compared(model: nn.Module, objective_of: Callable[[nn.Module], la.Objective]) -> None:
    with pytest.raises(InputError, match="resolution"):
        compare_scales(model, objective_of, la.open_archive(None, "a"), resolution=40)
