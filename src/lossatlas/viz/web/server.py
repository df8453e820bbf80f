"""Server of a live page that follows archives while they are computed.

It listens on the loopback address only, answers only to its names (`request_guard`), asks for a random token, and refuses
sockets from other origins. The full state is sent first, also after a lost connection; then patches as cells finish. Pages
talk over a WebSocket; where a proxy lets none through, they listen to server-sent events and post their wishes. A client that
takes nothing any more is dropped (`clients`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lossatlas._util.argument_checks import check_integer, check_number
from lossatlas.archive import Archive, as_archive
from lossatlas.errors import InputError, LossatlasError, MissingDependencyError
from lossatlas.viz.web.archive_feed import ArchiveFeed
from lossatlas.viz.web.bundle import script
from lossatlas.viz.web.clients import Client, Update, events, send_over_socket
from lossatlas.viz.web.request_guard import MOST_BYTES, Guard, is_own_origin, parse_wish, read_body
from lossatlas.viz.web.run_control import RunControl

Archives = Archive | str | os.PathLike[str] | Sequence[Archive | str | os.PathLike[str]]

MOST_CLIENTS = 32
MOST_CONNECTIONS = 128
"""With those of the page itself, and those that never ask for anything."""
SEND_SECONDS = 30.0
"""A client that takes longer over one update is gone or hostile: a slow tunnel moves 30 MB in that time."""


def serve(
    archives: Archives,
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = True,
    view: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> None:
    """Serve a live page of `archives` until Ctrl-C.

    Args:
        archives: one archive or its path, or several to be compared.
        host: a loopback address; anything else is refused.
        port: 0 takes a free one.
        open_browser: open the page.
        view: the state to open with, which the printed address carries.
        title: heading of the page; None takes that of the archives.

    Raises:
        InputError: a host that is not this machine.
        ArchiveError: no archive at that path.
        MissingDependencyError: the extra `app` is not installed.
    """
    with LiveServer(archives, host=host, port=port, title=title) as server:
        address = server.url + (f"#v={quote(json.dumps(dict(view)))}" if view else "")
        print(f"Live at {address}  (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.wait()


class LiveServer:
    """A live page served from a thread of its own: ``with LiveServer(archive) as server: print(server.url)``.

    `notify` looks at the archives at once, so an evaluation in the same process can call it after each tile. With
    `steering` pages offer to pause, resume and stop that evaluation, and to look closer at a region.
    """

    def __init__(
        self,
        archives: Archives,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        interval: float = 0.5,
        steering: RunControl | None = None,
        send_seconds: float = SEND_SECONDS,
        title: str | None = None,
    ) -> None:
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise InputError("host", host, "a loopback address such as 127.0.0.1", "Reach a remote machine through an SSH tunnel")
        check_integer("port", port, 0, 65535)
        check_number("interval", interval, above=0)
        self.token = secrets.token_urlsafe(16)
        self.feed = ArchiveFeed([_opened(archive) for archive in _listed(archives)], title)
        self._socket = _bind(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self.steering = steering
        self._interval, self._send_seconds = interval, send_seconds
        self._clients: set[Client] = set()
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Any = None
        self._thread = threading.Thread(target=self._run, name="lossatlas-live", daemon=True)
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?token={self.token}"

    def start(self) -> LiveServer:
        _require_app_extra()
        self._thread.start()
        self._ready.wait(20)
        return self

    def stop(self) -> None:
        if self._server is not None and self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError, TimeoutError):  # the server may have ended by itself
                asyncio.run_coroutine_threadsafe(self._close_clients(), self._loop).result(2)
            self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        self._socket.close()

    def wait(self) -> None:
        """Block while the server runs; wakes often enough for Ctrl-C on every system."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def notify(self) -> None:
        """Something has been written: look now. Safe from any thread, and cheap."""
        if self._loop is not None and self._wake is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def __enter__(self) -> LiveServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- inside ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            self.app(),
            log_level="error",
            ws="websockets-sansio",
            ws_max_size=MOST_BYTES,
            limit_concurrency=MOST_CONNECTIONS,
            server_header=False,
            proxy_headers=False,  # a client could give any address as its own
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def app(self) -> Any:
        """The ASGI application."""
        from starlette.applications import Starlette
        from starlette.routing import Route, WebSocketRoute

        routes = [
            Route("/", self._page),
            WebSocketRoute("/live", self._live),
            Route("/events", self._events),
            Route("/ask", self._asked, methods=["POST"]),
        ]
        return Guard(Starlette(routes=routes, lifespan=self._lifespan))

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        watching = asyncio.create_task(self._watch())
        self._ready.set()
        yield
        watching.cancel()

    async def _page(self, request: Any) -> Any:
        from starlette.responses import HTMLResponse, PlainTextResponse

        if not self._token_ok(request):
            return PlainTextResponse("This page needs the token that `lossatlas view` printed with its address.", status_code=403)
        return HTMLResponse(_PAGE % script())

    async def _live(self, page: Any) -> None:
        if not self._origin_ok(page):
            await page.close(code=4403)
            return
        if len(self._clients) >= MOST_CLIENTS:
            await page.close(code=1013)
            return
        try:
            await page.accept()
        except (RuntimeError, OSError):  # gone in the middle of its greeting
            return
        client = self._greeted(page)
        sending = asyncio.create_task(send_over_socket(client, page))
        try:
            while (message := await page.receive())["type"] != "websocket.disconnect":
                self._take(message.get("text") or "")
        finally:
            self._clients.discard(client)
            sending.cancel()

    async def _events(self, request: Any) -> Any:
        """The same messages one way, for pages whose WebSocket does not come through."""
        from starlette.responses import PlainTextResponse, StreamingResponse

        same_site = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        if not self._token_ok(request) or not same_site or ("origin" in request.headers and not is_own_origin(request.headers)):
            return PlainTextResponse("", status_code=403)
        if len(self._clients) >= MOST_CLIENTS:
            return PlainTextResponse("", status_code=503)

        async def stream() -> AsyncIterator[str]:
            client = self._greeted(request)
            try:
                async for message in events(client):
                    yield message
            finally:
                self._clients.discard(client)

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _asked(self, request: Any) -> Any:
        from starlette.responses import PlainTextResponse

        if not self._origin_ok(request):
            return PlainTextResponse("", status_code=403)
        body = await read_body(request)
        if body is None:
            return PlainTextResponse("", status_code=413)
        return PlainTextResponse("", status_code=204 if self._take(body) else 400)

    def _take(self, text: str | bytes) -> bool:
        """A page's wish; one that makes no sense changes nothing."""
        if self.steering is None:
            return False
        try:
            self.steering.request(parse_wish(text))
        except (ValueError, LossatlasError):
            return False
        self.notify()
        return True

    def _greeted(self, request: Any) -> Client:
        """A client that gets the full state first, and patches from then on."""
        client = Client(request.client, self.feed.full_state)
        client.offer(Update(self.feed.full_state(), (), self._progress(*self.feed.progress())))
        self._clients.add(client)
        return client

    async def _close_clients(self) -> None:
        message = {"type": "end", "words": "The evaluation has ended, and with it this live page."}
        for client in self._clients:
            client.offer(Update(None, (), message, last=True))
        for _ in range(20):
            if not self._clients:
                return
            await asyncio.sleep(0.05)
        for client in tuple(self._clients):
            self._drop(client)

    def _drop(self, client: Client) -> None:
        """Cut a client's connection without waiting for it to read what is on the way."""
        self._clients.discard(client)
        for connection in tuple(self._server.server_state.connections):
            if client.address is not None and connection.client == tuple(client.address):
                connection.transport.abort()

    def _progress(self, text: str, finished: bool) -> dict[str, Any]:
        steering = None if self.steering is None else self.steering.describe()
        return {"type": "progress", "words": text, "finished": finished, "notes": self.feed.notes(), "steering": steering}

    def _token_ok(self, request: Any) -> bool:
        return secrets.compare_digest(request.query_params.get("token", "").encode("utf-8", "replace"), self.token.encode())

    def _origin_ok(self, request: Any) -> bool:
        return self._token_ok(request) and is_own_origin(request.headers)

    async def _watch(self) -> None:
        """Look, tell every client, drop those that take nothing, wait for the next look."""
        assert self._wake is not None
        while True:
            update = await self._looked()
            for client in tuple(self._clients):
                if client.lags(self._send_seconds):
                    self._drop(client)
                else:
                    client.offer(update)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval)
            self._wake.clear()

    async def _looked(self) -> Update:
        try:
            change = await asyncio.to_thread(self.feed.poll)
            return Update(change.payload, change.patches, self._progress(change.words, change.finished))
        except Exception as error:
            # An archive may be looked at in the middle of a write, or be damaged: the next look may find it whole, and a page
            # that no longer looks would stand still without a word.
            return Update(None, (), self._progress(f"The archive cannot be read just now ({type(error).__name__})", False))


def _listed(archives: Archives) -> list[Archive | str | os.PathLike[str]]:
    return [archives] if isinstance(archives, Archive | str | os.PathLike) else list(archives)


def _opened(archive: Archive | str | os.PathLike[str]) -> Archive:
    return as_archive(archive, "r")


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(64)  # a page that comes before the server has started waits instead of being refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError("port", port, "a free port, or 0 to choose one") from error
    return listening


def _require_app_extra() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("The live page", "app") from error


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><title>Lossatlas, live</title>
<style>html, body { margin: 0; height: 100%%; background: Canvas; } #lossatlas { position: fixed; inset: 0; }</style></head>
<body><div id="lossatlas"></div><script>%s</script>
<script>lossatlas.default.live(document.getElementById("lossatlas"));</script></body></html>
"""
