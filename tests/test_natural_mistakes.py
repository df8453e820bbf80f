"""Natural mistakes of a first hour, each with the message that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lossatlas as la

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
LOADER = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=10)


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


class Output:
    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits


class Wrapped(nn.Module):
    """A model whose output is an object or a dict, as those of Transformers are."""

    def __init__(self, form: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.form = net(), form

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(self.inner(x))


def diverged() -> nn.Module:
    model = net()
    nn.init.constant_(model[0].bias, float("nan"))  # pyright: ignore[reportIndexIssue, reportArgumentType]
    return model


MODEL: Any = net()
OPTIMIZER: Any = torch.optim.SGD(MODEL.parameters(), lr=0.1)
TARGET: Any = la.Objective(MODEL, F.cross_entropy, (X, Y))
PLANE: Any = la.random_plane(TARGET)
SURFACE: Any = la.evaluate(TARGET, PLANE, resolution=3, progress=False)
RUN: Any = la.Trajectory.from_checkpoints([{"w": torch.tensor([float(k), float(k * k)])} for k in range(4)])


def target(*data: Any, model: Any = MODEL, loss: Any = F.cross_entropy, **options: Any) -> Any:
    return la.Objective(model, loss, *([data] if data else []), **options)


def stored(path: Path, model: nn.Module | None = None, seed: int = 0, data: Any = (X, Y), resolution: int = 3) -> Any:
    objective = la.Objective(net() if model is None else model, F.cross_entropy, data)
    return la.evaluate(objective, la.random_plane(objective, seed), resolution=resolution, archive=path / "a.zarr", progress=False)


MISTAKES: dict[str, tuple[Callable[[Path], Any], str]] = {
    # the objective
    "a class in place of a loss": (lambda _: target(X, Y, loss=nn.CrossEntropyLoss), "the class CrossEntropyLoss; .* CrossEntropyLoss()"),
    "a class in place of a model": (lambda _: target(X, Y, model=nn.Linear), "the class Linear; .* Make one: Linear(...)"),
    "no data": (lambda _: target(), "data: got None; .* la.Objective(model, loss, (x, y))"),
    "inputs in float64": (lambda _: target(X.double(), Y), "inputs of torch.float64; .* x.to(torch.float32)"),
    "arrays in float64": (lambda _: target(X.double().numpy(), Y.numpy()), "inputs of torch.float64; .* dtype=torch.float32"),
    "an output that is an object": (lambda _: target(X, Y, model=Wrapped(Output)), "type Output; .* loss(output.logits, target)"),
    "an output that is a dict": (lambda _: target(X, Y, model=Wrapped(lambda x: {"logits": x})), "loss(output['logits'], target)"),
    "tokens without labels": (
        lambda _: target(X, model=Wrapped(Output), loss=None),
        "Models of Transformers return it where the batches hold labels",
    ),
    "classes as floats": (lambda _: target(X, Y.float()), "targets of torch.float32; .* y.long()"),
    "classes as int32": (lambda _: target(X, Y.int()), "targets of torch.int32; .* y.long()"),
    "one-hot classes": (lambda _: target(X, F.one_hot(Y)), "targets of shape (20, 2); .* y.argmax(1)"),
    "classes that count from 1": (lambda _: target(X, Y + 1), "label 2 in batch 0; .* count from 1"),
    "loss and data swapped": (lambda _: target(model=MODEL, loss=(X, Y)), "got tuple; .* The order is Objective(model, loss, data)"),
    "the optimizer as loss": (lambda _: target(X, Y, loss=OPTIMIZER), "got SGD; expected a function loss(output, target)"),
    "the loss by name": (lambda _: target(X, Y, loss="cross_entropy"), "got str; expected a function loss(output, target)"),
    "data of unequal lengths": (lambda _: target(X, Y[:5]), "lengths [5, 20]; .* same number of samples"),
    "the path of data": (lambda _: la.Objective(MODEL, F.cross_entropy, "data.csv"), "str 'data.csv'; expected tensors"),
    "a device that is not there": (
        lambda _: target(X, Y, device="cuda:7"),
        "device: got cuda:7; expected cpu, or a device that torch finds here",
    ),
    "a mode that is none": (lambda _: target(X, Y, mode="test"), "mode: got test; expected one of 'auto', 'eval'"),
    "a model that diverged": (lambda _: target(X, Y, model=diverged()), "NaN or infinite weights in 0.bias; .* earlier checkpoint"),
    "a state in place of a model": (lambda _: target(X, Y, model=MODEL.state_dict()), "got OrderedDict; .* model.load_state_dict(state)"),
    "batchsize=": (lambda _: target(X, Y, batchsize=3), "batchsize: got 3; .* Pass batch_size= in its place"),
    "criterion=": (lambda _: la.Objective(MODEL, criterion=F.cross_entropy), "Pass loss= in its place"),
    "samples of unequal lengths": (
        lambda _: la.Objective(MODEL, None, [{"input_ids": [1]}, {"input_ids": [1, 2]}]),
        "Pad them to one length",
    ),
    # planes
    "weights by name alone": (lambda _: la.weight_plane(TARGET, "0.weight", "2.weight"), "such as ('0.weight', (0, 0))"),
    "weights called x and y": (lambda _: la.weight_plane(TARGET, "x", "y"), "weights: got x; expected a name and an index"),
    "an index of too few numbers": (lambda _: la.weight_plane(TARGET, ("0.weight", 0)), "an index into the shape (4, 3)"),
    "an unknown weight": (lambda _: la.weight_plane(TARGET, ("3.weight", (0, 0))), "the name of a parameter: 0.weight, 0.bias"),
    "a plane through one model twice": (lambda _: la.plane_through(MODEL, MODEL), "two equal models; .* each checkpoint was loaded"),
    "a plane through other networks": (lambda _: la.plane_through(MODEL, nn.Linear(2, 2)), "the same parameter names in both"),
    "paths of checkpoints": (lambda _: la.plane_through("a.pt", "b.pt"), "model: got str; expected an nn.Module"),
    "a normalization that is none": (lambda _: la.random_plane(TARGET, normalize="filters"), "one of 'filter', 'layer'"),
    "the path of a model itself": (lambda _: la.pca_plane(MODEL), "got Sequential; expected a Trajectory. Pass recorder.trajectory"),
    "a recording that is not there": (lambda path: la.pca_plane(path / "nowhere.zarr"), "No archive at .*nowhere.zarr"),
    "the path of another model": (lambda _: la.project_trajectory(RUN, PLANE), "0.weight, .* in the first only; w in the second only"),
    # evaluation
    "plane and objective swapped": (lambda _: la.evaluate(PLANE, TARGET), "the plane first; .* Call evaluate(objective, plane)"),
    "a model in place of an objective": (lambda _: la.evaluate(MODEL, PLANE), "got Sequential; .* la.Objective(model, loss, (x, y))"),
    "a model in place of a plane": (lambda _: la.evaluate(TARGET, MODEL), "expected a plane. Make one: la.random_plane(objective)"),
    "an unknown metric": (
        lambda _: la.evaluate(TARGET, PLANE, metrics=("loss", "acc")),
        "metrics: got ['acc']; expected different names out of loss, .* Did you mean accuracy",
    ),
    "bounds reversed": (lambda _: la.evaluate(TARGET, PLANE, (1, -1)), "bounds: got (1, -1); .* Swap them"),
    "bounds of one number": (lambda _: la.evaluate(TARGET, PLANE, 1), "bounds: got 1; expected (-1, 1) for every axis"),
    "a resolution of one": (lambda _: la.evaluate(TARGET, PLANE, resolution=1), "an integer of at least 2"),
    "steps=": (lambda _: la.evaluate(TARGET, PLANE, steps=21), "steps: got 21; .* Pass resolution= in its place"),
    "device= of evaluate": (lambda _: la.evaluate(TARGET, PLANE, device="cpu"), "la.Objective(model, loss, data, device=...)"),
    "seed= of evaluate": (lambda _: la.evaluate(TARGET, PLANE, seed=3), "la.random_plane(objective, seed=...)"),
    "resume= of evaluate": (lambda _: la.evaluate(TARGET, PLANE, resume=True), "the same call continues by itself"),
    "workers= of evaluate": (lambda _: la.evaluate(TARGET, PLANE, workers=2), "engine=la.Engine(workers=2)"),
    "the engine by name": (lambda _: la.evaluate(TARGET, PLANE, engine="ray"), "la.Engine(executor="),
    "an array as archive": (lambda _: la.evaluate(TARGET, PLANE, archive=np.zeros(3)), "archive: got array(.*expected a path"),
    "another model in the same archive": (
        lambda path: (stored(path), stored(path, net(5))),
        "another one: the weights at the center differ (another model, or one trained anew). Choose another name=",
    ),
    "another seed in the same archive": (
        lambda path: (stored(path), stored(path, seed=5)),
        "the directions differ (another seed or plane)",
    ),
    "other data in the same archive": (
        lambda path: (stored(path), stored(path, data=(X[:9], Y[:9]))),
        "objective.samples is 20 there and 9",
    ),
    "another resolution in the same archive": (
        lambda path: (stored(path), stored(path, resolution=5)),
        "grid.resolution is 3, 3 there and 5, 5",
    ),
    # figures
    "cmap=": (lambda _: la.plot(SURFACE, cmap="viridis"), "cmap: got viridis; .* Pass colormap= in its place"),
    "figsize=": (lambda _: la.plot(SURFACE, figsize=(3, 3)), "figsize: got (3, 3); .* Pass width= and height= in inches"),
    "log=": (lambda _: la.plot(SURFACE, log=True), "log: got True; .* Pass scale= in its place"),
    "filename=": (lambda _: la.plot(SURFACE, filename="a.png"), "Pass file= in its place"),
    "fps=": (lambda _: la.animate(SURFACE, "a.gif", fps=10), "Pass milliseconds= in its place"),
    "a colormap with a slip": (lambda _: la.plot(SURFACE, colormap="virdis"), "colormap: got virdis; expected atlas, viridis"),
    "a kind that is none": (lambda _: la.plot(SURFACE, kind="3d"), "one of auto, contour, surface"),
    "a metric that was not measured": (lambda _: la.plot(SURFACE, quantity="accuracy"), "one that surface surface holds: loss"),
    "a figure of another format": (lambda _: la.plot(SURFACE, "a.txt"), "a file name ending in .png"),
    "a figure of an array": (lambda _: la.plot(np.zeros((3, 3))), "got ndarray; expected an xarray.Dataset"),
    "a page as PDF": (lambda _: la.view(SURFACE, export="a.pdf"), "export: got a.pdf; .* ends in .html. .* la.plot"),
    "an unknown key of a page": (
        lambda _: la.view(SURFACE, export="a.html", view={"scales": "log"}),
        "the key 'scales'; expected keys among scale",
    ),
    "an archive that is not there": (lambda path: la.plot(path / "nowhere.zarr"), "No archive at .*nowhere.zarr"),
    "a figure of a recording alone": (lambda _: la.plot(RUN), "got Trajectory; .* la.landscape(model, loss, data, recording=...)"),
    "perplexity that was not measured": (lambda _: la.plot(SURFACE, quantity="perplexity"), "metrics=('loss', 'perplexity')"),
    # recordings and the rest
    "a recorder of a name": (lambda _: la.Recorder(None, "model"), "model: got str; expected an nn.Module"),
    "an optimizer by name": (lambda _: la.Recorder(None, MODEL, "adam"), "Pass the optimizer itself, not its name"),
    "lr= of a recorder": (lambda _: la.Recorder(None, MODEL, lr=0.1), "lr: got 0.1; .* The rate is that of the optimizer"),
    "every= as text": (lambda _: la.Recorder(None, MODEL, every="10"), "every: got 10; expected a positive number of steps"),
    "losses of a whole batch": (lambda _: la.Recorder(None, MODEL).step(torch.ones(3)), "a tensor of shape (3,); expected one number"),
    "a line to another network": (
        lambda _: la.interpolate(TARGET, MODEL, nn.Linear(2, 2)),
        "one with the objective's parameters: 0.weight",
    ),
    "a barrier of one model": (lambda _: la.barrier(TARGET, MODEL), "Call barrier(objective, a, b)"),
    "runs as a list": (lambda _: la.compare(["a", "b"], MODEL, F.cross_entropy, (X, Y)), "recordings by label, such as"),
    "steps= of landscape": (
        lambda _: la.landscape(MODEL, F.cross_entropy, LOADER, steps=9),
        "steps: got 9; .* Pass resolution= in its place",
    ),
    "the data in the place of the loss": (lambda _: la.landscape(MODEL, LOADER), "data: got None; .* la.landscape(model, None, data)"),
    "a race on a function that is none": (lambda _: la.race("rosenbrok", ["SGD"]), "function: got rosenbrok; expected .*rosenbrock"),
    "a name with a slip": (lambda _: la.evalute, "no attribute 'evalute'. Did you mean evaluate?"),
}


@pytest.mark.parametrize("name", list(MISTAKES))
def test_the_message_says_what_to_do(name: str, tmp_path: Path) -> None:
    call, message = MISTAKES[name]
    pattern = ".*".join(re.escape(part) for part in message.replace(" .* ", ".*").split(".*"))
    with pytest.raises((la.LossatlasError, AttributeError), match=pattern):
        call(tmp_path)


def test_there_are_fifty_of_them() -> None:
    assert len(MISTAKES) >= 50
