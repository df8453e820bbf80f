"""Evaluation of a grid of a plane, tile by tile, into an archive that can be stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from numbers import Real
from typing import Never

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from lossatlas import schema
from lossatlas._util.argument_checks import check_name, check_text
from lossatlas._util.progress import progress_bar
from lossatlas.analysis.adaptive_refinement import Scale, check_refinement, refine
from lossatlas.analysis.grid import Bounds, Grid
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.archive.arrays import dims_of, read_array
from lossatlas.compute.evaluation.engine import Engine, check_engine, refuse_unknown_keywords
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, Values, select_evaluator
from lossatlas.compute.evaluation.executors import Executor, Tile, WorkerJob, executor_named, open_executor, thread_hazard
from lossatlas.compute.evaluation.metric_probe import probe_metrics
from lossatlas.compute.evaluation.model_losses import model_losses
from lossatlas.compute.evaluation.multilevel import (
    PILOT,
    WORTHWHILE,
    MultilevelRun,
    is_worth_trying,
    sampling_refusal,
)
from lossatlas.compute.evaluation.storage.provenance import provenance
from lossatlas.compute.evaluation.storage.surface_writer import SurfaceWriter
from lossatlas.compute.metrics import Metric, adapt_metrics, metrics_named
from lossatlas.compute.metrics.terms import TermCheck
from lossatlas.compute.objective.objective import Objective, check_objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.compute.planes.windows import bounds_or_window
from lossatlas.errors import ArchiveError, InputError, InputTypeError

THREADS_SECONDS = 1e-3
"""Points quicker than this are held up by the interpreter's lock: one thread is best."""
THREADS_JOB_SECONDS = 2.0
RETURNED_SAMPLE_BYTES = 256 * 2**20
"""Arrays of samples that are larger together stay in the archive; `SampleLossArray.open` reads them a few rows at a time."""

TileCallback = Callable[[NDArray[np.int64], Values], None]
"""Called with every finished tile, after it was stored."""


def evaluate(
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
    **unknown: Never,
) -> xr.Dataset:
    """Values of an objective over a grid of a plane, or of a line.

    Cells are visited coarse first. Each finished tile is stored before the next begins; the same call continues a
    stopped or killed run, after up to four stored cells were measured again and found the same. With
    ``Engine(evaluator="loop")`` every cell is the same to the last bit however it was computed; the faster evaluators agree with
    the loop to rounding (1e-10 relative in float64, 1e-4 in float32 at worst) and are used only after a check at two points.

    Args:
        objective: what to measure.
        plane: where; a plane of one direction gives a line.
        bounds: ``(low, high)`` for every axis or ``((a0, a1), (b0, b1))``; endpoints are included. None takes `plane.window`: around a
            path, -0.25 to 1.25 between models, -1 to 1 around a model.
        resolution: points along every axis, or ``(na, nb)``.
        metrics: any of "loss", "accuracy", "error", "top_5_error", "perplexity", "kl", "disagreement", "calibration_error", "margin",
            "weight_norm" (`la.metrics` has them with options), or a `Metric` of your own. "sample_loss" keeps every sample's loss at
            every cell (`sample_losses(dtype)` to store it smaller); `la.SampleLossArray.open` reads it from the archive.
        archive: a path, a Zarr store or an open archive; None keeps the result in memory only.
        tol: error that is allowed, as a fraction of the range of the loss (0.01), which must be among `metrics`. The call then
            computes some of the cells and interpolates between them, or, with a thousand samples and more and where it is
            cheaper, estimates every cell from some of the samples (`Engine(sampling=...)`; `tol` is half a 95 % interval then).
            None computes every cell with every sample; the same call with None later goes on to that.
        tol_scale: "linear" or "log", the scale that will be shown and in which `tol` counts; "robust", for sampling, is linear
            and counts the range between the 5th and the 95th percentile of the cells.
        name: of the surface within the archive.
        title: a line for figures.
        engine: how the cells are computed: evaluator, precision, executor, tiles.
        overwrite: replace a different surface of that name instead of refusing.
        progress: show progress; None shows it once it takes longer than two seconds, False never.
        on_tile: called with every finished tile of cells; "auto" sampling, which finishes all cells at the end, is off then.
        unknown: refused, with the place of a keyword that belongs to `Engine`.

    Returns:
        A Dataset over dims ``("alpha", "beta")`` with `loss`, its standard error, `done`, and the provenance in
        `attrs`; `sample_loss` where it was asked for and takes at most 256 MiB. NaN and infinity are kept as they are. Where
        `tol` stopped early, `loss` is NaN on cells that were not computed and `loss_filled` is interpolated there;
        `attrs["estimated_error"]` says how far off, at a guess. Where samples were drawn, `loss_filled` is the estimate,
        `loss_filled_standard_error` its standard error against all samples, and `samples_drawn` how many each cell got.

    Raises:
        InputError: an argument is not what is needed.
        ArchiveError: the archive holds another surface of that name, another process is writing it, or it cannot be written.

    Example:
        >>> import torch
        >>> objective = Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
        >>> from lossatlas.compute.planes.constructors import weight_plane
        >>> surface = evaluate(objective, weight_plane(objective, ("w", 0), ("w", 1)), bounds=(-1, 1), resolution=(3, 5))
        >>> surface.loss.dims, float(surface.loss.sel(alpha=1, beta=0.5))
        (('alpha', 'beta'), 1.25)
    """
    refuse_unknown_keywords("evaluate", unknown)
    _check_options(name, title, engine, on_tile)
    _check_order(objective, plane)
    check_objective(objective)
    plane = plane.renamed_like(objective.state)
    grid, chosen = Grid.make(bounds_or_window(bounds, plane), resolution, plane.ndim), adapt_metrics(metrics_named(metrics), objective)
    tol = _tolerance(tol, chosen)
    check_refinement(tol, tol_scale)
    objective = objective.with_precision(engine.precision) if engine.precision != "full" else objective
    _check_center(objective, plane)
    losses = model_losses(objective, plane)
    task = EvaluationProblem.make(objective, plane, chosen)
    chosen, model_seconds = probe_metrics(task)
    task = replace(task, metrics=chosen)
    task.warn_of_lost_steps([float(np.diff(axis).min()) for axis in grid.axes])
    objective = task.objective
    _check_threads(engine.executor, task)
    store = as_archive(archive, repair=overwrite)
    with _writing(store, name), _executor(engine.executor) as execute:
        attrs = provenance(objective, plane, grid, chosen, title) | ({"models": losses} if losses else {})
        writer = SurfaceWriter.open(store, name, grid, chosen, objective, attrs, overwrite, task)
        left = writer.unfinished_cells()
        whole_cells = on_tile is not None and engine.sampling == "auto"  # a page wants cells as they come
        if tol is None or whole_cells or not len(left):
            sampled = False
        else:
            sampled = _sample(task, grid, writer, tol, tol_scale, engine, execute, title, progress)
        if len(left) and not sampled:
            stored = writer.stored_engine() if engine.evaluator == "auto" and engine.chunk is None else None
            choice = select_evaluator(
                task, _probes(grid, engine.compile), len(left), engine.evaluator, engine.chunk, engine.compile, stored
            )
            choice = replace(choice, seconds=(choice.seconds or 0.0) + model_seconds) if model_seconds else choice
            writer.record_engine(choice.describe())
            terms = TermCheck.of(chosen, objective)
            job = WorkerJob(task, grid, choice, engine.tile, engine.workers, engine.retries, engine.timeout)
            with progress_bar(title or name, grid.size, grid.size - len(left), progress) as advance:
                for cells in _rounds(writer, left, tol, tol_scale, plane.origin):
                    for finished, measured in execute(job, cells):
                        writer.write(finished, measured)
                        terms(grid.points(finished), measured.values)
                        advance(len(finished))
                        if on_tile is not None:
                            on_tile(finished, measured.values)
            store.update_attrs("surfaces", name, terms.note(writer.values))
            writer.close()
    return _with_sample_arrays(store, name)


