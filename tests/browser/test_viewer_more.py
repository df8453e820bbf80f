"""The rest of the page: film, embedding, sharp screens, areas and arrows, Python code that runs, several planes, sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossatlas import schema
from lossatlas.archive import open_archive
from lossatlas.viz.scene.model import Arrow, Curve, DecisionRegions, Field, Outline, Pane, Scene
from lossatlas.viz.web.html import export_html

from .conftest import Visit
from .scenes import animated, bowl, pair, scene

Visits = Callable[..., Visit]
GOLDEN = Path(__file__).parent / "golden"


def shadow(page: Visit, selector: str, what: str) -> object:
    return page.evaluate(f"return v.root.querySelector(x)?.{what}", selector)


def test_the_animation_is_saved_as_a_film(visit: Visits, tmp_path: Path) -> None:
    made = animated(4, 9)
    assert made.timeline is not None
    made = made.replace(timeline=replace(made.timeline, milliseconds=60))
    page = visit(400, 320, accept_downloads=True).open(export_html(made, tmp_path / "a.html"))
    page.page.keyboard.press("e")
    with page.page.expect_download(timeout=60_000) as waiting:
        page.page.get_by_role("button", name="Record the animation").click()
    film = Path(waiting.value.path()).read_bytes()
    assert film[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in film[:64]  # EBML
    assert len(film) > 2000
    assert page.problems == []


def test_embedded_only_the_picture_is_left(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(animated(), tmp_path / "a.html"), "?ui=0")
    for part in (".tools", ".foot", ".bar", ".legend", ".heading"):
        assert shadow(page, part, "offsetHeight") == 0, part
    assert shadow(page, ".stage", "clientHeight") == 640
    assert page.picture()[100:500, 200:700].std() > 8


def test_a_sharp_screen_gets_all_its_pixels(visit: Visits, tmp_path: Path) -> None:
    page = visit(600, 460, device_scale_factor=2).open(export_html(scene(bowl()), tmp_path / "a.html"))
    assert page.evaluate("return [v.glCanvas.width / v.session.width, v.glCanvas.height / v.session.height]") == [2, 2]
    assert page.picture().shape[:2] == (920, 1200)


def test_areas_arrows_outlines_histograms_and_words(visit: Visits, tmp_path: Path) -> None:
    axis = np.linspace(-1, 1, 20)
    classes = np.broadcast_to((axis > 0)[:, None], (20, 20)).astype(np.int16)
    circle = np.linspace(0, 2 * np.pi, 40)
    made = scene(
        bowl(),
        arrows=(Arrow((-0.5, 0.5), (0.5, -0.5), color="#00ff00"),),
        outlines=(Outline(0.4 * np.cos(circle), 0.4 * np.sin(circle), "noise", "#00ffff"),),
        areas=(DecisionRegions("who wins", axis, axis, classes, np.array([[0.5, 0.5]]), np.array([1])),),
        curves=(Curve("w", np.linspace(-1, 1, 6), np.array([1.0, 3, 5, 3, 1]), "weights"),),
    )
    panes = (Pane("areas", areas=("who wins",)), Pane("histogram", curves=("w",), title="all weights"), Pane("text", text="Mind the gap."))
    page = visit().open(export_html(made.replace(panes=(*made.panes, *panes)), tmp_path / "a.html", theme="light"))
    assert "who wins" in page.text(".cards") and "all weights" in page.text(".cards") and "Mind the gap." in page.text(".cards")
    left, right = page.evaluate(
        """const c = v.root.querySelector('.areas canvas'), p = c.getContext('2d', { willReadFrequently: true });
        return [0.2, 0.8].map((x) => [...p.getImageData(c.width * x, c.height * 0.6, 1, 1).data])"""
    )
    assert left != right
    picture = page.picture()
    near = lambda color: int((np.abs(picture - color).max(axis=-1) < 40).sum())  # noqa: E731
    assert near((0, 255, 0)) > 60
    assert near((0, 255, 255)) > 60
    assert [problem for problem in page.problems if "readback" not in problem] == []


def test_the_python_code_runs(visit: Visits, tmp_path: Path) -> None:
    archive = open_archive(tmp_path / "my run.zarr", "a")
    axes = {"alpha": np.linspace(-1, 1, 5), "beta": np.linspace(-1, 1, 7)}
    archive.create_surface("s", axes, [schema.variable("loss")], {"kind": "surface", "title": "S"})
    archive.write_cells("s", np.arange(35), {"loss": bowl(5, 7).reshape(-1)})
    page = visit().open(export_html(archive, tmp_path / "a.html", view={"log": True, "clip": 1.5}))
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (words) => { window.copied = words; } } })")
    page.page.keyboard.press("e")
    page.page.get_by_role("button", name="Python code for a figure of this view").click()
    code = page.page.evaluate("window.copied")
    assert 'scale="log"' in code and "clip=1.5" in code
    environment = {**os.environ, "BROWSER": "true", "MPLBACKEND": "Agg", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "landscape.png").stat().st_size > 5000


def test_surfaces_of_other_planes_wait_in_the_legend(visit: Visits, tmp_path: Path) -> None:
    made = pair()
    planes = {"one": {"seed": 0}, "two": {"seed": 1}}
    page = visit().open(export_html(made.replace(panes=(Pane("surface", ("one",)),), meta={"planes": planes}), tmp_path / "a.html"))
    assert page.evaluate("return v.session.drawn.map(s => s.name)") == ["one"]
    assert "two" in page.text(".banner") and "legend" in page.text(".banner")
    page.page.get_by_role("button", name="two", exact=True).click()
    page.settle()
    assert page.evaluate("return v.session.drawn.map(s => s.name)") == ["two"]
    page.page.get_by_role("button", name="one", exact=True).click(modifiers=["Shift"])
    assert page.evaluate("return v.session.drawn.map(s => s.name)") == ["two", "one"]
    assert "different planes" in page.text(".banner")
    assert page.problems == []


def test_every_button_answers_the_mouse(visit: Visits, tmp_path: Path) -> None:
    page = visit(1100, 760).open(export_html(pair(), tmp_path / "a.html"))
    click = lambda name: page.page.get_by_role("button", name=name).first.click()  # noqa: E731
    camera = page.state("camera")
    for name, key in (("Logarithmic height", "log"), ("Solid, mesh", "style"), ("Contour lines", "contours"), ("Contour pane", "map")):
        before = page.state(key)
        click(name)
        assert page.state(key) != before, name
    for name, words in (
        ("Settings", "Height and color"),
        ("Export and share", "Picture"),
        ("About this", "The surfaces"),
        ("Keys", "Keys and"),
    ):
        click(name)
        assert words in page.text(".panel"), name
    click("Keys")
    click("two")
    assert page.state("hidden") == ["two"]
    page.page.get_by_role("button", name="Light or dark").dblclick()
    page.settle()
    assert page.state("camera") == camera and page.state("probes") == []


def test_a_path_off_the_plane_is_dashed(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(animated(), tmp_path / "a.html", view={"map": "off"}))
    counts = "return v.session.renderer.pathLines.map(({ line }) => [line.onPlane, line.offPlane].map(b => b.geometry.instanceCount))"
    assert page.evaluate(counts) == [[0, 7]]
    page.page.keyboard.press("i")
    assert "dashed where it is farther away" in page.text(".panel")


def test_panes_are_dragged_larger_and_the_address_keeps_it(visit: Visits, tmp_path: Path) -> None:
    page = visit().open(export_html(animated(), tmp_path / "a.html"))
    find = "return v.session.views().find(w => w.kind === 'map').rect"
    rect = page.evaluate(find)
    camera = page.state("camera")
    page.page.mouse.move(rect["x"] + rect["width"], rect["y"] + rect["height"])
    page.page.mouse.down()
    page.page.mouse.move(rect["x"] + rect["width"] + 60, rect["y"] + rect["height"] + 60, steps=5)
    page.page.mouse.up()
    assert page.evaluate(find)["width"] == pytest.approx(rect["width"] + 60, abs=8)
    assert page.state("camera") == camera
    before = float(str(shadow(page, ".curves", "clientHeight")))
    box = page.page.locator(".bar").bounding_box()
    page.page.mouse.move(300, box["y"] + 3)
    page.page.mouse.down()
    page.page.mouse.move(300, box["y"] - 57, steps=5)
    page.page.mouse.up()
    assert float(str(shadow(page, ".curves", "clientHeight"))) == pytest.approx(before + 60, abs=4)
    page.page.wait_for_timeout(400)
    assert "insetSize" in page.page.url and "barHeight" in page.page.url


def test_noise_is_outlined_on_request(visit: Visits, tmp_path: Path) -> None:
    values = bowl()
    made = scene(values)
    noisy = replace(made.surfaces[0], fields={"loss": Field(values, "loss", standard_error=np.full(values.shape, 0.1))})
    page = visit().open(export_html(made.replace(surfaces=(noisy,)), tmp_path / "a.html"))
    plain = page.picture()
    page.page.keyboard.press("n")
    assert np.abs(page.settle().picture() - plain).mean() > 0.1
    assert page.problems == []


def comparison() -> Scene:
    made = animated()
    twin = scene(0.5 + 0.4 * bowl(17, 17), name="t").surfaces[0]
    return made.replace(surfaces=(*made.surfaces, twin), panes=(Pane("surface", ("s", "t"), ("descent",)),))


@pytest.mark.parametrize(("name", "made", "theme"), [("bowl-light", scene(bowl()), "light"), ("overlay-dark", comparison(), "dark")])
def test_pictures_look_as_they_did(visit: Visits, tmp_path: Path, name: str, made: Scene, theme: str) -> None:
    """Small pictures, reviewed by eye; LOSSATLAS_GOLDEN=1 writes them anew."""
    from PIL import Image

    page = visit(800, 600).open(export_html(made, tmp_path / "a.html", theme=theme))
    small = Image.fromarray(page.picture().astype(np.uint8)).resize((200, 150), Image.Resampling.BOX)
    if os.environ.get("LOSSATLAS_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        small.save(GOLDEN / f"{name}.png")
    golden = np.asarray(Image.open(GOLDEN / f"{name}.png").convert("RGB"), float)
    assert np.abs(np.asarray(small, float) - golden).mean() < 0.02 * 255
