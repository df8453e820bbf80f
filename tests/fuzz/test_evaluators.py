"""Random models, losses, planes and evaluators: every cell is compared with a plain loop that shares no code with the package.

Case `n` is the same everywhere: `case_numbered(n)` makes it again. `LOSSATLAS_FUZZ_SECONDS` lengthens the run; from a minute on
processes join in, from five on `torch.compile`.
"""

from __future__ import annotations

import copy
import functools
import itertools
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec
from lossatlas.compute.evaluation.evaluators.base import UnsupportedModel
from lossatlas.compute.evaluation.evaluators.selection import Probe
from lossatlas.compute.metrics import metrics_named
from lossatlas.errors import InputError

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("LOSSATLAS_FUZZ_SECONDS", "7"))
LONG = 60.0
TOLERANCES = {torch.float64: (1e-9, 1e-11), torch.float32: (2e-4, 2e-5)}
"""Relative and absolute: rounding, amplified by a few layers and by logits that grow at the edges of a plane."""


# -- models ----------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """``x + body(x)``, or the first layer's output read twice, which nothing may fold away."""

    def __init__(self, body: nn.Module, first: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.body = first or nn.Identity(), body

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        return hidden + self.body(hidden)


class Tied(nn.Module):
    """Embedding and output layer share one matrix."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding, self.out = nn.Embedding(words, width), nn.Linear(width, words, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(torch.tanh(self.embedding(tokens).mean(1)))


class MeanOverWords(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class OwnLoss(nn.Module):
    """A model that returns its own loss, one number or one a sample."""

    def __init__(self, body: nn.Module, criterion: Any, named: bool) -> None:
        super().__init__()
        self.body, self.criterion, self.named = body, criterion, named

    def forward(self, x: Tensor, y: Tensor) -> Any:
        loss = self.criterion(self.body(x), y)
        return {"loss": loss} if self.named else loss


class Draw:
    """Decisions of one case."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng([20, seed])

    def of(self, *options: Any) -> Any:
        return options[int(self.random.integers(len(options)))]

    def often(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def whole(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))


def activation(draw: Draw) -> nn.Module:
    return draw.of(nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid, nn.SiLU, nn.Softplus, nn.LeakyReLU, lambda: nn.ReLU(inplace=True))()


def dense_layers(draw: Draw, width: int, outputs: int, norms: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(draw.whole(0, 2)):
        wider = draw.whole(2, 7)
        layers.append(nn.Linear(width, wider, bias=draw.often(0.7)))
        if draw.often(0.35):
            layers.append(draw.of(nn.LayerNorm(wider), nn.BatchNorm1d(wider, affine=draw.often(0.8)) if norms else nn.Identity()))
        layers.append(activation(draw))
        if draw.often(0.2):
            layers.append(nn.Dropout(0.5))
        if draw.often(0.25):
            layers.append(Residual(nn.Sequential(nn.Linear(wider, wider), activation(draw))))
        width = wider
    return [*layers, nn.Linear(width, outputs, bias=draw.often(0.8))]


def image_layers(draw: Draw, channels: int, size: int, outputs: int, norms: bool, dims: int) -> list[nn.Module]:
    convolution = (nn.Conv1d, nn.Conv2d)[dims - 1]
    batchnorm, pool = (nn.BatchNorm1d, nn.BatchNorm2d)[dims - 1], (nn.AvgPool1d, nn.AvgPool2d)[dims - 1]
    layers: list[nn.Module] = []
    for _ in range(draw.whole(1, 2)):
        wider = 2 * draw.whole(1, 2)
        groups = 2 if channels % 2 == 0 and draw.often(0.3) else 1
        first = convolution(channels, wider, 3, padding=1, bias=draw.often(0.5), groups=groups)
        norm = batchnorm(wider, affine=draw.often(0.8)) if norms else nn.GroupNorm(2, wider)
        kind = draw.of("plain", "plain", "norm", "norm", "norm", "twice", "skip")
        if kind == "twice":
            layers.append(Residual(norm, first))
        elif kind == "skip":
            layers += [first, Residual(nn.Sequential(convolution(wider, wider, 3, padding=1), norm, activation(draw)))]
        else:
            layers += [first, norm] if kind == "norm" else [first]
        layers.append(activation(draw))
        if size % 2 == 0 and draw.often(0.5):
            layers.append(pool(2))
            size //= 2
        channels = wider
    if draw.often(0.2):
        layers.append((nn.ConvTranspose1d, nn.ConvTranspose2d)[dims - 1](channels, channels, 3, padding=1))
    return [*layers, nn.Flatten(), nn.Linear(channels * size**dims, outputs)]


def model_and_inputs(draw: Draw, samples: int, norms: bool) -> tuple[nn.Module, Tensor, int]:
    """A network, its inputs and how many outputs it has."""
    outputs, kind = draw.whole(2, 4), draw.of("dense", "dense", "image", "image", "series", "words", "tied")
    if kind == "dense":
        width = draw.whole(1, 5)
        return nn.Sequential(*dense_layers(draw, width, outputs, norms)), torch.randn(samples, width), outputs
    if kind in ("image", "series"):
        channels, size, dims = draw.whole(1, 2), draw.of(4, 5, 6), 2 if kind == "image" else 1
        layers = image_layers(draw, channels, size, outputs, norms, dims)
        return nn.Sequential(*layers), torch.randn(samples, channels, *[size] * dims), outputs
    words, width = draw.whole(5, 9), draw.whole(2, 5)
    tokens = torch.randint(0, words, (samples, draw.whole(1, 4)))
    if kind == "tied":
        return Tied(words, width), tokens, words
    return nn.Sequential(nn.Embedding(words, width), MeanOverWords(), *dense_layers(draw, width, outputs, norms)), tokens, outputs


def shake(model: nn.Module) -> None:
    """Statistics and affine weights that are no defaults, so that a mistake in them shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, 0.0, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm) and module.weight is not None:
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias)


# -- losses ----------------------------------------------------------------------------------------------------


def half_square(output: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (output - target).square().sum(1)


def loss_and_targets(draw: Draw, samples: int, outputs: int, dtype: torch.dtype) -> tuple[Callable[..., Tensor], Tensor]:
    """A loss, and targets for it; its value is what it gives of all samples in one batch."""
    classes = torch.randint(0, outputs, (samples,))
    if draw.often(0.55):
        weight = torch.rand(outputs, dtype=dtype) + 0.2 if draw.often(0.4) else None
        smoothing = draw.of(0.0, 0.0, 0.15)
        ignored = draw.of(-100, 0, outputs - 1)
        if ignored == -100 and draw.often(0.5):
            classes[torch.rand(samples) < 0.2] = -100
        if bool((classes == ignored).all()):
            classes[0] = 1 if ignored != 1 else 0
        made = nn.CrossEntropyLoss(weight=weight, ignore_index=ignored, label_smoothing=smoothing)
        partial = functools.partial(F.cross_entropy, weight=weight, ignore_index=ignored, label_smoothing=smoothing)
        if bool((classes < 0).any()) or weight is not None or draw.often(0.5):
            return draw.of(made, partial), classes
        return draw.of(F.cross_entropy, lambda o, t: F.cross_entropy(o, t), lambda o, t: F.cross_entropy(o, t, reduction="none")), classes
    if draw.often(0.4):
        target = torch.rand(samples, outputs, dtype=dtype).round()
        weighted = nn.BCEWithLogitsLoss(pos_weight=torch.rand(outputs, dtype=dtype) + 0.5)
        return draw.of(F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss(), weighted), target
    target = torch.randn(samples, outputs, dtype=dtype)
    mean = draw.of(F.mse_loss, nn.MSELoss(), F.l1_loss, nn.SmoothL1Loss(), F.huber_loss, lambda o, t: (o - t).square().mean())
    return draw.of(mean, half_square), target


# -- planes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lines:
    """The plane in plain terms: weights at the origin, and one or two steps."""

    plane: la.Plane
    center: dict[str, Tensor]
    steps: tuple[dict[str, Tensor], ...]
    low: float
    high: float
    words: str


def plane_of(draw: Draw, objective: la.Objective, model: nn.Module) -> Lines:
    own = {name: p.detach().clone() for name, p in model.named_parameters()}
    ndim, kind = draw.of(2, 2, 2, 1), draw.of("random", "random", "random", "weights", "between", "explicit")
    if kind == "between" and any(True for _ in model.buffers()):
        kind = "explicit"  # which statistics hold between models is a question of its own
    if kind == "random":
        return random_lines(draw, objective, own, ndim)
    if kind == "weights":
        sizes = {n: p.numel() for n, p in own.items()}
        every = [(n, i) for n, size in sizes.items() for i in range(size)]
        chosen = [every[i] for i in draw.random.permutation(len(every))[:ndim]]
        where = [(n, tuple(int(i) for i in np.unravel_index(flat, own[n].shape))) for n, flat in chosen]
        plane = la.weight_plane(objective, *where)
        center, steps = {n: p.clone() for n, p in own.items()}, []
        for name, index in where:
            center[name][index] = 0.0
            step = torch.zeros_like(own[name])
            step[index] = 1.0
            steps.append({name: step})
        return Lines(plane, center, tuple(steps), -1.5, 1.2, f"weights {where}")
    others = [{n: p + 0.7 * torch.randn_like(p) for n, p in own.items()} for _ in range(ndim)]
    steps = tuple({n: other[n] - p for n, p in own.items()} for other in others)
    if kind == "between":
        models = [copy.deepcopy(model) for _ in others]
        for other, weights in zip(models, others, strict=True):
            other.load_state_dict(weights, strict=False)
            if isinstance(other, Tied):
                other.out.weight = other.embedding.weight
        return Lines(la.plane_through(model, *models), own, steps, -0.3, 1.4, "between")
    if draw.often(0.5):  # a plane that moves some of the weights
        names = [n for n in own if draw.often(0.5)] or list(own)[:1]
        steps = tuple({n: s for n, s in step.items() if n in names} for step in steps)
    return Lines(la.Plane.from_directions(own, *steps), own, steps, -0.8, 0.6, f"explicit {sorted(steps[0])}")


def random_lines(draw: Draw, objective: la.Objective, own: dict[str, Tensor], ndim: int) -> Lines:
    """Directions as drawn by the package; which filters they are scaled to is tested elsewhere, their Frobenius norms here."""
    names = [n for n, p in own.items() if p.dim() > 1]
    params = None if draw.often(0.6) else draw.of(names[-1], names[0], [names[0], names[-1]])
    how, biases = draw.of("filter", "filter", "layer", "weight", "none"), draw.often(0.4)
    plane = la.random_plane(objective, seed=draw.whole(0, 99), normalize=how, biases=biases, params=params, ndim=ndim, lazy=draw.often(0.1))
    steps = tuple({n: d.params[n].clone() for n in d.params} for d in plane.directions)
    if how in ("filter", "layer"):
        for step in steps:
            for name, value in step.items():
                np.testing.assert_allclose(float(value.double().norm()), float(own[name].double().norm()), rtol=1e-4, atol=1e-8)
    return Lines(plane, own, steps, -1.0, 0.8, f"random {how} biases={biases} params={params}")


# -- a case and its plain loop ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    number: int
    model: nn.Module
    loss: Callable[..., Tensor]
    batches: tuple[tuple[Tensor, Tensor], ...]
    objective: la.Objective
    lines: Lines
    shape: tuple[int, ...]
    mode: str
    words: str
    draw: Draw = field(repr=False)

    @property
    def axes(self) -> list[np.ndarray]:
        return [np.linspace(self.lines.low, self.lines.high, size) for size in self.shape]

    @property
    def points(self) -> np.ndarray:
        return np.stack([axis.ravel() for axis in np.meshgrid(*self.axes, indexing="ij")], axis=1)

    @property
    def bounds(self) -> Any:
        return (self.lines.low, self.lines.high)

    def plain_loop(self) -> np.ndarray:
        """Every cell: copy the model, add the steps to its weights, run its batches, and take the loss of all samples together."""
        found = []
        for point in self.points:
            model = copy.deepcopy(self.model).train(self.mode == "batch")
            for module in model.modules():
                if isinstance(module, nn.Dropout):
                    module.eval()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    value = self.lines.center[name].clone()
                    for coordinate, step in zip(point, self.lines.steps, strict=True):
                        if name in step:
                            value += float(coordinate) * step[name]
                    parameter.copy_(value)
                outputs = torch.cat([model(x) for x, _ in self.batches])
                found.append(float(self.loss(outputs, torch.cat([y for _, y in self.batches])).double().mean()))
        return np.array(found).reshape(self.shape)


def case_numbered(number: int) -> Case:
    draw = Draw(number)
    torch.manual_seed(number)
    dtype, samples = draw.of(torch.float64, torch.float32), draw.whole(3, 11)
    model, x, outputs = model_and_inputs(draw, samples, norms=draw.often(0.6))
    model = model.to(dtype)
    shake(model)
    x = x.to(dtype) if x.is_floating_point() else x
    loss, y = loss_and_targets(draw, samples, outputs, dtype)
    size = draw.whole(2, samples)
    mode = (
        "batch"
        if draw.often(0.15) and samples % size != 1 and any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in model.modules())
        else "eval"
    )
    batches = tuple(zip(x.split(size), y.split(size), strict=True))
    objective, words = objective_of(draw, model, loss, (x, y), size, mode)
    lines = plane_of(draw, objective, model) if words != "own loss" else own_loss_lines(draw, objective, model)
    shape = tuple(draw.whole(2, 5) for _ in lines.steps)
    shape = (*shape[:1], shape[0] + 1) if len(shape) == 2 and shape[0] == shape[1] else shape
    told = f"{type(model).__name__} {model} {words} {loss} {dtype} {samples}/{size} {mode} {lines.words} {shape}"
    return Case(number, model, loss, batches, objective, lines, shape, mode, told, draw)


def objective_of(draw: Draw, model: nn.Module, loss: Any, data: tuple[Tensor, Tensor], size: int, mode: str) -> tuple[la.Objective, str]:
    """The same loss as a module with a loss, a callable, or a module that returns its own."""
    how, plain = draw.of("module", "module", "module", "callable", "own loss"), bool((data[1] < 0).any())
    weighted = plain or getattr(loss, "weight", None) is not None or isinstance(loss, functools.partial | nn.CrossEntropyLoss)
    if how == "module" or weighted or mode != "eval":
        return la.Objective(model, loss, data, batch_size=size, mode=mode), "module"  # type: ignore[arg-type]
    if how == "own loss":
        return la.Objective(OwnLoss(copy.deepcopy(model), loss, draw.often(0.5)), data=data, batch_size=size), how
    host = copy.deepcopy(model).eval()
    params = {name: p.detach().clone() for name, p in model.named_parameters()}
    return la.Objective(lambda p, b: loss(functional_call(host, p, (b[0],)), b[1]), params=params, data=data, batch_size=size), how


def own_loss_lines(draw: Draw, objective: la.Objective, model: nn.Module) -> Lines:
    """An explicit plane under the names that the wrapper gives."""
    own = {name: p.detach().clone() for name, p in model.named_parameters()}
    steps = tuple({n: 0.7 * torch.randn_like(p) for n, p in own.items()} for _ in range(draw.of(1, 2, 2)))
    plane = la.Plane.from_directions(objective, *({f"body.{n}": v for n, v in step.items()} for step in steps))
    return Lines(plane, own, steps, -0.8, 0.6, "explicit")


# -- ways to measure a case ------------------------------------------------------------------------------------


def evaluated(case: Case, **options: Any) -> np.ndarray:
    engine = la.Engine(**{"tile": case.draw.of(None, 1, 3, 7), **options})
    return la.evaluate(case.objective, case.lines.plane, case.bounds, case.shape, engine=engine, progress=False).loss.values


def forced(case: Case, choice: EvaluatorSpec) -> np.ndarray | None:
    """Values of a layout that is used whether or not it would be chosen; None where there is none for this model, or it refuses."""
    task = EvaluationProblem.make(case.objective, case.lines.plane, metrics_named("loss"))
    if choice.layout != "given" and choice._laid_out(task) is task:
        return None
    try:
        parts = np.array_split(case.points, case.draw.whole(1, min(3, len(case.points))))
        evaluator = choice.unchecked(task)
        return np.concatenate([evaluator(part).values["loss"] for part in parts]).reshape(case.shape)
    except UnsupportedModel:
        return None


def refused_by_its_probe(case: Case, choice: EvaluatorSpec) -> bool:
    """Whether `choose` would have seen on two points that this evaluator is wrong here."""
    task = EvaluationProblem.make(case.objective, case.lines.plane, metrics_named("loss"))
    try:
        Probe.of(task, case.points[[0, len(case.points) * 2 // 3]], len(case.points)).time(choice)
    except UnsupportedModel:
        return True
    return False


FORCED = {
    "loop": EvaluatorSpec(),
    "vmap": EvaluatorSpec("vmap", 3),
    "affine": EvaluatorSpec("affine", None),
    "folded": EvaluatorSpec(layout="folded"),
    "channels last": EvaluatorSpec(layout="channels_last"),
    "features first": EvaluatorSpec(layout="features_first"),
    "features first, vmap": EvaluatorSpec("vmap", 4, layout="features_first"),
}


def ways(case: Case, expected: np.ndarray, long: bool) -> Iterator[tuple[str, np.ndarray | None]]:
    if case.draw.often(0.4):
        yield "evaluate, loop", evaluated(case, evaluator="loop", executor="serial")
    yield "evaluate, auto", evaluated(case)
    for name in ("vmap", "affine"):
        if case.draw.often(0.15):
            try:
                yield f"named {name}", evaluated(case, evaluator=name, chunk=case.draw.of(None, 1, 4))
            except InputError as error:
                assert "which cannot do this" in str(error), error
                yield f"named {name}", None
    if case.objective.module is not None and case.draw.often(0.15):
        yield "threads", evaluated(case, executor="threads", workers=2)
    for name, choice in FORCED.items():
        values = forced(case, choice)
        if values is None or agrees(case, values, expected) or not refused_by_its_probe(case, choice):
            yield name, values
        else:
            yield f"{name}, seen by its probe", None
    if long and case.number % 150 == 0:
        yield "processes", evaluated(case, executor="processes", workers=2)
    if SECONDS >= 5 * LONG and case.number % 400 == 399:
        try:
            yield "compiled", evaluated(case, compile=True)
        except InputError as error:
            assert "is not the loop's" in str(error)
            yield "compiled", None


def agrees(case: Case, values: np.ndarray, expected: np.ndarray) -> bool:
    relative, absolute = TOLERANCES[next(iter(case.objective.params.values())).dtype]
    return np.allclose(values, expected, rtol=relative, atol=absolute * (1 + np.abs(expected).max()), equal_nan=True)


def problems(number: int, long: bool, ran: Counter[str]) -> list[str]:
    """What is wrong with one case, in words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            case = case_numbered(number)
            expected, found = case.plain_loop(), []
            for name, values in ways(case, expected, long):
                ran[name if values is not None else f"{name}: refused"] += 1
                if values is not None and not agrees(case, values, expected):
                    worst = float(np.nanmax(np.abs(values - expected)))
                    found.append(f"case {number}, {name}: off by {worst:.3g} of {np.abs(expected).max():.3g}. {case.words}")
        except Exception as error:
            return [f"case {number}: {type(error).__name__}: {error}"]
    return found


def test_every_cell_is_that_of_a_plain_loop(capsys: pytest.CaptureFixture[str]) -> None:
    began, ran, wrong, cases = time.monotonic(), Counter[str](), list[str](), 0
    for number in itertools.count():
        if time.monotonic() - began > SECONDS:
            break
        wrong += problems(number, SECONDS >= LONG, ran)
        cases += 1
    if SECONDS >= LONG:
        with capsys.disabled():
            print(f"\n{cases} cases; " + ", ".join(f"{name} {count}" for name, count in sorted(ran.items())))
    assert not wrong, f"{len(wrong)} of {cases} cases:\n" + "\n".join(wrong[:20])
