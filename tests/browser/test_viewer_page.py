"""The offline page in a real browser: it draws, tells true values, and obeys mouse, keys and its address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossatlas.viz.web.html import export_html

from .conftest import Visit
from .scenes import animated, bowl, pair, scene

Visits = Callable[..., Visit]


def middle(visit: Visit) -> np.ndarray:
    """The part of the picture where the landscape stands."""
    return visit.picture()[120:520, 250:700]


def test_it_draws_offline_without_error_or_request(visit: Visits, tmp_path: Path) -> None:
    page = visit(offline=True).open(export_html(animated(), tmp_path / "a.html"))
    assert page.problems == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert middle(page).std() > 12


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_themes_differ_and_are_not_blank(visit: Visits, tmp_path: Path, theme: str) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html", theme=theme))
    corner = page.picture()[600:630, 700:780].mean()
    assert (corner > 180) == (theme == "light")
    assert middle(page).std() > 8


def test_hovering_fifty_cells_gives_their_values(visit: Visits, tmp_path: Path) -> None:
    values = bowl()
    page = visit().open(export_html(scene(values), tmp_path / "a.html", view={"map": "off"}))
    page.page.keyboard.press("1")
    page.settle()
    cells = np.random.default_rng(0).integers([1, 1], np.array(values.shape) - 1, (50, 2))
    worst = 0.0
    for i, j in cells:
        x, y = page.evaluate(PROJECT, {"i": int(i), "j": int(j), "value": float(values[i, j])})
        page.page.mouse.move(x, y)
        hovered = page.evaluate("return v.session.hovered && v.session.hovered.value")
        worst = max(worst, abs(hovered - values[i, j]))
    assert worst < 1e-3 * np.ptp(values)


def test_hover_in_the_contour_pane_marks_the_same_place(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    rect = page.evaluate("return v.session.views().find(w => w.kind === 'map').rect")
    page.page.mouse.move(rect["x"] + rect["width"] * 0.75, rect["y"] + rect["height"] * 0.25)
    at = page.evaluate("const { alpha, beta } = v.session.hovered; return [alpha, beta]")
    assert at == pytest.approx([0.5, 0.5], abs=0.02)
    shown = page.text(".tooltip")
    assert "α" in shown and "loss" in shown and "nats" in shown
    uniforms = page.evaluate("const s = v.session.renderer.uniforms; return [s.uHoverOn.value, s.uHover.value.x, s.uHover.value.y]")
    assert uniforms == pytest.approx([1, 0.5, 0.5], abs=0.02)


def test_left_rotates_middle_and_wheel_zoom_right_slides_and_reset_is_exact(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    mouse, before = page.page.mouse, page.state("camera")

    def drag(button: str) -> dict[str, float]:
        mouse.move(450, 400)
        mouse.down(button=button)
        mouse.move(520, 440, steps=6)
        page.page.wait_for_timeout(120)
        mouse.up(button=button)
        return page.settle().state("camera")

    turned = drag("left")
    assert turned["azimuth"] != before["azimuth"] and turned["elevation"] != before["elevation"]
    assert (turned["x"], turned["zoom"]) == (before["x"], before["zoom"])
    slid = drag("right")
    assert slid["x"] != turned["x"] and slid["azimuth"] == turned["azimuth"]
    pulled = drag("middle")
    assert pulled["zoom"] < slid["zoom"]
    mouse.wheel(0, -300)
    assert page.settle().state("camera")["zoom"] > pulled["zoom"]
    mouse.dblclick(880, 560)
    page.page.wait_for_timeout(700)
    assert page.settle().state("camera") == before


def test_a_flung_camera_glides_and_still_resets_exactly(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    before = page.state("camera")
    page.page.mouse.move(400, 400)
    page.page.mouse.down()
    page.page.mouse.move(640, 420, steps=3)
    page.page.mouse.up()
    page.page.keyboard.press("0")
    page.page.wait_for_timeout(900)
    assert page.settle().state("camera") == before


def test_keys(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(animated(), tmp_path / "a.html"))
    press = page.page.keyboard.press
    for key, name, value in (
        ("l", "log", True),
        ("w", "style", "mesh"),
        ("w", "style", "wire"),
        ("c", "contours", False),
        ("f", "floor", False),
        ("m", "map", "side"),
    ):
        press(key)
        assert page.state(name) == value, key
    for key, elevation in (("1", 90), ("2", 35.264), ("3", 4), ("4", 4)):
        press(key)
        page.page.wait_for_timeout(650)
        assert page.settle().state("camera")["elevation"] == elevation
    press("?")
    assert "wireframe" in page.text(".panel")
    press("Escape")
    assert page.text(".panel") == ""


def test_timeline_plays_steps_and_scrubs(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(animated(), tmp_path / "a.html"))
    assert page.state("frame") == 7 and page.state("playing") is False
    page.page.keyboard.press("Home")
    assert page.state("frame") == 0
    page.page.keyboard.press(".")
    page.page.keyboard.press(".")
    assert page.state("frame") == 2 and page.text(".time") == "step 20"
    page.page.keyboard.press("Space")
    for _ in range(100):  # as long as a busy machine needs for one frame
        page.page.wait_for_timeout(100)
        if page.state("frame") > 2:
            break
    if page.state("playing"):
        page.page.keyboard.press("Space")
    assert page.state("playing") is False and page.state("frame") > 2
    box = page.page.locator(".curves").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 30)
    assert 2 <= page.state("frame") <= 5


def test_the_address_restores_the_view(visit: Visits, tmp_path: Path) -> None:
    file = export_html(animated(), tmp_path / "a.html")
    page = visit().open(file)
    page.page.keyboard.press("l")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Home")
    page.page.mouse.move(450, 400)
    page.page.mouse.wheel(0, -200)
    page.page.wait_for_timeout(500)
    address = page.page.evaluate("location.hash")
    assert address.startswith("#v=")
    again = visit().open(file, address)
    for key in ("log", "frame"):
        assert again.state(key) == page.state(key)
    assert again.state("camera") == pytest.approx(page.state("camera"), rel=1e-5)


def test_python_chooses_the_view(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html", view={"log": True, "camera": {"azimuth": 10}, "style": "mesh"}))
    assert (page.state("log"), page.state("style"), page.state("camera")["azimuth"]) == (True, "mesh", 10)


def test_clip_says_how_much_and_cuts_the_sheet(visit: Visits, tmp_path: Path) -> None:
    values = bowl()
    level = float(np.quantile(values, 0.7))
    page = visit().open(export_html(scene(values), tmp_path / "a.html", view={"clip": level}))
    share = page.evaluate("return v.session.sceneModel.clippedFraction(v.session.drawn[0], v.state)")
    assert share == pytest.approx((values > level).mean(), abs=1e-3)


def test_two_surfaces_side_by_side_swiped_and_subtracted(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(pair(), tmp_path / "a.html"))
    assert len(page.evaluate("return v.session.views().filter(w => w.kind === 'surface')")) == 1
    page.page.keyboard.press("v")
    views = page.settle().evaluate("return v.session.views().filter(w => w.kind === 'surface').map(w => w.surfaces)")
    assert views == [["one"], ["two"]]
    page.page.keyboard.press("v")
    page.page.keyboard.press("v")
    page.settle()
    assert page.state("mode") == "difference"
    worst = page.evaluate("const d = v.session.drawn[0]; return Array.from(d.frameValues('loss', 0))")
    assert np.allclose(np.reshape(worst, bowl().shape), -bowl(), atol=1e-4)
    assert page.problems == []
    page.evaluate("v.session.store.set({ mode: 'overlay', hidden: ['one'] })")
    assert page.evaluate("return v.session.drawn.map(s => s.name)") == ["two"]


def test_probes_give_the_profile_between_them(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    page.page.keyboard.press("1")
    page.page.wait_for_timeout(700)
    page.page.mouse.click(400, 330)
    page.page.mouse.click(560, 380)
    page.settle()
    assert len(page.state("probes")) == 2
    assert "apart" in page.text(".profile")


@pytest.mark.parametrize("times", [1, 2])
def test_picture_export_has_the_size_and_carries_the_view(visit: Visits, tmp_path: Path, times: int) -> None:
    page = visit(accept_downloads=True).open(export_html(scene(bowl()), tmp_path / "a.html"))
    page.page.keyboard.press("w")
    page.page.keyboard.press("e")
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name=f"Picture, {times} times the size on screen").click()
    from PIL import Image

    from lossatlas.viz.metadata.reading import read_metadata

    saved = tmp_path / "p.png"
    download.value.save_as(saved)
    picture = Image.open(saved)
    assert picture.width == 900 * times
    assert "mesh" in picture.text["lossatlas-view"]  # pyright: ignore[reportAttributeAccessIssue]
    assert read_metadata(saved).caption == scene(bowl()).all_notes()
    assert np.asarray(picture.convert("L"), float)[100:400, 200:700].std() > 8


def test_numbers_and_vectors_export(visit: Visits, tmp_path: Path) -> None:
    values = bowl(5, 4)
    page = visit(accept_downloads=True).open(export_html(scene(values), tmp_path / "a.html", precision="float32"))
    page.page.keyboard.press("e")
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Values of the active surface").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "alpha,beta,loss,computed" and len(lines) == 21
    assert float(lines[1].split(",")[2]) == pytest.approx(values[0, 0], rel=1e-6)
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Contour pane as vectors").click()
    drawn = Path(download.value.path()).read_text()
    assert drawn.startswith("<svg") and drawn.count("<path") > 5


def test_touch_turns_and_pinches(visit: Visits, tmp_path: Path) -> None:
    page = visit(has_touch=True).open(export_html(scene(bowl()), tmp_path / "a.html"))
    before = page.state("camera")
    touch = page.page.context.new_cdp_session(page.page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        touch.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]}
        )

    fingers("touchStart", (400, 400))
    fingers("touchMove", (460, 420))
    page.page.wait_for_timeout(120)
    fingers("touchEnd")
    turned = page.settle().state("camera")
    assert turned["azimuth"] != before["azimuth"]
    fingers("touchStart", (400, 400), (500, 400))
    fingers("touchMove", (370, 400), (540, 400))
    fingers("touchEnd")
    assert page.settle().state("camera")["zoom"] > turned["zoom"]


def test_without_webgl_a_flat_map_appears(launch: Callable[..., Any], tmp_path: Path) -> None:
    file = export_html(animated(), tmp_path / "a.html")
    bare = launch("--no-sandbox", "--disable-3d-apis")
    page = Visit(bare.new_page(viewport={"width": 900, "height": 640})).open(file)
    assert "no WebGL" in page.text(".banner")
    assert middle(page).std() > 12
    page.page.keyboard.press("Home")
    assert page.state("frame") == 0


def test_a_lost_context_comes_back(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    before = middle(page)
    page.evaluate(
        "const gl = v.glCanvas.getContext('webgl2'); window.__lose = gl.getExtension('WEBGL_lose_context'); window.__lose.loseContext();"
    )
    page.page.wait_for_timeout(300)
    assert "lost" in page.text(".banner")
    page.page.evaluate("window.__lose.restoreContext()")
    page.page.wait_for_timeout(800)
    assert np.abs(middle(page) - before).mean() < 3


def test_twenty_viewers_on_one_page_all_show_something(visit: Visits, tmp_path: Path) -> None:
    file = export_html(scene(bowl(9, 9)), tmp_path / "a.html", theme="light")
    page = visit(1200, 900).open(file)
    page.page.evaluate("""async () => {
      document.getElementById('lossatlas').viewer.dispose();
      const style = 'position:fixed;inset:0;display:grid;grid-template-columns:repeat(5,1fr);background:#fff;z-index:9';
      document.body.innerHTML += `<div style="${style}">` + '<div class="many"></div>'.repeat(20) + '</div>';
      const header = JSON.parse(document.getElementById('lossatlas-header').textContent);
      const blob = Uint8Array.from(atob(document.getElementById('lossatlas-data').textContent), c => c.charCodeAt(0));
      for (const box of document.querySelectorAll('.many')) await lossatlas.default.mount(box, header, blob, { state: { ui: '0' } });
    }""")
    page.page.wait_for_timeout(5000)
    picture = page.picture()
    cells = [picture[r * 225 : (r + 1) * 225, c * 240 : (c + 1) * 240] for r in range(4) for c in range(5)]
    assert min(cell.std() for cell in cells) > 6
    assert not [problem for problem in page.problems if "Too many active WebGL contexts" in problem]


def test_a_picture_hidden_from_the_blind_is_told_in_words(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    label = page.page.evaluate("document.getElementById('lossatlas').shadowRoot.querySelector('.stage').getAttribute('aria-label')")
    assert "smallest loss" in label
    unnamed = page.evaluate(
        """const controls = [...v.root.querySelectorAll('button, select, input')];
        return controls.filter(e => !e.getAttribute('aria-label') && !e.textContent.trim()).length"""
    )
    assert unnamed == 0


def test_dragging_an_end_of_the_color_bar_sets_the_range(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(scene(bowl()), tmp_path / "a.html"))
    bar = page.evaluate("return v.session.colorBarRect()")
    camera, x = page.state("camera"), bar["x"] + bar["width"] / 2
    page.page.mouse.move(x, bar["y"] + 3)
    page.page.mouse.down()
    page.page.mouse.move(x, bar["y"] + bar["height"] * 0.4, steps=5)
    page.page.mouse.up()
    low, high = page.state("colorRange")
    span = np.ptp(bowl())
    assert high == pytest.approx(bowl().min() + 0.6 * span, abs=0.02 * span)
    assert low == pytest.approx(bowl().min(), abs=0.01 * span)
    assert page.state("camera") == camera
    page.page.mouse.dblclick(x, bar["y"] + 30)
    assert page.state("colorRange") is None


PROJECT = """const w = v.session.renderer.world, s = v.session.drawn[0], view = v.session.views()[0], r = view.rect;
const c = v.state.camera, half = Math.tan(Math.PI / 12) * 5.1 / c.zoom * Math.max(1, 1.32 / (r.width / r.height));
const k = r.height / 2 / half; // the orthographic camera of the top view, worked out by hand
return [r.x + r.width / 2 + (w.x(s.alpha[x.i]) - c.x) * k, r.y + r.height / 2 - (w.y(s.beta[x.j]) - c.y) * k];"""


def test_the_foot_is_a_line_and_a_marked_caution_and_opens_all_that_is_known(visit: Visits, tmp_path: Path) -> None:
    noted = scene(bowl()).replace(summary="Cross-entropy on 600 samples", notes=("made by hand", "CAUTION: not to scale"))
    page = visit().open(export_html(noted, tmp_path / "a.html"))
    assert page.page.locator(".foot span").all_inner_texts() == ["Cross-entropy on 600 samples", "Caution: not to scale"]
    assert page.page.locator(".foot .caution").inner_text() == "Caution: not to scale"
    page.page.locator(".foot button").click()
    about = page.text(".panel")
    assert "made by hand" in about and "CAUTION: not to scale" in about
    bare = visit().open(export_html(noted, tmp_path / "b.html", view={"caption": "none"}))
    assert bare.page.locator(".foot span").all_inner_texts() == ["About this landscape"]


def test_a_hidden_surface_keeps_its_name_legible(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(pair(), tmp_path / "a.html"))
    name = page.page.locator(".legend button", has_text="two")
    name.click()
    assert name.get_attribute("aria-pressed") == "false"
    assert "hidden" in (name.get_attribute("title") or "")
    assert name.evaluate("element => getComputedStyle(element).textDecorationLine") == "none"
    assert name.inner_text() == "two"
