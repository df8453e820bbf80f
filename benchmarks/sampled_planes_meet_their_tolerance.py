"""Claim: planes estimated from some of the samples err by more than `tol` at no more cells than one in twenty, on real data.

`resnet20` estimates a filter-normalized plane of ResNet-20 on 10,000 training images of CIFAR-10 to 1 % of its linear and 2 % of its
logarithmic range; `archive` takes finished archives of an estimated plane, such as ResNet-56 on all 50,000 images; of several, whose
grids hold each other, cells of the first are computed. Both then compute cells with all samples, in random order, in float32, and
compare. Every cell is written down when it is done, so that the same command continues a stopped one; the cells that are there are a
random sample of the plane however few they are.

    python -m benchmarks.sampled_planes_meet_their_tolerance resnet20 [--images 10000] [--resolution 25] [--cells 625]
    python -m benchmarks.sampled_planes_meet_their_tolerance archive PATH [PATH ...] --network resnet56 [--cells 30]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from benchmarks.engine import machine
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.evaluation.single_point import PointEvaluator
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import IMAGENET_MEAN, IMAGENET_STD, LI_MEAN, LI_STD, data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network

RESULTS = Path(__file__).parent / "results" / "sampled_planes_meet_their_tolerance.json"
SETTINGS = (("linear", 0.01), ("log", 0.02))
PUBLISHED = {
    "resnet20": ("nets_cifar10_akamaster/resnet20-12fca82f.th", "resnet20_a", IMAGENET_MEAN, IMAGENET_STD),
    "resnet56": ("nets_cifar10_li2018/resnet56_model_300.t7", "resnet56", LI_MEAN, LI_STD),
    "resnet56_noshort": ("nets_cifar10_li2018/resnet56_noshort_model_300.t7", "resnet56_noshort", LI_MEAN, LI_STD),
}


def objective_of(name: str, images: int) -> la.Objective:
    """A published network on the first training images of CIFAR-10."""
    weights, kind, mean, std = PUBLISHED[name]
    model = load_checkpoint(data_root() / weights, network(kind, seed=0)).eval()
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    data = load_cifar10(data_root(), "train", images)
    pictures = torch.from_numpy(normalize(data.images, mean, std)).contiguous(memory_format=torch.channels_last)
    return la.Objective(model, F.cross_entropy, (pictures, torch.from_numpy(data.labels)), batch_size=64, split="train", population=images)


def resnet20(options: argparse.Namespace) -> None:
    """Estimates in both scales, one after the other, and what they err by."""
    objective = objective_of("resnet20", options.images)
    plane = la.random_plane(objective, seed=0)
    label = f"ResNet-20, {options.resolution}x{options.resolution}, {options.images:,} images"
    estimates = {}
    for scale, tol in SETTINGS:
        archive = options.folder / f"resnet20-{options.resolution}-{options.images}-{scale}.zarr"
        engine = la.Engine(sampling="multilevel", executor="serial")
        how: dict[str, Any] = {"archive": archive, "tol": tol, "tol_scale": scale, "engine": engine, "progress": True}
        began = time.process_time()
        estimates[f"{label}, {tol:.0%} {scale}"] = la.evaluate(objective, plane, (-1, 1), options.resolution, **how)
        print(scale, "processor seconds", time.process_time() - began, flush=True)
    compare(label, objective, plane, estimates, options)


def archived(options: argparse.Namespace) -> None:
    """What finished estimates err by."""
    surfaces = [la.open_archive(path).surface() for path in options.paths]
    objective = objective_of(options.network, surfaces[0].attrs["sampling"]["samples"])

    def label(surface: xr.Dataset) -> str:
        return f"{options.network}, {'x'.join(map(str, surface.loss.shape))}, {objective.samples:,} images"

    estimates = {f"{label(s)}, {s.attrs['tol']:.0%} {s.attrs['sampling']['scale']}": s for s in surfaces}
    compare(label(surfaces[0]), objective, la.random_plane(objective, seed=0), estimates, options)


def compare(label: str, objective: la.Objective, plane: la.Plane, estimates: dict[str, xr.Dataset], options: argparse.Namespace) -> None:
    """Compute cells in random order with all samples, and write down after each how far off the estimates are."""
    surface = next(iter(estimates.values()))
    file = options.folder / f"{label.replace(', ', '-').replace(' ', '_')}.cells.jsonl"
    exact = {int(row["cell"]): row["loss"] for row in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    order, measure = np.random.default_rng(0).permutation(surface.loss.size)[: options.cells], PointEvaluator(objective, "loss")
    seconds: list[float] = []
    for cell in order:
        if int(cell) not in exact:
            row, column = np.unravel_index(cell, surface.loss.shape)
            began = time.process_time()
            exact[int(cell)] = measure(plane.point(float(surface.alpha[row]), float(surface.beta[column])))["loss"]
            seconds.append(time.process_time() - began)
            with file.open("a") as lines:
                lines.write(json.dumps({"cell": int(cell), "loss": exact[int(cell)], "processor_seconds": seconds[-1]}) + "\n")
        if len(seconds) == 1 or len(exact) == len(order):
            store({name: errors(estimate, surface, exact) for name, estimate in estimates.items()})
    store({name: errors(estimate, surface, exact) for name, estimate in estimates.items()})


def errors(surface: xr.Dataset, first: xr.Dataset, exact: dict[int, float]) -> dict[str, Any]:
    """Differences at the cells of `first` that were computed with all samples, as shares of the estimate's range in its scale."""
    sampling, tol = surface.attrs["sampling"], surface.attrs["tol"]
    cells, truth = same_cells(surface, first, sorted(exact)), np.array([exact[cell] for cell in sorted(exact)])
    mean, own = surface.loss_filled.values.ravel(), surface.loss_filled_standard_error.values.ravel()
    off = np.abs(mean[cells] - truth)
    inside = off <= 1.96 * own[cells] + 1e-5 * truth
    shown, known = (np.log(mean), np.log(truth)) if sampling["scale"] == "log" else (mean, truth)
    share = np.abs(shown[cells] - known) / np.ptp(shown[np.isfinite(shown)])
    return {
        "cells_compared": len(cells), "cells": mean.size, "cells_above_tol": int((share > tol).sum()),
        "largest_error": float(share.max()), "median_error": float(np.median(share)),
        "inside_their_95_percent_interval": float(inside.mean()),
        "promised_at_the_worst_cell": surface.attrs["estimated_error"], "range_nats": [float(np.nanmin(mean)), float(np.nanmax(mean))],
        "sample_passes": sampling["drawn"], "share_of_the_full_grid": sampling["share"], "samples": sampling["samples"],
        "wall_seconds": surface.attrs.get("seconds"),
    }  # fmt: skip


