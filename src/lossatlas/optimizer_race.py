"""Race of optimizers: several of them from one start over one surface, to be drawn, played and shown with a learning-rate slider.

This module knows both `compute`, which never imports `viz`, and `viz`, which never imports `compute`.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import xarray as xr

from lossatlas._util.argument_checks import check_choice, check_integer, check_number
from lossatlas.analysis.grid import Bounds
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.arrays.array_objective import ArrayObjective
from lossatlas.compute.arrays.functions import FUNCTIONS, AnalyticFunction
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.in_plane_optimization import optimize_on_plane
from lossatlas.compute.paths.optimizer_choice import OptimizerChoice, optimizer_choices
from lossatlas.compute.planes.constructors import random_plane, weight_plane
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz import api
from lossatlas.viz.compose.pages import combine
from lossatlas.viz.scene.names import optimizer_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lossatlas.viz.scene.model import Scene

PREVIEW_DPI = 80
"""Of the picture in a notebook."""
FACTORS = (0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Of the learning rates, on the slider of a page."""


@dataclass(frozen=True, eq=False, repr=False)
class Race:
    """Optimizers that ran from one start; what they did, and the surface below.

    Attributes:
        objective: what was minimized.
        plane: where: only its coordinates moved.
        surface: the loss over the plane.
        paths: a Dataset over ``(step,)`` a run, by label; `attrs["ended"]` says where one left the finite numbers.
        choices: the optimizers.
        start: coordinates of step 0.
        steps: updates each was given.
    """

    objective: Objective
    plane: Plane
    surface: xr.Dataset
    paths: Mapping[str, xr.Dataset]
    choices: tuple[OptimizerChoice, ...]
    start: tuple[float, ...]
    steps: int

    def __str__(self) -> str:
        """The final loss of each, the best first."""
        ordered = sorted(self.paths.items(), key=lambda item: _last_loss(item[1]))
        return "\n".join(f"{path.attrs['label']}: {_outcome(path)}" for _, path in ordered)

    def __repr__(self) -> str:
        labels = ", ".join(str(path.attrs["label"]) for path in self.paths.values())
        return f"<Race of {labels}: {self.steps:,} steps each on {self.objective.name}>"

    def _repr_png_(self) -> bytes:
        """The picture that notebooks show, and keep when they are saved."""
        buffer = io.BytesIO()
        self.plot().savefig(buffer, format="png", dpi=PREVIEW_DPI)
        return buffer.getvalue()

    def at(self, factor: float) -> Race:
        """The same race with every learning rate times `factor`; the surface is not computed anew."""
        check_number("factor", factor, above=0)
        choices = tuple(replace(choice, learning_rate=choice.learning_rate * factor) for choice in self.choices)
        return replace(self, choices=choices, paths=_run(self.objective, self.plane, choices, self.start, self.steps))

    def plot(self, file: str | os.PathLike[str] | None = None, **options: Any) -> Figure:
        """Draw the paths over the surface; `file` and the options are those of `lossatlas.plot`."""
        return api.plot([self.surface, *self._drawn_paths()], file, **options)

    def animate(self, file: str | os.PathLike[str], **options: Any) -> Path:
        """Write a GIF or MP4 of the race; the options are those of `lossatlas.animate`, `kind` is "contour" unless given."""
        return api.animate([self.surface, *self._drawn_paths()], file, **{"kind": "contour", **options})

    def view(self, *, export: str | os.PathLike[str] | None = None, factors: Sequence[float] = FACTORS, **options: Any) -> Any:
        """Show the race in the viewer with a slider of the learning rates; in a notebook, moving it runs the race again.

        Args:
            export: write one offline HTML page, on which every factor was computed beforehand.
            factors: of all learning rates, on the slider of a page; 1 is the race as it was asked for, and is added where it lacks.
            **options: further options of `lossatlas.view`.

        Returns:
            The widget, or the path of the page.

        Raises:
            InputError: factors that are not positive, or an option that `lossatlas.view` refuses.
        """
        if export is None and api.in_notebook():
            from lossatlas.viz.web.slider import widget_with_slider

            return widget_with_slider(self._scene, self._scene(1.0), label=SLIDER_LABEL, **options)
        from lossatlas.viz.web.slider import export_with_slider

        chosen = sorted({1.0, *(check_number("factors", factor, above=0) for factor in factors)})
        scenes = [self._scene(factor) for factor in chosen]
        values = [f"× {factor:g}" for factor in chosen]
        return export_with_slider(scenes, export, label=SLIDER_LABEL, values=values, start=chosen.index(1.0), **options)

    def save(self, archive: Location | Archive) -> Archive:
        """Store the surface and the paths in an archive, which every command and `lossatlas.view` then take."""
        target = as_archive(archive)
        target.write_surface("surface", self.surface)
        for name, path in self.paths.items():
            target.write_trajectory(name, path.assign_attrs(surface="surface"))
        return target

    def _scene(self, factor: float) -> Scene:
        run = self if factor == 1 else self.at(factor)
        scene = combine([self.surface, *run._drawn_paths()])
        times = "" if factor == 1 else f"{SLIDER_LABEL} × {factor:g}"
        return scene.replace(title=" · ".join(filter(None, (scene.title, times))))

    def _drawn_paths(self) -> list[xr.Dataset]:
        return [_until_far(path, self.surface) for path in self.paths.values()]


