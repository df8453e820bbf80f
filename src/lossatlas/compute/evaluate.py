"""`evaluate`: fill a grid of a plane with values, tile by tile, into an archive that can be stopped and continued."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas.archive import Archive, Location, create_archive
from lossatlas.compute.evaluators import Values, measure
from lossatlas.compute.executors import executor_named
from lossatlas.compute.grid import Bounds, Grid
from lossatlas.compute.metrics import Metric, metrics_named
from lossatlas.compute.objective import Objective
from lossatlas.compute.plane import Plane
from lossatlas.compute.progress import progress_bar
from lossatlas.compute.provenance import another_surface, differences, provenance
from lossatlas.errors import ArchiveError, InputError

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
    executor: str = "serial",
    tile: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    watch: Watcher | None = None,
) -> xr.Dataset:
    """Values of an objective over a grid of a plane, or of a line.

    Cells are visited coarse first. Each finished tile is stored before the next begins; the same call continues a
    stopped or killed run and gives, bit for bit, what an uninterrupted one gives.

    Args:
        objective: what to measure.
        plane: where; a plane of one direction gives a line.
        bounds: ``(low, high)`` for every axis or ``((a0, a1), (b0, b1))``; endpoints are included.
        resolution: points along every axis, or ``(na, nb)``.
        metrics: any of "loss", "accuracy".
        archive: a path, a Zarr store or an open archive; None keeps the result in memory only.
        name: of the surface within the archive.
        title: a line for figures.
        executor: who measures the tiles.
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
    chosen, run = metrics_named(metrics), executor_named(executor)
    if tile is not None and tile < 1:
        raise InputError("tile", tile, "a positive number of cells or None")
    _check_center(objective, plane)
    store = archive if isinstance(archive, Archive) else create_archive(archive)
    attrs = provenance(objective, plane, grid, chosen, title)
    try:
        _prepare(store, name, grid, chosen, objective, attrs, overwrite)
        left = _unfinished(store, name, grid)
        with progress_bar(title or name, grid.size, grid.size - len(left), progress) as advance:
            before = float(store.surface(name).attrs.get("seconds", 0.0))
            began = time.perf_counter()
            for cells, values in run(left, lambda c: measure(objective, plane, grid.points(c), chosen), tile):
                store.write_cells(name, cells, values)
                advance(len(cells))
                if watch is not None:
                    watch(cells, values)
        if len(left):
            store.update_attrs("surfaces", name, {"seconds": before + time.perf_counter() - began})
    except OSError as error:
        raise ArchiveError(
            f"Cannot write {store.location}: {error}. What was stored is kept; free space or fix access, then run the same call."
        ) from error
    return store.surface(name)


def _prepare(
    store: Archive, name: str, grid: Grid, metrics: tuple[Metric, ...], objective: Objective, attrs: dict[str, Any], overwrite: bool
) -> None:
    """Lay out the surface, or make sure that the stored one is the same."""
    if store.has_surface(name):
        different = differences(store.surface(name).attrs, attrs)
        if not different:
            return
        if not overwrite:
            raise another_surface(name, store.location, different)
    coordinates: dict[str, NDArray[np.float64]] = dict(zip(schema.PLANE, grid.axes, strict=False))
    variables = [
        v for metric in metrics for v in (_with_units(metric.variable, objective), _with_units(metric.variable, objective).with_error())
    ]
    store.create_surface(name, coordinates, variables, attrs)


def _with_units(declared: schema.Variable, objective: Objective) -> schema.Variable:
    """The loss is measured in its own units: nats for cross-entropy, none for a squared error."""
    if declared.name != "loss":
        return declared
    return schema.Variable(declared.name, declared.dims, declared.dtype, str(objective.description["units"]) or "1", declared.long_name)


def _unfinished(store: Archive, name: str, grid: Grid) -> NDArray[np.int64]:
    done = store.surface(name).done.values.ravel()
    order = grid.order()
    return order[~done[order]]


def _check_center(objective: Objective, plane: Plane) -> None:
    """Every parameter that moves must be one of the objective's, of the same shape."""
    unknown = sorted(set(plane.moving) - set(objective.params))
    wrong = [n for n in plane.moving if n in objective.params and plane.center[n].shape != objective.params[n].shape]
    if unknown or wrong:
        raise InputError("plane", f"a plane that moves {', '.join((unknown or wrong)[:4])}", "a plane of the objective's own parameters")
