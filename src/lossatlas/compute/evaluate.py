"""`evaluate`: fill a grid of a plane with values, tile by tile, into an archive that can be stopped and continued."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.archive import Archive, Location, create_archive
from lossatlas.compute.evaluators import Choice, Measured, Task, Values, choose
from lossatlas.compute.executors import Executor, Job, executor_named
from lossatlas.compute.grid import Bounds, Grid
from lossatlas.compute.metrics import Metric, metrics_named
from lossatlas.compute.objective import Objective
from lossatlas.compute.plane import Plane
from lossatlas.compute.progress import progress_bar
from lossatlas.compute.provenance import another_surface, differences, provenance
from lossatlas.errors import ArchiveError, InputError

MAX_REASONS = 100
"""Holes whose reason is written down, by flat cell index."""

Watcher = Callable[[NDArray[np.int64], Values], None]
"""Called with every finished tile, after it was stored."""


def evaluate(
    objective: Objective,
    plane: Plane,
    bounds: Bounds = (-1.0, 1.0),
    resolution: int | Sequence[int] = 51,
    metrics: str | Iterable[str | Metric] = ("loss",),
    archive: Location | Archive | None = None,
    *,
    name: str = "surface",
    title: str = "",
    evaluator: str = "auto",
    chunk: int | None = None,
    executor: str = "auto",
    workers: int | None = None,
    tile: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    watch: Watcher | None = None,
) -> xr.Dataset:
    """Values of an objective over a grid of a plane, or of a line.

    Cells are visited coarse first. Each finished tile is stored before the next begins; the same call continues a
    stopped or killed run. With ``evaluator="loop"`` every cell is the same to the last bit however it was computed;
    the faster evaluators agree with the loop to rounding (1e-10 relative in float64, 1e-4 in float32 at worst) and
    are used only after a check at two points.

    Args:
        objective: what to measure.
        plane: where; a plane of one direction gives a line.
        bounds: ``(low, high)`` for every axis or ``((a0, a1), (b0, b1))``; endpoints are included.
        resolution: points along every axis, or ``(na, nb)``.
        metrics: any of "loss", "accuracy".
        archive: a path, a Zarr store or an open archive; None keeps the result in memory only.
        name: of the surface within the archive.
        title: a line for figures.
        evaluator: "loop", one point after the other; "vmap", many together; "affine", for planes that leave the first
            layers alone; "auto" probes and takes the fastest.
        chunk: points that "vmap" or "affine" do together; None chooses.
        executor: who measures the tiles: "serial", "threads"; "auto" uses threads where points take long enough.
        workers: threads or processes; None takes as many as PyTorch would use inside an operation.
        tile: cells stored at a time; None aims at one second. It changes no value.
        overwrite: replace a different surface of that name instead of refusing.
        progress: show a bar; None shows it on a terminal.
        watch: called with every finished tile.

    Returns:
        A Dataset over dims ``("alpha", "beta")`` with `loss`, its standard error, `done`, and the provenance in
        `attrs`. NaN and infinity are kept as they are.

    Raises:
        InputError: an argument is not what is needed.
        ArchiveError: the archive holds another surface of that name, or cannot be written.

    Example:
        >>> import torch
        >>> objective = Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
        >>> from lossatlas.compute.plane import weight_plane
        >>> surface = evaluate(objective, weight_plane(objective, ("w", 0), ("w", 1)), bounds=(-1, 1), resolution=(3, 5))
        >>> surface.loss.dims, float(surface.loss.sel(alpha=1, beta=0.5))
        (('alpha', 'beta'), 1.25)
    """
    grid = Grid.make(bounds, resolution, plane.ndim)
    chosen = metrics_named(metrics)
    if tile is not None and tile < 1:
        raise InputError("tile", tile, "a positive number of cells or None")
    if workers is not None and workers < 1:
        raise InputError("workers", workers, "a positive number or None")
    run = None if executor == "auto" else executor_named(executor)
    _check_center(objective, plane)
    task = Task.make(objective, plane, chosen)
    store = archive if isinstance(archive, Archive) else create_archive(archive)
    attrs = provenance(objective, plane, grid, chosen, title)
    try:
        stored = _prepare(store, name, grid, chosen, objective, attrs, overwrite)
        left = _unfinished(stored, grid)
        if not len(left):
            return store.surface(name)
        began = time.perf_counter()
        choice = choose(task, _probes(grid), len(left), evaluator, chunk)
        job = Job(task, grid, choice, tile, workers)
        record = _Record(store, name, before=float(stored.attrs.get("seconds", 0.0)) if stored is not None else 0.0, began=began)
        with progress_bar(title or name, grid.size, grid.size - len(left), progress) as advance:
            for cells, measured in (run or _automatic(job))(job, left):
                record.write(cells, measured)
                advance(len(cells))
                if watch is not None:
                    watch(cells, measured.values)
        record.close(choice)
    except OSError as error:
        raise ArchiveError(
            f"Cannot write {store.location}: {error}. What was stored is kept; free space or fix access, then run the same call."
        ) from error
    return store.surface(name)


def _prepare(
    store: Archive, name: str, grid: Grid, metrics: tuple[Metric, ...], objective: Objective, attrs: dict[str, Any], overwrite: bool
) -> xr.Dataset | None:
    """The stored surface where it is the same; else lay out an empty one and return None."""
    if store.has_surface(name):
        stored = store.surface(name)
        different = differences(stored.attrs, attrs)
        if not different:
            return stored
        if not overwrite:
            raise another_surface(name, store.location, different)
    coordinates: dict[str, NDArray[np.float64]] = dict(zip(schema.PLANE, grid.axes, strict=False))
    variables = [
        v for metric in metrics for v in (_with_units(metric.variable, objective), _with_units(metric.variable, objective).with_error())
    ]
    store.create_surface(name, coordinates, variables, attrs)
    return None


def _with_units(declared: schema.Variable, objective: Objective) -> schema.Variable:
    """The loss is measured in its own units: nats for cross-entropy, none for a squared error."""
    if declared.name != "loss":
        return declared
    return schema.Variable(declared.name, declared.dims, declared.dtype, str(objective.description["units"]) or "1", declared.long_name)


def _unfinished(stored: xr.Dataset | None, grid: Grid) -> NDArray[np.int64]:
    order = grid.order()
    return order if stored is None else order[~stored.done.values.ravel()[order]]


def _probes(grid: Grid) -> NDArray[np.float64]:
    """Two points to check evaluators at: a corner, and one inside where both coordinates differ from it."""
    return grid.points(np.array([0, grid.size * 2 // 3]))


THREADS_SECONDS = 1e-3
"""Points quicker than this are held up by the interpreter's lock: one thread is best."""
THREADS_JOB_SECONDS = 2.0


