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
from lossatlas.archive import Archive, create_archive
from lossatlas.view.server import LiveServer

from .conftest import Visit
from .scenes import bowl

Visits = Callable[..., Visit]
NA, NB = 9, 12


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = create_archive(tmp_path / "live.zarr")
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
        "const s = v && v.session.landscape.surfaces[0]; return s ? (s.known ? s.known.reduce((a, b) => a + b, 0) : s.na * s.nb) : -1"
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
    assert "37 %" in page.text(".progress")
    page.page.keyboard.press("l")
    write(archive, order[40:])
    until(page, lambda: known(page) == NA * NB)
    until(page, lambda: page.text(".progress") == "")
    values = page.evaluate("return Array.from(v.session.landscape.surfaces[0].raw('loss', 0))")
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
