"""The widget in a real JupyterLab: run all cells, and the landscape stands under the cell and fills while it runs."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CELL = """
import time, warnings
import numpy as np
from lossatlas import schema
from lossatlas.archive import open_archive
from lossatlas.viz import view
from IPython.display import display
archive = open_archive(None, "a")
a, b = np.linspace(-1, 1, 17), np.linspace(-1, 1, 23)
values = (0.3 + a[:, None] ** 2 + b[None] ** 2).reshape(-1)
shown = view(archive)
display(shown)
archive.create_surface("s", {"alpha": a, "beta": b}, [schema.variable("loss")], {"kind": "surface", "title": "Notebook"})
archive.write_cells("s", np.arange(40), {"loss": values[:40]})
for k in range(40, values.size, 50):
    cells = np.arange(k, min(k + 50, values.size))
    archive.write_cells("s", cells, {"loss": values[cells]})
    shown.update()
    time.sleep(0.05)
"""
COUNTS = """() => { const seek = (root) => [...root.querySelectorAll('*')]
  .flatMap((e) => e.viewer ? [e.viewer] : e.shadowRoot ? seek(e.shadowRoot) : []);
return seek(document).map((v) => { const s = v.session.sceneModel.surfaces[0];
  return s.doneMask ? s.doneMask.reduce((x, y) => x + y, 0) : s.na * s.nb; }).join(); }"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("jupyterlab")
    pytest.importorskip("anywidget")
    notebook = {
        "cells": [
            {"cell_type": "code", "id": name, "execution_count": None, "metadata": {}, "outputs": [], "source": source}
            for name, source in (("one", CELL), ("two", "shown"))
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    with running_lab(tmp_path, json.dumps(notebook)) as address:
        yield address


@contextmanager
def running_lab(folder: Path, notebook: str) -> Iterator[str]:
    """A JupyterLab of its own, and the address at which it opens this notebook."""
    (folder / "n.ipynb").write_text(notebook, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
    ]
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "c"),
        "JUPYTER_RUNTIME_DIR": str(folder / "r"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "s"),
    }
    log = (folder / "lab.log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}")
        yield f"http://127.0.0.1:{port}/lab/tree/n.ipynb?token={token}"
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _wait_for(address: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
        else:
            return


def _run_all(page: Any) -> None:
    """JupyterLab drops a run asked for before its kernel's channel stands; ask until there is output."""
    for _ in range(6):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        for _ in range(20):
            page.wait_for_timeout(500)
            if page.locator(".jp-OutputArea-output").count():
                return


def test_a_notebook_turned_into_a_web_page_keeps_its_landscape(visit: Callable[..., Any], tmp_path: Path) -> None:
    nbformat, nbconvert = pytest.importorskip("nbformat"), pytest.importorskip("nbconvert")
    from lossatlas.viz.web.widget import widget

    from .scenes import bowl, scene

    html = widget(scene(bowl())).static().data
    output = nbformat.v4.new_output("display_data", data={"text/html": html})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("shown.static()", outputs=[output])])
    body, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook)
    file = tmp_path / "notebook.html"
    file.write_text(f"<!doctype html><meta charset=utf-8>{body}", encoding="utf-8")
    page = visit(900, 760)
    page.page.goto(file.as_uri())
    frame = next(frame for frame in page.page.frames if frame.parent_frame)
    frame.wait_for_function("document.documentElement.className === 'ready'", timeout=60_000)
    page.page.wait_for_timeout(1000)
    values = frame.evaluate("Array.from(document.getElementById('lossatlas').viewer.session.sceneModel.surfaces[0].frameValues('loss', 0))")
    assert abs(min(values) - bowl().min()) < 1e-4
    assert page.picture()[200:500, 250:700].std() > 8
    assert page.problems == []


def test_the_widget_fills_in_jupyterlab(visit: Callable[..., Any], lab: str) -> None:
    """The first view opens while cells are being written, the second when all are."""
    page = visit(1200, 900).page
    page.goto(lab)
    page.wait_for_selector(".jp-Notebook", timeout=90_000)
    page.get_by_text("| Idle").wait_for(timeout=90_000)
    _run_all(page)
    page.wait_for_function(f"({COUNTS})() === '{17 * 23},{17 * 23}'", timeout=90_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=os.environ.get("LOSSATLAS_SHOT") or None)
    assert page.locator(".jp-OutputArea-output").first.bounding_box()["height"] > 500
