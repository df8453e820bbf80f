"""Odd and broken data: every page shows the data or says in words what is wrong, never a blank canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossatlas.viz.scene.model import Field, Pane, Scene, Surface
from lossatlas.viz.web.html import export_html
from lossatlas.viz.web.payload import decode_block, encode
from numbers_in import numbers_before

from .conftest import Visit
from .scenes import animated, bowl, pair, scene

Visits = Callable[..., Visit]


def holed() -> np.ndarray:
    values = bowl()
    values[3:6, 4:9] = np.nan
    values[0, 0], values[-1, -1] = np.inf, -np.inf
    return values


CASES = {
    "holes and infinities": scene(holed()),
    "constant": scene(np.full((9, 7), 2.0)),
    "all zero": scene(np.zeros((9, 7))),
    "negative loss": scene(bowl() - 1.0),
    "long and thin": scene(bowl(5, 61), alpha=np.linspace(0, 10, 5)),
    "two by two": scene(np.array([[0.0, 1.0], [2.0, 5.0]])),
    "two by thirty": scene(bowl(2, 30)),
    "uneven axes": scene(bowl(), alpha=np.sort(np.random.default_rng(0).uniform(-1, 1, 21)), beta=np.linspace(0, 1, 33) ** 2),
    "enormous range": scene(np.exp(9 * bowl())),
    "one frame": scene(bowl()[None]),
    "three hundred frames": animated(300, 9),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("log", [False, True], ids=["linear", "log"])
def test_odd_data_are_drawn(visit: Visits, tmp_path: Path, name: str, log: bool) -> None:
    page = visit(700, 520).open(export_html(CASES[name], tmp_path / "a.html", view={"log": log}))
    page.page.mouse.move(350, 300)
    page.settle()
    assert page.problems == []
    assert page.picture()[120:420, 180:560].std() > 5


@pytest.mark.slow
def test_a_million_cells_are_drawn(visit: Visits, tmp_path: Path) -> None:
    page = visit(700, 520).open(export_html(scene(bowl(1024, 1024)), tmp_path / "a.html"))
    assert page.problems == []
    assert page.picture()[120:420, 180:560].std() > 5


@pytest.mark.parametrize("precision", ["uint16", "float32"])
def test_the_page_decodes_what_python_decodes(visit: Visits, tmp_path: Path, precision: str) -> None:
    made = scene(np.stack([holed(), bowl()]))
    payload = encode(made, precision=precision)  # pyright: ignore[reportArgumentType]
    page = visit().open(export_html(made, tmp_path / "a.html", precision=precision))  # pyright: ignore[reportArgumentType]
    text = page.evaluate("return Array.from(v.session.sceneModel.surfaces[0].field('loss').values.data, String)")
    ours = decode_block(payload, payload.header["scenes"][0]["surfaces"][0]["fields"]["loss"]["values"]["block"]).astype(np.float32)
    np.testing.assert_allclose(
        np.array([float(word.replace("Infinity", "inf")) for word in text]).reshape(ours.shape), ours, rtol=1e-6, atol=1e-7
    )


def test_a_hole_is_called_a_hole(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(holed()), tmp_path / "a.html"))
    rect = page.evaluate("return v.session.views().find(w => w.kind === 'map').rect")
    page.page.mouse.move(rect["x"] + rect["width"] * 0.2, rect["y"] + rect["height"] * (1 - 6 / 32))
    assert "hole" in page.text(".tooltip")


def test_half_computed_says_so(visit: Visits, tmp_path: Path) -> None:
    made = scene(bowl())
    done = np.zeros(bowl().shape, bool)
    done[::2, ::2] = True
    page = visit().open(export_html(made.replace(surfaces=(replace(made.surfaces[0], done=done),)), tmp_path / "a.html"))
    (percent,) = numbers_before("% of cells computed", page.text(".foot"))
    assert percent == pytest.approx(100 * done.mean(), abs=0.5)
    page.page.keyboard.press("i")
    assert "not computed" in page.text(".panel")
    rect = page.evaluate("return v.session.views().find(w => w.kind === 'map').rect")
    page.page.mouse.move(rect["x"] + rect["width"] * (1 - 1 / 20), rect["y"] + rect["height"] * (1 - 3 / 32))
    assert "not computed yet" in page.text(".tooltip")


def test_nothing_computed_is_told(visit: Visits, tmp_path: Path) -> None:
    made = scene(np.full((5, 6), np.nan))
    empty = made.replace(surfaces=(replace(made.surfaces[0], done=np.zeros((5, 6), bool)),))
    page = visit()
    page.page.goto(export_html(empty, tmp_path / "a.html").as_uri())
    page.page.wait_for_timeout(800)
    assert "Nothing has been computed yet" in page.text(".message")
    assert page.problems == []


def test_a_line_becomes_a_curve(visit: Visits, tmp_path: Path) -> None:
    alpha = np.linspace(-1, 1, 41)
    fields = {"loss": Field(1 + alpha**2, "loss [nats]", "nats"), "accuracy": Field(1 - alpha**2 / 2, "accuracy [fraction]", "fraction")}
    page = visit()
    page.page.goto(
        export_html(Scene((Pane("line", ("l",)),), (Surface("l", alpha, None, fields),), title="A line"), tmp_path / "a.html").as_uri()
    )
    page.page.wait_for_timeout(800)
    assert page.problems == []
    assert page.picture()[120:520, 100:800].std() > 5


def test_a_missing_metric_is_named(visit: Visits, tmp_path: Path) -> None:
    made = pair()
    one, two = made.surfaces
    lacking = replace(two, fields={"accuracy": Field(bowl(), "accuracy [fraction]", "fraction")})
    page = visit().open(export_html(made.replace(surfaces=(one, lacking)), tmp_path / "a.html"))
    assert "two has no loss" in page.text(".banner")
    assert page.problems == []


def test_different_planes_are_shown_with_the_difference_named(visit: Visits, tmp_path: Path) -> None:
    made = pair().replace(meta={"planes": {"one": {"seed": 0}, "two": {"seed": 1}}})
    page = visit().open(export_html(made, tmp_path / "a.html"))
    assert "different planes" in page.text(".banner")
    assert "seed" in page.text(".banner")
    assert page.picture()[120:520, 250:700].std() > 8


@pytest.mark.parametrize("damage", ["data", "truncated", "header", "missing"])
def test_damaged_pages_say_so(visit: Visits, tmp_path: Path, damage: str) -> None:
    file = export_html(scene(bowl()), tmp_path / "a.html")
    page = file.read_text()
    start = page.index('id="lossatlas-data">') + len('id="lossatlas-data">')
    end = page.index("</script>", start)
    header = page.index('id="lossatlas-header">') + len('id="lossatlas-header">')
    broken = {
        "data": page[: start + 40] + "AAAAAAAA" + page[start + 48 :],
        "truncated": page[: start + 400] + page[end:],
        "header": page[:header] + page[header + 20 :],
        "missing": page[:start] + page[end:],
    }[damage]
    file.write_text(broken)
    visited = visit()
    visited.page.goto(file.as_uri())
    visited.page.wait_for_timeout(600)
    words = visited.page.evaluate("document.getElementById('lossatlas').shadowRoot.textContent")
    assert "cannot be shown" in words and ("damaged" in words or "missing" in words)
