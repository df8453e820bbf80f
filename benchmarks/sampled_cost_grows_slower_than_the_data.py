"""Claim: five times the samples cost a plane that is estimated from them less than three times the passes, in the same memory.

A 784-50-10 network trained on MNIST for 300 steps; 25 x 25 cells of a filter-normalized plane to 1 % of the linear range, with the first
100, 1,000, 10,000 and 50,000 images. Each size runs in a process of its own, one thread, and tells passes (one sample at one cell),
processor seconds, what the call held beyond model and data, and how far its cells are from those of the same plane with all samples at
every cell, which is computed and timed as well.

    python -m benchmarks.sampled_cost_grows_slower_than_the_data [--resolution 25] [--tol 0.01]

`docs/images/sampled_cost.png` is drawn from the results.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.engine import machine, peak
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.zoo.data.datasets import data_root, load_mnist

RESULTS = Path(__file__).parent / "results" / "sampled_cost_grows_slower_than_the_data.json"
FIGURE = Path(__file__).parents[1] / "docs" / "images" / "sampled_cost.png"
SIZES = (100, 1000, 10_000, 50_000)


def problem(images: int) -> la.Objective:
    """A network trained on 5,000 digits, on the first `images`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
    data = load_mnist(data_root(), count=max(images, 5000), download=False)
    x, y = torch.from_numpy(data.images.reshape(-1, 784) / np.float32(255)), torch.tensor(data.labels).long()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for chosen in torch.randint(5000, (300, 100)):
        optimizer.zero_grad()
        F.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
    return la.Objective(model, F.cross_entropy, (x[:images].clone(), y[:images].clone()), split="train", population=images)


def measure(images: int, resolution: int, tol: float) -> dict[str, Any]:
    torch.set_num_threads(1)
    objective = problem(images)
    plane = la.random_plane(objective, seed=0)
    engine = la.Engine(sampling="multilevel", executor="serial")
    warm_up = problem(100)
    la.evaluate(warm_up, la.random_plane(warm_up, seed=0), (-1, 1), 7, tol=0.5, engine=engine, progress=False)
    held, began = peak(), time.process_time()
    surface = la.evaluate(objective, plane, (-1, 1), resolution, tol=tol, engine=engine, progress=False)
    seconds, held = time.process_time() - began, peak() - held
    began = time.process_time()
    whole = la.evaluate(objective, plane, (-1, 1), resolution, engine=la.Engine(executor="serial"), progress=False)
    all_samples, mean = time.process_time() - began, surface.loss_filled.values
    off = np.abs(mean - whole.loss.values) / np.ptp(mean)
    inside = np.abs(mean - whole.loss.values) <= 1.96 * surface.loss_filled_standard_error.values + 1e-6 * np.ptp(mean)
    return {
        "images": images, "cells": mean.size, "tol": tol, "passes": int(surface.samples_drawn.sum()), "passes_of_all": mean.size * images,
        "processor_seconds": seconds, "all_samples_processor_seconds": all_samples, "MiB_beyond_model_and_data": held,
        "cells_above_tol": int((off > tol).sum()), "largest_error": float(off.max()),
        "inside_their_95_percent_interval": float(inside.mean()),
        "promised_at_the_worst_cell": surface.attrs["estimated_error"],
    }  # fmt: skip


def draw(rows: list[dict[str, Any]]) -> None:
    """Passes and seconds against the number of samples, beside those of the full computation."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    images = [row["images"] for row in rows]
    figure, axes = pyplot.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained")
    panels = (
        ("passes of one sample at one cell", "passes_of_all", "passes"),
        ("processor seconds", "all_samples_processor_seconds", "processor_seconds"),
    )
    for ax, (label, whole, some) in zip(axes, panels, strict=True):
        ax.loglog(images, [row[whole] for row in rows], "o--", color="#8a8a8a", label="all samples at every cell")
        ax.loglog(images, [row[some] for row in rows], "o-", color="#1f5fa8", label=f"estimated to {100 * rows[0]['tol']:g} % of the range")
        ax.set(xlabel="samples in the data", ylabel=label)
        ax.set_xticks(images, [f"{n:,}" for n in images])
        ax.xaxis.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, loc="upper left")
    figure.savefig(FIGURE, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=25)
    parser.add_argument("--tol", type=float, default=0.01)
    parser.add_argument("--images", type=int, help="this size alone, printed and not stored")
    parser.add_argument("--draw", action="store_true", help="only the figure, from stored results")
    options = parser.parse_args()
    if options.images:
        print(json.dumps(measure(options.images, options.resolution, options.tol)))
        return
    if not options.draw:
        how = ["--resolution", str(options.resolution), "--tol", str(options.tol)]
        rows = []
        for images in SIZES:
            command = [sys.executable, "-m", "benchmarks.sampled_cost_grows_slower_than_the_data", "--images", str(images), *how]
            rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]))
            print(json.dumps(rows[-1]), flush=True)
        RESULTS.write_text(json.dumps({"rows": rows, "machine": machine()}, indent=1) + "\n")
    draw(json.loads(RESULTS.read_text())["rows"])


if __name__ == "__main__":
    main()
