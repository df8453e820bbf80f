"""Claim: planes of CIFAR-10 networks on all images, to 1 % of their range, take a hundredth of the passes of the plain loop.

The pilot of multilevel sampling is drawn at every cell into an archive, which a stopped run continues; what it allocates is the exact
number of passes (one sample at one cell) of a whole call. Processor seconds a pass are timed on 12 cells, those of the plain loop (weights
copied in, batches of 128 under `no_grad`, float32) at 2 cells of 512 images before and after, and both are multiplied. With `--whole`
the call is run from beginning to end instead, and only the plain loop's days are extrapolated. Everything on one thread, in float32.

    python -m benchmarks.sampled_planes_beat_the_plain_loop [resnet20] [--resolution 49] [--images 10000] [--folder DIR]
    python -m benchmarks.sampled_planes_beat_the_plain_loop resnet56 --resolution 51 --images 50000 [--pilot ARCHIVE]
    python -m benchmarks.sampled_planes_beat_the_plain_loop resnet56 --resolution 51 --images 50000 --whole linear:0.01

`--pilot` takes the pilot from an archive of the same plane, of the same resolution or one whose every other cell it has.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from benchmarks.engine import machine
from benchmarks.sampled_planes_meet_their_tolerance import PUBLISHED, objective_of
from torch.nn import functional as F

import lossatlas as la
from lossatlas._util.progress import progress_bar
from lossatlas.analysis.grid import Grid
from lossatlas.analysis.multilevel import LatticeHierarchy, allocate
from lossatlas.archive import as_archive
from lossatlas.archive.sample_draws import SampleDraws
from lossatlas.compute.evaluation.evaluators import EvaluationProblem, EvaluatorSpec
from lossatlas.compute.evaluation.executors import Tile, WorkerJob, executor_named
from lossatlas.compute.evaluation.multilevel import PILOT, MultilevelRun, samples_problem
from lossatlas.compute.metrics import metrics_named
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network

RESULTS = Path(__file__).parent / "results" / "sampled_planes_beat_the_plain_loop.json"
SETTINGS = (("linear", 0.01), ("log", 0.01), ("log", 0.02))
TIMED_IMAGES, TIMED_CELLS = 512, ((0.0, 0.0), (1.0, -1.0))
SPEC = EvaluatorSpec(layout="channels_last")


def draw_pilot(task: EvaluationProblem, grid: Grid, path: Path) -> SampleDraws:
    """The same samples at every cell, those that an archive holds already apart."""
    draws = SampleDraws(as_archive(path), "surface", grid.size, ("loss",), "float64")
    run = MultilevelRun(task, grid, draws, 0.01, "linear")
    run.prepare()

    def measure(problem: EvaluationProblem, cells: np.ndarray) -> Iterator[Tile]:
        return executor_named("serial")(WorkerJob(problem, grid, SPEC), cells)

    with progress_bar(f"pilot of {path.name}", PILOT * grid.size, 0, True) as advance:
        run.draw_pilot(measure, advance)
    return draws


def stored_pilot(path: Path, resolution: int) -> np.ndarray:
    """Values ``(cells, samples)`` from an archive of that resolution or of twice as fine a grid."""
    archive = la.open_archive(path)
    fine = len(archive.surface().alpha)
    draws = SampleDraws(archive, "surface", fine**2, ("loss",), "float64")
    draws.load([0])
    step = (fine - 1) // (resolution - 1)
    values = draws.of(0, "loss", np.arange(fine**2)).reshape(fine, fine, -1)[::step, ::step]
    assert values.shape[:2] == (resolution, resolution), "another grid"
    return values.reshape(resolution**2, -1)


def seconds_a_pass(task: EvaluationProblem) -> float:
    """Processor seconds of one sample at one cell, every sample's loss kept."""
    evaluator = SPEC.unchecked(samples_problem(task, np.arange(0, task.objective.samples, task.objective.samples // 64)[:64]))
    points = np.random.default_rng(0).uniform(-1, 1, (12, 2))
    evaluator(points[:1])
    began = time.process_time()
    evaluator(points)
    return (time.process_time() - began) / (len(points) * 64)


def plain_seconds_a_pass(name: str, plane: la.Plane) -> float:
    """Processor seconds of one image in the plain loop."""
    weights, kind, mean, std = PUBLISHED[name]
    model = load_checkpoint(data_root() / weights, network(kind, seed=0)).eval()
    data = load_cifar10(data_root(), "train", TIMED_IMAGES)
    x, y = torch.from_numpy(normalize(data.images, mean, std)), torch.from_numpy(data.labels)
    began = time.process_time()
    for place in TIMED_CELLS:
        with torch.no_grad():
            model.load_state_dict(plane.point(*place), strict=False)
            sum(float(F.cross_entropy(model(a), b, reduction="sum")) for a, b in zip(x.split(128), y.split(128), strict=True))
    return (time.process_time() - began) / (len(TIMED_CELLS) * len(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", choices=PUBLISHED, default="resnet20")
    parser.add_argument("--resolution", type=int, default=49)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--pilot", type=Path)
    parser.add_argument("--whole", metavar="SCALE:TOL", help="run this call to its end, into an archive in --folder")
    parser.add_argument("--folder", type=Path, default=Path("build") / "sampled_planes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    objective = objective_of(options.network, options.images)
    if options.whole:
        run_whole(options, objective)
        return
    plane, grid = la.random_plane(objective, seed=0), Grid.make((-1, 1), options.resolution, 2)
    task = EvaluationProblem.make(objective, plane, metrics_named("loss"))
    loop = [plain_seconds_a_pass(options.network, plane)]
    if options.pilot:
        pilot = stored_pilot(options.pilot, options.resolution)
    else:
        options.folder.mkdir(parents=True, exist_ok=True)
        path = options.folder / f"{options.network}-{options.resolution}-{options.images}-pilot.zarr"
        pilot = draw_pilot(task, grid, path).of(0, "loss", np.arange(grid.size))
    each = [seconds_a_pass(task)]
    loop.append(plain_seconds_a_pass(options.network, plane))
    each.append(seconds_a_pass(task))
    store(options, pilot, float(np.median(each)), loop)


def run_whole(options: argparse.Namespace, objective: la.Objective) -> None:
    """One call of `la.evaluate` as a user makes it, plane, probe and storing included, between two timings of the plain loop."""
    scale, tol = options.whole.split(":")[0], float(options.whole.split(":")[1])
    options.folder.mkdir(parents=True, exist_ok=True)
    archive = options.folder / f"{options.network}-{options.resolution}-{options.images}-{tol:g}-{scale}.zarr"
    if archive.exists():
        raise SystemExit(f"{archive} exists: what would be continued from it is not a whole call. Remove it, or pass another --folder.")
    plane = la.random_plane(objective, seed=0)
    loop = [plain_seconds_a_pass(options.network, plane)]
    wall, processor = time.monotonic(), time.process_time()
    surface = la.evaluate(
        objective, la.random_plane(objective, seed=0), (-1, 1), options.resolution, archive=archive, tol=tol, tol_scale=scale,
        engine=la.Engine(sampling="multilevel", executor="serial"), progress=True,
    )  # fmt: skip
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    loop.append(plain_seconds_a_pass(options.network, plane))
    passes, of_all = surface.attrs["sampling"]["drawn"], options.resolution**2 * options.images
    merge({f"{named(options, scale, tol)}, run whole": {
        "passes": passes, "passes_of_the_full_grid": of_all, "fewer_passes": of_all / passes,
        "processor_minutes": processor / 60, "wall_minutes": wall / 60,
        "estimated_error_at_the_worst_cell": surface.attrs["estimated_error"],
        "plain_loop_processor_milliseconds_a_pass": [1e3 * seconds for seconds in loop],
        "extrapolated_plain_loop_processor_hours": of_all * np.mean(loop) / 3600,
        "times_the_plain_loop": of_all * np.mean(loop) / processor,
    }})  # fmt: skip


def named(options: argparse.Namespace, scale: str, tol: float) -> str:
    return f"{options.network}, {options.resolution}x{options.resolution}, {options.images:,} images, {tol:.0%} {scale}"


def store(options: argparse.Namespace, pilot: np.ndarray, each: float, loop: list[float]) -> None:
    """Rows of all settings."""
    shape = (options.resolution, options.resolution)
    of_all, rows = options.resolution**2 * options.images, {}
    for scale, tol in SETTINGS:
        drawn = allocate(LatticeHierarchy.of_grid(shape), shape, pilot, options.images - PILOT, tol, scale).total + pilot.size
        rows[named(options, scale, tol)] = {
            "passes": drawn, "passes_of_the_pilot": pilot.size, "passes_of_the_full_grid": of_all, "fewer_passes": of_all / drawn,
            "processor_milliseconds_a_pass": 1e3 * each, "plain_loop_processor_milliseconds_a_pass": [1e3 * seconds for seconds in loop],
            "extrapolated_processor_minutes": drawn * each / 60, "extrapolated_plain_loop_processor_hours": of_all * np.mean(loop) / 3600,
            "times_the_plain_loop": of_all * np.mean(loop) / (drawn * each),
        }  # fmt: skip
    merge(rows)


def merge(rows: dict[str, dict[str, object]]) -> None:
    """Beside those of other networks and settings."""
    held = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({"rows": held | rows, "machine": machine()}, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
