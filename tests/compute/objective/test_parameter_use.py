"""A loss that reads other weights than those it is given is refused or warned of, with its line; ordinary losses are left in peace."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import lossatlas as la
from cases import CASES, case

X, Y = torch.linspace(-1, 1, 80).reshape(20, 4).sin(), torch.arange(20) % 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters())


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


class Regularized:
    """What a trainer does: a bound method that adds a penalty on the model it holds."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        penalty = sum(p.pow(2).sum() for p in self.model.parameters())  # the line that reads
        return F.cross_entropy(output, target) + 1e-3 * penalty


class LossModule(nn.Module):
    """A loss module that holds the model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target) + self.model.get_parameter("2.bias").abs().sum()


class SecondReference(nn.Module):
    """Registered, but read through a list, where nobody swaps it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.all = [self.layer.weight]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.all[0], self.layer.bias)


def regularized() -> la.Objective:
    model = network()
    return la.Objective(model, Regularized(model).loss, (X, Y))


def frozen() -> la.Objective:
    model = network().requires_grad_(False)
    return la.Objective(model, Regularized(model).loss, (X, Y))


def loss_module() -> la.Objective:
    model = network()
    return la.Objective(model, LossModule(model), (X, Y))


def hooked() -> la.Objective:
    model = network()
    model[0].register_forward_hook(lambda _module, _given, result: result + model.get_parameter("0.bias").mean())  # type: ignore[index]
    return la.Objective(model, F.cross_entropy, (X, Y))


def callers_model() -> la.Objective:
    model = network()
    return la.Objective(lambda p, b: F.cross_entropy(model(b[0]), b[1]), params=parameters(model), data=(X, Y))


def detached() -> la.Objective:
    model = network()
    given = {name: p.detach() for name, p in model.named_parameters()}
    return la.Objective(lambda p, b: F.cross_entropy(model(b[0]), b[1]), params=given, data=(X, Y))


def stale_params() -> la.Objective:
    model, held = network(), copies(network())
    return la.Objective(lambda p, b: F.cross_entropy(functional_call(model, held, (b[0],)), b[1]), params=held, data=(X, Y))


def partly_stale() -> la.Objective:
    model = network()
    stale = {"0.weight": parameters(model)["0.weight"]}
    return la.Objective(
        lambda p, b: F.cross_entropy(functional_call(model, {**p, **stale}, (b[0],)), b[1]), params=parameters(model), data=(X, Y)
    )


