"""The live page under damaged requests and frames: it goes on answering, keeps its limits, and no handler of it fails."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import random
import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("starlette")

from fuzz.fuzzing import TEXTS, damaged, mutated_json, run_cases
from lossatlas import schema
from lossatlas.archive import open_archive
from lossatlas.viz.web.run_control import MOST_REGIONS, RunControl
from lossatlas.viz.web.server import MOST_CLIENTS, LiveServer

pytestmark = pytest.mark.slow

NA, NB = 4, 5
WISHES = ('{"do": "pause"}', '{"do": "resume"}', '{"do": "stop"}', '{"do": "refine", "alpha": [-0.5, 0.5], "beta": [0, 0.25]}')


@pytest.fixture
def server() -> Iterator[LiveServer]:
    archive = open_archive(None, "a")
    axes = {"alpha": np.linspace(-1, 1, NA), "beta": np.linspace(-1, 1, NB)}
    archive.create_surface("s", axes, [schema.variable("loss")], {"kind": "surface"})
    archive.write_cells("s", np.arange(7), {"loss": np.arange(7.0)})
    with LiveServer(archive, interval=0.05, steering=RunControl()) as running:
        yield running


def request(server: LiveServer, dice: random.Random) -> bytes:
    """A request as a page would send it, its wish perhaps mutated."""
    own = f"127.0.0.1:{server.port}"
    head = f"Host: {own}\r\nOrigin: http://{own}\r\n"
    path = f"?token={server.token}" if dice.random() < 0.9 else f"?token={dice.choice(TEXTS[:12])!r}"
    kind = dice.randrange(4)
    if kind == 0:
        return f"GET /{dice.choice(['', 'events', 'nothing'])}{path} HTTP/1.1\r\n{head}\r\n".encode()
    if kind == 1:
        body = mutated_json(dice.choice(WISHES), dice)
        length = dice.choice([len(body), len(body), 0, 10**12, -1])
        return f"POST /ask{path} HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n".encode() + body
    key = base64.b64encode(dice.randbytes(16)).decode()
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    frames = b"".join(frame(mutated_json(dice.choice(WISHES), dice), dice) for _ in range(dice.randrange(4)))
    return f"GET /live{path} HTTP/1.1\r\n{head}{upgrade}\r\n".encode() + frames


def frame(payload: bytes, dice: random.Random) -> bytes:
    """One masked WebSocket frame, with any opcode and claim of length."""
    opcode = dice.choice([0x81, 0x81, 0x81, 0x01, 0x82, 0x80, 0x88, 0x89, 0x8A, 0xF1])
    claim = dice.choice([len(payload), len(payload), len(payload), 2**40])
    length = (
        bytes([0x80 | claim])
        if claim < 126
        else b"\xfe" + struct.pack(">H", claim)
        if claim < 2**16
        else b"\xff" + struct.pack(">Q", claim)
    )
    mask = dice.randbytes(4)
    return bytes([opcode]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def test_damaged_requests_stop_nothing(server: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    assert server.steering is not None
    steering = server.steering

    def case(dice: random.Random) -> None:
        sent = request(server, dice)
        sent = damaged(sent, dice) if dice.random() < 0.4 else sent
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection, contextlib.suppress(OSError):
            connection.sendall(sent)
            connection.settimeout(0.02)
            connection.recv(4096)
        assert len(steering.regions) <= MOST_REGIONS and len(server._clients) <= MOST_CLIENTS
        steering.regions.clear()

    threads = threading.active_count()
    run_cases("server", case)
    with urllib.request.urlopen(server.url, timeout=30) as page:
        assert page.status == 200
    assert server._thread.is_alive() and threading.active_count() <= threads + 2 * (os.cpu_count() or 1) + 8
    faults = [record for record in caplog.records if "Exception in ASGI" in record.getMessage() or record.name == "asyncio"]
    assert not faults, faults[0].exc_text or faults[0].getMessage()