def _check_options(name: object, title: object, engine: object, on_tile: object) -> None:
    check_name("name", name)
    check_text("title", title)
    check_engine(engine)
    if on_tile is not None and not callable(on_tile):
        raise InputError("on_tile", on_tile, "a function on_tile(cells, values), or None")


def _with_sample_arrays(store: Archive, name: str) -> xr.Dataset:
    """The surface as it is stored; with every sample's values where they are few enough for memory."""
    surface, arrays = store.surface(name), store.samples(name)
    if not arrays or sum(array.nbytes for array in arrays.values()) > RETURNED_SAMPLE_BYTES:
        return surface
    stored = {key: (dims_of(array), read_array(array), dict(array.attrs)) for key, array in arrays.items()}
    return surface.assign(stored).set_coords([key for key, (dims, *_) in stored.items() if dims[0] not in schema.PLANE])


@contextmanager
def _writing(store: Archive, name: str) -> Iterator[None]:
    """As the surface's only writer; what the system refuses is told with the next step."""
    try:
        with store.lock_for_writing(name):
            yield
    except OSError as error:
        raise ArchiveError(
            f"Cannot write {store.location}: {error}. What was stored is kept; free space or fix access, then run the same call."
        ) from error


def _rounds(
    writer: SurfaceWriter, left: NDArray[np.int64], tol: float | None, scale: Scale, origin: Sequence[float] | None
) -> Iterator[NDArray[np.int64]]:
    """Cells to compute, round by round: all that are left, or the model's own and then level by level until the tolerance is met."""
    if tol is None:
        yield left
        return
    model_cell = None if origin is None else writer.grid.cell_at(origin)
    if model_cell is not None and model_cell in left:
        yield np.array([model_cell])
    while True:
        step = refine(writer.grid, writer.plane_values("loss"), writer.done.reshape(writer.grid.shape), tol, scale)
        if not len(step.wanted):
            writer.write_filled(scale, step.estimated_error, tol)
            return
        yield step.wanted


