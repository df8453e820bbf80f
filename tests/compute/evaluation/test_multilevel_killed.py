"""Sampling is killed without grace, between and within levels, and continues to what one go gives, bit for bit."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from torch.nn import functional as F

import lossatlas as la
from lossatlas.archive.arrays import array_at, read_array
from lossatlas.archive.sample_draws import SampleDraws
from oracles import classifier

SCRIPT = """
import os, signal, sys, torch
torch.set_num_threads(1)
sys.path[:0] = sys.argv[3:]
import test_multilevel_killed as test
from lossatlas.archive.arrays import array_at, read_array
from lossatlas.archive.sample_draws import SampleDraws
from lossatlas.compute.evaluation.storage.surface_writer import SurfaceWriter

when, real, arrays, written = sys.argv[2], SampleDraws.write, SampleDraws._arrays, []

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Mark:
    oindex = property(die)

def write(self, block, cells, values):
    if when == "within the pilot" and block == 0 and len(written) == 2:
        die()
    if when == "between values and their mark" and block == 0:
        SampleDraws._arrays = lambda *arguments: arrays(*arguments) | {"done": Mark()}
    if when == "after the pilot" and block > 0:
        die()
    if when == "within the draws" and block == 2 and len(written) == 1:
        die()
    real(self, block, cells, values)
    written.append(block)
    if when == "within the draws" and block < 2:
        written.clear()

SampleDraws.write = write
if when == "before the estimates":
    SurfaceWriter.write_estimates = die
test.run(sys.argv[1], tile=7)
"""
MOMENTS = ("within the pilot", "between values and their mark", "after the pilot", "within the draws", "before the estimates")
"""In the order in which one archive meets them: each run continues what the one before left."""


def run(archive: str | Path | None, tile: int) -> xr.Dataset:
    model, x, y = classifier(samples=3000)
    objective = la.Objective(model, F.cross_entropy, (x, y), batch_size=64)
    engine = la.Engine(sampling="multilevel", executor="serial", evaluator="loop", tile=tile)
    return la.evaluate(
        objective, la.random_plane(objective, seed=3), (-1, 1), (9, 7), ("loss", "accuracy"), archive, tol=0.04, engine=engine
    )


@pytest.mark.slow
def test_killed_without_grace_at_every_stage_then_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, archive, stored = run(None, 63), tmp_path / "a.zarr", [0]
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    for moment in MOMENTS:
        ended = subprocess.run([sys.executable, "-c", SCRIPT, str(archive), moment, *folders], check=False)
        assert ended.returncode == -signal.SIGKILL, moment
        marks = sorted((archive / "draws" / "surface").glob("*/done"))
        root = la.open_archive(archive).root
        stored.append(sum(int(np.count_nonzero(read_array(array_at(root, f"draws/surface/{mark.parent.name}/done")))) for mark in marks))
    assert stored == sorted(stored) and stored[3] == whole.loss.size < stored[4] < stored[5], stored
    drawn: list[int] = []
    real = SampleDraws.write
    monkeypatch.setattr(SampleDraws, "write", lambda *arguments: (drawn.append(0), real(*arguments))[1])
    rest = run(archive, 11)
    assert not drawn, "the last of them had drawn everything"
    xr.testing.assert_identical(whole.drop_attrs(), rest.drop_attrs())
    assert rest.attrs["sampling"] == whole.attrs["sampling"]
    assert np.isfinite(rest.loss_filled).all()
