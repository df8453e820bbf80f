"""Files dropped on the page: another page is laid over and never run, a table too, a picture brings its view."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lossatlas.viz.web.html import export_html

from .conftest import Visit
from .scenes import bowl, scene

Visits = Callable[..., Visit]
DROP = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  const frame = document.getElementById('lossatlas').shadowRoot.querySelector('.viewer');
  const event = (kind) => new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  for (const kind of ['dragenter', 'dragover', 'drop']) frame.dispatchEvent(event(kind));
}"""


def drop(page: Visit, name: str, content: bytes) -> None:
    page.page.evaluate(DROP, [name, base64.b64encode(content).decode()])
    page.page.wait_for_selector(".toast")
    page.settle()


def test_another_page_is_laid_over_and_not_run(visit: Visits, tmp_path: Path) -> None:
    other = export_html(scene(2 * bowl(), name="twice"), tmp_path / "other.html").read_text()
    other = other.replace("<script>", "<script>window.hacked = 1;", 1)
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    page.page.keyboard.press("l")
    drop(page, "other.html", other.encode())
    assert "other: twice" in page.text(".legend")
    assert page.state("log") is True
    values = page.evaluate("return Array.from(v.session.sceneModel.surfaces[1].frameValues('loss', 0))")
    np.testing.assert_allclose(np.reshape(values, bowl().shape), 2 * bowl(), rtol=1e-4)
    assert page.page.evaluate("window.hacked") is None
    assert [r for r in page.requests if not r.startswith(("file:", "data:", "blob:"))] == []
    assert page.problems == []


def test_a_table_is_laid_over(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    drop(page, "t.csv", b"alpha,beta,loss\n-1,-1,0.5\n-1,1,1\n1,-1,2\n1,1,3\n")
    assert page.evaluate("return v.session.drawn.length") == 2


def test_a_saved_picture_brings_its_view(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    page.page.keyboard.press("w")
    page.page.keyboard.press("1")
    page.settle()
    camera = page.state("camera")
    page.page.keyboard.press("e")
    with page.page.expect_download() as waiting:
        page.page.get_by_role("button", name="Picture, 1 times").click()
    page.page.keyboard.press("e")
    fresh = visit().open(tmp_path / "a.html")
    drop(fresh, "p.png", Path(waiting.value.path()).read_bytes())
    assert fresh.state("style") == "mesh"
    assert abs(fresh.state("camera")["elevation"] - camera["elevation"]) < 1e-4


def test_a_stranger_s_file_is_refused_in_words(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    drop(page, "notes.txt", b"hello")
    assert "none of the files" in page.text(".toast")
    drop(page, "b.html", b"<html><script>window.hacked = 1</script></html>")
    assert "no Lossatlas data" in page.text(".toast")
    assert page.page.evaluate("window.hacked") is None
