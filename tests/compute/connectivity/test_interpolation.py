"""Straight lines between models: closed forms, exact ends, BatchNorm statistics."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lossatlas.analysis.barrier import barrier_heights, monotonicity_stats
from lossatlas.archive import open_archive
from lossatlas.compute.connectivity import Curve, evaluate_curve
from lossatlas.compute.connectivity.evaluation import LineMode
from lossatlas.compute.connectivity.interpolation import barrier, interpolate
from lossatlas.compute.evaluation.single_point import evaluate_point
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import InputError
from lossatlas.viz.api import plot
from lossatlas.viz.scene.provenance_text import surface_notes


def ring() -> Objective:
    return Objective(lambda p, batch: ((p["w"] ** 2).sum() - 1) ** 2, params={"w": torch.zeros(2, dtype=torch.float64)}, units="")


def point(x: float, y: float) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor([x, y], dtype=torch.float64)}


def test_the_ring_has_a_barrier_of_one_in_the_middle() -> None:
    line = barrier(ring(), point(-1, 0), point(1, 0), resolution=31)
    assert line.attrs["barrier"] == {"loss": 1.0, "loss_at": 0.5}
    np.testing.assert_allclose(line.loss, ((2 * line.alpha - 1) ** 2 - 1) ** 2, atol=1e-14)
    assert line.attrs["kind"] == "surface" and line.attrs["plane"]["kind"] == "between"


def test_a_barrier_is_measured_from_the_chord_not_from_zero() -> None:
    line = barrier(ring(), point(-1, 0), point(2, 0), resolution=91)
    x = line.alpha.values
    above = ((3 * x - 1) ** 2 - 1) ** 2 - 9 * x
    assert line.attrs["barrier"]["loss"] == pytest.approx(above.max())
    assert line.attrs["barrier"]["loss_at"] == x[above.argmax()]


def test_monotone_rise_and_dents_of_known_curves() -> None:
    x = np.linspace(-0.5, 1.5, 41)
    falling = monotonicity_stats(x, (1.5 - x) ** 2)
    assert falling == {"monotone": True, "largest_rise": 0.0, "rise_from": 0.0, "rise_to": 0.0, "convexity_defects": 0}
    bump = monotonicity_stats(x, 2 - x + np.exp(-(((x - 0.5) / 0.1) ** 2)))
    assert not bump["monotone"] and bump["convexity_defects"] > 0
    inside = x[(x >= 0) & (x <= 1)]
    f = 2 - inside + np.exp(-(((inside - 0.5) / 0.1) ** 2))
    pairs = [(f[j] - f[i], inside[i], inside[j]) for i in range(len(f)) for j in range(i, len(f))]
    assert (bump["largest_rise"], bump["rise_from"], bump["rise_to"]) == pytest.approx(max(pairs))
    # What happens beyond the two models does not count.
    assert monotonicity_stats(x, np.where(x > 1.2, 10.0, 1.0 - 0.1 * x))["monotone"]
    assert monotonicity_stats(x, np.where(np.abs(x - 0.5) < 0.1, np.nan, x))["monotone"] is None


def test_rounding_is_no_rise() -> None:
    x = np.linspace(0, 1, 11)
    assert monotonicity_stats(x, 1 - x + 1e-9 * (np.arange(11) % 2))["monotone"]


@pytest.mark.parametrize("resolution", [5, 6, 51])
def test_both_models_are_always_among_the_points(resolution: int) -> None:
    line = interpolate(ring(), point(0.3, 0), point(0.7, 0.1), resolution=resolution)
    assert {0.0, 1.0} <= set(line.alpha.values.tolist()) and (np.diff(line.alpha) > 1e-9).all()
    assert float(line.loss.sel(alpha=0.0)) == ring().loss(point(0.3, 0))
    assert float(line.loss.sel(alpha=1.0)) == ring().loss(point(0.7, 0.1))


def test_batchnorm_statistics_are_interpolated_with_the_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 3, generator=generator) * 4 + 2, torch.arange(64) % 2
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
        for _ in range(20):
            model(x * (1 + seed))
        models.append(model.eval())
    objective = Objective(models[0], F.cross_entropy, (x, y))
    line = barrier(objective, *models, resolution=5, metrics=("loss", "accuracy"))
    with torch.no_grad():
        truth = float(F.cross_entropy(models[1](x), y))
    assert float(line.loss[-1]) == pytest.approx(truth, rel=1e-6)
    stored = barrier(objective, *models, resolution=5, mode="eval")
    assert abs(float(stored.loss[-1]) - truth) > 0.01
    assert float(stored.loss[0]) == pytest.approx(float(line.loss[0]))
    assert set(line.attrs["barrier"]) == {"loss", "loss_at", "error", "error_at"}
    error = 1 - line.accuracy.values
    chord = (1 - line.alpha.values) * error[0] + line.alpha.values * error[-1]
    assert line.attrs["barrier"]["error"] == pytest.approx((error - chord).max())


def test_statistics_can_be_estimated_anew_at_every_point_and_the_figure_says_which() -> None:
    """Against torch's own BatchNorm in training mode on the whole batch, and against `along`, which has its own line."""
    torch.manual_seed(0)
    x, y = torch.randn(40, 4).double(), torch.arange(40) % 3
    a, b = (
        torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double() for _ in "ab"
    )
    train, test = Objective(a, F.cross_entropy, (x, y)), Objective(a, F.cross_entropy, (x[:10] + 0.1, y[:10]))
    line = barrier(train, a, b, resolution=5, mode="recalibrated")
    for t, found in zip(line.alpha.values, line.loss.values, strict=True):
        mixed = {n: (1 - t) * p + t * dict(b.named_parameters())[n] for n, p in a.named_parameters()}
        with torch.no_grad():
            net = copy.deepcopy(a).train()
            assert found == pytest.approx(float(F.cross_entropy(torch.func.functional_call(net, mixed, (x,)), y)), rel=1e-10)
    held = interpolate(test, a, b, (0, 1), 5, mode="recalibrated", calibration=train)
    curve = evaluate_curve(test, Curve.polygonal(a, b), 5, calibration=train)
    np.testing.assert_allclose(held.loss, curve.loss, rtol=1e-12)
    said = [surface_notes(barrier(train, a, b, resolution=3, mode=mode)) for mode in ("recalibrated", "interpolated", "eval")]
    words = ("statistics re-estimated at every point", "interpolated BatchNorm statistics", "BatchNorm by running statistics")
    assert all(any(word in note for note in notes) for word, notes in zip(words, said, strict=True))
    with pytest.raises(InputError, match="recalibrated"):
        barrier(test, a, b, calibration=train)


