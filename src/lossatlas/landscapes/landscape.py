"""`landscape`: the loss landscape of a model in one call, and the `Landscape` that it gives."""

from __future__ import annotations

import inspect
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from lossatlas._util.argument_checks import path_of
from lossatlas._util.keywords import unknown_keyword
from lossatlas.analysis.grid import Bounds
from lossatlas.archive import Archive, Location, as_archive, open_archive, same_place
from lossatlas.compute.arrays.array_objective import ArrayObjective
from lossatlas.compute.arrays.functions import AnalyticFunction
from lossatlas.compute.evaluation.engine import Engine
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.evaluation.single_point import has_accuracy
from lossatlas.compute.inputs.input_objective import InputObjective
from lossatlas.compute.inputs.input_plane import input_plane
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.params.params import unwrap_module
from lossatlas.compute.paths.principal_planes import pca_plane
from lossatlas.compute.paths.projection import project_trajectory
from lossatlas.compute.paths.weight_blocks import Recording, as_trajectory
from lossatlas.compute.planes.constructors import random_plane, weight_plane
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz.api import animate, plot, view

RESOLUTION = 31
"""Points along each axis: enough for a first picture, and an odd number, so that a cell is the model itself."""
PATH_POINTS = 120
"""Points of a path at most: each is measured, and no figure shows more."""
PREVIEW_DPI = 80

KEYWORDS = (
    "recording",
    "plane",
    "bounds",
    "resolution",
    "metrics",
    "archive",
    "seed",
    "tol",
    "name",
    "title",
    "engine",
    "overwrite",
    "progress",
)

Metrics = str | Iterable[str | Metric]


