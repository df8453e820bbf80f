"""The five workloads: a tutorial network, spirals, ResNet-20, LeNet and a tiny language model, on real data where it is at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.zoo.data.datasets import data_root, load_cifar10, load_mnist, normalize

Bounds = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Workload:
    """A network, its data and a plane.

    Attributes:
        batch: samples a batch for the plain loop.
        points: to time in one round, by the plain loop; faster contenders get `many` of them.
    """

    name: str
    model: nn.Module
    loss: Callable[..., Tensor]
    x: Tensor
    y: Tensor
    batch: int
    points: int
    many: int
    weights: tuple[tuple[str, tuple[int, int]], ...] = ()
    bounds: Bounds = ((-1.0, 1.0), (-1.0, 1.0))

    def objective(self) -> la.Objective:
        return la.Objective(self.model, self.loss, (self.x, self.y), batch_size=self.batch)

    def plane(self, objective: la.Objective) -> la.Plane:
        return la.weight_plane(objective, *self.weights) if self.weights else la.random_plane(objective, seed=0)

    def grid(self, count: int) -> np.ndarray:
        """Points of the plane, ``(count, 2)``, always the same."""
        low, high = np.array(self.bounds).T
        return low + (high - low) * np.random.default_rng(0).random((count, 2))


class Tutorial(nn.Module):
    """784-50-500-10, sigmoids, no biases, weights drawn by NumPy's legacy generator as in the tutorial."""

    def __init__(self, seed: int = 135) -> None:
        super().__init__()
        draw = np.random.RandomState(seed)
        self.a, self.b, self.c = (nn.Linear(i, o, bias=False, dtype=torch.float64) for i, o in ((784, 50), (50, 500), (500, 10)))
        for layer in (self.a, self.b, self.c):
            layer.weight.data = torch.from_numpy(draw.randn(*layer.weight.shape))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.c(torch.sigmoid(self.b(torch.sigmoid(self.a(x))))))


def squares(output: Tensor, target: Tensor) -> Tensor:
    return ((output - target) ** 2).sum(1)


def mnist(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Real digits where they are at hand, else noise: speed does not depend on it."""
    try:
        data = load_mnist(data_root(), count=count, download=False)
        return data.images, data.labels
    except la.InputError:
        random = np.random.default_rng(0)
        return random.integers(0, 256, (count, 28, 28), dtype=np.uint8), random.integers(0, 10, count)


def tutorial(count: int) -> Workload:
    images, labels = mnist(count)
    x = torch.from_numpy(images.reshape(count, 784) / 255.0)
    y = F.one_hot(torch.from_numpy(labels), 10).double()
    weights = (("c.weight", (5, 250)), ("c.weight", (5, 251)))
    few = 100 if count <= 1000 else 8
    return Workload(f"W1 tutorial, N={count:,}", Tutorial(), squares, x, y, count, few, 1600, weights, ((-15, 17), (-15, 18)))


def spirals(count: int = 3000) -> Workload:
    """A 5x20 ReLU network on three arms, trained for 300 steps."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(2, 20), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Linear(20, 20), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(20, 3))
    each = count // 3
    radius = torch.linspace(0, 1, each).repeat(3)
    angle = torch.cat([torch.linspace(4 * k, 4 * k + 4, each) for k in range(3)]) + 0.2 * torch.randn(3 * each)
    x, y = torch.stack([radius * angle.sin(), radius * angle.cos()], 1) * 2, torch.arange(3).repeat_interleave(each)
    _train(model, x, y, 300, 5e-3)
    return Workload(f"W2 spirals, N={count:,}", model, F.cross_entropy, x, y, count, max(20, 60_000 // count), max(64, 192_000 // count))


def resnet(count: int = 256) -> Workload:
    """ResNet-20 (option A) with published weights where they are at hand, on CIFAR-10."""
    from lossatlas.zoo.checkpoints import load_checkpoint
    from lossatlas.zoo.data.datasets import IMAGENET_MEAN, IMAGENET_STD
    from lossatlas.zoo.networks import network

    model = network("resnet20_a", seed=0)
    try:
        load_checkpoint(data_root() / "nets_cifar10_akamaster" / "resnet20-12fca82f.th", model)
        data = load_cifar10(data_root(), "test", count, download=False)
        x, y = torch.from_numpy(normalize(data.images, IMAGENET_MEAN, IMAGENET_STD)), torch.from_numpy(data.labels)
    except la.InputError:
        x, y = torch.randn(count, 3, 32, 32), torch.arange(count) % 10
    return Workload(f"W3 ResNet-20, {count} images", model.eval(), F.cross_entropy, x, y, 128, 3, 3)


def lenet(count: int = 2000) -> Workload:
    """LeNet with max pooling on MNIST, trained for 60 steps."""
    torch.manual_seed(0)
    convolutions = (nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2))
    model = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    images, labels = mnist(count)
    x, y = torch.from_numpy(normalize(images, (0.1307,), (0.3081,))), torch.from_numpy(labels)
    _train(model, x[:500], y[:500], 60, 2e-3)
    return Workload(f"W4 LeNet, N={count:,}", model, F.cross_entropy, x, y, count, 6, 12)


class Tiny(nn.Module):
    """Two causal blocks over bytes."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(256, width), nn.Embedding(64, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.tokens(x) + self.places.weight[: x.shape[1]]
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.norm(hidden)).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.before(x)).unflatten(-1, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.wide(self.between(x))


def language(count: int = 256) -> Workload:
    torch.manual_seed(0)
    text = torch.tensor(list((__doc__ * 400).encode()))[: count * 65].reshape(count, 65)
    return Workload(f"W5 tiny LM, {count} x 64", Tiny(), F.cross_entropy, text[:, :-1].contiguous(), text[:, 1:].contiguous(), count, 4, 4)


def _train(model: nn.Module, x: Tensor, y: Tensor, steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "w1-small": lambda: tutorial(100),
    "w1": lambda: tutorial(10_000),
    "w2": spirals,
    "w2-300": lambda: spirals(300),
    "w2-100": lambda: spirals(99),
    "w3": resnet,
    "w4": lenet,
    "w5": language,
}
