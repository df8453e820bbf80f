"""The live page among strangers: names and origins are checked, requests bounded, and a client that never reads stops nobody."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from lossatlas import schema
from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError
from lossatlas.viz.web.archive_feed import ArchiveUpdate
from lossatlas.viz.web.clients import MOST_WAITING, Client, Update
from lossatlas.viz.web.payload import Payload
from lossatlas.viz.web.request_guard import MOST_BYTES, parse_wish
from lossatlas.viz.web.run_control import MOST_REGIONS, RunControl
from lossatlas.viz.web.server import LiveServer

NA, NB = 4, 5
BIG = 24 * 2**20
"""More than the kernel keeps for one connection, so that a client that never reads blocks its sender."""


@pytest.fixture
def archive() -> Archive:
    made = open_archive(None, "a")
    axes = {"alpha": np.linspace(-1, 1, NA), "beta": np.linspace(-1, 1, NB)}
    made.create_surface("s", axes, [schema.variable("loss")], {"kind": "surface"})
    made.write_cells("s", np.arange(7), {"loss": np.arange(7.0)})
    return made


@pytest.fixture
def server(archive: Archive) -> Iterator[LiveServer]:
    with LiveServer(archive, interval=0.05, steering=RunControl()) as running:
        yield running


def ask(server: LiveServer, method: str, path: str, body: bytes = b"", **headers: str | None) -> tuple[int, http.client.HTTPMessage]:
    """One request; a header given as None is left out."""
    own = f"127.0.0.1:{server.port}"
    given = {"Host": own, "Origin": f"http://{own}", "Content-Length": str(len(body)), **headers}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest(method, f"{path}?token={server.token}", skip_host=True)
    for name, value in given.items():
        if value is not None:
            connection.putheader(name, value)
    with contextlib.closing(connection):
        connection.endheaders(body)
        with connection.getresponse() as answer:
            return answer.status, answer.headers


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "127.0.0.2", "[::1]evil", "", None])
def test_only_names_of_this_machine_are_answered(server: LiveServer, host: str | None) -> None:
    assert ask(server, "GET", "/", Host=host)[0] in (400, 421)
    assert ask(server, "POST", "/ask", b'{"do": "pause"}', Host=host, Origin=f"http://{host}")[0] in (400, 421)
    assert server.steering is not None and server.steering.state == "running"


@pytest.mark.parametrize("host", ["localhost:{}", "127.0.0.1:{}", "LOCALHOST:{}", "[::1]:{}", "localhost:8888"])
def test_every_name_of_this_machine_is_answered(server: LiveServer, host: str) -> None:
    assert ask(server, "GET", "/", Host=host.format(server.port))[0] == 200


@pytest.mark.parametrize(
    "origin", ["https://127.0.0.1:{}", "evil://http://127.0.0.1:{}", "x://127.0.0.1:{}", "127.0.0.1:{}", "null", "", None]
)
def test_origins_are_compared_to_the_letter(server: LiveServer, origin: str | None) -> None:
    sent = None if origin is None else origin.format(server.port)
    assert ask(server, "POST", "/ask", b'{"do": "pause"}', Origin=sent)[0] == 403
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{server.port}/live?token={server.token}", origin=sent)  # type: ignore[arg-type]
    assert server.steering is not None and server.steering.state == "running"


def test_every_answer_forbids_frames_and_guessed_types(server: LiveServer) -> None:
    for method, path in (("GET", "/"), ("GET", "/nothing"), ("POST", "/ask"), ("DELETE", "/ask")):
        headers = ask(server, method, path)[1]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


WISHES: list[tuple[bytes, int]] = [
    (b'{"do": "resume"}', 204),
    (b"x" * (MOST_BYTES + 1), 413),
    (b"[" * 2000, 400),
    (b'{"do":' * 500, 400),
    (b'{"do": "refine", "alpha": [0, 1' + b"0" * 400 + b'], "beta": [0, 1]}', 400),
    (b'{"do": "refine", "alpha": "12", "beta": [0, 1]}', 400),
    (b'{"do": "refine", "alpha": [NaN, 1], "beta": [0, Infinity]}', 400),
    (b'{"do": ["stop"]}', 400),
    (b"null", 400),
    (b'"stop"', 400),
    (b"\xff\xfe", 400),
    (b'{"do": "\\ud800"}', 400),
]


@pytest.mark.parametrize(("body", "status"), WISHES)
def test_wishes_are_bounded(server: LiveServer, body: bytes, status: int) -> None:
    assert ask(server, "POST", "/ask", body)[0] == status
    assert server.steering is not None and server.steering.describe() == {"state": "running", "refine": True, "waiting": 0}


def test_frames_are_bounded_and_nonsense_ends_nothing(server: LiveServer) -> None:
    address, origin = f"ws://127.0.0.1:{server.port}/live?token={server.token}", f"http://127.0.0.1:{server.port}"
    with connect(address, origin=origin) as page:  # type: ignore[arg-type]
        for sent in ("[" * 1000, b"\x00\xff", "null", json.dumps({"do": "pause"})):
            page.send(sent)
        until(lambda: server.steering is not None and server.steering.state == "paused")
    with connect(address, origin=origin, max_size=None) as page:  # type: ignore[arg-type]
        page.send("x" * (MOST_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            while True:
                page.recv(timeout=20)
    assert ask(server, "GET", "/")[0] == 200


def test_closer_looks_wait_in_a_bounded_queue() -> None:
    steering = RunControl()
    for _ in range(MOST_REGIONS):
        steering.request({"do": "refine", "alpha": [0, 1], "beta": [0, 1]})
    with pytest.raises(InputError, match="closer looks that wait"):
        steering.request({"do": "refine", "alpha": [0, 1], "beta": [0, 1]})
    assert len(steering.regions) == MOST_REGIONS


def test_a_wish_is_an_object() -> None:
    assert parse_wish('{"do": "stop"}') == {"do": "stop"}
    for text in ("[]", "1", "", "{" * 3):
        with pytest.raises(ValueError, match=r"object|Expecting"):
            parse_wish(text)


class BigFeed:
    """In place of archives: a full state of incompressible bytes, and news at every look."""

    def __init__(self) -> None:
        self.big = Payload({}, np.random.default_rng(0).bytes(BIG))
        self.count = 0

    def poll(self) -> ArchiveUpdate:
        self.count += 1
        return ArchiveUpdate(self.big, (), f"look {self.count}", False)

    def full_state(self) -> Payload:
        return self.big

    def progress(self) -> tuple[str, bool]:
        return "", False

    def notes(self) -> list[Any]:
        return []


@pytest.mark.slow
def test_a_client_that_never_reads_is_dropped_and_stops_nobody(archive: Archive) -> None:
    server = LiveServer(archive, interval=0.05, send_seconds=0.3)
    server.feed = feed = BigFeed()  # type: ignore[assignment]
    with server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
        own = f"127.0.0.1:{server.port}"
        upgrade = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        )
        for connection, path, more in zip(silent, ("/events", "/live"), ("", upgrade), strict=True):
            connection.sendall(f"GET {path}?token={server.token} HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\n{more}\r\n".encode())
        until(lambda: len(server._clients) == 2)
        until(lambda: not server._clients)
        before = feed.count
        until(lambda: feed.count > before + 1)
        until(lambda: len(server._server.server_state.connections) == 0)
        assert ask(server, "GET", "/")[0] == 200
        for connection in silent:
            connection.close()


def test_a_slow_client_gets_the_full_state_in_place_of_what_it_missed() -> None:
    import asyncio

    whole = Payload({"full": True}, b"")

    async def follow() -> list[Update]:
        client = Client(("::1", 1), lambda: whole)
        for k in range(3 * MOST_WAITING):
            client.offer(Update(None, (b"patch",), {"k": k}, last=k == 3 * MOST_WAITING - 1))
        return [update async for update in client.updates()]

    found = asyncio.run(follow())
    assert len(found) <= MOST_WAITING and found[0].payload is whole and found[0].patches == ()
    assert found[-1].last and [update.message["k"] for update in found] == list(range(3 * MOST_WAITING - len(found), 3 * MOST_WAITING))