SLIDER_LABEL = "learning rates"
FUNCTION_RESOLUTION = 100
"""Even, so that no cell stands on a minimum of zero, which no logarithmic scale could show."""
FAR = 20.0
"""Widths of the window from its center, up to which a path that diverges is drawn."""


def race(
    function: Objective | Callable[..., Any],
    optimizers: Any,
    start: Sequence[float] | None = None,
    steps: int = 200,
    *,
    lr: float | None = None,
    plane: Plane | None = None,
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] | None = None,
    archive: Location | Archive | None = None,
    progress: bool | None = None,
) -> Race:
    """Run optimizers from one start on a function of two weights, or on the plane of an objective, with the exact gradient.

    Every path holds the places after 0, 1, 2, … updates and the loss there. A run that diverges ends where its loss leaves the finite
    numbers; it is drawn leaving the window, and its label says so.

    Args:
        function: an `Objective`, one of `lossatlas.functions` or its name, or a function ``f(x, y)`` of two numbers.
        optimizers: a dict such as ``{"SGD": 1e-2, "Adam": 0.2}``. A key names an optimizer of `torch.optim` (or "momentum", "nesterov") and
            its value the learning rate; a value may also be a dict of options (``{"optimizer": "SGD", "lr": 0.1, "momentum": 0.9}``), a
            class of `torch.optim` or a factory ``lambda params: torch.optim.SGD(params, lr=0.1)``, and the key is then its label. Or a
            list of names, which `lr` serves.
        start: coordinates of step 0 on the plane; None takes the function's customary start, or the center of the plane.
        steps: updates of each.
        lr: the learning rate of those that name none; None takes the optimizer's own default.
        plane: of an objective with more than two weights; None draws a random, filter-normalized one.
        bounds: of the surface; None takes the function's own window, or (-1, 1) of a random plane.
        resolution: points along each axis; None takes 100 for a function and 51 for a network.
        archive: where to store surface and paths.
        progress: show bars; None shows them on a terminal.

    Returns:
        A `Race`, with `plot`, `animate`, `view`, `at` and `save`.

    Raises:
        InputError: an unknown optimizer or option, a start of another dimension, no steps.

    Example:
        >>> result = race(lambda x, y: (x**2 + y**2) / 2, {"SGD": 0.5, "momentum": 0.1}, (1.0, 2.0), steps=2, resolution=5)
        >>> result.paths["SGD"].path_alpha.values.tolist(), result.paths["SGD"].attrs["label"]
        ([1.0, 0.5, 0.25], 'SGD, lr 0.5')
    """
    check_integer("steps", steps, least=1)
    choices = optimizer_choices(optimizers, lr)
    objective = _objective(function, start)
    plane = _plane(objective) if plane is None else plane
    place = _start(objective, plane, start)
    area = bounds if bounds is not None else _bounds(objective, plane, place)
    points = resolution if resolution is not None else FUNCTION_RESOLUTION if isinstance(objective, ArrayObjective) else 51
    title = objective.name if isinstance(objective, AnalyticFunction) else ""
    surface = evaluate(objective, plane, cast(Any, area), cast(Any, points), title=title, progress=progress)
    result = Race(objective, plane, surface, _run(objective, plane, choices, place, steps, progress), choices, place, steps)
    if archive is not None:
        result.save(archive)
    return result


def _run(
    objective: Objective,
    plane: Plane,
    choices: Sequence[OptimizerChoice],
    start: Sequence[float],
    steps: int,
    progress: bool | None = False,
) -> dict[str, xr.Dataset]:
    paths = {}
    for choice in choices:
        label = f"{optimizer_name(choice.label)}, lr {choice.learning_rate:.3g}"
        settings: dict[str, Any] = {"optimizer": choice, "learning_rate": choice.learning_rate, "steps": steps, **choice.options}
        with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges overflows, and its path says so
            path = optimize_on_plane(objective, plane, start, name=choice.label, label=label, progress=progress, **settings)
        if path.attrs["ended"] != "finished":
            path.attrs["label"] += f" (diverged at step {int(path.step[-1]):,})"
        path.attrs["optimizer"] = getattr(choice.make, "__name__", choice.label)
        paths[choice.label] = path.drop_vars("epoch")  # a step is no epoch of anything
    return paths


