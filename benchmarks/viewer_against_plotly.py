"""Claim: rotating and playing a landscape in our page is at least four times as fast as in a plotly.py page of the same
data, the page is a fraction of the size and shows its first frame sooner, and playing for long does not eat memory.

Usage: python benchmarks/viewer_against_plotly.py [--sizes 51 200 512] [--seconds 4]

Both pages are driven by the same mouse in the same Chromium with software WebGL, one after the other. A frame counts
when something was drawn with WebGL in it. Software WebGL is far slower than any GPU: read the ratios, not the figures.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lossatlas.viz.scene.model import Field, Pane, Scene, Surface, Timeline
from lossatlas.viz.web.html import export_html

RESULTS = Path(__file__).parent / "results" / "viewer_against_plotly.json"
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--enable-precise-memory-info"]
FRAMES = {51: 60, 200: 60, 512: 50}
COUNTER = """(() => { let dirty = false; window.__frames = 0;
for (const kind of [WebGLRenderingContext, WebGL2RenderingContext])
  for (const name of ['drawElements', 'drawArrays', 'drawElementsInstanced', 'drawArraysInstanced']) {
    const original = kind.prototype[name]; if (!original) continue;
    kind.prototype[name] = function (...a) { dirty = true; window.__first ??= performance.now(); return original.apply(this, a); }; }
const tick = () => { if (dirty) window.__frames++; dirty = false; requestAnimationFrame(tick); }; requestAnimationFrame(tick); })()"""
OURS = "document.getElementById('lossatlas').viewer.state.camera.azimuth"
THEIRS = "JSON.stringify(document.querySelector('.js-plotly-plot')._fullLayout.scene._scene.getCamera().eye)"
PLAY_THEIRS = """() => { const g = document.querySelector('.js-plotly-plot'); window.__on = true; let k = 0;
const frames = g._transitionData._frames, next = () => { if (!window.__on) return;
  Plotly.restyle(g, { z: [frames[k++ % frames.length].data[0].z] }).then(() => requestAnimationFrame(next)); }; next(); }"""
LOOP = """async (n) => { const v = document.getElementById('lossatlas').viewer;
for (let k = 0; k < n * 20; k++) {
  v.session.store.set({ frame: k % 20 + 0.5 }); v.drawNow(0.4); if (k % 50 === 0) await new Promise(requestAnimationFrame); } }"""


def landscape(n: int, frames: int) -> np.ndarray:
    """A bumpy bowl that moves, (frames, n, n)."""
    a, b = np.linspace(-1, 1, n)[:, None], np.linspace(-1, 1, n)[None]
    waves = [np.sin(3 * a + 0.1 * k) * np.cos(4 * b - 0.07 * k) for k in range(frames)]
    return np.stack([0.4 + 2 * (a**2 + b**2) + 0.3 * wave for wave in waves])


def our_page(values: np.ndarray, file: Path) -> Path:
    n, steps = values.shape[-1], np.arange(len(values))
    surface = Surface("s", np.linspace(-1, 1, n), np.linspace(-1, 1, n), {"loss": Field(values, "loss [nats]", "nats")})
    timeline = Timeline(steps, tuple(f"step {k}" for k in steps), milliseconds=40) if len(values) > 1 else None
    return export_html(Scene((Pane("surface", ("s",)),), (surface,), timeline=timeline, title="benchmark"), file)


def plotly_page(values: np.ndarray, file: Path) -> Path:
    import plotly.graph_objects as go

    axis = np.linspace(-1, 1, values.shape[-1])
    contours = {"z": {"show": True, "usecolormap": True, "project_z": True}}
    figure = go.Figure(go.Surface(x=axis, y=axis, z=values[0], contours=contours))
    if len(values) > 1:
        figure.frames = [go.Frame(data=[go.Surface(z=frame)], name=str(k)) for k, frame in enumerate(values)]
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0}, scene={"aspectmode": "cube"})
    figure.write_html(file, include_plotlyjs=True, auto_play=False)
    return file


def measure(browser: Any, file: Path, ours: bool, seconds: float, animate: bool) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1100, "height": 760})
    page = context.new_page()
    page.add_init_script(COUNTER)
    page.goto(file.as_uri(), timeout=180_000)
    page.wait_for_function("window.__frames > 0", timeout=180_000)
    page.wait_for_timeout(2500)
    result = {
        "megabytes": file.stat().st_size / 1e6,
        "first frame s": page.evaluate("window.__first") / 1e3,
        "rotate fps": drag(page, ours, seconds),
    }
    if animate:
        result["animate fps"] = play(page, ours, seconds)
    result["heap MB"] = heap(page)
    context.close()
    return result


def drag(page: Any, ours: bool, seconds: float) -> float:
    """Frames a second while the mouse drags to and fro; the camera must have moved."""
    before = page.evaluate(OURS if ours else THEIRS)
    page.mouse.move(450, 400)
    page.mouse.down()
    for k in range(12):  # warm up: adaptive quality finds its level
        page.mouse.move(450 + 6 * k, 400)
    start, first, k = time.monotonic(), page.evaluate("window.__frames"), 0
    while time.monotonic() - start < seconds:
        k += 1
        page.mouse.move(520 + 80 * np.sin(k / 9), 400 + 20 * np.sin(k / 14))
    count, elapsed = page.evaluate("window.__frames") - first, time.monotonic() - start
    page.mouse.move(530, 380)
    page.mouse.up()
    page.wait_for_timeout(300)
    if page.evaluate(OURS if ours else THEIRS) == before:
        raise RuntimeError("The camera did not move; nothing was measured.")
    return max(count, 1) / elapsed  # none at all counts as one


def play(page: Any, ours: bool, seconds: float) -> float:
    """Frames a second while the animation plays."""
    if ours:
        page.keyboard.press("Home")
        page.keyboard.press("Space")
    else:
        page.evaluate(PLAY_THEIRS)
    page.wait_for_timeout(1200)
    start, first = time.monotonic(), page.evaluate("window.__frames")
    page.wait_for_timeout(seconds * 1000)
    count, elapsed = page.evaluate("window.__frames") - first, time.monotonic() - start
    page.keyboard.press("Space") if ours else page.evaluate("() => { window.__on = false; }")
    page.wait_for_timeout(500)
    return max(count, 1) / elapsed  # none at all counts as one


def heap(page: Any) -> float:
    """Used JavaScript heap after a collection, in megabytes."""
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    return page.evaluate("performance.memory.usedJSHeapSize") / 1e6


def growth(browser: Any, folder: Path, count: int = 200) -> float:
    """Megabytes by which the heap grows over `count` loops of an animation."""
    page = browser.new_page(viewport={"width": 700, "height": 500})
    page.goto(our_page(landscape(51, 20), folder / "loops.html").as_uri())
    page.wait_for_function("document.documentElement.className === 'ready'")
    page.evaluate(LOOP, 10)
    before = heap(page)
    page.evaluate(LOOP, count)
    return heap(page) - before


def compare(browser: Any, folder: Path, n: int, seconds: float) -> dict[str, Any]:
    """One size: a still page and an animated page of each kind, and what is gained."""
    row: dict[str, Any] = {}
    for words, frames in (("still", 1), ("animated", FRAMES.get(n, 50))):
        values = landscape(n, frames)
        ours = measure(browser, our_page(values, folder / "ours.html"), True, seconds, frames > 1)
        theirs = measure(browser, plotly_page(values, folder / "plotly.html"), False, seconds, frames > 1)
        gains = {key: round(ours[key] / theirs[key] if "fps" in key else theirs[key] / ours[key], 2) for key in ours}
        row[words] = {"lossatlas": ours, "plotly": theirs, "times better": gains}
        print(n, words, json.dumps(row[words]), flush=True)
    return row


def claims(results: dict[str, Any]) -> dict[str, bool]:
    """Which of the figures to reach were reached."""
    held = {"heap growth over 200 loops below 5 MB": results["heap growth over 200 loops, MB"] < 5}
    for n in (key for key in results if key.isdigit()):
        gains = {words: row["times better"] for words, row in results[n].items()}
        held |= {f"{n} {words}: {key} at least 4 times": g[key] >= 4 for words, g in gains.items() for key in g if "fps" in key}
        held[f"{n}: first frame sooner"] = gains["still"]["first frame s"] > 1
    if "200" in results:
        held["200: 10 frames a second while rotating"] = results["200"]["still"]["lossatlas"]["rotate fps"] >= 10
        held["200 x 60 frames: a quarter of the size"] = results["200"]["animated"]["times better"]["megabytes"] >= 4
    if "51" in results:
        held["51: a fifth of the size"] = results["51"]["still"]["times better"]["megabytes"] >= 5
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[51, 200, 512])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    results: dict[str, Any] = {"machine": platform.machine(), "webgl": "software (SwiftShader)"}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for n in options.sizes:
            results[str(n)] = compare(browser, Path(scratch), n, options.seconds)
        results["heap growth over 200 loops, MB"] = growth(browser, Path(scratch))
        browser.close()
    results["claims"] = claims(results)
    print(json.dumps({key: value for key, value in results.items() if not key.isdigit()}))
    options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
