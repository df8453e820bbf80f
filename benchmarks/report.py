"""Turn `benchmarks/results` into `docs/benchmarks.md` and a figure of how time grows.

Usage: python -m benchmarks.report
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.report_claims import sections

RESULTS = Path(__file__).parent / "results" / "engine.json"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
FIGURE = PAGE.parent / "images" / "growth.png"

TARGETS = {
    "w1-small": {"lossatlas, chosen": 40.0},
    "w1": {"lossatlas, chosen": 40.0},
    "w2": {"lossatlas, chosen": 1.0},
    "w2-300": {"lossatlas, chosen": 2.0},
    "w2-100": {"lossatlas, chosen": 4.0},
    "w3": {"lossatlas, chosen": 1.1},
    "w4": {"lossatlas, chosen": 1.0},
    "w5": {"lossatlas, chosen": 0.95},
}


def main() -> None:
    """Write the page; what was not measured is left out."""
    found = json.loads(RESULTS.read_text())
    parts = [_head(found["machine"]), *(_race(name, found[name]) for name in TARGETS if name in found)]
    for name, write in (
        ("compiled", _compiled),
        ("refine", _refine),
        ("end-to-end", _end_to_end),
        ("memory", _memory),
        ("growth", _growth),
    ):
        if name in found:
            parts.append(write(found[name]))
    PAGE.write_text("\n\n".join([*parts, *sections()]) + "\n")


def _head(machine: dict[str, Any]) -> str:
    return f"""# Benchmarks

`make bench` writes this page from `benchmarks/results`. One process, one thread, contenders interleaved round by
round; a ratio is the median over rounds of the plain loop's CPU time per point over the contender's, with the lowest and
highest round in brackets. Parts ran while the machine did other work: read ratios, not points a second.

Machine: {machine["processor"]}, {machine["cores"]} cores, {machine["threads_used"]} thread used; {machine["system"]}, Python
{machine["python"]}, torch {machine["torch"]}, numpy {machine["numpy"]}; no GPU.

*plain loop*: copy the weights in, run the batches under `no_grad`. *lossatlas, chosen*: what `evaluate` takes after its probe.
*the article's NumPy*: the tutorial's own way, all weights drawn anew and the whole network run at every point. Peers come from
PyPI with `pip install --no-deps --target`; what they import only for drawing or training is stubbed, which flatters them."""


def _race(name: str, race: dict[str, Any]) -> str:
    lines = [f"## {race['workload']}", "", "| who | points/s | times the plain loop |", "| --- | ---: | ---: |"]
    for who, row in race["rows"].items():
        lines.append(f"| {who} | {row['points_per_second']:,.4g} | {row['ratio']:.3g} ({row['low']:.3g}-{row['high']:.3g}) |")
    lines.append("")
    lines += [f"{who}: {note}." for who, note in race["notes"].items()]
    for who, target in TARGETS[name].items():
        ratio = race["rows"][who]["ratio"]
        lines.append(f"Target {target:g}x: **{'met' if ratio >= target else 'missed'}** at {ratio:.3g}x.")
    peers = {who: row["ratio"] for who, row in race["rows"].items() if "loss-" in who or who == "landscaper"}
    ours = race["rows"]["lossatlas, chosen"]["ratio"]
    if peers:
        lines.append("Against peers: " + ", ".join(f"{ours / ratio:.3g}x {who}" for who, ratio in peers.items()) + ".")
    return "\n".join(lines)


def _compiled(row: dict[str, Any]) -> str:
    met = "met" if row["ratio"] >= 2 else "missed"
    return f"""## W4 through `torch.compile`

{row["ratio"]:.3g} times the plain loop after {row["compile_seconds"]:.0f} CPU-seconds of compiling ({row["chosen"]}).
Target 2x: **{met}**."""


def _refine(rows: dict[str, Any]) -> str:
    lines = [
        "## Coarse to fine at 1 %, 49 x 49",
        "",
        "| surface | cells | true error | estimate | true / estimate |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | {row['cells']} ({row['share']:.1%}) | {row['error']:.2%} | {row['estimate']:.2%} | {row['ratio']:.2g} |")
    worst = max(row["ratio"] for row in rows.values() if row["error"] > 1e-3)
    lines += ["", f"Errors are fractions of the range in the scale shown. Worst ratio of truth to estimate: {worst:.2g}."]
    return "\n".join(lines)


def _end_to_end(rows: dict[str, Any]) -> str:
    lines = ["## Whole calls of `evaluate`", "", "Archive, probe and interpolation included, against the plain loop for every cell.", ""]
    lines += ["| what | options | cells computed | times the plain loop |", "| --- | --- | ---: | ---: |"]
    lines += [f"| {name} | {row['options']} | {row['cells_computed']} | {row['ratio']:.3g} |" for name, row in rows.items()]
    return "\n".join(lines)


def _memory(rows: dict[str, Any]) -> str:
    listed = "; ".join(f"{name}: {row['growth_MiB']:.0f} MiB" for name, row in rows.items())
    verdict = "met" if rows["loop"]["growth_MiB"] <= 64 and rows["auto"]["growth_MiB"] <= 256 else "missed"
    return f"""## Memory

Growth of peak resident memory over one pass of ResNet-20 on a batch of 128 images, for objective, probe and cells ({listed});
torch's lazy imports (sympy and others) were done before.
Targets: 64 MiB for the loop, 256 MiB for any: **{verdict}**."""


def _growth(rows: dict[str, Any]) -> str:
    """Curves on log axes; growth in proportion is a line at 45 degrees, and ideal workers one that falls as steeply."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure, panes = pyplot.subplots(2, 2, figsize=(8.4, 6.4), layout="constrained")
    words = {
        "cells": ("spirals, N = 300", "CPU seconds of a surface"),
        "samples": ("spirals", "CPU seconds of a cell"),
        "parameters": ("perceptron, 256 samples", "CPU seconds of a cell"),
        "workers": ("ResNet-20, 48 cells, 2 cores", "wall seconds of a surface"),
    }
    for pane, (name, curve) in zip(panes.flat, rows.items(), strict=True):
        x, y = [float(k) for k in curve], list(curve.values())
        ideal = [y[0] * x[0] / v for v in x] if name == "workers" else [y[-1] * v / x[-1] for v in x]
        pane.loglog(x, y, "o-", color="#2a5d8f", label="measured")
        pane.loglog(x, ideal, "--", color="#999999", label="every worker a core" if name == "workers" else "in proportion")
        what, unit = words[name]
        pane.set(xlabel=f"{name} ({what})", ylabel=unit)
        if name == "workers":
            for axis in (pane.xaxis, pane.yaxis):
                axis.set_major_formatter(ScalarFormatter())
                axis.set_minor_formatter(NullFormatter())
            pane.set_xticks(x)
            pane.set_yticks(sorted({float(f"{v:.2g}") for v in ideal}))
        pane.legend(frameon=False)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=110)
    two = rows["workers"]["1"] / rows["workers"]["2"]
    return f"""## Growth

![Time against cells, samples, parameters and workers](images/growth.png)

Two threads against one on an idle machine: {two:.2f}x (target 1.6x: **{"met" if two >= 1.6 else "missed"}**)."""


if __name__ == "__main__":
    main()
