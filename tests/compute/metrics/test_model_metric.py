"""Metrics of the whole model: values by plain NumPy, errors, common random numbers, and metrics that misbehave."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lossatlas as la
from lossatlas.compute.metrics.model_measurement import common_random_numbers

F64 = torch.float64
SHAPE = (3, 4)
X = torch.randn(11, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
Y = torch.arange(11) % 3


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double().eval()


NET = network()
OBJECTIVE = la.Objective(NET, F.cross_entropy, (X, Y), batch_size=4)
PLANE = la.random_plane(OBJECTIVE, seed=2)


def correct(model: nn.Module) -> Tensor:
    return model(X).argmax(1) == Y


def outputs(alpha: float, beta: float) -> np.ndarray:
    """The network by plain NumPy at a point of the plane."""
    p = {name: value.numpy() for name, value in {**NET.state_dict(), **PLANE.point(alpha, beta)}.items()}
    hidden = X.numpy() @ p["0.weight"].T + p["0.bias"]
    hidden = (hidden - p["1.running_mean"]) / np.sqrt(p["1.running_var"] + 1e-5) * p["1.weight"] + p["1.bias"]
    return np.tanh(hidden) @ p["3.weight"].T + p["3.bias"]


def evaluated(*metrics: str | la.Metric, **options: Any) -> Any:
    return la.evaluate(OBJECTIVE, PLANE, (-1, 1), SHAPE, metrics, **options)


def table(f: Callable[[float, float], Any]) -> np.ndarray:
    return np.array([[f(a, b) for b in np.linspace(-1, 1, SHAPE[1])] for a in np.linspace(-1, 1, SHAPE[0])])


SCORE = la.Metric("score", correct, of="model", better="higher", protocol="argmax")


def test_the_whole_model_gives_what_the_batches_give_to_the_last_bit() -> None:
    surface = evaluated("loss", "accuracy", SCORE)
    np.testing.assert_array_equal(surface.score, surface.accuracy)
    np.testing.assert_array_equal(surface.score_lower, surface.accuracy_lower)
    np.testing.assert_array_equal(surface.score_upper, surface.accuracy_upper)
    np.testing.assert_array_equal(surface.score, table(lambda a, b: (outputs(a, b).argmax(1) == Y.numpy()).mean()))
    np.testing.assert_allclose(surface.score_standard_error, surface.accuracy_standard_error, rtol=1e-12)
    assert surface.score.attrs == {
        "units": "1", "long_name": "score", "of": "model", "better": "higher", "items": 11, "seed": 0,
        "protocol": "argmax", "interval": "Wilson, 95 %",
    }  # fmt: skip


def test_one_value_an_item_has_a_standard_error_and_no_interval() -> None:
    size = la.Metric("size", lambda model: model(X).square().sum(1), of="model", population=22, items=X)
    surface = evaluated(size)
    items = table(lambda a, b: (outputs(a, b) ** 2).sum(1))
    np.testing.assert_allclose(surface["size"], items.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(surface.size_standard_error, items.std(-1, ddof=1) / np.sqrt(11) * np.sqrt(0.5), rtol=1e-12)
    assert "size_lower" not in surface


def test_wilsons_interval_solves_its_equation() -> None:
    """Its ends are the p for which the share lies 1.96 of *their* standard deviations away."""
    surface = evaluated(SCORE)
    for end in (surface.score_lower, surface.score_upper):
        p, share = end.values, surface.score.values
        inside = (p > 0) & (p < 1)
        np.testing.assert_allclose(np.abs(share - p)[inside], 1.959963984540054 * np.sqrt(p * (1 - p) / 11)[inside], rtol=1e-9)


def test_one_number_has_an_error_over_repeats_only() -> None:
    def draw(model: nn.Module) -> float:
        return float(model(X).mean()) + float(torch.randn(())) + np.random.normal() + random.random()  # noqa: NPY002

    once, often = la.Metric("once", draw, of="model"), la.Metric("often", draw, of="model", repeats=7, seed=3)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    surface = evaluated(once, often)
    assert torch.equal(states[0], torch.get_rng_state()) and random.getstate() == states[2]
    assert np.array_equal(states[1][1], np.random.get_state()[1])  # noqa: NPY002
    assert np.isnan(surface.once_standard_error).all()
    noise = []
    for seed in range(3, 10):
        with common_random_numbers(seed):
            noise.append(float(torch.randn(())) + np.random.normal() + random.random())  # noqa: NPY002
    means = table(lambda a, b: outputs(a, b).mean())
    np.testing.assert_allclose(surface.often, means + np.mean(noise), rtol=1e-12)
    np.testing.assert_allclose(surface.often_standard_error, np.std(noise, ddof=1) / np.sqrt(7), rtol=1e-9)


def test_a_metric_that_differs_is_refused_unless_it_is_said_to_be_noisy() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(la.InputError, match=r"metrics: got dice, which gives .* and then .* expected one that gives the same .*noisy=True"):
        evaluated(la.Metric("dice", lambda model: generator.normal(), of="model"))
    surface = evaluated(la.Metric("dice", lambda model: generator.normal(), of="model", noisy=True, repeats=3))
    assert (surface.dice_standard_error > 0).all()
    counter = itertools.count()
    with pytest.raises(la.InputError, match="calls, which gives 0 and then 1"):
        evaluated(la.Metric("calls", lambda model: next(counter), of="model"))


def test_a_metric_that_counts_its_calls_beside_its_value_is_measured() -> None:
    calls = list[float]()

    def counted(model: nn.Module) -> float:
        calls.append(float(model(X).sum()))
        return calls[-1]

    surface = evaluated(la.Metric("total", counted, of="model"))
    assert len(calls) == 2 + surface.total.size
    np.testing.assert_allclose(surface.total, table(lambda a, b: outputs(a, b).sum()), rtol=1e-10)


def write_buffer(model: nn.Module) -> float:
    model[1].running_mean += 1.0
    return 0.0


def replace_weight(model: nn.Module) -> float:
    model[3].weight = nn.Parameter(torch.zeros(3, 4, dtype=F64))
    return 0.0


def train_a_step(model: nn.Module) -> float:
    model.train()
    model.requires_grad_(True)
    F.cross_entropy(model(X), Y).backward()
    with torch.no_grad():
        model[0].weight -= 0.1 * model[0].weight.grad
    return 0.0


def forget_eval_mode(model: nn.Module) -> float:
    model[1].training, model[1].momentum = True, 0.0
    return float(model(X).sum())


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (write_buffer, "odd, which changes 1.running_mean"),
        (replace_weight, "which changes 3.weight"),
        (train_a_step, "which changes 0.weight|1.running_mean"),
        (lambda model: None, "NoneType"),
        (lambda model: "0.5 of it", "returns str"),
        (lambda model: model(X), r"shape \(11, 3\)"),
        (lambda model: [], r"shape \(0,\)"),
        (lambda model: torch.zeros((), device="meta"), "meta device"),
        (lambda model: model.no_such_thing, "raises AttributeError"),
        (lambda model: torch.ones(3, dtype=torch.complex64), "returns"),
    ],
    ids=["buffer", "weight", "training", "None", "text", "matrix", "empty", "meta", "raises", "complex"],
)
def test_what_is_no_value_or_changes_the_model_is_refused(measure: Any, message: str) -> None:
    before = copy.deepcopy(NET.state_dict())
    with pytest.raises(la.InputError, match=message):
        evaluated("loss", la.Metric("odd", measure, of="model"))
    assert all(torch.equal(before[name], value) for name, value in NET.state_dict().items())
    assert not NET.training and all(p.grad is None for p in NET.parameters())


def test_the_mode_of_the_copy_is_put_back_before_every_point() -> None:
    def in_training_mode(model: nn.Module) -> float:
        assert not any(part.training for part in model.modules())
        model[2].train()
        return float(model(X).sum())

    np.testing.assert_allclose(
        evaluated(la.Metric("s", in_training_mode, of="model")).s, table(lambda a, b: outputs(a, b).sum()), rtol=1e-10
    )


def test_where_it_raises_there_is_a_hole_with_the_reason() -> None:
    calls = itertools.count()

    def breaks(model: nn.Module) -> float:
        if next(calls) == 2 + 6:  # after the two measurements of the probe, the seventh point
            raise RuntimeError("no answer")
        return float(model(X).sum())

    surface = evaluated("loss", la.Metric("answer", breaks, of="model"))
    assert int(np.isnan(surface.answer).sum()) == 1 and np.isfinite(surface.loss).all() and surface.done.all()
    assert list(surface.attrs["holes"].values()) == ["answer: RuntimeError: no answer"]


def test_another_number_of_items_than_before_is_refused() -> None:
    lengths = iter([11, 11, 11, 10])
    with pytest.raises(la.InputError, match="score, which returns 10 values and 11 values"):
        evaluated(la.Metric("score", lambda model: model(X)[: next(lengths), 0], of="model"))
    with pytest.raises(la.InputError, match="returns 11 values; expected one number, or 5 values"):
        evaluated(la.Metric("score", lambda model: model(X)[:, 0], of="model", items=["prompt"] * 5))


def test_nan_is_kept_and_counted() -> None:
    surface = evaluated(la.Metric("root", lambda model: (model(X)[:, 0].sum() + 1.7).sqrt(), of="model"))
    expected = table(lambda a, b: outputs(a, b)[:, 0].sum() + 1.7)
    assert 0 < (expected < 0).sum() < expected.size
    np.testing.assert_array_equal(np.isnan(surface.root), expected < 0)
    assert surface.attrs["nan_cells"] == (expected < 0).sum() and "holes" not in surface.attrs


def test_the_gradient_by_the_inputs_is_there_for_an_attack() -> None:
    def robust(model: nn.Module) -> Tensor:
        x = X.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(F.cross_entropy(model(x), Y), x)
        return model(X + 0.5 * slope.sign()).argmax(1) == Y

    surface = evaluated("accuracy", la.Metric("robust_accuracy", robust, of="model", better="higher"))
    assert (surface.robust_accuracy <= surface.accuracy).all() and (surface.robust_accuracy < surface.accuracy).any()


def test_the_model_of_a_callable_is_its_parameters() -> None:
    objective = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0], dtype=F64)})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))

    def norm(params: dict[str, Tensor]) -> Tensor:
        return params["w"].norm()

    surface = la.evaluate(objective, plane, (-1, 1), SHAPE, ("loss", la.Metric("norm", norm, of="model")))
    np.testing.assert_allclose(surface.norm, np.sqrt(surface.loss), rtol=1e-12)
    with pytest.raises(la.InputError, match="which changes w"):
        la.evaluate(objective, plane, metrics=[la.Metric("zero", lambda params: params["w"].zero_().sum(), of="model")])


@pytest.mark.parametrize("executor", ["serial", "auto", pytest.param("processes", marks=pytest.mark.slow)])
def test_every_executor_but_threads_measures_it(executor: str) -> None:
    surface = evaluated("loss", SCORE, engine=la.Engine(executor=executor, workers=2, tile=5))
    np.testing.assert_array_equal(surface.score, table(lambda a, b: (outputs(a, b).argmax(1) == Y.numpy()).mean()))
    with pytest.raises(la.InputError, match="threads with the metric score, which measures the whole model"):
        evaluated(SCORE, engine=la.Engine(executor="threads"))


@pytest.mark.parametrize("evaluator", ["loop", "vmap", "auto"])
def test_beside_every_evaluator(evaluator: str) -> None:
    surface = evaluated("loss", "accuracy", SCORE, engine=la.Engine(evaluator=evaluator, chunk=5 if evaluator == "vmap" else None))
    np.testing.assert_array_equal(surface.score, surface.accuracy)


def stop(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_it_is_continued_and_an_edit_or_other_items_are_another_metric(tmp_path: Path) -> None:
    def threshold(bound: float, **more: Any) -> la.Metric:
        return la.Metric("share", lambda model: model(X)[:, 0] > bound, of="model", **more)

    place = {"archive": tmp_path / "a.zarr"}
    with pytest.raises(KeyboardInterrupt):
        evaluated(threshold(0.1), on_tile=stop, engine=la.Engine(tile=5), **place)
    surface = evaluated(threshold(0.1), **place)
    np.testing.assert_array_equal(surface.share, table(lambda a, b: (outputs(a, b)[:, 0] > 0.1).mean()))
    for other, why in ((threshold(0.1001), "code"), (threshold(0.1, version=2), "version"), (threshold(0.1, items=X), "items")):
        with pytest.raises(la.ArchiveError, match=f"the {why} of its metric share changed"):
            evaluated(other, **place)
    assert la.open_archive(tmp_path / "a.zarr").surface().share.attrs["items"] == 11


def test_an_accuracy_stored_without_interval_is_continued(tmp_path: Path) -> None:
    """As by versions that knew no intervals."""
    with pytest.raises(KeyboardInterrupt):
        evaluated("accuracy", on_tile=stop, engine=la.Engine(tile=5), archive=tmp_path / "a.zarr")
    store = la.open_archive(tmp_path / "a.zarr", "a")
    for end in ("lower", "upper"):
        store.drop_variable("surface", f"accuracy_{end}")
    surface = evaluated("accuracy", archive=tmp_path / "a.zarr")
    assert surface.done.all() and "accuracy_lower" not in surface
    np.testing.assert_array_equal(surface.accuracy, evaluated("accuracy").accuracy)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"of": "sample"}, "of"),
        ({"better": "up"}, "better"),
        ({"repeats": 0}, "repeats"),
        ({"noisy": True}, "repeats"),
        ({"noisy": 1}, "noisy"),
        ({"per_sample": True}, "per_sample"),
        ({"population": 0}, "population"),
        ({"seed": -1}, "seed"),
        ({"version": 1.5}, "version"),
        ({"protocol": None}, "protocol"),
        ({"of": "batch", "repeats": 2}, "repeats"),
        ({"of": "batch", "items": [1]}, "items"),
        ({"of": "batch", "seed": 1}, "seed"),
    ],
    ids=str,
)
def test_wrong_attributes_are_refused_by_name(options: dict[str, Any], argument: str) -> None:
    with pytest.raises(la.InputError) as error:
        la.Metric("score", correct, **{"of": "model", **options})
    assert error.value.argument == argument


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda scores: scores.losses[1:], r"shape \(3,\); expected one value a sample, \(4,\)"),
        (lambda scores: scores.outputs, r"shape \(4, 3\)"),
        (lambda scores: 1.0, "returns float"),
        (lambda scores: torch.zeros(4, device="meta"), "on meta"),
        (lambda model: model(X), 'raises TypeError.*of="model"'),
    ],
    ids=["length", "matrix", "float", "meta", "model"],
)
def test_a_metric_of_batches_that_gives_no_value_a_sample_is_refused(measure: Any, message: str) -> None:
    with pytest.raises(la.InputError, match=message):
        evaluated("loss", la.Metric("odd", measure))


@pytest.mark.parametrize("suffix", ["csv", "npz", "h5"])
def test_it_is_exported_with_its_errors_and_read_back(suffix: str, tmp_path: Path) -> None:
    surface = evaluated("loss", SCORE)
    la.export_surface(surface, tmp_path / f"surface.{suffix}")
    again = la.import_surface(tmp_path / f"surface.{suffix}")
    for name in ("score", "score_standard_error", "score_lower", "score_upper") if suffix != "h5" else ("loss",):
        np.testing.assert_array_equal(again[name], surface[name])


def test_the_model_of_a_function_of_a_vector_is_the_vector() -> None:
    objective = la.ArrayObjective(lambda theta: float((theta**2).sum()), [3.0, 4.0])
    plane = la.weight_plane(objective, ("theta", 0), ("theta", 1))
    gap = la.Metric("gap", lambda theta: float(theta[0] - theta[1]), of="model")
    surface = la.evaluate(objective, plane, (-1, 1), SHAPE, ("loss", gap, "weight_norm"))
    np.testing.assert_allclose(surface.gap, surface.alpha - surface.beta, atol=1e-12)
    np.testing.assert_allclose(surface.weight_norm, np.sqrt(surface.loss), rtol=1e-12)

    def write(theta: np.ndarray) -> float:
        theta[0] = 7.0
        return 0.0

    with pytest.raises(la.InputError, match="which changes theta"):
        la.evaluate(objective, plane, metrics=[la.Metric("write", write, of="model")])