def same_cells(surface: xr.Dataset, first: xr.Dataset, cells: list[int]) -> np.ndarray:
    """Flat positions in `surface` of these cells of `first`."""
    at = np.unravel_index(cells, first.loss.shape)
    found = [np.abs(surface[d].values[:, None] - first[d].values[index]).argmin(0) for d, index in zip(surface.loss.dims, at, strict=True)]
    for dim, index, place in zip(surface.loss.dims, at, found, strict=True):
        assert np.allclose(surface[dim].values[place], first[dim].values[index], atol=1e-9), "grids that do not hold each other"
    return np.ravel_multi_index(found, surface.loss.shape)


def store(rows: dict[str, Any]) -> None:
    """Beside the rows of other planes."""
    held = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"rows": held["rows"] | rows, "machine": machine()}, indent=1) + "\n")
    print(json.dumps(rows, indent=1), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build") / "sampled_planes", help="where archives and computed cells are kept")
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("resnet20")
    one.add_argument("--images", type=int, default=10_000)
    one.add_argument("--resolution", type=int, default=25)
    one.add_argument("--cells", type=int, default=625)
    one.set_defaults(run=resnet20)
    two = parts.add_parser("archive")
    two.add_argument("paths", type=Path, nargs="+")
    two.add_argument("--network", choices=PUBLISHED, required=True)
    two.add_argument("--cells", type=int, default=30)
    two.set_defaults(run=archived)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    options.run(options)


if __name__ == "__main__":
    main()
