"""Optimizers as a race takes them: names of `torch.optim`, learning rates, options, classes or factories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

import torch

from lossatlas._util.argument_checks import check_number
from lossatlas._util.text import did_you_mean
from lossatlas.compute.paths.in_plane_optimization import OPTIMIZERS
from lossatlas.errors import InputError, InputTypeError

Factory = Callable[..., torch.optim.Optimizer]
NO_CLOSURE = ("LBFGS", "SparseAdam", "Optimizer", "Muon")
"""Classes that need a closure, sparse gradients or matrices."""
TORCH_OPTIMIZERS: dict[str, Factory] = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and name not in NO_CLOSURE
}
KNOWN = {name.lower(): (kind, {}) for name, kind in TORCH_OPTIMIZERS.items()} | OPTIMIZERS
"""Factories and default options by lower-case name; "momentum" and "nesterov" are SGD with momentum 0.9."""


@dataclass(frozen=True)
class OptimizerChoice:
    """One contestant: how to make its optimizer, at which learning rate, with which options.

    Attributes:
        label: words for legends.
        make: called with the parameters, ``lr`` and the options.
        learning_rate: where it begins.
        options: of the optimizer, such as ``{"momentum": 0.9}``.
    """

    label: str
    make: Factory
    learning_rate: float
    options: Mapping[str, Any]

    def __call__(self, params: Iterable[torch.Tensor], lr: float, **options: Any) -> torch.optim.Optimizer:
        return self.make(params, lr=lr, **options)


def optimizer_choices(optimizers: Any, lr: float | None = None) -> tuple[OptimizerChoice, ...]:
    """The contestants that a user names.

    Args:
        optimizers: a dict whose keys label the runs and whose values are a learning rate (the key then names the optimizer), a
            dict of options such as ``{"optimizer": "SGD", "lr": 0.1, "momentum": 0.9}``, a class of `torch.optim`, or a factory such as
            ``lambda params: torch.optim.SGD(params, lr=0.1)``; or a list of names, which `lr` then serves.
        lr: the learning rate of all that name none.

    Raises:
        InputError: an unknown optimizer or option, or none at all.
        InputTypeError: neither a dict nor names.

    >>> [(c.label, c.learning_rate) for c in optimizer_choices({"SGD": 1e-2, "momentum": {"lr": 0.1}})]
    [('SGD', 0.01), ('momentum', 0.1)]
    """
    if isinstance(optimizers, str):
        optimizers = (optimizers,)
    if not isinstance(optimizers, Mapping):
        if not isinstance(optimizers, Iterable) or isinstance(optimizers, bytes):
            raise InputTypeError("optimizers", optimizers, 'a dict such as {"SGD": 1e-2, "Adam": 0.2}, or a list of names')
        optimizers = {name if isinstance(name, str) else getattr(name, "__name__", str(name)): name for name in optimizers}
    if not optimizers:
        raise InputError("optimizers", "none", 'at least one, such as {"SGD": 1e-2}')
    default = None if lr is None else check_number("lr", lr, above=0)
    return tuple(_choice(str(label), value, default) for label, value in optimizers.items())


def _choice(label: str, value: Any, default: float | None) -> OptimizerChoice:
    if isinstance(value, Real) and not isinstance(value, bool):
        make, options = _named(label)
        return OptimizerChoice(label, make, check_number(f"optimizers[{label!r}]", value, above=0), options)
    if isinstance(value, str):
        make, options = _named(value)
        return OptimizerChoice(label, make, _default_rate(make, default, label), options)
    if isinstance(value, Mapping):
        return _from_options(label, dict(value), default)
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer):
        return OptimizerChoice(label, value, _default_rate(value, default, label), {})
    if callable(value):
        return _from_factory(label, cast(Factory, value), default)
    allowed = "a learning rate, a dict of options, a torch.optim class, or a function of the parameters that makes an optimizer"
    raise InputTypeError(f"optimizers[{label!r}]", value, allowed)


def _named(name: str) -> tuple[Factory, dict[str, Any]]:
    if name.lower() not in KNOWN:
        names = [*TORCH_OPTIMIZERS, "momentum", "nesterov"]
        raise InputError("optimizers", name, f"one of {', '.join(names)}, or a factory", did_you_mean(name, names))
    return KNOWN[name.lower()]


def _from_options(label: str, options: dict[str, Any], default: float | None) -> OptimizerChoice:
    named = options.pop("optimizer", label)
    make, defaults = (cast(Factory, named), dict[str, Any]()) if callable(named) else _named(named)
    if "learning_rate" in options:
        options["lr"] = options.pop("learning_rate")
    rate = options.pop("lr", None)
    chosen = _default_rate(make, default, label) if rate is None else check_number(f'optimizers[{label!r}]["lr"]', rate, above=0)
    choice = OptimizerChoice(label, make, chosen, {**defaults, **options})
    try:
        choice(_probe(), lr=chosen, **choice.options)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizers[{label!r}]", str(error), f"options of {getattr(make, '__name__', make)}") from error
    return choice


def _default_rate(make: Factory, default: float | None, label: str) -> float:
    """The rate that is given for all, else the optimizer's own default."""
    if default is not None:
        return default
    try:
        return float(make(_probe()).param_groups[0]["lr"])
    except TypeError as error:
        raise InputError(f"optimizers[{label!r}]", "no learning rate", "a learning rate", f'Give one: {{"{label}": 0.1}}') from error


def _from_factory(label: str, factory: Factory, default: float | None) -> OptimizerChoice:
    """The learning rate is the factory's own; a change of it is written into the optimizer that it makes."""
    try:
        made = factory(_probe())
    except TypeError as error:
        raise InputError(f"optimizers[{label!r}]", str(error), "a function of the parameters that makes an optimizer") from error
    if not isinstance(made, torch.optim.Optimizer):
        raise InputTypeError(f"optimizers[{label!r}]", type(made).__name__, "a function that returns a torch.optim.Optimizer")
    if type(made).__name__ in NO_CLOSURE:
        raise InputError(f"optimizers[{label!r}]", type(made).__name__, "an optimizer whose step takes no closure")

    def make(params: Iterable[torch.Tensor], lr: float, **options: Any) -> torch.optim.Optimizer:
        optimizer = factory(params, **options)
        for group in optimizer.param_groups:
            group["lr"] = lr
        return optimizer

    make.__name__ = type(made).__name__
    return OptimizerChoice(label, make, float(made.param_groups[0]["lr"]) if default is None else default, {})


def _probe() -> list[torch.Tensor]:
    return [torch.zeros(2, dtype=torch.float64, requires_grad=True)]
