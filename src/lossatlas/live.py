"""Evaluation with a live page in the browser: it fills from coarse to fine, and can be paused, stopped or refined in a region.

This floor knows both wings. `evaluate(..., live=True)` reaches it through the entry point ``lossatlas.live`` of the
package, since `compute` never imports `view`.
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import xarray as xr

from lossatlas.analysis.grid import Grid
from lossatlas.archive import Archive, as_archive
from lossatlas.compute.evaluation.evaluate import evaluate as evaluate_surface
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError
from lossatlas.viz.web.run_control import Region, RunControl, region_grid
from lossatlas.viz.web.server import LiveServer


def evaluate(objective: Objective, plane: Plane, **options: Any) -> xr.Dataset:
    """`lossatlas.evaluate` with its options, followed by a page in the browser until it ends.

    Raises:
        KeyboardInterrupt: the page asked to stop; the same call continues.
    """
    given, own = options.pop("archive"), options.pop("on_tile")
    archive = as_archive(given)
    with followed_control(archive, plane.ndim == 2) as (steering, watch):

        def both(*tile: Any, turning: bool = True) -> None:
            if own is not None:
                own(*tile)
            watch(*tile, turning=turning)

        options |= {"archive": archive, "on_tile": both}
        closer = refine_region(objective, plane, options["name"], options)
        return steering.run(lambda: evaluate_surface(objective, plane, **options), closer)


@contextmanager
def followed_control(archive: Archive, can_refine: bool) -> Iterator[tuple[RunControl, Callable[..., None]]]:
    """Serve a page while the block runs; gives what the page asks for, and what to call after each tile."""
    steering = RunControl(can_refine)

    def watch(*_: Any, turning: bool = True) -> None:
        server.notify()
        steering.checkpoint(turning)

    with LiveServer(archive, steering=steering) as server:
        print(f"Live at {server.url} until the evaluation ends", file=sys.stderr, flush=True)
        webbrowser.open(server.url)
        yield steering, watch


def refine_region(objective: Objective, plane: Plane, name: str, options: dict[str, Any]) -> Callable[[Region], None]:
    """What evaluates a region that was drawn on the page, as a finer surface of its own."""
    grid = Grid.make(options["bounds"], options["resolution"], plane.ndim)
    whole: Any = tuple((float(axis[0]), float(axis[-1])) for axis in grid.axes)

    def look(region: Region) -> None:
        try:
            bounds, resolution = region_grid(region, whole, grid.shape)
        except InputError:
            return  # drawn beside the surface
        text = ",".join(f"{value:.6g}" for axis in bounds for value in axis)
        title = "closer look at " + ", ".join(f"{low:.3g} to {high:.3g}" for low, high in bounds)
        finer = {"bounds": bounds, "resolution": resolution, "tol": None, "on_tile": partial(options["on_tile"], turning=False)}
        evaluate_surface(objective, plane, **{**options, **finer, "name": f"{name}@{text}", "title": title})

    return look
