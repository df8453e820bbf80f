"""A module called with other tensors gives what `torch.func.functional_call` gives, and is left as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lossatlas.compute.objective.module.run_module import run_module

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


class Counting(nn.Module):
    """Writes into a buffer, and puts another tensor in its place."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return self.layer(x) * self.calls


class Rebuilt(nn.Module):
    """Has another layer at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        result = self.layer(x)
        self.layer = nn.Linear(4, 3)
        return result


class Raising(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError(str(self.layer(x).sum()))


MODULES: dict[str, Callable[[], nn.Module]] = {
    "chain": lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).eval(),
    "recurrent": lambda: nn.LSTM(4, 3),
    "parametrized": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)),
    "buffer": Counting,
    "rebuilt": Rebuilt,
}


def moved(module: nn.Module) -> dict[str, Tensor]:
    """Other tensors under the names of all parameters and buffers."""
    generator = torch.Generator().manual_seed(1)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {n: torch.rand(t.shape, generator=generator) + 0.5 if t.is_floating_point() else t.clone() for n, t in tensors.items()}


def state(module: nn.Module) -> dict[str, Tensor]:
    return {n: t.detach().clone() for n, t in module.state_dict().items()}


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_outputs_are_those_of_functional_call(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    module, before = make(), None
    for _ in range(3):  # places that were looked up once may have moved
        params = moved(module)
        before = state(module) if not isinstance(module, Rebuilt) else None
        result, expected = run_module(module, params, X, tied=False), functional_call(make().eval(), dict(params), (X,), tie_weights=False)
        assert torch.equal(*(r[0] if isinstance(r, tuple) else r for r in (result, expected)))
        if before is not None:
            assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())


def test_a_call_that_raises_leaves_the_module_alone() -> None:
    module = Raising()
    before = dict(module.named_parameters())
    with pytest.raises(ValueError, match="tensor"):
        run_module(module, moved(module), X, tied=False)
    assert all(p is before[n] for n, p in module.named_parameters())


def test_some_names_replace_some_tensors() -> None:
    module = nn.Linear(4, 3)
    bias = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(run_module(module, {"bias": bias}, X, tied=False), X @ module.weight.T + bias)
    assert torch.equal(run_module(module, {}, {"input": X}, tied=False), module(X))


def test_tied_weights_go_together() -> None:
    layer = nn.Linear(4, 4, bias=False)
    module, weight = nn.Sequential(layer, nn.Tanh(), layer), torch.eye(4) * 2
    assert torch.equal(run_module(module, {"0.weight": weight}, X), torch.tanh(2 * X) * 2)


@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_transforms_go_through(transform: str) -> None:
    module = nn.Linear(4, 3)
    params = {n: p.detach() for n, p in module.named_parameters()}
    if transform == "grad":
        gradient = torch.func.grad(lambda p: run_module(module, p, X, tied=False).sum())(params)
        torch.testing.assert_close(gradient["weight"], X.sum(0).expand(3, 4))
    else:
        several = torch.vmap(lambda s: run_module(module, {n: s * p for n, p in params.items()}, X, tied=False))(torch.arange(3.0))
        torch.testing.assert_close(several[2], 2 * module(X))
