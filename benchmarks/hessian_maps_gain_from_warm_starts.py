"""Claim: a Hessian-ratio map of ResNet-20 on 21x21 cells takes under thirty minutes on two cores, thanks to warm starts.

Both ends of the spectrum at the cells of a small patch of the map, three ways, interleaved in one process on one
thread: SciPy's eigsh at every cell anew, our Rayleigh-Ritz anew, and Rayleigh-Ritz started from the cell before.
Products (which do not depend on the machine's load) and processor time are counted; the whole map is 441 cells, and its
minutes are those of the patch times as many cells.

    python benchmarks/hessian_maps_gain_from_warm_starts.py [--images 64] [--patch 3] [--data DIR]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import lossatlas as la
from lossatlas.compute.curvature import extreme_eigenvalues, hessian_operator
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import IMAGENET_MEAN, IMAGENET_STD, data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network

CELLS, STEP = 21 * 21, 0.1
TOLERANCE = 0.1
WEIGHTS = "nets_cifar10_akamaster/resnet20-12fca82f.th"
RESULTS = Path(__file__).parent / "results" / "hessian_maps_gain_from_warm_starts.json"
WAYS = ("eigsh, cold", "Rayleigh-Ritz, cold", "Rayleigh-Ritz, warm")


def objective(images: int, data: Path | None) -> la.Objective:
    """The published ResNet-20 on its first training images, in batches of 32."""
    model = load_checkpoint(data_root(data) / WEIGHTS, network("resnet20_a", seed=0)).eval()
    found = load_cifar10(data, "train", images)
    pictures = torch.from_numpy(normalize(found.images, IMAGENET_MEAN, IMAGENET_STD))
    return la.Objective(model, F.cross_entropy, (pictures, torch.from_numpy(found.labels)), batch_size=32)


def solve(chosen: la.Objective, point: dict[str, torch.Tensor], way: str, before: Any) -> tuple[Any, float]:
    began = time.process_time()
    matrix = hessian_operator(chosen, point)
    start = [before.largest_vectors[:, 0], before.smallest_vectors[:, 0]] if way.endswith("warm") and before is not None else []
    found = extreme_eigenvalues(matrix, tol=TOLERANCE, start=start, solver="eigsh" if way.startswith("eigsh") else "ritz")
    return found, time.process_time() - began


def measure(images: int, patch: int, data: Path | None) -> dict[str, Any]:
    chosen = objective(images, data)
    plane = la.random_plane(chosen, seed=1)
    places = [(i * STEP, (j if i % 2 == 0 else patch - 1 - j) * STEP) for i in range(patch) for j in range(patch)]
    spent: dict[str, list[tuple[int, float, float, float]]] = {way: [] for way in WAYS}
    before = None
    for place in places:
        for way in WAYS:
            found, seconds = solve(chosen, plane.point(*place), way, before)
            spent[way].append((found.products, seconds, found.lambda_max, found.lambda_min))
            if way.endswith("warm"):
                before = found
    return {way: summary(rows, spent[WAYS[0]]) for way, rows in spent.items()}


def summary(rows: list[tuple[int, float, float, float]], reference: list[tuple[int, float, float, float]]) -> dict[str, float]:
    """Without the first cell, which has no neighbor to start from."""
    values, exact = np.array(rows[1:]), np.array(reference[1:])
    return {
        "products_per_cell": float(values[:, 0].mean()),
        "seconds_per_cell": float(values[:, 1].mean()),
        "map_minutes_on_one_core": float(values[:, 1].mean() * CELLS / 60),
        "largest_ratio_difference": float(np.abs(values[:, 3] / values[:, 2] - exact[:, 3] / exact[:, 2]).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--patch", type=int, default=3)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(arguments.images, arguments.patch, arguments.data)
    warm = found[WAYS[2]]["products_per_cell"]
    ratios = {way: round(numbers["products_per_cell"] / warm, 2) for way, numbers in found.items()}
    machine = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    told = {**machine, "images": arguments.images, "cells_measured": arguments.patch**2, "cells_of_the_map": CELLS, "extrapolated": True}
    text = json.dumps({**told, "ways": found, "products_against_warm": ratios}, indent=1)
    print(text)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
