"""The correctness contract: each value is the loss at exactly the point that its coordinates name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.evaluation.executors import EXECUTORS
from oracles import bytes_of, classifier, linear_regression, numpy_cross_entropy, numpy_forward, quadratic, quadratic_value

LOCAL = [name for name in EXECUTORS if name != "ray"]
TILES = (None, 1, 2, 4, 7, 15, 100)


def coordinate_table() -> tuple[la.Objective, la.Plane]:
    """f = 100 alpha + beta over two scalar weights: any misplaced cell shows."""
    objective = la.Objective(lambda p, _: 100 * p["w"][0] + p["w"][1], params={"w": torch.zeros(2, dtype=torch.float64)})
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


HERE = [("serial", tile) for tile in TILES] + [("threads", tile) for tile in TILES]
ELSEWHERE = [pytest.param("processes", tile, marks=pytest.mark.slow) for tile in TILES]


@pytest.mark.parametrize(("executor", "tile"), [*HERE, *ELSEWHERE])
def test_every_cell_holds_its_own_coordinates(executor: str, tile: int | None) -> None:
    objective, plane = coordinate_table()
    surface = la.evaluate(objective, plane, ((-1, 1), (0, 8)), (3, 5), engine=la.Engine(executor=executor, tile=tile))
    assert surface.loss.dims == ("alpha", "beta")
    np.testing.assert_array_equal(surface.loss, 100 * surface.alpha.values[:, None] + surface.beta.values[None, :])
    assert surface.done.all()


@pytest.mark.slow
@given(na=st.integers(2, 7), nb=st.integers(2, 7), tile=st.one_of(st.none(), st.integers(1, 50)), seed=st.integers(0, 99))
def test_quadratic_plane_is_its_closed_form(na: int, nb: int, tile: int | None, seed: int) -> None:
    objective, matrix, linear = quadratic(seed=seed)
    plane = la.random_plane(objective, seed=seed, normalize="none", biases=True)
    surface = la.evaluate(objective, plane, ((-1, 2), (-3, 1)), (na, nb), engine=la.Engine(tile=tile))
    center, d, e = plane.center["t"].numpy(), *(direction.params["t"].numpy() for direction in plane.directions)
    expected = [[quadratic_value(center + a * d + b * e, matrix, linear) for b in surface.beta.values] for a in surface.alpha.values]
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-12, atol=1e-12)


def test_linear_regression_surface_is_its_closed_form() -> None:
    objective, x, y = linear_regression()
    plane = la.random_plane(objective, seed=3)
    surface = la.evaluate(objective, plane, resolution=(4, 6))
    weight, d, e = plane.center["weight"].numpy(), *(direction.params["weight"].numpy() for direction in plane.directions)
    expected = [[np.mean((x @ (weight + a * d + b * e).T - y) ** 2) for b in surface.beta.values] for a in surface.alpha.values]
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-12)


def test_network_surface_accuracy_and_standard_error_equal_numpy() -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=13)
    plane = la.random_plane(objective, seed=1)
    surface = la.evaluate(objective, plane, resolution=(3, 4), metrics=("loss", "accuracy"))
    for a, b in itertools.product(surface.alpha.values, surface.beta.values):
        logits = numpy_forward(plane.point(a, b), x)
        losses, cell = numpy_cross_entropy(logits, y), surface.sel(alpha=a, beta=b)
        assert float(cell.loss) == pytest.approx(losses.mean(), rel=1e-12)
        assert float(cell.loss_standard_error) == pytest.approx(losses.std(ddof=1) / np.sqrt(len(y)), rel=1e-9)
        assert float(cell.accuracy) == np.mean(logits.argmax(1) == y.numpy())


def test_a_line_has_one_dimension() -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y))
    surface = la.evaluate(objective, la.random_plane(objective, ndim=1), (-2, 1), 7, metrics=("loss", "accuracy"))
    assert surface.loss.dims == ("alpha",)
    assert surface.sizes == {"alpha": 7}
    assert float(surface.loss.sel(alpha=0)) == objective.loss()


@pytest.mark.parametrize("resolution", [3, 5, (7, 21), (51, 3)])
def test_the_center_cell_is_the_models_own_loss_bitwise(resolution: int | tuple[int, int]) -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=len(y))
    surface = la.evaluate(objective, la.random_plane(objective, seed=2), resolution=resolution, engine=la.Engine(executor="serial"))
    with torch.no_grad():
        own = F.cross_entropy(model(x), y, reduction="none").sum() / len(y)
    assert float(surface.loss.sel(alpha=0.0, beta=0.0)) == float(own)


def test_constant_loss_stays_constant() -> None:
    objective = la.Objective(lambda p, _: p["w"].sum() * 0 + 2.5, params={"w": torch.ones(2, 2)})
    surface = la.evaluate(objective, la.random_plane(objective), resolution=(4, 3))
    assert (surface.loss == 2.5).all()


def test_nan_and_infinity_are_kept_and_count_as_done() -> None:
    def broken(params: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        a, b = params["w"]
        if float(a) < 0:
            return torch.full((), float("nan"), dtype=torch.float64)
        return torch.where(b > 0, torch.full_like(b, float("inf")), a * 0)

    objective = la.Objective(broken, params={"w": torch.ones(2, dtype=torch.float64)})
    surface = la.evaluate(objective, la.weight_plane(objective, ("w", 0), ("w", 1)), (-1, 1), (3, 5))
    assert np.isnan(surface.loss.sel(alpha=-1)).all()
    assert np.isposinf(surface.loss.sel(alpha=1, beta=1))
    assert float(surface.loss.sel(alpha=1, beta=-1)) == 0.0
    assert surface.done.all()


def test_zero_and_negative_losses_resume_as_done(tmp_path) -> None:
    calls = []

    def negative(params: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        calls.append(1)
        return params["w"][0] - params["w"][1]

    objective = la.Objective(negative, params={"w": torch.zeros(2, dtype=torch.float64)})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    first = la.evaluate(objective, plane, resolution=(3, 4), archive=tmp_path / "a.zarr")
    assert float(first.loss.min()) < 0
    assert (first.loss == 0).any()
    before = len(calls)
    again = la.evaluate(objective, plane, resolution=(3, 4), archive=tmp_path / "a.zarr")
    assert before < len(calls) <= before + 4, "a few cells are compared, none is filled again"
    np.testing.assert_array_equal(first.loss, again.loss)


class Failing(nn.Module):
    """A network with BatchNorm that can be told to fail after some calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
        self.layers[0].weight.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_bit_identical_afterwards(mode: str, fails: bool) -> None:
    torch.manual_seed(0)
    model = Failing().train()
    before, flags = bytes_of(model), [p.requires_grad for p in model.parameters()]
    objective = la.Objective(model, F.cross_entropy, (torch.randn(30, 5), torch.randint(0, 3, (30,))), mode=mode)

    def watch(*_: object) -> None:
        if fails:
            raise RuntimeError("stopped on purpose")

    try:
        la.evaluate(objective, la.random_plane(objective), resolution=3, on_tile=watch, engine=la.Engine(tile=2))
        assert not fails
    except RuntimeError:
        assert fails
    assert bytes_of(model) == before
    assert model.training
    assert [p.requires_grad for p in model.parameters()] == flags
    assert float(objective.loss()) == pytest.approx(float(objective.loss()), nan_ok=True) or mode == "train"


