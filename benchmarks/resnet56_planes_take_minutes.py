"""Claim: a 51x51 plane of ResNet-56 on 1,000 training images, to 1 % of its range, takes under ten minutes on two cores.

One call of `evaluate`: two threads, coarse to fine with ``tol=0.01``, bfloat16, pictures and weights channels-last. The
plain loop (weights copied in, batches of 128 under `no_grad`, float32, one thread) is timed at a few cells before and after.
Then cells drawn at random are computed in float32, and the largest difference from the filled plane is told, as a share of the
range. Processor time hardly depends on what else the machine does; wall time does. The preview stands after the first level.

On a machine too busy for the whole, ``--count-with 64`` counts the cells that the tolerance takes, and checks them, on the plane of so many
images, times a 7x7 grid on all of them, and multiplies; the result says that it is extrapolated.

    python -m benchmarks.resnet56_planes_take_minutes [--images 1000] [--resolution 51] [--precision bf16] [--count-with 64] [--data DIR]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.engine import machine

import lossatlas as la
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import LI_MEAN, LI_STD, data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network

WEIGHTS = "nets_cifar10_li2018/resnet56_model_300.t7"
RESULTS = Path(__file__).parent / "results" / "resnet56_planes_take_minutes.json"
TOLERANCE, WORKERS, SEED = 0.01, 2, 0
PREVIEW = 64
"""Cells of the coarsest level of a 51x51 grid."""


def objective(images: int, data: Path | None) -> la.Objective:
    """The published ResNet-56 on its first training images, as it is laid out fastest on a CPU."""
    model = load_checkpoint(data_root(data) / WEIGHTS, network("resnet56", seed=0)).eval()
    found = load_cifar10(data, "train", images)
    pictures = torch.from_numpy(normalize(found.images, LI_MEAN, LI_STD)).contiguous(memory_format=torch.channels_last)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return la.Objective(model, F.cross_entropy, (pictures, torch.from_numpy(found.labels)), batch_size=128, split="train")


def plain(images: int, data: Path | None, plane: la.Plane, places: list[tuple[float, float]]) -> tuple[float, list[float]]:
    """Processor seconds a point of the plain loop, and its losses there."""
    model = load_checkpoint(data_root(data) / WEIGHTS, network("resnet56", seed=0)).eval()
    found = load_cifar10(data, "train", images)
    x, y = torch.from_numpy(normalize(found.images, LI_MEAN, LI_STD)), torch.from_numpy(found.labels)
    losses = []
    began = time.process_time()
    for place in places:
        with torch.no_grad():
            model.load_state_dict(plane.point(*place), strict=False)
            pieces = zip(x.split(128), y.split(128), strict=True)
            losses.append(sum(float(F.cross_entropy(model(a), b, reduction="sum")) for a, b in pieces) / len(x))
    return (time.process_time() - began) / len(places), losses


def measure(images: int, resolution: int, precision: Any, data: Path | None, checks: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    chosen = objective(images, data)
    plane = la.random_plane(chosen, seed=SEED)
    first, _ = plain(images, data, plane, [(0.0, 0.0), (1.0, -1.0)])
    seen, preview = 0, [0.0, 0.0]
    wall, processor = time.perf_counter(), time.process_time()

    def watch(cells: Any, _: Any) -> None:
        nonlocal seen
        seen += len(cells)
        if seen >= PREVIEW and not preview[0]:
            preview[:] = [time.perf_counter() - wall, time.process_time() - processor]

    surface = la.evaluate(
        chosen,
        plane,
        resolution=resolution,
        tol=TOLERANCE,
        engine=la.Engine(precision=precision, executor="threads", workers=WORKERS),
        on_tile=watch,
    )
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    rng, values = np.random.default_rng(0), surface.loss_filled if "loss_filled" in surface else surface.loss
    cells = rng.choice(values.size, checks, replace=False)
    places = [(float(surface.alpha[i]), float(surface.beta[j])) for i, j in zip(*np.unravel_index(cells, values.shape), strict=True)]
    last, exact = plain(images, data, plane, places)
    span = float(values.max() - values.min())
    errors = np.abs(np.asarray(exact) - values.values.ravel()[cells]) / span
    loop = (first + last) / 2 * values.size
    return {
        "images": images, "resolution": resolution, "precision": precision, "workers": WORKERS, "direction_seed": SEED,
        "cells_computed": int(surface.done.sum()), "cells": values.size, "range_nats": span,
        "wall_minutes": wall / 60, "processor_minutes": processor / 60, "minutes_on_two_idle_cores": processor / WORKERS / 60,
        "preview_wall_seconds": preview[0], "preview_processor_seconds": preview[1],
        "plain_loop_seconds_a_point": [first, last], "plain_loop_processor_minutes": loop / 60, "ratio_to_plain_loop": loop / processor,
        "error_at_checked_cells": {"cells": checks, "largest": float(errors.max()), "median": float(np.median(errors))},
        "estimated_error": surface.attrs.get("estimated_error"),
    }  # fmt: skip


def extrapolate(images: int, few: int, resolution: int, precision: Any, data: Path | None, checks: int) -> dict[str, Any]:
    """Cells and errors from the plane of `few` images, seconds a cell from a 7x7 grid on all of them."""
    counted = measure(few, resolution, precision, data, checks)
    chosen = objective(images, data)
    plane = la.random_plane(chosen, seed=SEED)
    loop, _ = plain(images, data, plane, [(0.0, 0.0), (1.0, -1.0)])
    wall, processor = time.perf_counter(), time.process_time()
    la.evaluate(chosen, plane, resolution=7, engine=la.Engine(precision=precision, executor="threads", workers=WORKERS))
    wall, processor = (time.perf_counter() - wall) / 49, (time.process_time() - processor) / 49
    cells = counted["cells_computed"]
    return {
        "extrapolated": True, "images": images, "counted_with": counted, "cells_computed": cells, "cells": counted["cells"],
        "processor_seconds_a_cell": processor, "wall_seconds_a_cell": wall, "processor_minutes": processor * cells / 60,
        "minutes_on_two_idle_cores": processor * cells / WORKERS / 60, "preview_seconds_on_two_idle_cores": processor * PREVIEW / WORKERS,
        "plain_loop_seconds_a_point": loop, "plain_loop_processor_minutes": loop * counted["cells"] / 60,
        "ratio_to_plain_loop": loop * counted["cells"] / (processor * cells),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--resolution", type=int, default=51)
    parser.add_argument("--precision", choices=["full", "bf16"], default="bf16")
    parser.add_argument("--count-with", type=int, default=None, help="images of the plane on which cells are counted; None runs the whole")
    parser.add_argument("--checks", type=int, default=30)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    how = (options.resolution, options.precision, options.data, options.checks)
    found = extrapolate(options.images, options.count_with, *how) if options.count_with else measure(options.images, *how)
    found |= {"machine": machine()}
    print(json.dumps(found, indent=1))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