def test_figures_say_how_far_a_line_rises() -> None:
    notes = surface_notes(barrier(ring(), point(-1, 0), point(1, 0)))
    assert "barrier: loss 1 above the chord at 0.5" in notes
    notes = surface_notes(interpolate(ring(), point(-1, 0), point(1, 0), (0, 1)))
    assert "the loss rises by 1 from 0 to 0.5" in notes
    notes = surface_notes(interpolate(ring(), point(2, 0), point(1, 0), (0, 1)))
    assert "the loss falls all the way from 0 to 1" in notes


def test_score_is_the_models_own_mean_whatever_the_batches() -> None:
    torch.manual_seed(0)
    model, x, y = torch.nn.Linear(3, 4), torch.randn(50, 3), torch.arange(50) % 4
    for batch_size in (7, 50):
        found = evaluate_point(Objective(model, F.cross_entropy, (x, y), batch_size=batch_size), None, ("loss", "accuracy"))
        with torch.no_grad():
            assert found["loss"] == pytest.approx(float(F.cross_entropy(model(x), y)), rel=1e-6)
            assert found["accuracy"] == pytest.approx(float((model(x).argmax(1) == y).double().mean()))


def test_bad_input() -> None:
    with pytest.raises(InputError, match="two equal models"):
        interpolate(ring(), point(1, 0), point(1, 0))
    with pytest.raises(InputError, match="same shapes"):
        barrier(ring(), point(1, 0), {"w": torch.zeros(3)})
    with pytest.raises(InputError, match="mode: got mean"):
        barrier(ring(), point(1, 0), point(0, 1), mode="mean")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="resolution"):
        barrier(ring(), point(1, 0), point(0, 1), resolution=1)