def test_batchnorm_buffers_of_the_objective_do_not_drift() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    objective = la.Objective(model, F.cross_entropy, (torch.randn(30, 5), torch.randint(0, 3, (30,))), mode="train")
    assert objective.module is not None
    before = bytes_of(objective.module)
    la.evaluate(objective, la.random_plane(objective), resolution=3)
    assert bytes_of(objective.module) == before


def test_tied_weights_move_once() -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(4, 4, bias=False, dtype=torch.float64), nn.Linear(4, 4, bias=False, dtype=torch.float64)
    last.weight = first.weight
    model = nn.Sequential(first, nn.Tanh(), last)
    x = torch.randn(9, 4, dtype=torch.float64)
    objective = la.Objective(model, F.mse_loss, (x, x))
    plane = la.random_plane(objective, seed=4)
    assert plane.moving_names == ("0.weight",)
    surface = la.evaluate(objective, plane, resolution=(2, 3))
    moved = plane.point(1.0, -1.0)["0.weight"]
    expected = F.mse_loss(torch.tanh(x @ moved.T) @ moved.T, x)
    assert float(surface.loss.sel(alpha=1, beta=-1)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.slow
@given(batch=st.integers(1, 70), executor=st.sampled_from(LOCAL))
def test_batch_size_and_executor_change_nothing_beyond_rounding(batch: int, executor: str) -> None:
    model, x, y = classifier()
    reference = la.Objective(model, F.cross_entropy, (x, y), batch_size=60)
    other = la.Objective(model, F.cross_entropy, (x, y), batch_size=batch)
    plane = la.random_plane(reference, seed=5)
    a = la.evaluate(reference, plane, resolution=(3, 2), engine=la.Engine(executor="serial"))
    b = la.evaluate(other, plane, resolution=(3, 2), engine=la.Engine(executor=executor))
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-12)


