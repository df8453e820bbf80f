"""Networks by name, each with data and a loss: every evaluator and executor meets every one of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la

F64 = torch.float64


class Tutorial(nn.Module):
    """Sigmoid layers without biases, as in a plane over two weights of the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(i, o, bias=False) for i, o in ((7, 5), (5, 9), (9, 4)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.c(torch.sigmoid(self.b(torch.sigmoid(self.a(x))))))


class Tied(nn.Module):
    """One matrix as encoder and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(torch.tanh(self.encoder(x)))


class Attention(nn.Module):
    """Two heads of scaled dot-product attention over a short sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.out = nn.Embedding(11, 8), nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(self.embed(tokens)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2).mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(x)[0][:, -1])


class Branching(nn.Module):
    """Python looks at values: `.item()` and an `if`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.first(x))
        scale = 1.0 + abs(hidden.mean().item())
        return self.second(hidden / scale) if hidden.sum() > 0 else -self.second(hidden)


class InPlace(nn.Module):
    """In-place activations, and writing into a fresh tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu_().mul_(2.0)
        result = hidden.new_zeros(len(x), 3)
        result[:, :] = self.second(hidden)
        return result


def _classes(samples: int = 12, count: int = 3) -> Tensor:
    return torch.arange(samples) % count


def _tutorial() -> la.Objective:
    x = torch.rand(23, 7, dtype=F64)
    return la.Objective(Tutorial().to(F64), squares, (x, F.one_hot(_classes(23, 4), 4).to(F64)), batch_size=9)


def squares(output: Tensor, target: Tensor) -> Tensor:
    """Summed squared error a sample, as in the tutorial."""
    return ((output - target) ** 2).sum(1)


def _net(model: nn.Module, x: Tensor, y: Tensor | None = None) -> la.Objective:
    model = model.to(F64)
    x = x.to(F64) if x.is_floating_point() else x
    return la.Objective(model, F.cross_entropy, (x, _classes(len(x)) if y is None else y), batch_size=5)


def _conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )


def _norms() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2),
        nn.GroupNorm(2, 4),
        nn.GELU(),
        nn.ConvTranspose2d(4, 3, 2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.LazyLinear(3),
    )


def _image() -> Tensor:
    return torch.randn(12, 2, 6, 6)


def _made(model: nn.Module, x: Tensor) -> nn.Module:
    model(x)
    return model


CASES: dict[str, Callable[[], la.Objective]] = {
    "tutorial": _tutorial,
    "relu": lambda: _net(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(12, 5)),
    "conv-batchnorm": lambda: _net(_conv(), _image()),
    "groupnorm-transposed": lambda: _net(_made(_norms(), _image()), _image()),
    "tied": lambda: la.Objective(Tied().to(F64), F.mse_loss, (torch.randn(12, 6, dtype=F64), torch.randn(12, 6, dtype=F64)), batch_size=5),
    "attention": lambda: _net(Attention(), torch.randint(0, 11, (12, 6))),
    "lstm": lambda: _net(Recurrent(), torch.randn(12, 3, 4)),
    "branching": lambda: _net(Branching(), torch.randn(12, 5)),
    "in-place": lambda: _net(InPlace(), torch.randn(12, 5)),
    "callable": lambda: la.Objective(
        lambda p, batch: (batch @ p["w"]).pow(2), data=torch.randn(12, 4, dtype=F64), params={"w": torch.randn(4, dtype=F64)}, batch_size=5
    ),
}


def case(name: str, seed: int = 0) -> la.Objective:
    """The case of that name, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CASES[name]()
