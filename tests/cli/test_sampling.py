"""Sampled surfaces from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import lossatlas as la
from cli.command import lossatlas

JOB = """
import torch, lossatlas as la

def objective():
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    x = torch.randn(2000, 4)
    return la.Objective(model, torch.nn.functional.cross_entropy, (x, (x[:, :3]).argmax(1)))
"""


@pytest.mark.slow
def test_a_surface_is_estimated_from_samples(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    options = ("evaluate", "job.py:objective", "--resolution", "9x7", "--archive", "a.zarr", "--sampling", "multilevel")
    refused = lossatlas(*options, cwd=tmp_path)
    assert refused.returncode == 2 and "--tol" in refused.stderr
    done = lossatlas(*options, "--tol", "0.1", "--tol-scale", "robust", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "63 cells estimated from 2,000 samples" in done.stdout
    assert la.open_archive(tmp_path / "a.zarr").surface().attrs["sampling"]["scale"] == "robust"
