"""The teacher's notebook in a real JupyterLab: race with its slider, surface, and a training that draws itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .test_viewer_notebook import _run_all, running_lab

pytestmark = pytest.mark.slow
NOTEBOOK = Path(__file__).parents[2] / "examples" / "teacher.ipynb"
VIEWERS = """() => { const seek = (root) => [...root.querySelectorAll('*')]
  .flatMap((e) => e.viewer ? [e.viewer] : e.shadowRoot ? seek(e.shadowRoot) : []);
return seek(document).map((v) => v.session.scene.title + '/' + v.session.scene.paths.map((p) => p.step.data.length)); }"""


def test_the_teachers_notebook_in_jupyterlab(visit: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab")
    pytest.importorskip("anywidget")
    page = visit(1000, 5200)
    with running_lab(tmp_path, NOTEBOOK.read_text(encoding="utf-8")) as address:
        page.page.goto(address)
        page.page.wait_for_selector(".jp-Notebook", timeout=120_000)
        _run_all(page.page)
        page.page.wait_for_function(f"({VIEWERS})().filter((text) => text.endsWith('/301')).length >= 2", timeout=240_000)
        shown = page.page.evaluate(VIEWERS)
        assert any(text.startswith("Rosenbrock/151,151,151") for text in shown), shown
        assert page.page.locator(".widget-slider, .jupyter-widgets.widget-slider").count() >= 1
        page.page.screenshot(path=tmp_path / "notebook.png")
        colors = page.picture()
        assert colors.std() > 8
