"""Statistics where they are hard to have: beyond the models, from a batch of one sample, in layers of the user's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from cases import F64
from lossatlas.compute.objective.module.batchnorm import mixed
from lossatlas.errors import InputError
from lossatlas.viz.compose.from_datasets import surface_from
from normalized import LAYERS, ROUNDING, Y, inputs, model, own_loss


def test_extrapolated_variances_are_positive_and_continuous() -> None:
    v, w, u = (torch.tensor(value, dtype=F64) for value in (4.0, 2.0, 3.0))
    assert mixed("running_var", (-0.5, 1.5), [v, w]).item() == pytest.approx(2 * (2 / 4) ** 0.5)
    assert mixed("running_var", (1.5, -0.5), [v, w]).item() == pytest.approx(4 * (4 / 2) ** 0.5)
    assert mixed("running_var", (0.25, 0.75), [v, w]).item() == pytest.approx(2.5)
    inside, outside = (mixed("running_var", (0.3, 0.7 - e, e), [v, w, u]).item() for e in (1e-9, -1e-9))
    assert inside == pytest.approx(outside, rel=1e-7)
    assert mixed("running_mean", (-0.5, 1.5), [v, w]).item() == pytest.approx(1.0)
    assert mixed("running_var", (-3.0, 4.0), [v, torch.zeros((), dtype=F64)]).item() >= 0


@pytest.mark.parametrize("through", ["interpolate", "evaluate"])
def test_beyond_the_models_a_line_has_no_holes_and_says_what_its_statistics_are(through: str) -> None:
    """Variances of 0.2 and 4 on a straight line are negative at -0.5."""
    a, b = (copy.deepcopy(model("BatchNorm1d", seed)) for seed in (0, 1))
    a[1].running_var.fill_(0.2)
    b[1].running_var.fill_(4.0)
    x = LAYERS["BatchNorm1d"][1]
    if through == "evaluate":
        line = la.evaluate(la.Objective(a, F.cross_entropy, (x, Y), mode="interpolated"), la.plane_through(a, b), (-0.5, 1.5), 9)
    else:
        line = la.interpolate(la.Objective(a, F.cross_entropy, (x, Y)), a, b, resolution=9)
        assert any("extrapolated" in note for note in surface_from(line).notes)
        inside = la.interpolate(la.Objective(a, F.cross_entropy, (x, Y)), a, b, (0, 1), 9)
        assert not any("extrapolated" in note for note in surface_from(inside).notes)
    assert np.isfinite(line.loss).all()
    beyond = copy.deepcopy(a)
    with torch.no_grad():
        for name, value in beyond.state_dict().items():
            other = b.state_dict()[name]
            if name.endswith("running_var"):
                value.fill_(0.2 * (0.2 / 4) ** 0.5)
            elif value.is_floating_point():
                value.copy_(1.5 * value - 0.5 * other)
    assert float(line.loss[0]) == pytest.approx(own_loss(beyond, x, "eval"), rel=ROUNDING)


@pytest.mark.parametrize("mode", ["batch", "train", "recalibrated"])
def test_a_last_sample_that_would_be_a_batch_alone_joins_the_one_before(mode: str) -> None:
    net, x = model("BatchNorm1d", 0), torch.cat([LAYERS["BatchNorm1d"][1], inputs(4)[:3]])
    y = torch.arange(33) % 3
    alone = la.Objective(net, F.cross_entropy, (x, y), batch_size=16, mode=mode)
    joined = la.Objective(net, F.cross_entropy, [(x[:16], y[:16]), (x[16:], y[16:])], mode=mode)
    assert alone.data.counts == (16, 17) and alone.samples == 33
    assert alone.loss() == pytest.approx(joined.loss(), rel=1e-12)
    assert alone.with_mode("auto").data.counts in ((16, 16, 1), (16, 17)), "stored statistics need no company"
    surface = la.evaluate(alone, la.random_plane(alone), resolution=(2, 3))
    assert np.isfinite(surface.loss).all()


class Scaled(nn.Module):
    """A layer of the user's own, which nobody knows how to estimate."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale, dtype=F64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_other_buffers_go_along_with_the_weights() -> None:
    torch.manual_seed(0)
    a, b = (nn.Sequential(nn.Linear(4, 5), Scaled(scale), nn.Linear(5, 3)).to(F64) for scale in (1.0, 3.0))
    x = LAYERS["BatchNorm1d"][1]
    line = la.evaluate(la.Objective(a, F.cross_entropy, (x, Y)), la.plane_through(a, b), (0, 1), 3)
    assert line.loss.values[[0, -1]] == pytest.approx([own_loss(net, x, "eval") for net in (a, b)], rel=ROUNDING)


def test_statistics_are_estimated_from_single_samples_together_and_an_impossible_estimate_is_told() -> None:
    a, b = model("BatchNorm1d", 0), model("BatchNorm1d", 1)
    x = LAYERS["BatchNorm1d"][1]
    single = la.Objective(a, F.cross_entropy, (x, Y), batch_size=1)
    line = la.evaluate(single, la.plane_through(a, b), (0, 1), 3)
    whole = la.evaluate(la.Objective(a, F.cross_entropy, (x, Y)), la.plane_through(a, b), (0, 1), 3)
    np.testing.assert_allclose(line.loss, whole.loss, rtol=1e-10)
    with pytest.raises(InputError, match=r'more than 1 value per channel.*mode="eval"'):
        la.evaluate(la.Objective(a, F.cross_entropy, (x[:1], Y[:1])), la.plane_through(a, b), (0, 1), 3)


def test_a_plane_between_models_takes_a_last_batch_of_one_sample_too() -> None:
    a, b = model("BatchNorm1d", 0), model("BatchNorm1d", 1)
    x, y = torch.cat([LAYERS["BatchNorm1d"][1], inputs(4)[:3]]), torch.arange(33) % 3
    objective = la.Objective(a, F.cross_entropy, (x, y), batch_size=16)
    line = la.evaluate(objective, la.plane_through(a, b), (0, 1), 3)
    assert np.isfinite(line.loss).all()
    assert float(line.loss[0]) == pytest.approx(objective.loss(), rel=ROUNDING)
