"""Claim: a Hessian-ratio map of ResNet-20 on 21x21 cells takes under thirty minutes on two cores, thanks to warm starts.

Both ends of the spectrum at the cells of a small patch of the map, four ways, interleaved in one process on one
thread: SciPy's eigsh at every cell anew, our Rayleigh-Ritz anew, Rayleigh-Ritz started from the cell before, and SciPy's
lobpcg, each end by itself, started from the cell before.
Products (which do not depend on the machine's load) and processor time are counted; the whole map is 441 cells, and its
minutes are those of the patch times as many cells. `--whole` then runs `la.hessian_map` over all of them, on one core.

    python benchmarks/hessian_maps_gain_from_warm_starts.py [--images 64] [--patch 3] [--whole] [--data DIR]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, lobpcg

import lossatlas as la
from lossatlas.compute.curvature import extreme_eigenvalues, hessian_operator
from lossatlas.zoo.checkpoints import load_checkpoint
from lossatlas.zoo.data.datasets import IMAGENET_MEAN, IMAGENET_STD, data_root, load_cifar10, normalize
from lossatlas.zoo.networks import network

CELLS, STEP = 21 * 21, 0.1
TOLERANCE = 0.1
WEIGHTS = "nets_cifar10_akamaster/resnet20-12fca82f.th"
RESULTS = Path(__file__).parent / "results" / "hessian_maps_gain_from_warm_starts.json"
WAYS = ("eigsh, cold", "Rayleigh-Ritz, cold", "Rayleigh-Ritz, warm", "lobpcg, warm")


def objective(images: int, data: Path | None) -> la.Objective:
    """The published ResNet-20 on its first training images, in batches of 32."""
    model = load_checkpoint(data_root(data) / WEIGHTS, network("resnet20_a", seed=0)).eval()
    found = load_cifar10(data, "train", images)
    pictures = torch.from_numpy(normalize(found.images, IMAGENET_MEAN, IMAGENET_STD))
    return la.Objective(model, F.cross_entropy, (pictures, torch.from_numpy(found.labels)), batch_size=32)


@dataclass(frozen=True)
class Ends:
    """Both ends by lobpcg, with the products that they took and the vectors to start the next cell from."""

    lambda_max: float
    lambda_min: float
    products: int
    vectors: np.ndarray


def solve(chosen: la.Objective, point: dict[str, torch.Tensor], way: str, before: Any) -> tuple[Any, float]:
    began = time.process_time()
    matrix = hessian_operator(chosen, point)
    if way.startswith("lobpcg"):
        return by_lobpcg(matrix, before), time.process_time() - began
    start = [before.largest_vectors[:, 0], before.smallest_vectors[:, 0]] if way.endswith("warm") and before is not None else []
    found = extreme_eigenvalues(matrix, tol=TOLERANCE, start=start, solver="eigsh" if way.startswith("eigsh") else "ritz")
    return found, time.process_time() - began


def by_lobpcg(matrix: Any, before: Ends | None) -> Ends:
    """Each end to the same relative residual as the others' tolerance, as well as it can be told beforehand."""
    count = [0]

    def product(block: np.ndarray) -> np.ndarray:
        count[0] += block.shape[1]
        return np.stack([matrix.matvec(column) for column in block.T], axis=1)

    size = matrix.shape[0]
    make_operator: Any = LinearOperator
    operator = make_operator((size, size), matvec=lambda v: product(v.reshape(-1, 1)), matmat=product, dtype=np.float64)
    starts = np.random.default_rng(0).standard_normal((size, 2)) if before is None else before.vectors
    values, vectors = [], []
    for end, largest in enumerate((True, False)):
        guess = starts[:, end : end + 1] / np.linalg.norm(starts[:, end])
        scale = abs(float((guess.T @ product(guess)).item())) if before is not None else 1.0
        value, vector = lobpcg(operator, guess, largest=largest, tol=TOLERANCE * max(scale, 1e-6), maxiter=40)
        values.append(float(value[0]))
        vectors.append(vector[:, 0])
    return Ends(values[0], values[1], count[0], np.stack(vectors, axis=1))


def measure(images: int, patch: int, data: Path | None) -> dict[str, Any]:
    chosen = objective(images, data)
    plane = la.random_plane(chosen, seed=1)
    places = [(i * STEP, (j if i % 2 == 0 else patch - 1 - j) * STEP) for i in range(patch) for j in range(patch)]
    spent: dict[str, list[tuple[int, float, float, float]]] = {way: [] for way in WAYS}
    before: dict[str, Any] = {}
    for place in places:
        for way in WAYS:
            found, seconds = solve(chosen, plane.point(*place), way, before.get(way))
            spent[way].append((found.products, seconds, found.lambda_max, found.lambda_min))
            before[way] = found
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


def run_whole(images: int, data: Path | None) -> dict[str, float]:
    """The map as a user calls for it, 21 x 21 cells in the plane's whole window."""
    chosen = objective(images, data)
    wall, processor = time.monotonic(), time.process_time()
    found = la.hessian_map(chosen, la.random_plane(chosen, seed=1), resolution=21, tol=TOLERANCE, progress=True)
    return {
        "wall_minutes": (time.monotonic() - wall) / 60,
        "processor_minutes": (time.process_time() - processor) / 60,
        "products_per_cell": float(found.hessian_products.mean()),
        "cells": found.hessian_ratio.size,
        "cells_without_a_value": int(np.isnan(found.hessian_ratio.values).sum()),
        "median_ratio": float(np.nanmedian(found.hessian_ratio.values)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--patch", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="also run the whole map")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*[Ee]xited.*")  # of lobpcg, where its tolerance was not met
    found = measure(arguments.images, arguments.patch, arguments.data)
    warm = found[WAYS[2]]["products_per_cell"]
    ratios = {way: round(numbers["products_per_cell"] / warm, 2) for way, numbers in found.items()}
    machine = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    told = {**machine, "images": arguments.images, "cells_measured": arguments.patch**2, "cells_of_the_map": CELLS, "extrapolated": True}
    whole = {"run_whole": run_whole(arguments.images, arguments.data)} if arguments.whole else {}
    text = json.dumps({**told, "ways": found, "products_against_warm": ratios, **whole}, indent=1)
    print(text)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
