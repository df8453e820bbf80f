"""Who is timed: a plain hand-written loop, the peers that install from PyPI, and our evaluators.

Peers are imported from the folder in LOSSATLAS_PEERS (pip install --no-deps --target FOLDER loss-landscapes
landscaper loss-landscape-anim), so that their pins touch nothing here. Libraries that they import for drawing or
training only are stubbed, which flatters them.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import os
import sys
import time
from collections.abc import Callable
from unittest.mock import MagicMock

import numpy as np
import torch
from benchmarks.workloads import Workload
from torch.nn import functional as F

from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec, select_evaluator
from lossatlas.compute.metrics import metrics_named

Timed = Callable[[], float]
"""Runs once and returns CPU seconds of a point."""

STUBS = (
    "tqdm", "pytorch_lightning", "pytorch_lightning.callbacks", "torchvision", "torchvision.datasets", "torchvision.transforms",
    "torchmetrics", "topopy", "nglpy", "gudhi", "drawsvg", "coloraide", "importlib_resources", "networkx",
)  # fmt: skip


def clocked(run: Callable[[], int]) -> float:
    """CPU seconds of a point; `run` returns how many points it did."""
    began = time.process_time()
    count = run()
    return (time.process_time() - began) / count


def plain(work: Workload) -> Timed:
    """What a careful user writes: copy the weights in, loop over batches under no_grad."""
    model = copy.deepcopy(work.model).eval()
    objective = work.objective()
    plane = work.plane(objective)
    named = dict(model.named_parameters())
    moves = [(p, plane.center[n], [d.params.get(n) for d in plane.directions]) for n, p in named.items()]
    points = work.grid(work.points)

    def run() -> int:
        with torch.no_grad():
            for point in points:
                for parameter, center, steps in moves:
                    value = center
                    for coordinate, step in zip(point, steps, strict=True):
                        value = value if step is None else value + float(coordinate) * step
                    parameter.copy_(value)
                total = 0.0
                for start in range(0, len(work.x), work.batch):
                    part = slice(start, start + work.batch)
                    total += float(work.loss(model(work.x[part]), work.y[part]).mean()) * len(work.x[part])
        return len(points)

    return lambda: clocked(run)


def article(work: Workload) -> Timed:
    """The tutorial's own way: draw all weights anew from the seed at every point, and the whole network in NumPy."""
    x, y, points = work.x.numpy(), work.y.numpy(), work.grid(work.points)

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    def run() -> int:
        for a, b in points:
            draw = np.random.RandomState(135)
            w0, w1, w2 = draw.randn(50, 784), draw.randn(500, 50), draw.randn(10, 500)
            w2[5, 250], w2[5, 251] = a, b
            predicted = sigmoid(w2 @ sigmoid(w1 @ sigmoid(w0 @ x.T)))
            float(((y.T - predicted) ** 2).sum() / len(x))
        return len(points)

    return lambda: clocked(run)


def ours(work: Workload, evaluator: str = "auto", chunk: int | None = None, compiled: bool = False) -> tuple[Timed, EvaluatorSpec]:
    """Our evaluator, chosen by its probe as `evaluate` does."""
    objective = work.objective()
    task = EvaluationProblem.make(objective, work.plane(objective), metrics_named("loss"))
    choice = select_evaluator(task, work.grid(2), 10**5, evaluator, chunk, compiled)
    count = work.many if choice.evaluator != "loop" else work.points
    measure, points = choice.create(task), work.grid(count)
    return lambda: clocked(lambda: len(measure(points).values["loss"])), choice


def loss_landscapes(work: Workload) -> Timed:
    """loss-landscapes (De Bernardi): its own plane of the same size, its `Loss` metric."""
    library = peer("loss_landscapes")
    metric = importlib.import_module("loss_landscapes.metrics").Loss(lambda out, y: work.loss(out, y).mean(), work.x, work.y)
    steps = max(2, round(work.points**0.5))
    has_filters = not any(isinstance(module, torch.nn.LayerNorm) for module in work.model.modules())  # it divides by their zero biases

    def run() -> int:
        normalization = "filter" if has_filters else None
        library.random_plane(work.model, metric, distance=1, steps=steps, normalization=normalization, deepcopy_model=True)
        return steps * steps

    return lambda: clocked(run)


def landscaper(work: Workload) -> Timed:
    """Landscaper: its loop over all points, the whole data as one batch."""
    peer("landscaper")
    compute = importlib.import_module("landscaper.compute").compute_loss_landscape
    compute.__globals__["tqdm"] = lambda rows, **_: rows
    model = copy.deepcopy(work.model).eval()
    directions = [[torch.randn_like(p) for p in model.parameters()] for _ in range(2)]
    steps = max(3, round(work.points**0.5))

    def loss(network: torch.nn.Module, data: object) -> float:
        return float(work.loss(network(work.x), work.y).mean())

    def run() -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            compute(model, (work.x, work.y), directions, loss, steps=steps, distance=1.0, dim=2, device="cpu")
        return steps * steps

    return lambda: clocked(run)


def landscape_anim(work: Workload) -> Timed:
    """loss-landscape-anim: `LossGrid.compute_loss_2d`, on a model that loads flat vectors as its own does."""
    peer("loss_landscape_anim")
    grid_class = importlib.import_module("loss_landscape_anim.loss_landscape").LossGrid
    model = copy.deepcopy(work.model).eval()
    flat = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    model.init_from_flat_params = lambda vector: torch.nn.utils.vector_to_parameters(vector, model.parameters())
    model.loss_fn = F.cross_entropy
    side = max(2, round(work.points**0.5))
    grid = object.__new__(grid_class)
    step = torch.randn_like(flat) * 0.01
    grid.params_grid = [[flat + i * step + j * step for j in range(side)] for i in range(side)]

    def run() -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            grid.compute_loss_2d(model, (work.x, work.y), tqdm_disable=True)
        return side * side

    return lambda: clocked(run)


PEERS: dict[str, Callable[[Workload], Timed]] = {
    "loss-landscapes": loss_landscapes,
    "landscaper": landscaper,
    "loss-landscape-anim": landscape_anim,
}


def peer(name: str) -> MagicMock:
    """Import a peer from its own folder."""
    folder = os.environ.get("LOSSATLAS_PEERS")
    if folder is None:
        raise ImportError("set LOSSATLAS_PEERS")
    if folder not in sys.path:
        sys.path.append(folder)
    for stub in STUBS:
        try:
            importlib.import_module(stub)
        except ImportError:
            sys.modules[stub] = MagicMock(name=stub, LightningModule=torch.nn.Module, LightningDataModule=object)
    return importlib.import_module(name)
