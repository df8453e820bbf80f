"""Two losses never meet in one surface: whatever holds a setting that was changed, cells measured again tell."""

from __future__ import annotations

import argparse
import functools
import os
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.curvature import hessian_map
from lossatlas.compute.evaluation.storage.resume import Rounding, compared_cells
from lossatlas.compute.metrics import Metric

F64 = torch.float64
X = torch.randn(24, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
Y = torch.arange(24) % 3
SHAPE = (5, 4)


class Net(nn.Module):
    scale = 1.0

    def __init__(self, **given: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.last = nn.Linear(4, 5, dtype=F64), nn.Linear(5, 3, dtype=F64)
        self.given = given

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        return self.last(self.scale * hidden * self.given.get("scale", 1.0))


class Config:
    factor = 1.0


@dataclass
class Options:
    factor: float = 1.0


class Owner:
    def __init__(self) -> None:
        self.factor, self.box = 1.0, {"factor": [1.0]}

    def loss(self, o: Tensor, t: Tensor) -> Tensor:
        return self.factor * F.cross_entropy(o, t)

    def deep(self, o: Tensor, t: Tensor) -> Tensor:
        return self.box["factor"][0] * F.cross_entropy(o, t)

    def __call__(self, o: Tensor, t: Tensor) -> Tensor:
        return self.loss(o, t)


class LossModule(nn.Module):
    def __init__(self, setting: Any) -> None:
        super().__init__()
        self.setting = setting

    def forward(self, o: Tensor, t: Tensor) -> Tensor:
        return factor_of(self.setting) * F.cross_entropy(o, t)


LIST, DICT, SPACE = [1.0], {"factor": 1.0}, types.SimpleNamespace(factor=1.0)
NUMBER = 1.0


def factor_of(setting: Any) -> Any:
    """Whatever holds it."""
    if isinstance(setting, list | tuple | np.ndarray):
        return factor_of(setting[0])
    if isinstance(setting, dict):
        return factor_of(setting["factor"])
    return setting.factor if hasattr(setting, "factor") else setting


def put(setting: Any, value: float) -> None:
    if isinstance(setting, list | np.ndarray):
        setting[0] = value
    elif isinstance(setting, dict):
        setting["factor"] = value
    elif isinstance(setting, Tensor):
        setting.fill_(value)
    else:
        setting.factor = value


def closing(setting: Any) -> Callable[..., Tensor]:
    def loss(o: Tensor, t: Tensor) -> Tensor:
        return factor_of(setting) * F.cross_entropy(o, t)

    return loss


def lists(o: Tensor, t: Tensor) -> Tensor:
    return LIST[0] * F.cross_entropy(o, t)


def dicts(o: Tensor, t: Tensor) -> Tensor:
    return DICT["factor"] * F.cross_entropy(o, t)


def spaces(o: Tensor, t: Tensor) -> Tensor:
    return SPACE.factor * F.cross_entropy(o, t)


def numbers(o: Tensor, t: Tensor) -> Tensor:
    return NUMBER * F.cross_entropy(o, t)


def classes(o: Tensor, t: Tensor) -> Tensor:
    return Config.factor * F.cross_entropy(o, t)


def environment(o: Tensor, t: Tensor) -> Tensor:
    return float(os.environ.get("LOSSATLAS_TEST_FACTOR", "1.0")) * F.cross_entropy(o, t)


def attribute(o: Tensor, t: Tensor) -> Tensor:
    return getattr(attribute, "factor", 1.0) * F.cross_entropy(o, t)


def held(
    kind: Callable[[], Any], use: Callable[[Any], Any] = closing
) -> Callable[[pytest.MonkeyPatch, Path], tuple[Any, Callable[[], None]]]:
    def make(patch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Callable[[], None]]:
        setting = kind()
        return use(setting), lambda: put(setting, 1.5)

    return make


def global_of(loss: Any, name: str, key: str | int | None = None) -> Callable[[pytest.MonkeyPatch, Path], tuple[Any, Callable[[], None]]]:
    def make(patch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Callable[[], None]]:
        def change() -> None:
            holder = globals()[name]
            if key is None:
                patch.setitem(globals(), name, 1.5)
            elif isinstance(holder, list):
                patch.setitem(globals(), name, [1.5])
            elif isinstance(holder, dict):
                patch.setitem(holder, key, 1.5)
            else:
                patch.setattr(holder, str(key), 1.5, raising=False)

        return loss, change

    return make


def from_file(patch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Callable[[], None]]:
    path = folder / "factor.txt"
    path.write_text("1.0")
    return (lambda o, t: float(path.read_text()) * F.cross_entropy(o, t)), lambda: path.write_text("1.5") and None


def from_environment(patch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Callable[[], None]]:
    return environment, lambda: patch.setenv("LOSSATLAS_TEST_FACTOR", "1.5")


def nested() -> Callable[..., Tensor]:
    factor = 1.0

    def loss(o: Tensor, t: Tensor) -> Tensor:
        return factor * F.cross_entropy(o, t)

    def change() -> None:
        nonlocal factor
        factor = 1.5

    loss.change = change
    return loss


def from_cell(patch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Callable[[], None]]:
    loss = nested()
    return loss, loss.change


WAYS: dict[str, Callable[[pytest.MonkeyPatch, Path], tuple[Any, Callable[[], None]]]] = {
    "a list in a closure": held(lambda: [1.0]),
    "a dict in a closure": held(lambda: {"factor": 1.0}),
    "a nested container": held(lambda: [1.0], lambda s: closing({"factor": s})),
    "a tuple around a list": held(lambda: [1.0], lambda s: closing((s, 2))),
    "an array": held(lambda: np.array([1.0])),
    "a tensor": held(lambda: torch.ones(())),
    "a namespace": held(lambda: types.SimpleNamespace(factor=1.0)),
    "parsed options": held(lambda: argparse.Namespace(factor=1.0)),
    "a dataclass": held(Options),
    "a bound method's owner": held(Owner, lambda owner: owner.loss),
    "a container of a bound method's owner": held(Owner, lambda owner: lambda o, t: owner.deep(o, t) * owner.factor),
    "a callable object": held(Owner, lambda owner: owner),
    "a partial over a list": held(
        lambda: [1.0], lambda s: functools.partial(lambda setting, o, t: factor_of(setting) * F.cross_entropy(o, t), s)
    ),
    "a default": held(lambda: [1.0], lambda s: lambda o, t, setting=s: factor_of(setting) * F.cross_entropy(o, t)),
    "a loss module's list": held(lambda: [1.0], LossModule),
    "a loss module's namespace": held(lambda: types.SimpleNamespace(factor=1.0), LossModule),
    "a closure's own variable": from_cell,
    "a global list": global_of(lists, "LIST", 0),
    "a global dict": global_of(dicts, "DICT", "factor"),
    "a global namespace": global_of(spaces, "SPACE", "factor"),
    "a global number": global_of(numbers, "NUMBER"),
    "a class attribute": global_of(classes, "Config", "factor"),
    "an attribute of the function": global_of(attribute, "attribute", "factor"),
    "the environment": from_environment,
    "a file": from_file,
}


@pytest.fixture
def store() -> la.Archive:
    return la.open_archive(None, "a")


def stopped(objective: la.Objective, plane: la.Plane, store: la.Archive, engine: la.Engine | None = None, **options: Any) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        la.evaluate(
            objective, plane, resolution=SHAPE, archive=store, engine=replace(engine or la.Engine(), tile=7), on_tile=stop, **options
        )


@pytest.mark.parametrize("way", WAYS)
def test_a_setting_that_was_changed_is_noticed(way: str, store: la.Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, change = WAYS[way](monkeypatch, tmp_path)
    plane = la.random_plane(la.Objective(Net(), loss, (X, Y)), seed=3)
    stopped(la.Objective(Net(), loss, (X, Y)), plane, store)
    half = store.surface()
    change()
    with pytest.raises(la.ArchiveError, match=r"its loss at \(alpha, beta\) = \(.*there and .* now.*undo it.*overwrite=True"):
        la.evaluate(la.Objective(Net(), loss, (X, Y)), plane, resolution=SHAPE, archive=store)
    np.testing.assert_array_equal(store.surface().loss, half.loss)


def test_overwrite_begins_anew(store: la.Archive) -> None:
    settings = [1.0]
    objective = la.Objective(Net(), closing(settings), (X, Y))
    plane = la.random_plane(objective, seed=3)
    plain = la.evaluate(objective, plane, resolution=SHAPE, archive=store)
    settings[0] = 1.5
    with pytest.raises(la.ArchiveError, match="its loss at"):  # also where nothing is left to measure
        la.evaluate(objective, plane, resolution=SHAPE, archive=store)
    anew = la.evaluate(objective, plane, resolution=SHAPE, archive=store, overwrite=True)
    np.testing.assert_allclose(anew.loss, 1.5 * plain.loss, rtol=1e-10)


def class_attribute(patch: pytest.MonkeyPatch, model: Net) -> None:
    patch.setattr(Net, "scale", 1.5)


def dict_of_the_model(patch: pytest.MonkeyPatch, model: Net) -> None:
    model.given["scale"] = 1.5


def method(patch: pytest.MonkeyPatch, model: Net) -> None:
    patch.setattr(Net, "forward", lambda self, x: self.last(self.first(x)))


@pytest.mark.parametrize("change", [class_attribute, dict_of_the_model, method])
def test_a_model_that_was_changed_is_noticed(change: Any, store: la.Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Net()
    plane = la.random_plane(la.Objective(model, F.cross_entropy, (X, Y)), seed=3)
    stopped(la.Objective(model, F.cross_entropy, (X, Y)), plane, store)
    change(monkeypatch, model)
    with pytest.raises(la.ArchiveError, match="its loss at"):
        la.evaluate(la.Objective(model, F.cross_entropy, (X, Y)), plane, resolution=SHAPE, archive=store)


def test_a_callable_that_was_changed_is_noticed(store: la.Archive) -> None:
    settings = {"decay": 0.0}
    objective = la.Objective(
        lambda p, _: p["w"].cos().sum() + settings["decay"] * p["w"].square().sum(), params={"w": torch.ones(2, dtype=F64)}
    )
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    stopped(objective, plane, store)
    settings["decay"] = 1e-6
    with pytest.raises(la.ArchiveError, match="its loss at"):
        la.evaluate(objective, plane, resolution=SHAPE, archive=store)


@pytest.mark.parametrize("metric", ["accuracy", "sample_loss", "own"])
def test_every_metric_is_compared(metric: str, store: la.Archive) -> None:
    factor, sign = [1.0], [1.0]
    own = Metric("own", lambda scores: factor[0] * scores.losses)
    objective = la.Objective(Net(), lambda o, t: F.cross_entropy(sign[0] * o, t, reduction="none"), (X, Y))
    plane, metrics = la.random_plane(objective, seed=3), (own if metric == "own" else metric,)
    stopped(objective, plane, store, metrics=metrics)
    again = la.evaluate(objective, plane, resolution=SHAPE, archive=store, metrics=metrics)
    assert again.done.all()
    factor[0], sign[0] = 1.5, -1.0
    turned = la.Objective(Turned(), objective.function.loss, (X, Y)) if metric == "accuracy" else objective
    with pytest.raises(la.ArchiveError, match=f"its {metric} at"):
        la.evaluate(turned, plane, resolution=SHAPE, archive=store, metrics=metrics)


class Turned(Net):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("first", "second"), [("loop", "vmap"), ("vmap", "loop"), ("affine", "loop")])
def test_rounding_is_no_change(dtype: torch.dtype, first: str, second: str, store: la.Archive) -> None:
    """Of another evaluator, batch size or executor."""
    plane = la.random_plane(la.Objective(Net(), F.cross_entropy, (X, Y), dtype=dtype), seed=3, params="last")
    metrics = ("loss", "accuracy", "sample_loss")
    stopped(la.Objective(Net(), F.cross_entropy, (X, Y), dtype=dtype), plane, store, engine=la.Engine(evaluator=first), metrics=metrics)
    other = la.Objective(Net(), F.cross_entropy, (X, Y), dtype=dtype, batch_size=7)
    found = la.evaluate(
        other, plane, resolution=SHAPE, archive=store, engine=la.Engine(evaluator=second, executor="threads", workers=2), metrics=metrics
    )
    assert found.done.all()


class Noisy(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.randn(len(x), 3, dtype=x.dtype)


@pytest.mark.filterwarnings("ignore:The model is random")
def test_a_random_model_with_fixed_noise_is_continued(store: la.Archive) -> None:
    objective = la.Objective(Noisy(), F.cross_entropy, (X, Y))
    plane = la.random_plane(objective, seed=3)
    stopped(objective, plane, store)
    whole = la.evaluate(objective, plane, resolution=SHAPE)
    np.testing.assert_array_equal(la.evaluate(objective, plane, resolution=SHAPE, archive=store).loss, whole.loss)


def test_a_loss_that_never_repeats_is_continued(store: la.Archive, caplog: pytest.LogCaptureFixture) -> None:
    """There is nothing to compare with; refusing would make such a run impossible to continue."""
    noise = torch.Generator().manual_seed(0)
    objective = la.Objective(lambda p, _: p["w"].sum() + torch.randn((), generator=noise), params={"w": torch.ones(2)})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    stopped(objective, plane, store, engine=la.Engine(executor="serial"))
    assert la.evaluate(objective, plane, resolution=SHAPE, archive=store, engine=la.Engine(executor="serial")).done.all()
    assert "differs between two measurements" in caplog.text


def test_holes_and_nan_are_continued(store: la.Archive) -> None:
    def function(p: dict[str, Tensor], _: object) -> Tensor:
        if float(p["w"][0]) == -1:
            raise ArithmeticError("not there")
        return p["w"].sum().log()

    objective = la.Objective(function, params={"w": torch.ones(2, dtype=F64)})
    plane = la.weight_plane(objective, ("w", 0), ("w", 1))
    stopped(objective, plane, store, engine=la.Engine(evaluator="loop"))
    found = la.evaluate(objective, plane, resolution=SHAPE, archive=store, engine=la.Engine(evaluator="loop"))
    assert found.done.all()
    np.testing.assert_array_equal(found.loss, la.evaluate(objective, plane, resolution=SHAPE, engine=la.Engine(evaluator="loop")).loss)


def test_a_hessian_map_compares_losses_and_eigenvalues(store: la.Archive) -> None:
    settings = {"scale": 1.0, "curved": 1.0}

    def function(p: dict[str, Tensor], _: object) -> Tensor:
        weights = p["w"]
        held = weights.detach()
        bowl = settings["curved"] * weights.square().sum() + (1 - settings["curved"]) * held.square().sum()  # one value, another curvature
        return settings["scale"] * bowl

    objective = la.Objective(function, params={"w": torch.ones(2, 2, dtype=F64)})
    plane = la.random_plane(objective, seed=0)
    options = {"resolution": (3, 2), "archive": store, "biases": True}
    first = hessian_map(objective, plane, **options)
    np.testing.assert_array_equal(hessian_map(objective, plane, **options).lambda_max, first.lambda_max)
    settings["curved"] = 0.5
    with pytest.raises(la.ArchiveError, match=r"its lambda_max at .* is 2 there and 1 now"):
        hessian_map(objective, plane, **options)
    settings["scale"] = 2.0
    with pytest.raises(la.ArchiveError, match="its loss at"):
        hessian_map(objective, plane, **options)
    assert hessian_map(objective, plane, **options, overwrite=True).done.all()


def test_cells_are_spread_and_the_models_own_is_among_them() -> None:
    done = np.zeros(20, bool)
    assert compared_cells(done, done, None).size == 0
    done[[3, 4, 9, 12, 17]] = True
    assert compared_cells(done, np.ones(20, bool), model_cell=12).tolist() == [3, 9, 12, 17]
    assert compared_cells(done, done & (np.arange(20) != 3), model_cell=12).tolist() == [4, 9, 12, 17]
    assert compared_cells(done, np.zeros(20, bool), model_cell=5).tolist() == [3, 9, 17], "holes are compared where there is nothing else"


def test_room_for_rounding() -> None:
    """Ten times what evaluators may be off by, and no less than eight ulps of logits of order ten."""
    single, double = (
        Rounding.of(la.Objective(lambda p, _: p["w"].sum(), params={"w": torch.ones(2, dtype=d)}), ["cpu"]) for d in (torch.float32, F64)
    )
    value = np.float64(2.0)
    assert single.agree("loss", value, value * (1 + 5e-4), 2.0)
    assert not single.agree("loss", value, value * (1 + 5e-3), 2.0)
    assert not double.agree("loss", value, value * (1 + 1e-8), 2.0)
    assert single.agree("loss", np.float64(1e-7), np.float64(5e-7), 2.0), "near zero a cross-entropy is as rough as its logits"
    assert not single.agree("loss", np.float64(1e-7), np.float64(5e-7), 1e-7), "but a loss in small units is not"
    assert double.agree("loss", np.float64(np.nan), np.float64(np.inf), 1.0)
    assert not double.agree("loss", np.float64(np.nan), value, 1.0)
