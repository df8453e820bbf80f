"""What threads would share is never measured on threads, and the user's models stay as they were, whatever happens."""

from __future__ import annotations

import argparse
import copy
import functools
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.evaluation.evaluators import EvaluationProblem
from lossatlas.compute.evaluation.executors import EXECUTORS, thread_hazard
from lossatlas.compute.metrics import metrics_named
from lossatlas.errors import InputError
from oracles import classifier

SHAPE = (5, 4)
X = torch.randn(24, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(24) % 3
GLOBAL = nn.Linear(4, 3, dtype=torch.float64)
SMOOTHING, SETTINGS = 0.1, {"scale": 2.0, "names": ["a"]}
KEPT: dict[str, Tensor] = {}


def net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def around(model: nn.Module, trouble: Callable[[], None] = lambda: None) -> la.Objective:
    """The natural callable: the model's loss at the parameters that are given."""

    def loss(p: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        trouble()
        return F.cross_entropy(functional_call(model, p, (batch[0],)), batch[1])

    return la.Objective(loss, data=(X, Y), params=dict(model.named_parameters()))


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """The very same parameters with the very same bits."""
    before = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    yield
    for (parameter, value), now in zip(before, model.parameters(), strict=True):
        assert now is parameter
        assert torch.equal(now, value)


def hazard(objective: la.Objective, *metrics: str) -> str | None:
    return thread_hazard(EvaluationProblem.make(objective, la.random_plane(objective), metrics_named(metrics or ("loss", "accuracy"))))


def test_a_callable_that_holds_a_model_is_refused_on_threads() -> None:
    model = net()
    objective, archive = around(model), la.open_archive(None, "a")
    with untouched(model), pytest.raises(InputError, match=r"the callable reaching model \(Sequential\).*processes"):
        la.evaluate(objective, la.random_plane(objective), resolution=SHAPE, archive=archive, engine=la.Engine(executor="threads"))
    assert archive.surfaces == ()


def test_auto_takes_no_threads_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the job: 410 of 441 cells were wrong, and the caller's model held other weights."""
    monkeypatch.setattr("lossatlas.compute.evaluation.evaluate.THREADS_SECONDS", 0.0)
    monkeypatch.setattr("lossatlas.compute.evaluation.evaluate.THREADS_JOB_SECONDS", -1.0)
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)  # or the four above would be "restored"
    used: list[str] = []
    for name in ("threads", "serial"):
        real = EXECUTORS[name]
        monkeypatch.setitem(EXECUTORS, name, lambda *a, real=real, name=name: used.append(name) or real(*a))
    model = net()
    with untouched(model):
        found = la.evaluate(around(model), la.random_plane(around(model)), resolution=SHAPE)
    assert used == ["serial"]
    plain = la.Objective(model, F.cross_entropy, (X, Y))
    np.testing.assert_allclose(found.loss, la.evaluate(plain, la.random_plane(plain), resolution=SHAPE).loss, rtol=1e-12)
    assert used == ["serial", "threads"], "a module of its own may run on threads"


@pytest.mark.parametrize("evaluator", ["loop", "vmap", "affine"])
@pytest.mark.parametrize("trouble", [None, ValueError, KeyboardInterrupt])
def test_the_callers_model_is_as_it_was(evaluator: str, trouble: type[BaseException] | None) -> None:
    model, calls = net(), 0
    objective = around(model)
    plane = la.random_plane(objective, params="2" if evaluator == "affine" else None)

    def interrupt(*_: object) -> None:
        nonlocal calls
        calls += 1
        if trouble is not None and calls > 3 and model[0].weight is not first:
            raise trouble

    first = model[0].weight
    with untouched(model):
        handle = model[1].register_forward_hook(interrupt)  # in the midst of functional_call, other parameters in place
        try:
            la.evaluate(objective, plane, resolution=SHAPE, engine=la.Engine(evaluator=evaluator))
        except (KeyboardInterrupt, InputError, ValueError) as error:
            assert trouble is not None, error
        handle.remove()
    assert calls > 3


class Distilled(nn.Module):
    """A loss module with a teacher of its own, whose weights it swaps."""

    def __init__(self) -> None:
        super().__init__()
        self.teacher = nn.Linear(3, 3, dtype=torch.float64)

    def forward(self, o: Tensor, t: Tensor) -> Tensor:
        swapped = {n: 2 * p for n, p in self.teacher.named_parameters()}
        return F.mse_loss(o, functional_call(self.teacher, swapped, (F.one_hot(t, 3).double(),)))


class Reaching(nn.Module):
    def __init__(self, own: bool) -> None:
        super().__init__()
        self.last, self.own = nn.Linear(4, 3, dtype=torch.float64), own

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x) + self.offset(x)

    def offset(self, x: Tensor) -> Tensor:
        return 0 * x[:, :3] if self.own else GLOBAL(x)


class Settings:
    scale = 2.0


class Holder:
    model = GLOBAL


def owner_of(model: nn.Module) -> Any:
    class Owner:
        def loss(self, o: Tensor, t: Tensor) -> Tensor:
            return F.mse_loss(o, model(X))

    return Owner().loss


def teaching(teacher: Any) -> Callable[..., Tensor]:
    return lambda o, t: F.mse_loss(o, teacher(X))


def counting() -> Callable[..., Tensor]:
    seen: list[Tensor] = []

    def loss(o: Tensor, t: Tensor) -> Tensor:
        seen.append(o)
        return F.cross_entropy(seen[-1], t)

    return loss


