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
    page = visit(1000, 3600)
    with running_lab(tmp_path, NOTEBOOK.read_text(encoding="utf-8")) as address:
        page.page.goto(address)
        page.page.wait_for_selector(".jp-Notebook", timeout=120_000)
        page.page.get_by_text("| Idle").wait_for(timeout=90_000)
        _run_all(page.page)
        page.page.wait_for_function(f"((shown) => shown.length === 4 && shown[2] === 'Adam/301')(({VIEWERS})())", timeout=240_000)
        shown = page.page.evaluate(VIEWERS)
        assert any(text.startswith("Rosenbrock/151,151,151") for text in shown), shown
        assert page.page.locator(".widget-slider").count() == 1
        page.page.screenshot(path=tmp_path / "notebook.png")
        assert page.picture().std() > 8