def _automatic(job: Job) -> Executor:
    """Threads where the job is long, its points are slow enough and PyTorch may use more than one core."""
    seconds = job.choice.seconds or 0.0
    long = seconds * job.grid.size > THREADS_JOB_SECONDS and seconds * (job.choice.chunk or 1) > THREADS_SECONDS
    several = job.workers != 1 and torch.get_num_threads() > 1 and job.task.device.type == "cpu"
    return executor_named("threads" if long and several else "serial")


@dataclass
class _Record:
    """Writes finished tiles and, at the end, how they were made."""

    store: Archive
    name: str
    before: float
    began: float
    holes: dict[str, str] = field(default_factory=dict)

    def write(self, cells: NDArray[np.int64], measured: Measured) -> None:
        self.store.write_cells(self.name, cells, measured.values)
        fresh = {str(int(cells[index])): reason for index, reason in measured.holes.items()}
        if fresh and len(self.holes) < MAX_REASONS:
            self.holes.update(fresh)
            self.store.update_attrs("surfaces", self.name, {"holes": self.holes})

    def close(self, choice: Choice) -> None:
        seconds = self.before + time.perf_counter() - self.began
        self.store.update_attrs("surfaces", self.name, {"seconds": seconds, "engine": choice.describe()})


def _check_center(objective: Objective, plane: Plane) -> None:
    """Every parameter that moves must be one of the objective's, of the same shape."""
    unknown = sorted(set(plane.moving) - set(objective.params))
    wrong = [n for n in plane.moving if n in objective.params and plane.center[n].shape != objective.params[n].shape]
    if unknown or wrong:
        raise InputError("plane", f"a plane that moves {', '.join((unknown or wrong)[:4])}", "a plane of the objective's own parameters")
