"""Checks of requests to the live page: host, origin, sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE | re.ASCII)

MOST_BYTES = 4096
"""Of a request, posted or in a WebSocket frame; the longest that a page sends has some 150."""
MOST_BRACKETS = 8
"""Of a request's JSON, which nests two deep: a deeper one would exhaust the parser's stack."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI application that refuses what was not addressed to this machine, and adds `HEADERS` to every answer.

    A name that resolves to the loopback address is not enough: a web page can make its own name do that (DNS rebinding).
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() not in dict(extra)]
                message = {**message, "headers": [*headers, *extra]}
            await send(message)

        if scope["type"] == "lifespan" or is_loopback(_hosts(scope)):
            await self.app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403})
        else:
            message = b"This page answers only to localhost; reach another machine's through an SSH tunnel."
            await send_with_headers({"type": "http.response.start", "status": 421, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": message})


def is_loopback(hosts: list[str]) -> bool:
    """Is there one `Host` header, and does it name the loopback interface, on any port (a tunnel has its own)?

    >>> is_loopback(["localhost:8000"]), is_loopback(["[::1]"]), is_loopback(["127.0.0.1.example:80"]), is_loopback([])
    (True, True, False, False)
    """
    return len(hosts) == 1 and _LOOPBACK.fullmatch(hosts[0]) is not None


def is_own_origin(headers: Mapping[str, str]) -> bool:
    """Does the request come from a page of this very server: ``http://`` and the `Host` it was sent to, to the letter?

    >>> is_own_origin({"host": "localhost:1", "origin": "http://localhost:1"}), is_own_origin({"host": "a", "origin": "x://http://a"})
    (True, False)
    """
    return headers.get("origin") == f"http://{headers.get('host')}"


def parse_wish(text: str | bytes) -> dict[str, Any]:
    """The JSON object in a request.

    Raises:
        ValueError: too long, too deep, no JSON, or no object.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    if decoded.count("[") + decoded.count("{") > MOST_BRACKETS:
        raise ValueError(f"more than {MOST_BRACKETS} brackets")
    request = json.loads(decoded)
    if not isinstance(request, dict):
        raise ValueError(f"a {type(request).__name__} instead of an object")
    return request


async def read_body(request: Any) -> bytes | None:
    """The body of a request, or None where it is longer than `MOST_BYTES` or breaks off; no more than that is kept."""
    from starlette.requests import ClientDisconnect

    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    return body


def _hosts(scope: Any) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
