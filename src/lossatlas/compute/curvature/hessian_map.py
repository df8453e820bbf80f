"""Hessian eigenvalues over a grid of a plane (Li et al. 2018, figure 7), stored cell by cell and resumable.

Cells are visited along rows, back and forth, so that each starts from the eigenvectors of the cell before it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.arrays import BoolArray, FloatArray
from lossatlas._util.progress import progress_bar
from lossatlas.analysis.eigensolvers.extremes import ExtremeEigenvalues, extreme_eigenvalues
from lossatlas.analysis.eigensolvers.trace import estimate_trace
from lossatlas.analysis.grid import Bounds, Grid
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.curvature.operators import CurvatureOperator, Method, hessian_operator
from lossatlas.compute.evaluation.engine import Engine, check_engine
from lossatlas.compute.evaluation.evaluators.problem import EvaluationProblem
from lossatlas.compute.evaluation.storage.provenance import differences, provenance, surface_mismatch_error
from lossatlas.compute.evaluation.storage.resume import (
    Rounding,
    changed,
    compared_cells,
    difference,
    mend,
    place_in_words,
    scale_of,
    stored_attrs,
)
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.planes.windows import bounds_or_window
from lossatlas.errors import ArchiveError, InputError

EXTREME_VARIABLES = ("loss", "lambda_max", "lambda_max_residual", "lambda_min", "lambda_min_residual", "hessian_ratio", "hessian_products")


@dataclass(frozen=True)
class HessianMapSettings:
    """Solver settings of every cell."""

    tol: float
    probes: int
    biases: bool
    method: Method
    warm: bool
    seed: int
    memory: int
    workers: int

    @property
    def variables(self) -> tuple[str, ...]:
        return (*EXTREME_VARIABLES, "trace", "trace_standard_error") if self.probes else EXTREME_VARIABLES


def hessian_map(
    objective: Objective,
    plane: Plane,
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] = 21,
    archive: Location | Archive | None = None,
    *,
    name: str = "curvature",
    title: str = "",
    tol: float = 0.1,
    probes: int = 0,
    biases: bool = False,
    method: Method = "auto",
    warm: bool = True,
    seed: int = 0,
    memory: int = 2**31,
    engine: Engine = Engine(),
    overwrite: bool = False,
    progress: bool | None = None,
) -> xr.Dataset:
    """Compute the loss, both extreme Hessian eigenvalues, their residuals and their ratio at every cell (Li et al. 2018, figure 7).

    BatchNorm statistics that change over the plane are held at what they are in a cell while that cell is differentiated.

    Args:
        objective: model, loss and the data whose mean loss is differentiated.
        plane: where.
        bounds: ``(low, high)`` or ``((a0, a1), (b0, b1))``, endpoints included; None takes `plane.window`.
        resolution: points along every axis, or ``(na, nb)``.
        archive: a path, a store or an open archive; None keeps the result in memory.
        name: of the surface within the archive.
        title: a line for figures.
        tol: a residual may be this share of its eigenvalue, or of 1 % of the largest where that is more. The
            error of an eigenvalue is of the order of the residual squared over the gap to the next.
        probes: products a cell for the trace as well; 0 leaves it out.
        biases: also differentiate one-dimensional tensors; Li et al. 2018 do not.
        method: of the products.
        warm: start each cell from its neighbor's eigenvectors.
        seed: of the random starts.
        memory: bytes for kept graphs.
        engine: its `workers` are threads over batches, one by default; nothing else of it has a meaning here.
        overwrite: replace a different surface of that name.
        progress: show progress; None shows it once it takes longer than two seconds, False never.

    Returns:
        A Dataset over the plane. A stopped run is continued by the same call; what was stored stays, what is added is
        the same within `tol`.

    Raises:
        InputError: an argument is not what is needed.
        ArchiveError: another surface of that name, or nothing can be written.
    """
    if tol <= 0 or probes < 0 or (0 < probes < 3):
        raise InputError("tol, probes", (tol, probes), "a positive tolerance, and no probes or at least 3")
    workers = check_engine(engine, "workers").workers or 1
    settings = HessianMapSettings(tol, probes, biases, method, warm, seed, memory, workers)
    grid, task = Grid.make(bounds_or_window(bounds, plane), resolution, plane.ndim), EvaluationProblem.make(objective, plane, ())
    objective = task.objective
    store = as_archive(archive, repair=overwrite)
    try:
        with store.lock_for_writing(name):
            attrs = _attrs(objective, plane, grid, settings, title)
            stored = _prepare(store, name, grid, settings, attrs, objective, plane, overwrite)
            done = np.zeros(grid.size, bool) if stored is None else stored.done.values.ravel()
            before = 0.0 if stored is None else float(stored.attrs.get("seconds", 0.0))
            began = time.perf_counter()
            _fill(task, plane, grid, settings, store, name, done, title or name, progress)
            if not done.all():
                store.update_attrs("surfaces", name, {"seconds": before + time.perf_counter() - began})
    except OSError as error:
        raise ArchiveError(f"Cannot write {store.location}: {error}. What was stored is kept; run the same call again.") from error
    return store.surface(name)


def boustrophedon_order(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """All cells so that each lies beside the one before it.

    >>> boustrophedon_order((2, 3)).tolist()
    [0, 1, 2, 5, 4, 3]
    """
    cells = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(-1, shape[-1]).copy()
    cells[1::2] = cells[1::2, ::-1]
    return cells.ravel()


def _fill(
    task: EvaluationProblem,
    plane: Plane,
    grid: Grid,
    settings: HessianMapSettings,
    store: Archive,
    name: str,
    done: BoolArray,
    label: str,
    progress: bool | None,
) -> None:
    start: list[FloatArray] = []
    with progress_bar(label, grid.size, int(done.sum()), progress) as advance:
        for cell in boustrophedon_order(grid.shape):
            if done[cell]:
                start = []
                continue
            place = tuple(float(c) for c in grid.points([int(cell)])[0])
            values, ends = measure_cell(task.held(place), plane, place, settings, start)
            store.write_cells(name, np.array([cell]), {n: np.array([v]) for n, v in values.items()})
            start = [] if ends is None or not settings.warm else [ends.largest_vectors[:, 0], ends.smallest_vectors[:, 0]]
            advance(1)


def measure_cell(
    objective: Objective, plane: Plane, place: tuple[float, ...], settings: HessianMapSettings, start: list[FloatArray]
) -> tuple[dict[str, float], ExtremeEigenvalues | None]:
    """Every variable of one cell; NaN, and no eigenvectors to go on from, where the loss or a product is not finite."""
    point = plane.point(*place)
    loss = objective.loss(point)
    values = dict.fromkeys(settings.variables, float("nan")) | {"loss": loss, "hessian_products": 0}
    if not np.isfinite(loss):
        return values, None
    matrix = hessian_operator(
        objective, point, biases=settings.biases, method=settings.method, memory=settings.memory, workers=settings.workers
    )
    try:
        ends = extreme_eigenvalues(matrix, tol=settings.tol, start=start, solver="ritz", seed=settings.seed)
    except np.linalg.LinAlgError:
        return values | {"hessian_products": matrix.products}, None
    measured = values | _extreme_values(ends) | _trace(matrix, settings)
    return measured | {"hessian_products": matrix.products}, ends


def _extreme_values(ends: ExtremeEigenvalues) -> dict[str, float]:
    return {
        "lambda_max": ends.lambda_max,
        "lambda_max_residual": float(ends.largest_residuals[0]),
        "lambda_min": ends.lambda_min,
        "lambda_min_residual": float(ends.smallest_residuals[0]),
        "hessian_ratio": ends.ratio,
    }


def _trace(matrix: CurvatureOperator, settings: HessianMapSettings) -> dict[str, float]:
    if not settings.probes:
        return {}
    total = estimate_trace(matrix, settings.probes, seed=settings.seed)
    return {"trace": total.value, "trace_standard_error": total.standard_error}


def _attrs(objective: Objective, plane: Plane, grid: Grid, settings: HessianMapSettings, title: str) -> dict[str, Any]:
    attrs = provenance(objective, plane, grid, (), title)
    attrs["metrics"] = [n for n in settings.variables if not n.endswith("_standard_error")]
    attrs["curvature"] = {
        "tol": settings.tol,
        "probes": settings.probes,
        "biases": settings.biases,
        "warm": settings.warm,
        "seed": settings.seed,
        "solver": "Rayleigh-Ritz, both ends in one subspace",
        "averaged_over": "samples",
    }
    return attrs


def _prepare(
    store: Archive,
    name: str,
    grid: Grid,
    settings: HessianMapSettings,
    attrs: dict[str, Any],
    objective: Objective,
    plane: Plane,
    overwrite: bool,
) -> xr.Dataset | None:
    """The stored map where it is the same one and is continued; else None, with an empty map laid out."""
    if store.has_surface(name):
        old = stored_attrs(store, name, overwrite) or {}
        different = differences(old, attrs)
        if old.get("curvature") != attrs["curvature"]:
            different.append(f"its curvature settings are {old.get('curvature')} there and {attrs['curvature']} now")
        if not different and mend(store, name, grid, settings.variables, overwrite):
            stored = store.surface(name)
            different = _changed(stored, objective, plane, grid, settings)
            if not different:
                return stored
        if different and not overwrite:
            raise surface_mismatch_error(name, store.location, different)
    units = str(objective.description["units"]) or "1"
    declared = (schema.variable(n) for n in settings.variables)
    variables = [replace(v, units=units) if v.units == "nats" else v for v in declared]
    store.create_surface(name, dict(zip(schema.PLANE, grid.axes, strict=False)), variables, attrs)
    return None


def _changed(stored: xr.Dataset, objective: Objective, plane: Plane, grid: Grid, settings: HessianMapSettings) -> list[str]:
    """In what some of the stored cells differ from the same ones measured now, in words: their losses, and the first cell's eigenvalues."""
    done, values = stored.done.values.ravel(), {n: stored[n].values.ravel() for n in settings.variables}
    usable = np.isfinite(values["loss"]) & np.isfinite(values["lambda_max"])
    cells = compared_cells(done, usable, None if plane.origin is None else grid.cell_at(plane.origin))
    points = [tuple(float(c) for c in point) for point in grid.points(cells)]
    places = [place_in_words(point) for point in points]
    rounding = Rounding.of(
        objective, [str(description.get("device")) for description in (stored.attrs["objective"], objective.description)]
    )

    def losses() -> dict[str, NDArray[np.float64]]:
        return {"loss": np.array([objective.loss(plane.point(*point)) for point in points])}

    different = changed({"loss": values["loss"][cells]}, losses, rounding, {"loss": scale_of(values["loss"])}, places)
    if different or not len(cells) or cells[0] != 0 or not usable[0]:
        return different
    now, _ = measure_cell(objective, plane, points[0], settings, [])  # the first cell was not begun at a neighbor's eigenvectors
    largest = max(abs(values["lambda_max"][0]), abs(values["lambda_min"][0]))
    for name in ("lambda_max", "lambda_min"):
        tolerance = values[f"{name}_residual"][0] + now[f"{name}_residual"] + rounding.relative * largest
        if not abs(values[name][0] - now[name]) <= tolerance:
            return [difference(name, places[0], values[name][0], now[name])]
    return []