def scaled(scale: Any) -> Callable[..., Tensor]:
    return lambda o, t: (scale.scale if isinstance(scale, types.SimpleNamespace | argparse.Namespace) else 1.0) * F.cross_entropy(o, t)


@torch.no_grad()
def decorated(o: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(o, GLOBAL(X))


def with_attribute(o: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(o, with_attribute.teacher(X))


with_attribute.teacher = GLOBAL


def importing(o: Tensor, t: Tensor) -> Tensor:
    from oracles import classifier

    return F.cross_entropy(o, t) + 0 * classifier(samples=4)[1].sum()


class Called:
    def __init__(self) -> None:
        self.scale = 1.0

    def __call__(self, o: Tensor, t: Tensor) -> Tensor:
        return self.scale * F.mse_loss(o, GLOBAL(X))


class Static:
    @staticmethod
    def loss(o: Tensor, t: Tensor) -> Tensor:
        return F.mse_loss(o, GLOBAL(X))


def global_loss(o: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(o, GLOBAL(X))


SHARED: dict[str, Callable[..., Tensor]] = {
    "a teacher in a closure": teaching(GLOBAL),
    "a teacher among globals": global_loss,
    "a function that reaches one": lambda o, t: global_loss(o, t),
    "a partial over one": functools.partial(lambda teacher, o, t: F.mse_loss(o, teacher(X)), GLOBAL),
    "a bound method": owner_of(GLOBAL),
    "a list that it fills": counting(),
    "a dict of tensors": lambda o, t: KEPT.setdefault("o", o).sum() + F.cross_entropy(o, t),
    "a class that holds one": lambda o, t: F.mse_loss(o, Holder.model(X)),
    "behind a decorator": decorated,
    "behind a transform": lambda o, t: torch.func.vmap(decorated)(o[None], t[None]).sum(),
    "an attribute of the function": with_attribute,
    "a module imported within": importing,
    "a callable object": Called(),
    "a static method": lambda o, t: Static.loss(o, t),
    "a default": lambda o, t, teacher=GLOBAL: F.mse_loss(o, teacher(X)),
}
OWN: dict[str, Callable[..., Tensor]] = {
    "of torch": F.cross_entropy,
    "a module of torch": nn.CrossEntropyLoss(label_smoothing=0.1),
    "a partial": functools.partial(F.cross_entropy, label_smoothing=0.1),
    "a lambda": lambda o, t: F.cross_entropy(o, t, label_smoothing=SMOOTHING),
    "settings among globals": lambda o, t: SETTINGS["scale"] * F.cross_entropy(o, t),
    "settings of a class": lambda o, t: Settings.scale * F.cross_entropy(o, t),
    "behind a decorator": torch.no_grad()(scaled(1.0)),
    "a namespace": scaled(types.SimpleNamespace(scale=3.0)),
    "parsed options": scaled(argparse.Namespace(scale=3.0)),
    "a module with a teacher of its own": Distilled(),
}


@pytest.mark.parametrize("case", SHARED)
def test_a_loss_that_reaches_what_threads_share(case: str) -> None:
    objective = la.Objective(net(), SHARED[case], (X, Y))
    assert hazard(objective) is not None
    with pytest.raises(InputError, match="the loss reaching"):
        la.evaluate(objective, la.random_plane(objective), resolution=SHAPE, engine=la.Engine(executor="threads"))


@pytest.mark.parametrize("case", OWN)
def test_a_loss_that_reaches_nothing_runs_on_threads(case: str) -> None:
    objective = la.Objective(net(), OWN[case], (X, Y))
    assert hazard(objective) is None
    plane = la.random_plane(objective)
    many = la.evaluate(objective, plane, resolution=SHAPE, engine=la.Engine(evaluator="loop", executor="threads", workers=4, tile=1))
    np.testing.assert_array_equal(many.loss, la.evaluate(objective, plane, resolution=SHAPE, engine=la.Engine(evaluator="loop")).loss)


def test_a_loss_module_is_copied_for_every_thread() -> None:
    loss = Distilled()
    objective = la.Objective(net(), loss, (X, Y))
    with untouched(loss):
        la.evaluate(
            objective,
            la.random_plane(objective),
            resolution=(9, 7),
            engine=la.Engine(evaluator="loop", executor="threads", workers=4, tile=1),
        )
    replica = objective.thread_copy().function
    assert replica.loss is not loss
    assert replica.loss.teacher.weight is loss.teacher.weight, "weights are shared, modules are not"


def test_a_model_that_reaches_another() -> None:
    assert (
        hazard(la.Objective(Reaching(own=True), F.cross_entropy, (X, Y))) == "the model reaching GLOBAL (Linear), which threads would share"
    )
    model, seen = net(), []
    assert hazard(la.Objective(copy.deepcopy(model), F.cross_entropy, (X, Y))) is None
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert hazard(la.Objective(model, F.cross_entropy, (X, Y))) == "the model reaching seen (list), which threads would share"


def test_a_callable_of_its_arguments_alone_may_run_on_threads() -> None:
    objective = la.Objective(lambda p, _: p["w"].square().sum(), params={"w": torch.ones(2, 2, dtype=torch.float64)})
    assert hazard(objective, "loss") is None


def test_modules_of_the_suite_are_no_hazard() -> None:
    model, x, y = classifier(samples=40)
    assert hazard(la.Objective(model, F.cross_entropy, (x, y))) is None
