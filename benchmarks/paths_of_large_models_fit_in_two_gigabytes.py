"""Claim: 1,000 checkpoints of a model of 10 million parameters are recorded, and their principal plane found, within 2 GB.

Records a synthetic run (a drift in two directions plus a random walk) step by step, then opens it in a fresh process,
finds the principal plane and projects the path on it. Peak memory is that of each whole process, torch included.
The run takes 20 GB of disk as float16 differences and is deleted afterwards. With ``--distinct N`` only N checkpoints are
recorded and the rest are hard links to their chunks: every chunk of all checkpoints is still read, at the price of N.

    python benchmarks/paths_of_large_models_fit_in_two_gigabytes.py --checkpoints 1000 --parameters 10000000 --folder /tmp
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 2 * 10**9
RESULTS = Path(__file__).parent / "results" / "paths_of_large_models_fit_in_two_gigabytes.json"


def record(archive: str, checkpoints: int, parameters: int) -> dict[str, float]:
    import torch

    from lossatlas.compute.recording.recorder import Recorder

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    width = 2500
    model = torch.nn.Linear(width, parameters // width, bias=False)
    drifts = [torch.randn(model.weight.shape, generator=generator) for _ in range(2)]
    recorder = Recorder(archive, model, every=1, dtype="float16", delta=True)
    began, recording = time.perf_counter(), 0.0
    for step in range(1, checkpoints):
        share = step / checkpoints
        with torch.no_grad():
            model.weight += 0.003 * torch.randn(model.weight.shape, generator=generator)
            model.weight += drifts[0] * 2e-3 + drifts[1] * (2e-3 * (1 - 2 * share))
        before = time.perf_counter()
        recorder.step()
        recording += time.perf_counter() - before
    recorder.close()
    return {"seconds": time.perf_counter() - began, "recording_seconds": recording}


def repeat(archive: str, distinct: int, checkpoints: int) -> None:
    """Make rows beyond the recorded ones out of hard links to their chunks."""
    import numpy as np

    from lossatlas.archive import open_archive
    from lossatlas.compute.recording.storage.weight_store import WeightStore

    store = WeightStore.open(open_archive(archive, "a"), "run")
    store.group["weights/theta"].resize((checkpoints, store.layout.size))
    chunks = Path(archive) / "trajectories" / "run" / "weights" / "theta" / "c"
    for row in range(distinct, checkpoints):
        (chunks / str(row)).mkdir()
        # The first row is all zeros as a difference, and Zarr stores no such chunk.
        for chunk in (chunks / str(1 + row % (distinct - 1))).iterdir():
            (chunks / str(row) / chunk.name).hardlink_to(chunk)
    store.group["step"].resize((checkpoints,))
    store.group["step"][:] = np.arange(checkpoints)
    store.group.attrs["rows"] = checkpoints


def project(archive: str) -> dict[str, object]:
    import torch

    from lossatlas.compute.paths.principal_planes import pca_plane
    from lossatlas.compute.paths.projection import project_points
    from lossatlas.compute.recording.trajectory import Trajectory

    torch.set_num_threads(1)
    trajectory = Trajectory.open(archive)
    began = time.perf_counter()
    plane = pca_plane(trajectory)
    found = time.perf_counter()
    cast = project_points(trajectory, plane)
    return {
        "plane_seconds": found - began,
        "projection_seconds": time.perf_counter() - found,
        "points": len(trajectory),
        "explained_variance_ratio": plane.construction["explained_variance_ratio"],
        "captured_share": cast.explained_variance,
    }


def peak_bytes() -> int:
    """Peak resident memory of this process (VmHWM); `ru_maxrss` would begin at what the parent held when it forked."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None, "this benchmark reads /proc"
    return 1024 * int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=1000)
    parser.add_argument("--distinct", type=int, default=None, help="checkpoints to record; the rest are hard links")
    parser.add_argument("--parameters", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the recording; a temporary folder by default")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--part", choices=("record", "project"), help=argparse.SUPPRESS)
    parser.add_argument("--archive", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        distinct = options.distinct or options.checkpoints
        numbers = record(options.archive, distinct, options.parameters) if options.part == "record" else project(options.archive)
        print(json.dumps({**numbers, "peak_bytes": peak_bytes()}))
        return
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        parts = {"record": _run("record", folder / "run.zarr", options)}
        if options.distinct:
            repeat(str(folder / "run.zarr"), options.distinct, options.checkpoints)
        parts["project"] = _run("project", folder / "run.zarr", options)
    finally:
        shutil.rmtree(folder)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    text = json.dumps(
        {"machine": machine, "checkpoints": options.checkpoints, "distinct": options.distinct or options.checkpoints, **parts}, indent=1
    )
    print(text)
    options.out.write_text(text + "\n")
    assert all(part["peak_bytes"] < LIMIT for part in parts.values()), "the claim does not hold"


def _run(part: str, archive: Path, options: argparse.Namespace) -> dict[str, float]:
    distinct = ["--distinct", str(options.distinct)] if options.distinct else []
    sizes = ["--checkpoints", str(options.checkpoints), "--parameters", str(options.parameters), *distinct]
    done = subprocess.run(
        [sys.executable, __file__, "--part", part, "--archive", str(archive), *sizes], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