def test_accuracy_alone_has_its_own_barrier_and_no_loss() -> None:
    torch.manual_seed(0)
    a, b = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    x, y = torch.randn(30, 2), torch.arange(30) % 3
    objective = Objective(a, F.cross_entropy, (x, y))
    line = barrier(objective, a, b, resolution=9, metrics=("accuracy",))
    assert "loss" not in line and line.attrs["barrier"].keys() == {"error", "error_at"}
    both = barrier(objective, a, b, resolution=9, metrics=("loss", "accuracy"))
    assert line.attrs["barrier"]["error"] == both.attrs["barrier"]["error"]
    np.testing.assert_array_equal(line.accuracy, both.accuracy)
    assert any(note.startswith("barrier: error") for note in surface_notes(line))
    assert "interpolation" not in interpolate(objective, a, b, metrics="accuracy", resolution=5).attrs


def test_a_diverged_end_is_named_by_its_model_and_tensor() -> None:
    with pytest.raises(InputError, match="model b: got 1 NaN or infinite weights in w"):
        barrier(ring(), point(-1, 0), point(float("nan"), 0))


def test_the_bare_loss_function_is_no_objective() -> None:
    with pytest.raises(InputError, match=r"objective: got cross_entropy.*la\.Objective\("):
        interpolate(F.cross_entropy, point(-1, 0), point(1, 0))  # pyright: ignore[reportArgumentType]


def normalized_models() -> tuple[Objective, torch.nn.Module, torch.nn.Module]:
    """Two networks with BatchNorm statistics of their own, and the loss of both on one batch."""
    torch.manual_seed(0)
    x, y = torch.randn(40, 4).double(), torch.arange(40) % 3
    a, b = (
        torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double() for _ in "ab"
    )
    for model in (a, b):
        model(x)
    return Objective(a.eval(), F.cross_entropy, (x, y)), a, b.eval()


@pytest.mark.parametrize("mode", ["eval", "interpolated", "recalibrated", "batch"])
def test_a_line_is_a_curve_of_two_points_in_every_mode(mode: LineMode) -> None:
    objective, a, b = normalized_models()
    line = interpolate(objective, a, b, (-0.5, 1.5), 9, mode=mode)
    curve = evaluate_curve(objective, Curve.polygonal(a, b), 9, bounds=(-0.5, 1.5), mode=mode)
    np.testing.assert_array_equal(line.alpha, curve.alpha)
    np.testing.assert_array_equal(line.loss, curve.loss)
    assert line.attrs["objective"]["mode"] == curve.attrs["objective"]["mode"] == mode
    assert line.attrs["objective"].get("statistics") == ("extrapolated" if mode == "interpolated" else None)


def test_the_statistics_of_bends_are_not_interpolated() -> None:
    objective, a, b = normalized_models()
    with pytest.raises(InputError, match=r"mode: got .interpolated. for a curve with bends.*recalibrated"):
        evaluate_curve(objective, Curve.polygonal(a, b, a), 3, mode="interpolated")


def test_the_barrier_of_a_line_that_was_measured_before() -> None:
    line = interpolate(ring(), point(-1, 0), point(1, 0), resolution=9)
    assert barrier(line).attrs["barrier"] == {"loss": 1.0, "loss_at": 0.5} == barrier_heights(line)
    assert "barrier" not in line.attrs and "interpolation" in barrier(line).attrs
    with pytest.raises(InputError, match=r"line: got points from 0 to 1\.5; expected points that include 0 and 1"):
        barrier(line.sel(alpha=line.alpha.isin([0.0, 0.25, 1.5])))
    with pytest.raises(InputError, match="over alpha alone"):
        barrier(line.expand_dims(beta=[0.0, 1.0]))
    with pytest.raises(InputError, match=r"a, b: got one model or none"):
        barrier(ring(), point(1, 0))


def test_lines_are_kept_and_drawn_from_the_archive(tmp_path: Path) -> None:
    archive = open_archive(tmp_path / "a.zarr", "a")
    lines = {
        "way": interpolate(ring(), point(-1, 0), point(1, 0), resolution=7, archive=archive, name="way"),
        "rise": barrier(ring(), point(-1, 0), point(1, 0), resolution=5, archive=tmp_path / "a.zarr", name="rise"),
    }
    assert archive.surfaces == ("rise", "way")
    for name, line in lines.items():
        read = archive.surface(name)
        np.testing.assert_array_equal(read.loss, line.loss)
        np.testing.assert_array_equal(read.alpha, line.alpha)
        assert bool(read.done.all()) and read.attrs.get("barrier") == line.attrs.get("barrier")
    assert archive.surface("way").attrs["interpolation"] == lines["way"].attrs["interpolation"]
    assert plot(tmp_path / "a.zarr").axes
