"""The live page: it fills while an archive is written, survives a lost connection, and lets nobody else in."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lossatlas import schema
from lossatlas.archive import Archive, open_archive
from lossatlas.viz.web.run_control import RunControl
from lossatlas.viz.web.server import LiveServer

from .conftest import Visit
from .scenes import bowl

Visits = Callable[..., Visit]
NA, NB = 9, 12


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = open_archive(tmp_path / "live.zarr", "a")
    axes = {"alpha": np.linspace(-1, 1, NA), "beta": np.linspace(-1, 1, NB)}
    made.create_surface("s", axes, [schema.variable("loss")], {"kind": "surface", "title": "Growing"})
    return made


@pytest.fixture
def server(archive: Archive) -> Iterator[LiveServer]:
    with LiveServer(archive, interval=0.1) as running:
        yield running


def write(archive: Archive, cells: np.ndarray) -> None:
    archive.write_cells("s", cells, {"loss": bowl(NA, NB).reshape(-1)[cells]})


def known(page: Visit) -> int:
    return page.evaluate(
        "const s = v && v.session.sceneModel.surfaces[0]; "
        "return s ? (s.doneMask ? s.doneMask.reduce((a, b) => a + b, 0) : s.na * s.nb) : -1"
    )


def until(page: Visit, condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        page.page.wait_for_timeout(100)
    assert condition()


def opened(visit: Visits, server: LiveServer) -> Visit:
    page = visit(bypass_csp=True)  # the driver itself evaluates strings
    page.page.add_init_script(
        "window.sockets = []; const W = WebSocket; window.WebSocket = function (a) { const s = new W(a); sockets.push(s); return s; };"
    )
    page.page.goto(server.url)
    page.page.wait_for_function("document.getElementById('lossatlas').viewer")
    return page


def test_the_page_fills_as_cells_finish(visit: Visits, archive: Archive, server: LiveServer) -> None:
    page = opened(visit, server)
    until(page, lambda: "Nothing has been computed" in page.text(".message"))
    order = np.random.default_rng(0).permutation(NA * NB)
    write(archive, order[:40])
    server.notify()
    until(page, lambda: known(page) == 40)
    assert "37 %" in page.text(".progress") and "% of cells computed, others empty" in page.text(".foot")
    page.page.keyboard.press("l")
    write(archive, order[40:])
    until(page, lambda: known(page) == NA * NB)
    until(page, lambda: page.text(".progress") == "")
    assert "cells computed" not in page.text(".foot"), "nothing is said of a whole surface"
    values = page.evaluate("return Array.from(v.session.sceneModel.surfaces[0].frameValues('loss', 0))")
    np.testing.assert_allclose(np.reshape(values, (NA, NB)), bowl(NA, NB), rtol=1e-6)
    assert page.state("log") is True
    assert page.problems == []


def test_a_dropped_connection_starts_again_with_the_full_state(visit: Visits, archive: Archive, server: LiveServer) -> None:
    cells = np.arange(NA * NB)
    write(archive, cells[:20])
    page = opened(visit, server)
    until(page, lambda: known(page) == 20)
    page.page.evaluate("sockets.at(-1).close()")
    write(archive, cells[20:60])
    until(page, lambda: known(page) == 60)
    assert page.page.evaluate("sockets.length") >= 2
    write(archive, cells[60:])
    until(page, lambda: known(page) == NA * NB)


def test_buttons_pause_resume_stop_and_look_closer(visit: Visits, archive: Archive) -> None:
    steering = RunControl()
    write(archive, np.arange(40))
    with LiveServer(archive, interval=0.1, steering=steering) as server:
        page = opened(visit, server)
        press = lambda label: page.page.get_by_role("button", name=label).click()  # noqa: E731
        press("Let the evaluation wait")
        until(page, lambda: steering.state == "paused" and "paused" in page.text(".progress"))
        press("Let the evaluation go on")
        until(page, lambda: steering.state == "running")
        press("Draw a rectangle")
        rect = page.evaluate("return v.session.views().find(w => w.kind === 'map').rect")
        at = lambda a, b: (rect["x"] + rect["width"] * (a + 1) / 2, rect["y"] + rect["height"] * (1 - b) / 2)  # noqa: E731
        page.page.mouse.move(*at(-0.5, -0.25))
        page.page.mouse.down()
        page.page.mouse.move(*at(0, 0.2), steps=4)
        page.page.mouse.move(*at(0.25, 0.75), steps=4)
        page.page.mouse.up()
        until(page, lambda: len(steering.regions) == 1)
        np.testing.assert_allclose(steering.regions[0], ((-0.5, 0.25), (-0.25, 0.75)), atol=0.02)
        press("Stop the evaluation")
        until(page, lambda: steering.state == "stopping")
        assert page.problems == []
    until(page, lambda: "has ended" in page.text(".progress"))


def test_where_no_websocket_comes_through_events_do(visit: Visits, archive: Archive) -> None:
    steering = RunControl()
    write(archive, np.arange(20))
    with LiveServer(archive, interval=0.1, steering=steering) as server:
        page = visit(bypass_csp=True)
        page.page.add_init_script(
            "window.WebSocket = class { static OPEN = 1; constructor() { setTimeout(() => this.onclose({ code: 1006 }), 5); } };"
        )
        page.page.goto(server.url)
        page.page.wait_for_function("document.getElementById('lossatlas').viewer")
        assert known(page) == 20
        write(archive, np.arange(NA * NB - 1))
        until(page, lambda: known(page) == NA * NB - 1)
        values = page.evaluate("return Array.from(v.session.sceneModel.surfaces[0].frameValues('loss', 0))")
        np.testing.assert_allclose(values[:-1], bowl(NA, NB).reshape(-1)[:-1], rtol=1e-6)
        page.page.get_by_role("button", name="Let the evaluation wait").click()
        until(page, lambda: steering.state == "paused")


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://elsewhere.example"}])
def test_wishes_need_token_and_origin(archive: Archive, headers: dict[str, str]) -> None:
    steering = RunControl()
    with LiveServer(archive, steering=steering) as server:
        for token in (server.token, "guess"):
            address = f"http://127.0.0.1:{server.port}/ask?token={token}"
            request = urllib.request.Request(address, b'{"do": "stop"}', headers, method="POST")
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            assert refused.value.code == 403
            refused.value.close()
    assert steering.state == "running"


def test_a_stranger_gets_nothing(archive: Archive, server: LiveServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/?token=guess")
    assert refused.value.code == 403
    refused.value.close()


@pytest.mark.parametrize(("token", "origin"), [("guess", None), (None, "http://elsewhere.example"), (None, "")])
def test_sockets_need_token_and_origin(archive: Archive, server: LiveServer, token: str | None, origin: str | None) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    address = f"ws://127.0.0.1:{server.port}/live?token={token or server.token}"
    own = f"http://127.0.0.1:{server.port}"
    with pytest.raises(InvalidStatus, match="403"), connect(address, origin=own if origin is None else origin or None):  # pyright: ignore[reportArgumentType]
        pass
