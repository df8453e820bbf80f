"""The examples of the four roles: the teacher's notebook and the engineer's shell session, with a Ctrl-C between."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lossatlas as la
from lossatlas.formats import import_surface

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.slow
JOB = """
import time, torch, lossatlas as la

def objective(pause: float = 0.0):
    def loss(params, _):
        time.sleep(pause if float(params["w"][0]) < 1e9 else 0.0)  # a look at a number keeps points from being measured together
        return (params["w"] ** 2).sum() + params["w"].prod()
    return la.Objective(loss, params={"w": torch.tensor([0.3, -0.2])})
"""


def test_the_teachers_notebook_runs(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / "teacher.ipynb", as_version=4)
    nbformat.validate(notebook)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    views = [
        out
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        if "application/vnd.jupyter.widget-view+json" in out.get("data", {})
    ]
    assert len(views) == 4, "race, surface, training and landscape are widgets"
    training = la.open_archive(tmp_path / "training.zarr").trajectory("run")
    assert int(training.step[-1]) == 300 and float(training.batch_loss[-20:].mean()) < 0.8 * float(training.batch_loss[1:21].mean())


@pytest.mark.parametrize("example", ["compare_optimizers.py", "transformers_lora.py"])
def test_an_example_is_short_beside_its_training(example: str) -> None:
    body = ast.parse((EXAMPLES / example).read_text()).body
    beside = [
        node
        for node in body
        if any(isinstance(part, ast.Name) and part.id == "la" for part in ast.walk(node)) and not isinstance(node, ast.FunctionDef)
    ]
    assert sum((node.end_lineno or 0) - node.lineno + 1 for node in beside) <= 20


def lossatlas(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lossatlas", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def cells_done(archive: Path) -> int:
    try:
        return int(la.open_archive(archive).surface().done.sum())
    except (la.LossatlasError, KeyError, ValueError, OSError):  # not there yet, or in the middle of a write
        return 0


def test_a_ctrl_c_in_the_middle_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    ask = ("evaluate", "job.py:objective", "--archive", "a.zarr", "--resolution", "21x17", "--normalize", "none", "--tol", "1e-9")
    running, deadline = lossatlas(tmp_path, *ask, "--set", "pause=0.05"), time.monotonic() + 240
    while not cells_done(tmp_path / "a.zarr") and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, message = running.communicate(timeout=120)
    assert running.returncode == 130 and "the same command continues" in message
    partial = la.open_archive(tmp_path / "a.zarr").surface()
    assert 0 < int(partial.done.sum()) < 21 * 17
    continued = lossatlas(tmp_path, *ask)
    continued.communicate(timeout=240)
    surface = la.open_archive(tmp_path / "a.zarr").surface()
    assert continued.returncode == 0 and int(surface.done.sum()) > int(partial.done.sum())
    np.testing.assert_array_equal(surface.loss.where(partial.done), partial.loss.where(partial.done))
    names: dict[str, object] = {}
    exec(JOB, names)
    objective = names["objective"]()  # type: ignore[operator]
    whole = la.evaluate(objective, la.random_plane(objective, 0, "none"), resolution=(21, 17))
    np.testing.assert_allclose(surface.loss.where(surface.done), whole.loss.where(surface.done), rtol=1e-6)


def test_the_engineers_shell_session(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    session = ["sh", str(EXAMPLES / "engineer.sh"), str(EXAMPLES)]
    done = subprocess.run(session, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    assert "2,601 cells" in done.stdout and "2,091 of 2,091 cells" in done.stdout
    surface, mesh = la.open_archive(tmp_path / "my.zarr").surface(), import_surface(tmp_path / "my.vtp")
    np.testing.assert_array_equal(mesh.loss, surface.loss)
    np.testing.assert_array_equal(mesh.accuracy, surface.accuracy)
    text = (tmp_path / "path.vtp").read_text()
    assert 'NumberOfLines="1"' in text and 'Name="step"' in text
    for figure in ("my.png", "path.png", "my.html"):
        assert (tmp_path / figure).stat().st_size > 10_000


def test_the_notebook_holds_no_outputs() -> None:
    cells = json.loads((EXAMPLES / "teacher.ipynb").read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