def test_equal_seeds_repeat_and_different_seeds_differ() -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y))
    surfaces = [la.evaluate(objective, la.random_plane(objective, seed=s), resolution=3).loss.values for s in (0, 0, 1)]
    np.testing.assert_array_equal(surfaces[0], surfaces[1])
    assert np.abs(surfaces[0] - surfaces[2]).max() > 1e-3


def test_a_plane_of_another_model_brings_its_own_center() -> None:
    (model, x, y), (other, *_) = classifier(0), classifier(1)
    objective = la.Objective(model, F.cross_entropy, (x, y))
    surface = la.evaluate(objective, la.random_plane(other, params="0"), resolution=3)
    with torch.no_grad():
        assert float(surface.loss.sel(alpha=0, beta=0)) == pytest.approx(F.cross_entropy(other(x), y).item(), rel=1e-12)


def test_provenance_says_how_the_surface_was_made() -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y), split="train")
    attrs = la.evaluate(objective, la.random_plane(objective, seed=7), resolution=(3, 4), metrics=("loss", "accuracy")).attrs
    assert attrs["plane"]["seed"] == 7
    assert attrs["plane"]["normalize"] == "filter"
    assert abs(attrs["plane"]["cosine"]) < 1
    assert attrs["objective"]["loss"] == "cross_entropy"
    assert attrs["objective"]["units"] == "nats"
    assert (attrs["objective"]["samples"], attrs["objective"]["split"], attrs["objective"]["dtype"]) == (60, "train", "float64")
    assert attrs["objective"]["mode"] == "eval"
    assert attrs["grid"] == {"bounds": [[-1.0, 1.0], [-1.0, 1.0]], "resolution": [3, 4]}
    assert attrs["seconds"] > 0


def test_a_loss_without_per_sample_form_is_averaged_by_batch() -> None:
    model, x, y = classifier()
    objective = la.Objective(model, lambda o, t: F.cross_entropy(o, t), (x, y), batch_size=25)
    assert not objective.per_sample
    surface = la.evaluate(objective, la.random_plane(objective), resolution=3)
    assert float(surface.loss.sel(alpha=0, beta=0)) == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)
    assert np.isnan(surface.loss_standard_error).all()


def test_ignored_targets_are_not_counted_as_samples() -> None:
    model, x, y = classifier()
    y = y.clone()
    y[::3] = -100
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=len(y))
    assert objective.loss() == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bounds": (1, -1)}, "bounds"),
        ({"bounds": (1, 1)}, "bounds"),
        ({"bounds": (0, float("nan"))}, "bounds"),
        ({"bounds": ((0, 1),)}, "bounds"),
        ({"resolution": 1}, "resolution"),
        ({"resolution": (3, 1)}, "resolution"),
        ({"resolution": (3, 3, 3)}, "resolution"),
        ({"resolution": 2.5}, "resolution"),
        ({"metrics": ("loss", "beauty")}, "metrics"),
        ({"metrics": ()}, "metrics"),
        ({"engine": "threads"}, "Engine"),
        ({"executor": "threads"}, r"engine=la.Engine\(executor=.threads.\)"),
        ({"resolutions": 3}, "resolutions"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, words: str) -> None:
    model, x, y = classifier()
    objective = la.Objective(model, F.cross_entropy, (x, y))
    with pytest.raises(la.InputError, match=words):
        la.evaluate(objective, la.random_plane(objective), **arguments)


def test_accuracy_without_classes_is_refused() -> None:
    objective, *_ = linear_regression()
    one = la.Objective(lambda p, _: p["w"].sum(), params={"w": torch.ones(2, 2)})
    with pytest.raises(la.InputError, match="accuracy"):
        la.evaluate(one, la.random_plane(one), resolution=3, metrics=("accuracy",))
    assert objective.per_sample
