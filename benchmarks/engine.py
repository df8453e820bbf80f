"""Claim: our evaluators are never slower than a plain loop, and up to hundreds of times faster where a plane allows it.

Usage: python -m benchmarks.engine [--only w1-small w2 ...] [--rounds 5] [--out benchmarks/results/engine.json]

One process, one thread, contenders interleaved round by round; ratios are the median over rounds of CPU time per
point, so that a shared machine disturbs them little. Read ratios, not seconds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks import report
from benchmarks.contenders import PEERS, Timed, article, ours, plain
from benchmarks.workloads import WORKLOADS, Workload, lenet, resnet, spirals

import lossatlas as la

RESULTS = Path(__file__).parent / "results" / "engine.json"


def main() -> None:
    """Time what was asked for and write one JSON file; a workload timed before is kept unless timed again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[*WORKLOADS, "compiled", "refine", "end-to-end", "memory", "growth"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(options.out.read_text()) if options.out.exists() else {}
    extra = {"compiled": compiled, "refine": refined, "end-to-end": end_to_end, "memory": memory, "growth": growth}
    for name in options.only:
        found[name] = extra[name]() if name in extra else race(WORKLOADS[name](), options.rounds)
        found["machine"] = machine()
        print(name, json.dumps(found[name], indent=1), flush=True)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    if options.out == RESULTS:
        report.main()


def race(work: Workload, rounds: int) -> dict[str, Any]:
    """Points a second and ratios to the plain loop of everyone who can run this workload."""
    runners, notes = _runners(work)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():
        run()
    for _ in range(rounds):
        for name, run in runners.items():
            times[name].append(run())
    ratios = {name: [p / t for p, t in zip(times["plain loop"], taken, strict=True)] for name, taken in times.items()}
    rows = {
        name: {"points_per_second": 1 / statistics.median(times[name]), "ratio": statistics.median(r), "low": min(r), "high": max(r)}
        for name, r in ratios.items()
    }
    return {"workload": work.name, "rows": rows, "notes": notes}


def _runners(work: Workload) -> tuple[dict[str, Timed], dict[str, str]]:
    runners: dict[str, Timed] = {"plain loop": plain(work)}
    runners["lossatlas, loop"], _ = ours(work, "loop")
    runners["lossatlas, chosen"], choice = ours(work)
    notes = {"chosen": json.dumps(choice.describe())}
    if work.weights:
        runners["the article's NumPy"] = article(work)
    for name, make in PEERS.items():
        try:
            runner = make(work)
            runner()
            runners[name] = runner
        except Exception as error:
            notes[name] = f"not timed: {type(error).__name__}: {str(error)[:120]}"
    return runners, notes


def refined() -> dict[str, Any]:
    """Coarse to fine at 1 % against the full grid: cells computed, true and estimated error, both scales."""
    rows = {}
    for work in (spirals(), lenet(200), resnet(16)):
        objective = work.objective()
        plane = work.plane(objective)
        whole = la.evaluate(objective, plane, resolution=49, progress=False)
        for scale in ("linear", "log"):
            early = la.evaluate(objective, plane, resolution=49, tol=0.01, tol_scale=scale, progress=False)
            truth, filled = (np.log10(v) if scale == "log" else v for v in (whole.loss.values, early.loss_filled.values))
            error = float(np.abs(truth - filled).max() / np.ptp(truth))
            estimate = float(early.attrs["estimated_error"])
            done = int(early.done.sum())
            rows[f"{work.name}, {scale}"] = {
                "cells": done, "of": early.done.size, "share": done / early.done.size, "error": error, "estimate": estimate,
                "ratio": error / max(estimate, 1e-12),
            }  # fmt: skip
    return rows


def end_to_end() -> dict[str, Any]:
    """Seconds of whole calls of `evaluate`, archive and all, against the plain loop's time for as many points."""
    from benchmarks.workloads import tutorial

    rows = {}
    for work, options in (
        (tutorial(100), {"resolution": 40}),
        (tutorial(10_000), {"resolution": 40}),
        (resnet(64), {"resolution": 49, "tol": 0.01}),
    ):
        objective = work.objective()
        plane, alone = work.plane(objective), plain(work)
        ratios = []
        for _ in range(3):
            each = alone()
            began = time.process_time()
            surface = la.evaluate(objective, plane, work.bounds, progress=False, **options)
            ratios.append(each * surface.done.size / (time.process_time() - began))
        rows[work.name] = {"options": options, "cells_computed": int(surface.done.sum()), "ratio": statistics.median(ratios)}
    return rows


def memory() -> dict[str, Any]:
    """Growth of peak resident memory over one pass of ResNet-20, in fresh processes with torch's lazy imports behind them."""
    import subprocess
    import sys

    script = (
        "import torch; torch.set_num_threads(1)\nfrom benchmarks.engine import peak\n"
        "from benchmarks.contenders import ours\nfrom benchmarks.workloads import resnet\n"
        "import sys; import lossatlas as la; la.Objective(torch.nn.Linear(2, 2), torch.nn.functional.mse_loss, (torch.ones(4, 2),) * 2)\n"
        "work = resnet(256)\nwith torch.no_grad(): work.model(work.x[: work.batch])\nbefore = peak()\n"
        "run, _ = ours(work, sys.argv[1])\nrun()\n"
        "print(peak() - before)"
    )
    found = {}
    for name in ("loop", "auto"):
        done = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, check=True)
        found[name] = {"growth_MiB": float(done.stdout.split()[-1])}
    return found


