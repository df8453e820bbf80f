"""`lossatlas train` on real MNIST, as a new user types it, and as the system kills it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import lossatlas as la
from lossatlas.cli.app import main
from lossatlas.compute.params.checkpoint import read_checkpoint
from lossatlas.zoo.training import Training, train
from numbers_in import numbers_after

PAPER = 'Training("lenet", epochs=6, samples=256, test_samples=64, batch_size=16, optimizer="adam")'
LAPTOP = (
    'Training("wrn8_1", epochs=5, samples=64, test_samples=16, batch_size=8, learning_rate=0.3, schedule="one-cycle",'
    ' precision="bfloat16", channels_last=True)'
)
SCRIPT = """
import sys
from pathlib import Path
import torch
from lossatlas.zoo.training import Training, train
torch.set_num_threads(1)
train(TRAINING, Path(sys.argv[1]), Path(sys.argv[2]), checkpoint_seconds=0)
"""


def words(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.mark.slow
def test_it_trains_and_says_the_test_error(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--epochs", 2, "--samples", 64, "--test-samples", 50, "--batch-size", 16, "--optimizer", "adam", "--seed", 3)
    assert words("train", "lenet", "--data", data_root, "--out", tmp_path, *options) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    (percent,) = numbers_after("test error", capsys.readouterr().out)
    assert percent == pytest.approx(100 * summary["test_error"], abs=0.005)  # two decimals are printed
    assert (summary["epochs"], summary["samples"], summary["seed"], summary["steps"]) == (2, 64, 3, 8)
    assert la.Trajectory.open(tmp_path / "archive.zarr", "lenet").steps.tolist() == [0, 4, 8]
    assert (tmp_path / "training.png").stat().st_size > 10_000


def test_an_unknown_network_leaves_with_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert words("train", "resnet21", "--out", tmp_path) == 2
    assert "resnet20" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("settings", [PAPER, LAPTOP], ids=["paper", "laptop"])
def test_a_process_killed_at_once_continues_bit_for_bit(settings: str, data_root: Path, tmp_path: Path) -> None:
    """Weights with their momentum, order, shifts and flips: augmented pictures, one cycle and bfloat16 in the second."""
    training: Training = eval(settings)
    script = SCRIPT.replace("TRAINING", settings)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed"), str(data_root)], env=os.environ)
    deadline = time.monotonic() + 240
    while not (tmp_path / "killed" / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    done = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < done < training.epochs * (training.samples or 0) // training.batch_size
    torch.set_num_threads(1)
    for name in ("killed", "whole"):
        train(training, tmp_path / name, data_root)
    killed, whole = (read_checkpoint(tmp_path / name / "weights.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(killed[name], whole[name]) for name in whole)
    rows = [la.Trajectory.open(tmp_path / name / "archive.zarr", training.network) for name in ("killed", "whole")]
    assert rows[0].steps.tolist() == rows[1].steps.tolist()
    assert rows[0].dataset.batch_loss.equals(rows[1].dataset.batch_loss)
