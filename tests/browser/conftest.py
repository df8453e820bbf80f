"""A real browser for the viewer's tests: the system's Chromium with software WebGL, a fresh profile a test."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--enable-precise-memory-info")
HARMLESS = ("GPU stall", "Automatic fallback to software WebGL", "GL Driver Message")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in Path(str(item.fspath)).parts:
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    """Path of Chromium; without one the test is skipped with a reason, but fails where CI must not skip."""
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (path := shutil.which(name))), None)
    if found:
        return found
    reason = "no Chromium on PATH; install one (Debian: apt-get install chromium) to run the browser tests"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Any]]:
    """Starts Chromium with given flags; every browser is closed at the end."""
    sync_api = importlib.import_module("playwright.sync_api") if os.environ.get("CI") else pytest.importorskip("playwright.sync_api")
    executable = chromium()
    with sync_api.sync_playwright() as playwright:
        started: list[Any] = []

        def start(*flags: str) -> Any:
            started.append(playwright.chromium.launch(executable_path=executable, args=list(flags or GL)))
            return started[-1]

        yield start
        for running in started:
            running.close()


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Any]) -> Any:
    return launch()


class Visit:
    """One page with what went wrong on it: console errors, exceptions, and requests beyond the page itself."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(words in message.text for words in HARMLESS):
            self.problems.append(f"{message.type}: {message.text}")

    def open(self, file: Path, query: str = "") -> Visit:
        self.page.goto(f"{file.as_uri()}{query}")
        self.page.wait_for_function("document.documentElement.className === 'ready'", timeout=60_000)
        return self.settle()

    def settle(self) -> Visit:
        """Until nothing has been drawn for a while."""
        self.page.wait_for_function(
            """() => { const v = document.getElementById('lossatlas')?.viewer; if (!v) return true;
            const now = performance.now(); if (window.__drawn !== v.drawnFrames) { window.__drawn = v.drawnFrames; window.__since = now; }
            // a busy machine may pause for longer in between
            const flying = v.animator.flight || v.animator.inertia || v.animator.morphTransition;
            return !flying && v.drawnFrames > 0 && now - window.__since > 350 || v.session.surfaces === 0; }""",
            timeout=60_000,
        )
        return self

    def state(self, key: str) -> Any:
        return self.page.evaluate(f"document.getElementById('lossatlas').viewer.state.{key}")

    def evaluate(self, body: str, argument: Any = None) -> Any:
        """Run `body` with the viewer as `v` and `argument` as `x`."""
        return self.page.evaluate(f"(x) => {{ const v = document.getElementById('lossatlas').viewer; {body} }}", argument)

    def text(self, selector: str) -> str:
        return self.page.evaluate(
            "(s) => [...document.getElementById('lossatlas').shadowRoot.querySelectorAll(s)].map(e => e.textContent).join(' ')", selector
        )

    def picture(self) -> Any:
        import io

        import numpy as np
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"), float)


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    contexts = []

    def make(width: int = 900, height: int = 640, **options: Any) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        return Visit(context.new_page())

    yield make
    for context in contexts:
        context.close()
