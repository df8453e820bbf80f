"""Clients of the live page: a bounded queue for each."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from lossatlas.viz.web.payload import Payload

MOST_WAITING = 16
"""Updates that wait for a slow client; beyond it they give way to one full state."""


@dataclass(frozen=True)
class Update:
    """A full state or patches, then progress; nothing follows the last one."""

    payload: Payload | None
    patches: tuple[bytes, ...]
    message: dict[str, Any]
    last: bool = False


class Client:
    """Somebody who follows a live page. All methods belong to the thread of the event loop.

    Attributes:
        address: host and port of the other end, by which its connection is found.
        sending_since: when the update being sent was taken from the queue, in seconds of `time.monotonic`; None between updates.
    """

    def __init__(self, address: Any, whole: Callable[[], Payload | None]) -> None:
        self.address = address
        self.sending_since: float | None = None
        self._whole = whole
        self._queue: deque[Update] = deque()
        self._behind = False
        self._news = asyncio.Event()

    def offer(self, update: Update) -> None:
        """Queue an update; a full queue is emptied, and the full state sent in its place."""
        if len(self._queue) >= MOST_WAITING:
            self._queue.clear()
            self._behind = True
        self._queue.append(update)
        self._news.set()

    def lags(self, seconds: float) -> bool:
        """Has one update been under way for longer than `seconds`?"""
        return self.sending_since is not None and time.monotonic() - self.sending_since > seconds

    async def updates(self) -> AsyncIterator[Update]:
        """Updates in order, each as soon as the one before was sent."""
        last = False
        while not last:
            while not self._queue:
                self._news.clear()
                await self._news.wait()
            update = self._queue.popleft()
            if self._behind:
                self._behind, update = False, Update(self._whole(), (), update.message, update.last)
            last = update.last
            self.sending_since = time.monotonic()
            yield update
            self.sending_since = None


async def send_over_socket(client: Client, socket: Any) -> None:
    """Send a client's updates over its WebSocket until the last one, or until it goes away."""
    from starlette.websockets import WebSocketDisconnect

    with contextlib.suppress(RuntimeError, OSError, WebSocketDisconnect):
        async for update in client.updates():
            if update.payload is not None:
                await socket.send_text(json.dumps({"type": "scene", "header": update.payload.header}))
                await socket.send_bytes(update.payload.blob)
            for patch in update.patches:
                await socket.send_bytes(patch)
            await socket.send_text(json.dumps(update.message))
        await socket.close()


async def events(client: Client) -> AsyncIterator[str]:
    """A client's updates as server-sent events; binary parts travel as base64, a third larger."""
    async for update in client.updates():
        if update.payload is not None:
            yield _event({"type": "scene", "header": update.payload.header, "parts": [_base64(update.payload.blob)]})
        if update.patches:
            yield _event({"type": "patches", "parts": [_base64(patch) for patch in update.patches]})
        yield _event(update.message)


def _event(message: dict[str, Any]) -> str:
    return f"data: {json.dumps(message)}\n\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
