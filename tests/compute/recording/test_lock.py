"""One recorder a trajectory: a second one is refused while the first is open, and no lock outlives its process."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import lossatlas as la
from lossatlas.archive.lock import PREFIX

HOLD = """
import sys, torch, lossatlas as la
torch.manual_seed(0)
recorder = la.Recorder(sys.argv[1], torch.nn.Linear(2, 1), every=1)
print("open", flush=True)
sys.stdin.read()
"""


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(2, 1)


@pytest.mark.slow
def test_a_second_recorder_of_this_process_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    first = la.Recorder(place, model(), every=1)
    for options in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(la.ArchiveError, match=r"Another recorder of this process, .*is writing 'run' of .*a\.zarr.*close\(\)"):
            la.Recorder(place, model(), every=1, **options)
    with pytest.raises(la.ArchiveError, match="is writing 'run'"):
        la.Trajectory.from_checkpoints([model()], archive=place)
    with la.Recorder(place, model(), name="other", every=1):
        first.step()
    closing = threading.Thread(target=first.close)
    closing.start()
    closing.join()
    with la.Recorder(place, model(), every=1, resume=True) as second:
        second.step()
    assert la.Trajectory.open(place, "run").steps.tolist() == [0, 1, 2]
    assert not [file for file in place.iterdir() if file.name.startswith(PREFIX)]


def test_a_recorder_that_cannot_begin_or_is_forgotten_holds_nothing(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    la.Recorder(place, model(), every=1).close()
    with pytest.raises(la.InputError, match="a name that is not taken"):
        la.Recorder(place, model(), every=1)
    forgotten = la.Recorder(place, model(), every=1, resume=True)
    forgotten.step()
    del forgotten
    with la.Recorder(place, model(), every=1, resume=True) as recorder:
        assert recorder.trajectory.steps.tolist() == [0, 1]


@pytest.mark.slow
def test_another_process_is_refused_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(la.ArchiveError, match=rf"Another process \(process {other.pid} on .*\) is writing 'run'"):
            la.Recorder(place, model(), every=1, resume=True)
        assert la.open_archive(place).trajectory().step.values.tolist() == [0], "readers are not refused"
        other.kill()
        other.wait()
        with la.Recorder(place, model(), every=1, resume=True) as recorder:
            recorder.step()
    assert la.Trajectory.open(place).steps.tolist() == [0, 1]
