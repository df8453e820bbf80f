"""Curves and barriers against the ring, whose answers are closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.connectivity import Curve, curve_plane, evaluate_curve, fit_curve, project_curve


def ring() -> la.Objective:
    return la.Objective(lambda p, _: ((p["w"] ** 2).sum() - 1) ** 2, params={"w": torch.zeros(2, dtype=torch.float64)})


def at(x: float, y: float) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor([x, y], dtype=torch.float64)}


LEFT, RIGHT = at(-1, 0), at(1, 0)


def test_the_straight_line_through_a_ring_has_barrier_one() -> None:
    line = evaluate_curve(ring(), Curve.polygonal(LEFT, RIGHT), 25)
    assert line.attrs["barrier"] == {"loss": 1.0, "loss_at": 0.5}


def test_a_line_goes_straight_on_beyond_its_ends() -> None:
    line = evaluate_curve(ring(), Curve.polygonal(LEFT, RIGHT), 9, bounds=(-0.5, 1.5))
    np.testing.assert_allclose(line.loss, ((2 * line.alpha - 1) ** 2 - 1) ** 2, atol=1e-12)
    assert line.attrs["barrier"] == {"loss": 1.0, "loss_at": 0.5}
    assert evaluate_curve(ring(), Curve.polygonal(LEFT, RIGHT), 4, bounds=(0.1, 1.5)).attrs["barrier"] == {}


def test_bezier_and_chain_around_the_ring_have_their_closed_forms() -> None:
    curve = evaluate_curve(ring(), Curve.bezier(LEFT, at(0, 2), RIGHT), 201)
    u = curve.alpha * (1 - curve.alpha)
    np.testing.assert_allclose(curve.loss, (16 * u**2 - 4 * u) ** 2, atol=1e-14)
    assert curve.attrs["barrier"]["loss"] == pytest.approx(1 / 16, abs=1e-4)
    assert evaluate_curve(ring(), Curve.polygonal(LEFT, at(0, 1), RIGHT), 101).attrs["barrier"]["loss"] == pytest.approx(0.25)


@pytest.mark.slow
def test_fitting_finds_the_best_bezier_curve_of_the_ring() -> None:
    t = (np.arange(20_000) + 0.5) / 20_000

    def mean_loss(height: float) -> float:
        x, y = (2 * t - 1), 2 * t * (1 - t) * height
        return float(np.mean((x**2 + y**2 - 1) ** 2))

    best = minimize_scalar(mean_loss, bounds=(1, 3), method="bounded").x
    found = fit_curve(ring(), LEFT, RIGHT, steps=400, learning_rate=0.1, samples_per_step=32, start=Curve.bezier(LEFT, at(0.1, 0.5), RIGHT))
    assert found.points[1]["w"].numpy() == pytest.approx([0.0, best], abs=0.02)
    assert evaluate_curve(ring(), found, 51).attrs["barrier"]["loss"] < 0.06
    assert torch.equal(found.points[0]["w"], LEFT["w"])
    assert torch.equal(found.point(1.0)["w"], RIGHT["w"])


@pytest.mark.slow
def test_fitting_a_chain_of_three_bends_goes_around_too() -> None:
    start = Curve.polygonal(LEFT, at(-0.5, 0.4), at(0, 0.6), at(0.5, 0.4), RIGHT)
    found = fit_curve(ring(), LEFT, RIGHT, steps=400, learning_rate=0.1, samples_per_step=32, start=start)
    assert evaluate_curve(ring(), found, 101).attrs["barrier"]["loss"] < 0.04


def test_the_plane_of_a_curve_holds_it_in_true_shape() -> None:
    ends = [{"w": torch.randn(7, generator=torch.Generator().manual_seed(s), dtype=torch.float64)} for s in range(3)]
    curve = Curve.bezier(*ends)
    plane = curve_plane(curve)
    assert plane.cosine == pytest.approx(0, abs=1e-12)
    assert plane.directions[0].norm == pytest.approx(plane.directions[1].norm)
    objective = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params=ends[0])
    path = project_curve(objective, curve, plane, 9)
    assert path.path_residual.values == pytest.approx(np.zeros(9), abs=1e-12)
    assert (float(path.path_alpha[-1]), float(path.path_beta[-1])) == pytest.approx((1, 0), abs=1e-12)
    for i in range(9):
        here = plane.point(float(path.path_alpha[i]), float(path.path_beta[i]))
        assert objective.loss(here) == pytest.approx(float(path.path_loss[i]), abs=1e-12)
    with pytest.raises(la.InputError, match="beside the line"):
        curve_plane(Curve.polygonal(LEFT, at(0, 0), RIGHT))


@pytest.mark.slow
def test_batchnorm_statistics_are_those_of_the_point_and_of_the_calibration_data() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(40, 4).double(), torch.arange(40) % 3
    nets = [nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double() for _ in range(2)]
    train = la.Objective(nets[0], F.cross_entropy, (x, y))
    test = la.Objective(nets[0], F.cross_entropy, (x[:10] + 0.1, y[:10]))
    line = evaluate_curve(test, Curve.polygonal(*nets), 5, ("loss", "accuracy"), calibration=train)
    for t, found in zip(line.alpha.values, line.loss.values, strict=True):
        net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, momentum=None), nn.ReLU(), nn.Linear(8, 3)).double()
        net.load_state_dict(Curve.polygonal(*nets).point(float(t)), strict=False)
        with torch.no_grad():
            net.train()(x)
            # torch keeps the unbiased variance of the batch; ours is the biased one that the batch itself is normalized by
            net[1].running_var *= 39 / 40
            assert float(F.cross_entropy(net.eval()(test.data.batches[0][0]), y[:10])) == pytest.approx(found, rel=1e-10)
    assert set(line.attrs["barrier"]) == {"loss", "loss_at", "error", "error_at"}
    assert line.attrs["objective"]["mode"] == "recalibrated"
    stored = evaluate_curve(test, Curve.polygonal(*nets), 5, mode="eval")
    assert float(stored.loss[0]) == pytest.approx(test.loss())


def test_a_curve_is_stored_as_a_line(tmp_path) -> None:
    made = evaluate_curve(ring(), Curve.polygonal(LEFT, RIGHT), 7, archive=tmp_path / "a.zarr", name="straight", title="through the ring")
    read = la.open_archive(tmp_path / "a.zarr").surface("straight")
    np.testing.assert_array_equal(read.loss, made.loss)
    assert read.attrs["barrier"]["loss"] == pytest.approx(1.0, abs=0.05)
    assert bool(read.done.all())


@pytest.mark.slow
def test_fitted_curves_lower_the_barrier_of_a_network() -> None:
    objective, a, b = _two_trained()
    straight = evaluate_curve(objective, Curve.polygonal(a, b), 21).attrs["barrier"]["loss"]
    curve = fit_curve(objective, a, b, steps=300, learning_rate=0.05, samples_per_step=4)
    assert evaluate_curve(objective, curve, 21).attrs["barrier"]["loss"] < 0.5 * straight


def test_bad_requests_are_named() -> None:
    with pytest.raises(la.InputError, match="two ends"):
        Curve.polygonal(LEFT)
    with pytest.raises(la.InputError, match="stays finite"):
        fit_curve(ring(), LEFT, RIGHT, learning_rate=1e6, start=Curve.bezier(LEFT, at(0, 3), RIGHT))
    with pytest.raises(la.InputError, match="control_points"):
        fit_curve(ring(), LEFT, RIGHT, control_points=0)
    with pytest.raises(la.InputError, match="mode: got magic"):
        evaluate_curve(ring(), Curve.polygonal(LEFT, RIGHT), mode="magic")  # pyright: ignore[reportArgumentType]


def _two_trained() -> tuple[la.Objective, nn.Module, nn.Module]:
    """Two small networks trained on the same data from different seeds."""
    x = torch.randn(120, 2, generator=torch.Generator().manual_seed(0)).double()
    y = ((x[:, 0] * x[:, 1]) > 0).long()
    nets = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2)).double()
        mover = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(200):
            mover.zero_grad()
            F.cross_entropy(net(x), y).backward()
            mover.step()
        nets.append(net)
    return la.Objective(nets[0], F.cross_entropy, (x, y)), nets[0], nets[1]
