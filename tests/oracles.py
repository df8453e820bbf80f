"""Independent answers: closed forms and plain NumPy, never the code under test."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

import lossatlas as la


def quadratic(size: int = 6, seed: int = 0) -> tuple[la.Objective, np.ndarray, np.ndarray]:
    """``1/2 t'At + b't`` as an objective without data, with A and b."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(size, size))
    matrix, linear = root @ root.T - 0.5 * np.eye(size), random.normal(size=size)
    a, b = torch.from_numpy(matrix), torch.from_numpy(linear)
    objective = la.Objective(lambda p, _: 0.5 * p["t"] @ a @ p["t"] + b @ p["t"], params={"t": torch.from_numpy(random.normal(size=size))})
    return objective, matrix, linear


def quadratic_value(point: np.ndarray, matrix: np.ndarray, linear: np.ndarray) -> float:
    return float(0.5 * point @ matrix @ point + linear @ point)


def linear_regression(samples: int = 40, features: int = 3, outputs: int = 2) -> tuple[la.Objective, np.ndarray, np.ndarray]:
    """Mean squared error of a linear layer; its whole surface is known from X and Y."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    y = torch.randn(samples, outputs, generator=generator, dtype=torch.float64)
    layer = nn.Linear(features, outputs, bias=False, dtype=torch.float64)
    return la.Objective(layer, nn.functional.mse_loss, (x, y), batch_size=7), x.numpy(), y.numpy()


def classifier(seed: int = 0, samples: int = 60, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor, Tensor]:
    """A small ReLU network and data."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)).to(dtype)
    return model, torch.randn(samples, 5, dtype=dtype), torch.randint(0, 3, (samples,))


def numpy_forward(params: dict[str, Tensor], x: Tensor) -> np.ndarray:
    """The classifier's logits in plain NumPy."""
    h = x.numpy()
    for index in (0, 2, 4):
        h = h @ params[f"{index}.weight"].numpy().T + params[f"{index}.bias"].numpy()
        h = np.maximum(h, 0) if index < 4 else h
    return h


def numpy_cross_entropy(logits: np.ndarray, y: Tensor) -> np.ndarray:
    """Per-sample cross-entropy, ``(samples,)``."""
    top = logits.max(1, keepdims=True)
    return (top[:, 0] + np.log(np.exp(logits - top).sum(1))) - logits[np.arange(len(y)), y.numpy()]


def bytes_of(model: nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, bit by bit."""
    return {
        name: value.detach().contiguous().view(torch.uint8).numpy().tobytes() if value.dim() else value.numpy().tobytes()
        for name, value in model.state_dict().items()
    }


def by_loading(model: nn.Module, plane: la.Plane, run: Callable[[nn.Module], Tensor], points: Iterable[tuple[float, ...]]) -> list[float]:
    """Values of a surface: copy every point's weights into the model and run it as a user would."""
    model, found = copy.deepcopy(model).eval(), []
    for point in points:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(plane.point(*point)[name])
        found.append(float(run(model).detach()))
    return found
