"""Claim: an evaluation is never slower than a plain loop, whatever the allocator keeps and whichever instructions the processor has.

Usage: python -m benchmarks.never_slower_than_a_plain_loop [--only w2 w3 w4 w5] [--rounds 7] [--states ...]

Much of what micro-batches gain is the allocator's: glibc gives large blocks back to the system and takes them anew, page by page,
until programs that ran before have raised its thresholds. So each state runs in a process of its own: thresholds as they begin, and
raised (`MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`); all instructions of the processor, and those of AVX2 alone. Within a
process the plain loop and the chosen evaluator take turns, one thread, CPU time; a ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from benchmarks.contenders import ours, plain
from benchmarks.engine import machine
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results" / "never_slower_than_a_plain_loop.json"
RAISED = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
STATES = {
    "as it begins": {},
    "thresholds raised": RAISED,
    "AVX2, as it begins": AVX2,
    "AVX2, thresholds raised": {**AVX2, **RAISED},
}


def main() -> None:
    """Run every workload in every state, each state in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["w2", "w3", "w4", "w5"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--states", nargs="*", default=list(STATES), choices=list(STATES))
    parser.add_argument("--here", action="store_true", help="run in this process and print one line of JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(here(options.only, options.rounds)))
        return
    rows: dict[str, Any] = {}
    for state in options.states:
        command = [sys.executable, "-m", __spec__.name, "--here", "--rounds", str(options.rounds), "--only", *options.only]
        done = subprocess.run(command, env=os.environ | STATES[state], capture_output=True, text=True, check=True)
        rows[state] = json.loads(done.stdout.splitlines()[-1])
        for name, row in rows[state]["workloads"].items():
            print(
                f"{state:24} {rows[state]['instructions']:8} {name:12} {row['ratio']:.2f} ({row['low']:.2f}-{row['high']:.2f})", flush=True
            )
    RESULTS.write_text(json.dumps({"states": rows, "machine": machine()}, indent=1) + "\n")


def here(names: list[str], rounds: int) -> dict[str, Any]:
    """Ratios of this process."""
    torch.set_num_threads(1)
    return {"instructions": torch.backends.cpu.get_cpu_capability(), "workloads": {name: _race(name, rounds) for name in names}}


def _race(name: str, rounds: int) -> dict[str, Any]:
    work = WORKLOADS[name]()
    alone, (chosen, choice) = plain(work), ours(work)
    ratios = []
    alone(), chosen()
    for _ in range(rounds):
        before = alone()
        each = chosen()
        ratios.append((before + alone()) / 2 / each)
    return {"chosen": choice.describe(), "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


if __name__ == "__main__":
    main()
