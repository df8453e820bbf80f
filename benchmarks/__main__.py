"""`make bench`: every benchmark in turn, each in a process of its own. They print ratios; none of them is a test."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import report

BENCHMARKS = (
    "engine",
    "never_slower_than_a_plain_loop",
    "small_surfaces_take_milliseconds",
    "resnet56_planes_take_minutes",
    "sampled_cost_grows_slower_than_the_data",
    "sampled_planes_beat_the_plain_loop",
    "sampled_planes_are_unbiased",
    "hessian_maps_gain_from_warm_starts",
    "recorders_cost_under_five_percent",
    "paths_of_large_models_fit_in_two_gigabytes",
    "training_beats_a_plain_loop",
    "viewer_against_plotly",
)


def main() -> None:
    """Run those that are named, or all of them."""
    failed = []
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    report.main()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