@dataclass(frozen=True, eq=False)
class Landscape:
    """A surface with what it was made of; a notebook shows it as a picture.

    Attributes:
        surface: values over the plane, as `evaluate` returns them.
        objective: model, loss and data.
        plane: directions.
        paths: recorded runs on the plane, by label.
    """

    surface: xr.Dataset
    objective: Objective = field(repr=False)
    plane: Plane = field(repr=False)
    paths: Mapping[str, xr.Dataset] = field(default_factory=dict, repr=False)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what was measured in every cell."""
        return tuple(str(name) for name in self.surface.attrs.get("metrics", ("loss",)))

    def plot(self, file: str | os.PathLike[str] | None = None, *, quantity: str | Sequence[str] = "loss", **options: Any) -> Any:
        """A matplotlib figure, also written to `file`; further options are those of `lossatlas.plot`.

        Args:
            file: a PNG, PDF or SVG.
            quantity: a metric, or several side by side: ``("loss", "accuracy")``.
            options: of `lossatlas.plot`.
        """
        return plot([self.surface], file, quantity=quantity, **self._with_paths(options))  # pyright: ignore[reportArgumentType]

    def animate(self, file: str | os.PathLike[str], **options: Any) -> Path:
        """A GIF or MP4: paths run over the surface, or the relief turns; options are those of `lossatlas.animate`."""
        return animate([self.surface], file, **self._with_paths(options))

    def view(self, **options: Any) -> Any:
        """The interactive viewer: a widget in a notebook, a page elsewhere; options are those of `lossatlas.view`."""
        return view([self.surface, *self.paths.values()], **options)

    def save(self, archive: Location, *, name: str = "surface", overwrite: bool = False) -> Archive:
        """Store surface and paths in an archive, for `lossatlas plot` and for other machines.

        Args:
            archive: a path or a Zarr store.
            name: of the surface.
            overwrite: replace what has these names.

        Raises:
            InputError: the archive holds something of one of these names.
        """
        if isinstance(archive, str | os.PathLike):
            path_of(archive, "archive")
        store = open_archive(archive, "a")
        names = {("surfaces", name): store.surfaces, **{("trajectories", label): store.trajectories for label in self.paths}}
        taken = [wanted for (_, wanted), present in names.items() if wanted in present]
        if taken and not overwrite:
            raise InputError("name", ", ".join(taken), "names that are not taken", "Choose another name=, or pass overwrite=True")
        store.write_surface(name, self.surface)
        for label, path in self.paths.items():
            store.write_trajectory(label, path.assign_attrs(surface=name))
        return store

    def __repr__(self) -> str:
        shape = " x ".join(str(n) for n in self.surface.done.shape)
        loss = self.surface[self.metrics[0]]
        paths = f", {len(self.paths)} path{'s' * (len(self.paths) != 1)}" if self.paths else ""
        return f"<Landscape of {self.objective.name}: {shape} cells, {loss.name} {float(loss.min()):.4g} to {float(loss.max()):.4g}{paths}>"

    def _repr_png_(self) -> bytes:
        """The picture that notebooks show, and keep when they are saved."""
        buffer = io.BytesIO()
        self.plot().savefig(buffer, format="png", dpi=PREVIEW_DPI)
        return buffer.getvalue()

    def _with_paths(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"trajectories": list(self.paths.values()), **options}


def landscape(
    model: torch.nn.Module | Objective,
    loss: Any = None,
    data: Any = None,
    *,
    recording: Recording | None = None,
    plane: Plane | None = None,
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] = RESOLUTION,
    metrics: Metrics | None = None,
    archive: Location | Archive | None = None,
    seed: int = 0,
    tol: float | None = None,
    name: str = "surface",
    title: str = "",
    engine: Engine = Engine(),
    overwrite: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Landscape:
    """The loss landscape of a model: objective, plane and evaluation in one.

    The model is copied and never touched, wherever it lies. Without `plane` and `recording` the plane is a random one,
    filter-normalized (Li et al. 2018); of a test function of `la.functions` its first two variables, of an `InputObjective` the gradient
    and a random direction. Of a model that is frozen in part, as under a LoRA adapter, it moves what trains. The same call with the
    same archive continues, or reads what is there.

    Args:
        model: an nn.Module on any device, or an `Objective`, to which `loss`, `data` and `options` then do not apply.
        loss: ``loss(output, target)``; None where the model returns its own loss, as those of Transformers do.
        data: ``(x, y)`` arrays or tensors, a Dataset, a DataLoader, a list of dicts, or a tokenizer's batch.
        recording: a recorded training, or the path of its archive: the plane is then that of its path, which is drawn.
        plane: a plane of your own choice.
        bounds: as for `evaluate`; None is the window of the plane.
        resolution: points along every axis, or ``(na, nb)``.
        metrics: None is the loss, and the accuracy of classifiers.
        archive: where to keep the surface; None keeps it in memory.
        seed: of the random directions.
        tol: stop early, as for `evaluate`.
        name: of the surface within the archive.
        title: a line for figures.
        engine: how cells are computed.
        overwrite: replace another surface of that name.
        progress: as for `evaluate`.
        options: of `Objective`, such as ``samples``, ``batch_size``, ``mode`` or ``device``.

    Returns:
        A `Landscape`, with `surface`, `plot`, `animate`, `view` and `save`.

    Raises:
        InputError: as `Objective`, the plane's constructor and `evaluate` do.

    Example:
        >>> x, y = torch.linspace(-1, 1, 20)[:, None], (torch.linspace(-1, 1, 20) > 0).long()
        >>> result = landscape(torch.nn.Linear(1, 2), torch.nn.functional.cross_entropy, (x, y), resolution=3)
        >>> result.metrics, result.surface.loss.shape
        (('loss', 'accuracy'), (3, 3))
    """
    objective = objective_of(model, loss, data, options)
    if recording is not None and plane is None:
        recording = as_trajectory(recording, "recording")
        plane = pca_plane(recording)
    chosen = _plane_around(objective, seed, _training_names(model)) if plane is None else plane
    if bounds is None and plane is None and isinstance(objective, AnalyticFunction):
        bounds = objective.bounds
    store = as_archive(archive, repair=overwrite)
    measured = default_metrics(objective) if metrics is None else metrics
    arguments: dict[str, Any] = {"tol": tol, "name": name, "title": title, "engine": engine, "overwrite": overwrite, "progress": progress}
    surface = evaluate(objective, chosen, bounds, resolution, measured, store, **arguments)
    target = None if archive is None else store
    paths = {} if recording is None else projected_runs({"": recording}, chosen, objective, target, name, progress)
    return Landscape(surface, objective, chosen, paths)


def _training_names(model: Any) -> tuple[str, ...] | None:
    """Names of the parameters that train, where others are frozen, as under a LoRA adapter; None where all are alike."""
    named = dict(unwrap_module(model).named_parameters()) if isinstance(model, torch.nn.Module) else {}
    trains = tuple(name for name, value in named.items() if value.requires_grad)
    return trains if 0 < len(trains) < len(named) else None


def _plane_around(objective: Objective, seed: int, names: tuple[str, ...] | None) -> Plane:
    """Two variables themselves, the gradient in input space, or random directions around a model."""
    if isinstance(objective, InputObjective):
        return input_plane(objective, seed=seed)
    if isinstance(objective, AnalyticFunction) or (isinstance(objective, ArrayObjective) and objective.size == 2):
        return weight_plane(objective, 0, 1)
    vectors = names is not None and all(objective.params[name].dim() <= 1 for name in names)
    return random_plane(objective, seed, params=names, biases=vectors)


def objective_of(model: Any, loss: Any, data: Any, options: Mapping[str, Any]) -> Objective:
    """The objective that was given, or one of a model, its loss and data.

    Raises:
        InputError: an objective beside other arguments, or a model without data.
    """
    if isinstance(model, Objective):
        beside = [name for name, value in (("loss", loss), ("data", data), *options.items()) if value is not None]
        if beside:
            raise InputError("model", f"an Objective beside {', '.join(beside)}", "an Objective alone, or a model with loss and data")
        return model
    if data is None and isinstance(model, torch.nn.Module):
        advice = "Pass (x, y) tensors or arrays, a Dataset or a DataLoader: la.landscape(model, loss, data)"
        if loss is not None and not callable(loss):  # la.landscape(model, data), of a model that returns its own loss
            advice = "Where the model returns its own loss, write la.landscape(model, None, data), else la.landscape(model, loss, data)"
        raise InputError("data", "None", "what the loss is measured on", advice)
    if not isinstance(model, torch.nn.Module):
        raise InputTypeError("model", type(model).__name__, "an nn.Module or an la.Objective", "The order is model, loss, data")
    known = list(inspect.signature(Objective).parameters)
    for keyword, value in options.items():
        if keyword not in known:
            raise unknown_keyword("landscape and Objective", keyword, value, (*KEYWORDS, *known[3:]))
    return Objective(model, loss, data, **options)


def default_metrics(objective: Objective) -> tuple[str, ...]:
    """The loss, and the accuracy where the model classifies."""
    return ("loss", "accuracy") if has_accuracy(objective) else ("loss",)


def projected_runs(
    runs: Mapping[str, Recording],
    plane: Plane,
    objective: Objective,
    archive: Archive | None,
    surface: str,
    progress: bool | None = None,
) -> dict[str, xr.Dataset]:
    """Paths of recorded runs over a plane, by label; stored beside the surface where there is an archive.

    Args:
        runs: by label; an empty label is the run's own.
        plane: where they are drawn.
        objective: measures every iterate.
        archive: where to keep the paths.
        surface: name of the stored surface.
        progress: as for `evaluate`.
    """
    paths = dict[str, xr.Dataset]()
    for label, run in runs.items():
        trajectory = as_trajectory(run)
        if archive is None or not same_place(archive, trajectory.store.archive):
            trajectory = trajectory.every(math.ceil(len(trajectory) / PATH_POINTS))
        name = label or trajectory.label
        storage = {} if archive is None else {"archive": archive, "name": name}
        paths[name] = project_trajectory(trajectory, plane, objective, label=name, surface=surface, progress=progress, **storage)
    return paths