def _objective(function: Any, start: Sequence[float] | None) -> Objective:
    if isinstance(function, Objective):
        return function
    if isinstance(function, str):
        return FUNCTIONS[check_choice("function", function.lower(), FUNCTIONS)]()
    if not callable(function):
        raise InputTypeError("function", type(function).__name__, "an la.Objective, one of la.functions, or a function f(x, y)")
    if getattr(function, "__module__", "") == AnalyticFunction.__module__:
        return cast(Any, function)()  # la.functions.rosenbrock, without its brackets
    if start is None:
        raise InputError("start", None, "where the race begins, such as (1.0, 2.0)")
    theta = np.asarray(start, dtype=np.float64)
    if theta.shape != (2,):
        raise InputError("start", start, "two numbers, x and y")
    return _of_two_numbers(function, theta)


def _of_two_numbers(function: Callable[..., Any], theta: np.ndarray[Any, Any]) -> Objective:
    """An objective over x and y: by autograd where the function takes tensors, else by finite differences."""
    numeric = ArrayObjective(lambda values: function(*values.tolist()), theta)
    if not _is_differentiable(function, theta, numeric):
        return numeric
    name = getattr(function, "__name__", "f")
    return Objective(lambda params, _: function(*params["x, y"]), params={"x, y": torch.tensor(theta)}).with_description(model=name)


def _is_differentiable(function: Callable[..., Any], theta: np.ndarray[Any, Any], numeric: ArrayObjective) -> bool:
    """Is autograd's gradient that of finite differences? A function of `math` takes a tensor for a number, and loses its gradient."""
    point = torch.tensor(theta, requires_grad=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = function(*point)
            if not isinstance(value, torch.Tensor) or value.ndim:
                return False
            (gradient,) = torch.autograd.grad(value, point, allow_unused=True)
    except (TypeError, RuntimeError):  # NumPy refuses a tensor that needs a gradient
        return False
    expected = numeric.array_function.gradient(theta)
    return gradient is not None and np.allclose(gradient.numpy(), expected, rtol=1e-3, atol=1e-6 * max(1.0, abs(float(value.detach()))))


def _plane(objective: Objective) -> Plane:
    """The two weights themselves where there are no more, else a random plane."""
    entries = [(name, index) for name, value in objective.params.items() for index in np.ndindex(tuple(value.shape))]
    if len(entries) != 2:
        return random_plane(objective, 0)
    # The weights that the objective came with are no part of a race: nothing marks them.
    return replace(weight_plane(objective, *entries, labels=("x", "y")), origin=None)


def _start(objective: Objective, plane: Plane, start: Sequence[float] | None) -> tuple[float, ...]:
    place = _center(objective, plane) if start is None else start
    values = np.asarray(place, dtype=np.float64)
    if values.shape != (plane.ndim,) or not np.isfinite(values).all():
        raise InputError("start", start, f"{plane.ndim} finite coordinates")
    return tuple(float(value) for value in values)


def _center(objective: Objective, plane: Plane) -> tuple[float, ...]:
    """The function's customary start, or the model that the plane lies around."""
    if plane.kind == "weights":
        return tuple(float(v) for value in objective.params.values() for v in value.reshape(-1))
    return tuple(plane.origin or (0.0,) * plane.ndim)


def _bounds(objective: Objective, plane: Plane, start: Sequence[float]) -> Any:
    """The window that the function is known for; around start and zero for a function of one's own; (-1, 1) for a random plane."""
    if isinstance(objective, AnalyticFunction) and plane.kind == "weights":
        return objective.bounds
    if plane.kind != "weights":
        return (-1.0, 1.0)
    reach = 1.25 * max(1.0, *(abs(value) for value in start))
    return (-reach, reach)


def _until_far(path: xr.Dataset, surface: xr.Dataset) -> xr.Dataset:
    """A path that diverged up to where it is far outside the window, so that its last numbers do not set the scale of every curve."""
    if path.attrs["ended"] == "finished":
        return path
    distance = np.zeros(path.sizes["step"])
    for axis, name in (("alpha", "path_alpha"), ("beta", "path_beta")):
        if name in path:
            low, high = float(surface[axis].min()), float(surface[axis].max())
            distance = np.fmax(distance, np.abs(path[name].values - (low + high) / 2) / (high - low))
    far = np.flatnonzero(~(distance < FAR))
    return path.isel(step=slice(far[0] + 1)) if len(far) else path


def _last_loss(path: xr.Dataset) -> float:
    last = float(path.path_loss[-1])
    return last if np.isfinite(last) else np.inf


def _outcome(path: xr.Dataset) -> str:
    if path.attrs["ended"] != "finished":
        return f"diverged at step {int(path.step[-1]):,}"
    return f"loss {float(path.path_loss[-1]):.6g} after {int(path.step[-1]):,} steps"
