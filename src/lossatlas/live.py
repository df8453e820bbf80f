"""Evaluation with a live page in the browser: it fills from coarse to fine, and can be paused, stopped or refined in a region.

This module knows both `compute`, which never imports `viz`, and `viz`, which never imports `compute`.
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Never

import xarray as xr

from lossatlas.analysis.adaptive_refinement import Scale
from lossatlas.analysis.grid import Bounds, Grid
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.evaluation.engine import Engine, refuse_unknown_keywords
from lossatlas.compute.evaluation.evaluate import TileCallback, evaluate
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.planes.windows import bounds_or_window
from lossatlas.errors import InputError
from lossatlas.viz.web.run_control import Region, RunControl, region_grid
from lossatlas.viz.web.server import LiveServer


def evaluate_live(
    objective: Objective,
    plane: Plane,
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] = 51,
    metrics: str | Iterable[str | Metric] = ("loss",),
    archive: Location | Archive | None = None,
    *,
    tol: float | None = None,
    tol_scale: Scale = "linear",
    name: str = "surface",
    title: str = "",
    engine: Engine = Engine(),
    overwrite: bool = False,
    progress: bool | None = None,
    on_tile: TileCallback | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = True,
    **unknown: Never,
) -> xr.Dataset:
    """`lossatlas.evaluate`, followed by a page in the browser until it ends.

    The page fills in while cells are computed, and may pause, stop or look closer at a region. It changes no value.

    Args:
        objective: this and all others down to `on_tile` are those of `evaluate`.
        host: the page's address, this machine's own.
        port: of the page; 0 takes a free one.
        open_browser: open the page; otherwise its address is printed only.

    Returns:
        What `evaluate` returns.

    Raises:
        KeyboardInterrupt: the page asked to stop; the same call continues.
        InputError: an argument is not what is needed.
    """
    refuse_unknown_keywords("evaluate_live", unknown)
    store = as_archive(archive, repair=overwrite)
    with followed_control(store, plane.ndim == 2, host=host, port=port, open_browser=open_browser) as (steering, watch):

        def notify_both(*tile: Any, turning: bool = True) -> None:
            if on_tile is not None:
                on_tile(*tile)
            watch(*tile, turning=turning)

        options: dict[str, Any] = {
            "bounds": bounds_or_window(bounds, plane),
            "resolution": resolution,
            "metrics": metrics,
            "archive": store,
            "tol": tol,
            "tol_scale": tol_scale,
            "name": name,
            "title": title,
            "engine": engine,
            "overwrite": overwrite,
            "progress": progress,
            "on_tile": notify_both,
        }
        closer = refine_region(objective, plane, name, options)
        return steering.run(lambda: evaluate(objective, plane, **options), closer)


@contextmanager
def followed_control(
    archive: Archive, can_refine: bool, *, host: str = "127.0.0.1", port: int = 0, open_browser: bool = True
) -> Iterator[tuple[RunControl, Callable[..., None]]]:
    """Serve a page while the block runs; gives what the page asks for, and what to call after each tile."""
    steering = RunControl(can_refine)

    def watch(*_: Any, turning: bool = True) -> None:
        server.notify()
        steering.checkpoint(turning)

    with LiveServer(archive, host=host, port=port, steering=steering) as server:
        print(f"Live at {server.url} until the evaluation ends", file=sys.stderr, flush=True)
        if open_browser:
            webbrowser.open(server.url)
        yield steering, watch


def refine_region(objective: Objective, plane: Plane, name: str, options: dict[str, Any]) -> Callable[[Region], None]:
    """Function that evaluates a region that was drawn on the page, as a finer surface of its own."""
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
        evaluate(objective, plane, **{**options, **finer, "name": f"{name}@{text}", "title": title})

    return look