def _probes(grid: Grid, every_corner: bool = False) -> NDArray[np.float64]:
    """Points to check evaluators at: a corner, one inside where both coordinates differ from it, and the other corners where asked."""
    corners = product(*((0, size - 1) for size in grid.shape)) if every_corner else ()
    others = [int(np.ravel_multi_index(corner, grid.shape)) for corner in corners]
    return grid.points(np.array([0, grid.size * 2 // 3, *others[1:]]))


def _sample(
    task: EvaluationProblem,
    grid: Grid,
    writer: SurfaceWriter,
    tol: float,
    scale: Scale,
    engine: Engine,
    execute: Executor,
    title: str,
    progress: bool | None,
) -> bool:
    """Estimate every cell from some of the samples; False where that is not wanted, not possible, or would not be cheaper.

    Raises:
        InputError: it was asked for and is not possible.
    """
    if engine.sampling == "all" or (engine.sampling == "auto" and not is_worth_trying(task, grid)):
        return False
    if reason := sampling_refusal(task, grid):
        step = 'Leave sampling= out: sampling="auto" then takes all samples'
        raise InputError("sampling", f'"multilevel" with {reason}', "an objective whose samples are independent", step)
    run = MultilevelRun(task, grid, writer.sample_draws(), tol, scale, engine.sampling_seed)
    run.prepare()

    def measure(problem: EvaluationProblem, cells: NDArray[np.int64]) -> Iterator[Tile]:
        choice = select_evaluator(problem, _probes(grid, engine.compile), len(cells), engine.evaluator, engine.chunk, engine.compile)
        writer.record_engine(choice.describe())
        job = WorkerJob(problem, grid, choice, engine.tile, engine.workers, engine.retries, engine.timeout)
        return execute(job, cells)

    with progress_bar(f"{title or writer.name}: pilot", PILOT * grid.size, 0, progress) as advance:
        run.draw_pilot(measure, advance)
    if engine.sampling == "auto" and run.share > WORTHWHILE:
        run.draws.drop()
        return False
    with progress_bar(title or writer.name, run.passes, run.passes - run.passes_left(), progress) as advance:
        run.draw(measure, advance)
    writer.write_estimates(run.estimates(), run.samples_drawn, run.describe())
    return True


@contextmanager
def _executor(name: str) -> Iterator[Executor]:
    """One executor for all jobs of a call, which worker processes outlive; "auto" chooses anew for each job."""
    if name == "auto":
        yield lambda job, cells: _choose_executor(job)(job, cells)
        return
    with open_executor(name) as executor:
        yield executor


def _choose_executor(job: WorkerJob) -> Executor:
    """Threads where the job is long, its points are slow enough and PyTorch may use more than one core."""
    seconds = job.choice.seconds or 0.0
    long = seconds * job.grid.size > THREADS_JOB_SECONDS and seconds * (job.choice.chunk or 1) > THREADS_SECONDS
    several = job.workers != 1 and torch.get_num_threads() > 1 and job.task.device.type == "cpu"
    return executor_named("threads" if long and several and thread_hazard(job.task) is None else "serial")


def _check_threads(executor: str, task: EvaluationProblem) -> None:
    """Threads must not meet on what one of them changes: wrong values, and a model left with the wrong weights."""
    if executor == "threads" and (hazard := thread_hazard(task)) is not None:
        step = 'Pass engine=la.Engine(executor="processes"), where each worker has its own copy of everything'
        raise InputError("executor", f"threads with {hazard}", '"auto", "serial", "processes" or "ray" for this objective', step)


def _check_order(objective: object, plane: object) -> None:
    if isinstance(objective, Plane) and isinstance(plane, Objective):
        raise InputTypeError("objective, plane", "the plane first", "the objective first", "Call evaluate(objective, plane)")
    if not isinstance(plane, Plane):
        raise InputTypeError("plane", type(plane).__name__, "a plane", "Make one: la.random_plane(objective)")


def _tolerance(tol: object, metrics: tuple[Metric, ...]) -> float | None:
    """As a plain number; which cells are worth computing is told by the loss alone."""
    if tol is None:
        return None
    if isinstance(tol, bool) or not isinstance(tol, Real):
        raise InputError("tol", tol, "a number such as 0.01, or None")
    if all(metric.name != "loss" for metric in metrics):
        named = ", ".join(metric.name for metric in metrics)
        raise InputError(
            "tol", f"{tol:g} with metrics {named}", "the loss among the metrics", f"Pass metrics='loss' beside {named}, or tol=None"
        )
    return float(tol)


def _check_center(objective: Objective, plane: Plane) -> None:
    """Every parameter that moves must be one of the objective's, of the same shape."""
    unknown = sorted(set(plane.moving_names) - set(objective.params))
    wrong = [n for n in plane.moving_names if n in objective.params and plane.center[n].shape != objective.params[n].shape]
    if unknown or wrong:
        raise InputError("plane", f"a plane that moves {', '.join((unknown or wrong)[:4])}", "a plane of the objective's own parameters")
