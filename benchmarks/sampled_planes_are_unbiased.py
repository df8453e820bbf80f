"""Claim: estimates of sampled planes are unbiased on real networks, a chaotic one among them, and their 95 % intervals cover.

Every sample's loss at every cell of a 13 x 13 filter-normalized plane is computed once, so that the means over all of them are known: a
784-50-10 network on MNIST, ResNet-20, and ResNet-56 without shortcuts on CIFAR-10. From these, planes are estimated with 200 seeds of the
order in which samples are drawn, in both scales. Told are the share of intervals that hold the true mean, and per cell the mean error
over the seeds in its own standard errors. Cells share their samples, so that the largest of 169 is that of a few.

    python -m benchmarks.sampled_planes_are_unbiased [--seeds 200] [--tol 0.05] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.engine import machine
from benchmarks.sampled_cost_grows_slower_than_the_data import problem
from benchmarks.sampled_planes_meet_their_tolerance import objective_of

import lossatlas as la
from lossatlas.analysis.multilevel import Estimate, LatticeHierarchy, allocate, estimate
from lossatlas.analysis.multilevel.allocation import CONFIDENCE, ladder
from lossatlas.compute.evaluation.multilevel import PILOT

RESULTS = Path(__file__).parent / "results" / "sampled_planes_are_unbiased.json"
SHAPE = (13, 13)
NETWORKS = {
    "784-50-10, 4,000 images": lambda: problem(4000),
    "ResNet-20, 1,500 images": lambda: objective_of("resnet20", 1500),
    "ResNet-56 without shortcuts, 800 images": lambda: objective_of("resnet56_noshort", 800),
}


def every_loss(objective: la.Objective, path: Path) -> np.ndarray:
    """Losses ``(cells, samples)`` in float64, from the archive where they are in it."""
    plane, metrics = la.random_plane(objective, seed=0), ("loss", "sample_loss")
    engine = la.Engine(sampling="all", executor="serial", evaluator="loop")
    la.evaluate(objective, plane, (-1, 1), SHAPE, metrics, path, engine=engine, progress=True)
    return np.asarray(la.SampleLossArray.open(path).losses[...], np.float64).reshape(SHAPE[0] * SHAPE[1], -1)


def estimated(values: np.ndarray, seed: int, tol: float, scale: str) -> tuple[Estimate, np.ndarray]:
    """One plane, and the samples that its cells got."""
    hierarchy, samples = LatticeHierarchy.of_grid(SHAPE), values.shape[1]
    shuffled = values[:, np.random.default_rng(seed).permutation(samples)]
    pilot, rest = shuffled[:, :PILOT], shuffled[:, PILOT:]
    allocation = allocate(hierarchy, SHAPE, pilot, samples - PILOT, tol, scale)
    steps = ladder(samples - PILOT)
    blocks = [
        (cells, rest[cells, start:stop])
        for start, stop in zip([0, *steps[:-1]], steps, strict=True)
        if len(cells := np.flatnonzero(allocation.draws >= stop))
    ]
    return estimate(hierarchy, allocation, pilot, blocks, samples), PILOT + allocation.draws


def measure(values: np.ndarray, seeds: int, tol: float, scale: str) -> dict[str, Any]:
    """Bias and coverage over the seeds, at cells that are estimated and not computed with all samples."""
    runs = [estimated(values, seed, tol, scale) for seed in range(seeds)]
    truth = values.mean(1)
    errors, own = np.stack([run.mean for run, _ in runs]) - truth, np.stack([run.standard_error for run, _ in runs])
    known = own > 0
    often = known.mean(0) > 0.5
    z = errors.mean(0)[often] / (errors.std(0, ddof=1)[often] / np.sqrt(seeds))
    shown = errors / truth if scale == "log" else errors
    span = np.ptp(np.log(truth)) if scale == "log" else np.ptp(truth)
    return {
        "cells": int(known.any(0).sum()),
        "share_of_passes": float(np.mean([drawn.sum() for _, drawn in runs]) / values.size),
        "intervals_that_cover": float((np.abs(errors) <= CONFIDENCE * own)[known].mean()),
        "mean_error_in_standard_errors": {"largest": float(np.abs(z).max()), "beyond_three": int((np.abs(z) > 3).sum())},
        "largest_bias_of_the_range": float(np.abs(shown.mean(0)[often] / span).max()),
        "errors_above_tol": float((np.abs(shown) > tol * span)[known].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--tol", type=float, default=0.05)
    parser.add_argument("--folder", type=Path, default=Path("build") / "sampled_planes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, make in NETWORKS.items():
        values = every_loss(make(), options.folder / f"unbiased-{name.split(',')[0].replace(' ', '_')}.zarr")
        for scale in ("linear", "log"):
            rows[f"{name}, {options.tol:.0%} {scale}"] = measure(values, options.seeds, options.tol, scale)
            print(json.dumps(rows, indent=1), flush=True)
    RESULTS.write_text(json.dumps({"seeds": options.seeds, "rows": rows, "machine": machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
