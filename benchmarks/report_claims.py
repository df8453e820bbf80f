"""Sections of `docs/benchmarks.md` on the claims that have a file of results each; what was not measured is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Rows = Iterable[tuple[Any, ...]]


def sections() -> list[str]:
    """A section a file that is there."""
    made = []
    for name, write in SECTIONS.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            made.append(f"{write(json.loads(file.read_text()))}\n\n`python -m benchmarks.{name}`")
    return made


def table(*head: str, rows: Rows) -> str:
    """A Markdown table, numbers to the right."""
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def _never_slower(found: dict[str, Any]) -> str:
    states = found["states"]
    names = list(next(iter(states.values()))["workloads"])

    def told(row: dict[str, Any]) -> str:
        return f"{row['ratio']:.2f} ({row['low']:.2f}-{row['high']:.2f})"

    rows = [(state, *(told(of_state["workloads"][name]) for name in names)) for state, of_state in states.items()]
    return f"""## Never slower than a plain loop

Times the plain loop, in a process of its own for each state of the allocator, with all instructions and with AVX2 alone.

{table("allocator's thresholds", *(name.upper() for name in names), rows=rows)}"""


def _sampled_planes(found: dict[str, Any]) -> str:
    whole = {name: row for name, row in found["rows"].items() if "times_the_plain_loop" in row}
    done = {name.removesuffix(", run whole") for name in whole if name.endswith(", run whole")}
    rows = [
        (
            name,
            f"{row['passes']:,}",
            f"{row['fewer_passes']:.0f}",
            f"{row.get('processor_minutes', row.get('extrapolated_processor_minutes')):.1f}",
            f"{row['times_the_plain_loop']:.0f}",
        )
        for name, row in sorted(whole.items())
        if name not in done
    ]
    return f"""## Planes on all images, estimated by sampling

One core, float32. Passes are of one image at one cell. Where it says so the call ran from beginning to end, plane, probe and storing
included; elsewhere its passes are exact and its minutes multiplied. The plain loop's days are always multiplied.

{table("plane", "passes", "times fewer", "processor minutes", "times the plain loop", rows=rows)}"""


def _tolerance(found: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{row['cells_compared']} of {row['cells']:,}",
            row["cells_above_tol"],
            f"{row['largest_error']:.2%}",
            f"{row['median_error']:.3%}",
            f"{row['inside_their_95_percent_interval']:.0%}",
        )
        for name, row in sorted(found["rows"].items())
    ]
    return f"""## What estimated planes err by

Cells drawn at random and computed with all images, float32. Errors are fractions of the range in the scale of the tolerance.

{table("plane and tolerance", "cells", "above it", "largest", "median", "in their 95 % interval", rows=rows)}"""


def _unbiased(found: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{row['share_of_passes']:.1%}",
            f"{row['intervals_that_cover']:.1%}",
            f"{row['mean_error_in_standard_errors']['largest']:.1f}",
            f"{row['mean_error_in_standard_errors']['beyond_three']} of {row['cells']}",
            f"{row['errors_above_tol']:.2%}",
        )
        for name, row in found["rows"].items()
    ]
    heads = (
        "network and tolerance",
        "passes",
        "95 % intervals that cover",
        "largest mean error, in its standard errors",
        "cells beyond 3",
        "above it",
    )
    return f"""## Bias and coverage of sampled planes

{found["seeds"]} seeds, planes of 13 x 13 cells whose every loss is known.

{table(*heads, rows=rows)}"""


def _small(found: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{row['whole_ms']:.1f}",
            f"{row['cells_ms']:.1f}",
            f"{row['overhead_ms']:.1f}",
            f"{row['times_the_plain_loop']['median']:.3g}",
            f"{row['one_call_ms_a_plane']:.1f}" if "one_call_ms_a_plane" in row else "",
        )
        for name, row in found["rows"].items()
    ]
    heads = ("surface", "whole call, ms", "its cells", "around them", "times the plain loop", "in one call of `evaluate_many`, ms a plane")
    return f"""## Small surfaces

{table(*heads, rows=rows)}"""


def _recorder(found: dict[str, Any]) -> str:
    ways = list(next(iter(found["cases"].values())))
    rows = [(name, *(f"{case[way]['extra_percent']:.1f} %" for way in ways)) for name, case in found["cases"].items()]
    return f"""## What a recorder costs

Of the time of training, {found["seconds_a_case"]:g} s a case. The default records every step of the first 400 and then ever fewer.

{table("training", *ways, rows=rows)}"""


def _hessian(found: dict[str, Any]) -> str:
    rows = [(way, f"{row['products_per_cell']:.1f}", f"{row['map_minutes_on_one_core']:.0f}") for way, row in found["ways"].items()]
    last = ""
    if whole := found.get("run_whole"):
        minutes, products = whole["processor_minutes"], whole["products_per_cell"]
        last = f"\n\nRun whole with warm starts: {minutes:.0f} processor minutes, {products:.1f} products a cell."
    return f"""## Hessian-ratio map of ResNet-20, 21 x 21 cells, {found["images"]} images

Both ends of the spectrum on {found["cells_measured"]} cells, multiplied to the map, one core.

{table("way", "products a cell", "minutes of the map", rows=rows)}{last}"""


def _training(found: dict[str, Any]) -> str:
    rows = [
        (network, way, f"{row['loading_ms']:.1f}", f"{row['update_ms']:.0f}", f"{row['times_the_plain_loop']:.2f}")
        for network, of_network in found["networks"].items()
        for way, row in of_network["rows"].items()
    ]
    return f"""## Training on CIFAR-10

{table("network", "loop", "loading a batch, ms", "an update, ms", "times the plain loop", rows=rows)}"""


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "never_slower_than_a_plain_loop": _never_slower,
    "small_surfaces_take_milliseconds": _small,
    "sampled_planes_beat_the_plain_loop": _sampled_planes,
    "sampled_planes_meet_their_tolerance": _tolerance,
    "sampled_planes_are_unbiased": _unbiased,
    "hessian_maps_gain_from_warm_starts": _hessian,
    "recorders_cost_under_five_percent": _recorder,
    "training_beats_a_plain_loop": _training,
}