def peak() -> float:
    """MiB that this process has held at most; `ru_maxrss` would begin at what its parent held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def compiled() -> dict[str, Any]:
    """LeNet through `torch.compile` against the plain loop; the compilation itself is told apart."""
    work = lenet(2000)
    alone = plain(work)
    began = time.process_time()
    runner, choice = ours(work, compiled=True)
    runner()
    seconds, ratios = time.process_time() - began, []
    for _ in range(5):
        each = alone()
        ratios.append(each / runner())
    return {"workload": work.name, "chosen": choice.describe(), "ratio": statistics.median(ratios), "compile_seconds": seconds}


def growth() -> dict[str, Any]:
    """CPU seconds against cells, samples and parameters, which should grow in proportion; wall seconds against workers."""
    rows: dict[str, Any] = {"cells": {}, "samples": {}, "parameters": {}, "workers": {}}
    work = spirals(300)
    objective = work.objective()
    for side in (10, 20, 40, 80):
        rows["cells"][side * side] = _seconds(
            lambda side=side: la.evaluate(objective, work.plane(objective), resolution=side, progress=False)
        )
    for count in (300, 1200, 4800, 19200):
        runner, _ = ours(spirals(count), "loop")
        rows["samples"][count] = min(runner() for _ in range(3))
    for width in (64, 128, 256, 512):
        model = torch.nn.Sequential(
            torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 10)
        )
        work_w = Workload("", model, torch.nn.functional.cross_entropy, torch.randn(256, 64), torch.arange(256) % 10, 256, 20, 20)
        runner, _ = ours(work_w, "loop")
        rows["parameters"][sum(p.numel() for p in model.parameters())] = min(runner() for _ in range(3))
    _workers(rows["workers"])
    return rows


def _workers(rows: dict[int, float]) -> None:
    """Wall seconds of 48 cells of ResNet-20 by threads; the machine should be idle and has as many cores as it has."""
    work = resnet(256)
    objective = work.objective()
    plane = work.plane(objective)
    for workers in (1, 2, 4):
        began = time.perf_counter()
        la.evaluate(objective, plane, resolution=(4, 12), engine=la.Engine(executor="threads", workers=workers), progress=False)
        rows[workers] = time.perf_counter() - began


def _seconds(run: Any) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def machine() -> dict[str, Any]:
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(), "cores": len(names), "threads_used": torch.get_num_threads(),
        "system": platform.system(), "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        "peak_MiB": peak(),
    }  # fmt: skip


if __name__ == "__main__":
    main()