REFUSED: dict[str, tuple[Callable[[], la.Objective], str]] = {
    "bound method": (regularized, r"caller's own 0\.weight.* and 2 more at test_parameter_use\.py:\d+ \(penalty = sum\("),
    "frozen model": (frozen, r"caller's own 0\.weight"),
    "loss module": (loss_module, r"caller's own 2\.bias at test_parameter_use\.py:\d+ \(return F\.cross_entropy\(output"),
    "hook": (hooked, r"caller's own 0\.bias at test_parameter_use"),
    "caller's model": (callers_model, r"caller's own 0\.weight"),
    "detached parameters": (detached, r"caller's own 0\.weight"),
    "stale params": (stale_params, r"caller's own 0\.weight"),
    "one stale weight": (partly_stale, r"caller's own 0\.weight at"),
    "second reference": (
        lambda: la.Objective(SecondReference(), F.cross_entropy, (X, Y)),
        r"layer\.weight by a second reference at",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_loss_that_reads_other_weights_is_refused_with_its_line(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(la.InputError, match=words):
        make()


class Unregistered(nn.Module):
    """A layer of weights in a plain list."""

    def __init__(self, requires_grad: bool = True) -> None:
        super().__init__()
        self.weights, self.out = [torch.ones(6, 4, requires_grad=requires_grad)], nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(F.linear(x, self.weights[0])))


class Layers(nn.Module):
    """Layers in a plain dict inside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.out = [{"first": nn.Linear(4, 6)}], nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.layers[0]["first"](x)))


class Cached(nn.Module):
    """Remembers what it once gave for inputs of a shape."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.cache = nn.Linear(4, 3), dict[Any, Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape not in self.cache:
            self.cache[x.shape] = self.layer(x)
        return self.cache[x.shape]


def clones() -> la.Objective:
    model = network()
    return la.Objective(lambda p, b: F.cross_entropy(model(b[0]), b[1]) + p["0.bias"].sum(), params=copies(model), data=(X, Y))


WARNED: dict[str, tuple[Callable[[], la.Objective], str]] = {
    "tensor in a list": (lambda: la.Objective(Unregistered(), F.cross_entropy, (X, Y)), r"reads weights\[0\] at .*no plane moves"),
    "layer in a dict": (lambda: la.Objective(Layers(), F.cross_entropy, (X, Y)), r"reads layers\[0\]\['first'\]\.weight, .*no plane moves"),
    "cache": (lambda: la.Objective(Cached(), F.cross_entropy, (X, Y)), "does not change when every parameter moves"),
    "constant": (lambda: la.Objective(lambda p, b: torch.ones(()), params={"w": torch.ones(3)}), "does not change when every"),
    "clones of the caller's model": (clones, r"reads a tensor of shape \(6, 4\).* no plane moves"),
}


@pytest.mark.parametrize("name", WARNED)
def test_weights_that_no_plane_moves_are_warned_of(name: str) -> None:
    make, words = WARNED[name]
    with pytest.warns(UserWarning, match=words) as caught:
        make()
    assert len(caught) == 1 and caught[0].filename == __file__


class Temperature(nn.Module):
    """A loss with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output * self.log_temperature.exp(), target)


def test_a_losss_own_weights_are_allowed_and_said() -> None:
    objective = la.Objective(network(), Temperature(), (X, Y))
    assert objective.data.note == "the loss's own weights stay fixed: log_temperature"
    assert objective.description["note"] == objective.data.note
    hidden = nn.Parameter(torch.zeros(()))
    objective = la.Objective(network(), lambda o, t: F.cross_entropy(o * hidden.exp(), t), (X, Y))
    assert objective.data.note == "the loss's own weights stay fixed: a tensor of shape ()"


class Distilled(nn.Module):
    """A student beside its frozen teacher: hidden in a list, or a module that reads it without gradients."""

    def __init__(self, no_grad: bool) -> None:
        super().__init__()
        self.student, self.no_grad = network(), no_grad
        self.hidden = [copy.deepcopy(self.student) if no_grad else copy.deepcopy(self.student).requires_grad_(False)]

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.no_grad):
            teacher = self.hidden[0](x)
        return self.student(x) - 0.1 * teacher


class Stubborn(nn.Module):
    """A model that raises where gradients are recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
            raise RuntimeError("inference only")
        return self.layer(x)


def anchored() -> la.Objective:
    """A proximal term about the start, which is a constant and said to be one."""
    model = network()
    start = copies(model)

    def loss(p: Any, b: Any) -> Tensor:
        return F.cross_entropy(functional_call(model, p, (b[0],)), b[1]) + sum(((p[n] - q) ** 2).sum() for n, q in start.items())

    return la.Objective(loss, params=parameters(model), data=(X, Y))


def natural(part: str = "") -> la.Objective:
    model = network()
    given = {n: p for n, p in model.named_parameters() if n.startswith(part)}
    return la.Objective(lambda p, b: F.cross_entropy(functional_call(model, p, (b[0],)), b[1]), params=given, data=(X, Y))


def writes_into_the_model(given: Callable[[nn.Module], dict[str, Tensor]]) -> la.Objective:
    model = network()

    def loss(p: Any, b: Any) -> Tensor:
        model.load_state_dict(p)
        return F.cross_entropy(model(b[0]), b[1])

    return la.Objective(loss, params=given(model), data=(X, Y))


class Off(nn.Module):
    """Units that no sample switches on."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x - 1e6)


def physics_informed() -> la.Objective:
    model = network()

    def loss(p: Any, b: Any) -> Tensor:
        place = b.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(functional_call(model, p, (place,)).sum(), place, create_graph=True)
        return slope.square().sum(1)

    return la.Objective(loss, params=parameters(model), data=X)


def asks_for_shapes() -> la.Objective:
    """A loss that looks at the caller's model without reading its numbers."""
    model = network()

    def loss(output: Tensor, target: Tensor) -> Tensor:
        size = sum(p.numel() for p in model.parameters()) + len(torch.zeros_like(model.get_parameter("0.weight")))
        return F.cross_entropy(output.to(model.get_parameter("0.weight").dtype), target, reduction="none") * size

    return la.Objective(model, loss, (X, Y))


QUIET: dict[str, Callable[[], la.Objective]] = {
    **{name: lambda name=name: case(name) for name in CASES},
    "callable": natural,
    "callable of some weights": lambda: natural("2."),
    "anchored": anchored,
    "writes its own parameters": lambda: writes_into_the_model(parameters),
    "writes copies": lambda: writes_into_the_model(copies),
    "constant attribute": lambda: la.Objective(Unregistered(requires_grad=False), F.cross_entropy, (X, Y)),
    "teacher": lambda: la.Objective(Distilled(no_grad=True), F.cross_entropy, (X, Y)),
    "frozen teacher": lambda: la.Objective(Distilled(no_grad=False), F.cross_entropy, (X, Y)),
    "physics": physics_informed,
    "shapes": asks_for_shapes,
    "inference only": lambda: la.Objective(Stubborn(), F.cross_entropy, (X, Y)),
    "zero-one loss": lambda: la.Objective(network(), lambda o, t: (o.argmax(1) != t).float(), (X, Y)),
    "dropout": lambda: la.Objective(nn.Sequential(nn.Dropout(0.5), network()), F.cross_entropy, (X, Y), mode="train"),
    "no data": lambda: la.Objective(lambda p, _: p["w"].square().sum(), params={"w": torch.zeros(3)}),
    "plateau": lambda: la.Objective(lambda p, _: (p["w"] - 1e6).relu().sum(), params={"w": torch.zeros(3)}),
    "units that are off": lambda: la.Objective(nn.Sequential(network(), Off()), F.mse_loss, (X, torch.zeros(len(X), 3))),
    "infinite at the center": lambda: la.Objective(lambda p, _: p["w"].log().sum(), params={"w": torch.zeros(3)}),
}


@pytest.mark.parametrize("name", QUIET)
def test_ordinary_losses_are_left_in_peace(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        objective = QUIET[name]()
    if name in ("callable", "anchored", "no data", "shapes"):
        assert objective.data.note is None
    if name == "no data":
        assert torch.equal(torch.rand(3), expected), "the caller's random numbers are left alone"


def test_the_callers_model_is_as_before() -> None:
    """A function that writes params into the model leaves it at the center; everything else never touches it."""
    for make in (regularized, callers_model):
        with pytest.raises(la.InputError):
            make()
    model = network()
    before, versions = copies(model), [p._version for p in model.parameters()]
    with pytest.raises(la.InputError):
        la.Objective(model, Regularized(model).loss, (X, Y))
    assert versions == [p._version for p in model.parameters()] and all(p.grad is None for p in model.parameters())

    def loss(p: Any, b: Any) -> Tensor:
        model.load_state_dict(p)
        return F.cross_entropy(model(b[0]), b[1])

    la.Objective(loss, params=copies(model), data=(X, Y))
    for name, weight in copies(model).items():
        np.testing.assert_array_equal(weight, before[name])
