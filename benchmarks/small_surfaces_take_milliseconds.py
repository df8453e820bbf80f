"""Claim: a small surface costs milliseconds around its points, and a gallery of planes costs one probe.

Usage: python -m benchmarks.small_surfaces_take_milliseconds [--planes 100] [--rounds 7]

One process, one thread, CPU time. Whole calls of `evaluate`, archive in memory, checks and provenance included, against the plain
loop for as many points, in pairs; and against the chosen evaluator alone on the same points, whose difference is the overhead. The
gallery is also evaluated in one call of `evaluate_many`, its probe included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarks.contenders import plain
from benchmarks.engine import machine
from benchmarks.workloads import Workload, mnist, tutorial
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.analysis.grid import Grid
from lossatlas.compute.evaluation.evaluators import EvaluationProblem
from lossatlas.compute.evaluation.evaluators.evaluator_spec import EvaluatorSpec
from lossatlas.compute.metrics import metrics_named

RESULTS = Path(__file__).parent / "results" / "small_surfaces_take_milliseconds.json"


def main() -> None:
    """Time the tutorial's surface again and again, and a gallery plane by plane."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    article = tutorial(100)
    objective = article.objective()
    rows = {"W1 tutorial, N=100, 40x40": _row(article, objective, [article.plane(objective)] * options.rounds, 40)}
    gallery = _gallery()
    objective = gallery.objective()
    planes = [la.random_plane(objective, seed=seed) for seed in range(options.planes)]
    row = _row(gallery, objective, planes, 25)
    fresh = gallery.objective()  # nothing is remembered of it
    once, _ = _timed(lambda: la.evaluate_many(fresh, planes, gallery.bounds, 25, progress=False))
    row["one_call_ms_a_plane"] = 1e3 * once / len(planes)
    rows[f"{options.planes} planes of 784-50-10, N=100, 25x25"] = row
    RESULTS.write_text(json.dumps({"rows": rows, "machine": machine()}, indent=1) + "\n")
    print(RESULTS.read_text())


def _gallery() -> Workload:
    """A network of 784-50-10 on 100 digits."""
    torch.manual_seed(0)
    images, labels = mnist(100)
    model = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
    x = torch.from_numpy(images.reshape(100, 784) / 255.0).float()
    return Workload("784-50-10, N=100", model, F.cross_entropy, x, torch.from_numpy(labels).long(), 100, 100, 625)


def _row(work: Workload, objective: la.Objective, planes: Sequence[la.Plane], resolution: int) -> dict[str, Any]:
    """Medians over the planes; the first one, with the probe, stands apart."""
    alone = plain(work)
    alone()
    first, surface = _timed(lambda: la.evaluate(objective, planes[0], work.bounds, resolution, progress=False))
    engine, points = surface.attrs["engine"], Grid.make(work.bounds, resolution, 2)
    wholes, cells, ratios = [], [], []
    for plane in planes:
        each = alone()
        whole, _ = _timed(lambda plane=plane: la.evaluate(objective, plane, work.bounds, resolution, progress=False))
        task = EvaluationProblem.make(objective, plane, metrics_named("loss"))
        evaluator = EvaluatorSpec(engine["evaluator"], engine["chunk"], engine["layout"]).create(task)
        only, _ = _timed(lambda evaluator=evaluator: evaluator(points.points(points.order())))
        wholes.append(whole)
        cells.append(only)
        ratios.append(each * points.size / whole)
    return {
        "engine": engine,
        "first_ms": 1e3 * first,
        "whole_ms": 1e3 * statistics.median(wholes),
        "cells_ms": 1e3 * statistics.median(cells),
        "overhead_ms": 1e3 * statistics.median(w - c for w, c in zip(wholes, cells, strict=True)),
        "times_the_plain_loop": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
    }


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


if __name__ == "__main__":
    main()
