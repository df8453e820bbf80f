"""Curve fitting between two minima by moving control points (Garipov et al. 2018, section 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossatlas._util.progress import progress_bar
from lossatlas.compute.connectivity.curve import Curve, Kind
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.checks import check_same_layout
from lossatlas.compute.params.params import Params, params_of
from lossatlas.compute.planes.plane import buffers_of
from lossatlas.errors import InputError


def fit_curve(
    objective: Objective,
    a: object,
    b: object,
    kind: Kind = "bezier",
    *,
    control_points: int = 1,
    steps: int = 500,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    samples_per_step: int = 1,
    start: Curve | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Curve:
    """Minimize the mean loss along the curve, ``E over t in U(0, 1) of L(phi(t))``; the ends stay.

    Every step takes one batch of the objective's data and `samples_per_step` values of t, one from each of as many equal parts
    of (0, 1), and moves the bends by SGD with a learning rate that falls to zero along a cosine. A model with BatchNorm
    is trained with the batch's own statistics.

    Args:
        objective: the loss and the training data, in the batches to step on.
        a: one end: a module, parameters or an objective.
        b: the other end.
        kind: "bezier" or "polygon".
        control_points: points between the ends.
        steps: updates.
        learning_rate: of the first step.
        momentum: of SGD.
        weight_decay: pull of the curve's points towards zero, as in the training of the ends.
        samples_per_step: values of t a step.
        start: a curve to go on from; its kind and bends are kept. None puts the bends on the straight line.
        seed: of batches and t.
        progress: show progress; None shows it once it takes longer than two seconds, False never.

    Raises:
        InputError: ends that differ in names or shapes, no bends, or a loss that is no longer finite.
    """
    if control_points < 1 or steps < 1 or samples_per_step < 1:
        raise InputError("control_points, steps, samples_per_step", (control_points, steps, samples_per_step), "each at least 1")
    ends = params_of(a), params_of(b)
    check_same_layout(*ends)
    end_params, inner = _initial(ends, control_points, start)
    shape = Curve(start.kind if start is not None else kind, (end_params[0], *inner, end_params[1]))
    leaves = [{n: p.detach().clone().requires_grad_() for n, p in point.items()} for point in inner]
    flat = [tensor for point in leaves for tensor in point.values()]
    optimizer = torch.optim.SGD(flat, lr=learning_rate, momentum=momentum)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    generator = torch.Generator().manual_seed(seed)
    trained = _training_mode(objective)
    with progress_bar("curve", steps, 0, progress) as advance:
        for step in range(steps):
            optimizer.zero_grad()
            loss = _step_loss(
                trained, shape, leaves, end_params, _draw(samples_per_step, generator), _batch(trained, generator), weight_decay
            )
            if not bool(torch.isfinite(loss)):
                raise InputError("learning_rate", learning_rate, f"a rate at which the loss stays finite (lost at step {step})")
            loss.backward()
            optimizer.step()
            schedule.step()
            advance(1)
    points = (end_params[0], *({n: p.detach() for n, p in point.items()} for point in leaves), end_params[1])
    return Curve(shape.kind, points, (buffers_of(a), buffers_of(b)))


def _initial(ends: tuple[Params, Params], bends: int, start: Curve | None) -> tuple[tuple[Params, Params], list[Params]]:
    if start is not None:
        return ends, [dict(point) for point in start.points[1:-1]]
    straight = Curve("polygon", ends)
    return ends, [straight.point((i + 1) / (bends + 1)) for i in range(bends)]


def _training_mode(objective: Objective) -> Objective:
    """With batch statistics where there is BatchNorm: stored ones belong to the ends only."""
    if objective.module is not None and any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in objective.module.modules()):
        return objective.with_mode("batch")
    return objective


def _draw(draws: int, generator: torch.Generator) -> list[float]:
    return ((torch.arange(draws, dtype=torch.float64) + torch.rand(draws, generator=generator, dtype=torch.float64)) / draws).tolist()


def _batch(objective: Objective, generator: torch.Generator) -> int:
    return int(torch.randint(len(objective.data.batches), (), generator=generator))


def _step_loss(
    objective: Objective, shape: Curve, leaves: list[Params], ends: tuple[Params, Params], ts: list[float], batch: int, decay: float
) -> Tensor:
    """Mean over the drawn t of one batch's loss, with L2 pull on the curve's own points."""
    curve = Curve(shape.kind, (ends[0], *leaves, ends[1]))
    total = torch.zeros((), dtype=torch.float64, device=next(iter(ends[0].values())).device)
    for t in ts:
        point = curve.point(t)
        losses = objective.score(point, objective.data.batches[batch]).losses
        total = total + losses.double().mean() / len(ts)
        if decay:
            total = total + 0.5 * decay / len(ts) * torch.stack([p.double().square().sum() for p in point.values()]).sum()
    return total
