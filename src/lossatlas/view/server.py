"""A page on this machine that follows archives while they are computed.

It listens on the loopback address only, asks for a random token, and refuses sockets from other origins. The full
state is sent first, also after a lost connection; then patches as cells finish. Pages talk over a WebSocket; where a
proxy lets none through, they listen to server-sent events and post their wishes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError, LossatlasError, MissingDependencyError
from lossatlas.view.bundle import script
from lossatlas.view.feed import Feed
from lossatlas.view.payload import Payload
from lossatlas.view.steering import Steering

Archives = Archive | str | os.PathLike[str] | Sequence[Archive | str | os.PathLike[str]]


def serve(archives: Archives, host: str = "127.0.0.1", port: int = 0, open_browser: bool = True) -> None:
    """Serve a live page of `archives` until Ctrl-C.

    Args:
        archives: one archive or its path, or several to be compared.
        host: a loopback address; anything else is refused.
        port: 0 takes a free one.
        open_browser: open the page.

    Raises:
        InputError: a host that is not this machine.
        ArchiveError: no archive at that path.
        MissingDependencyError: the extra `app` is not installed.
    """
    with LiveServer(archives, host=host, port=port) as server:
        print(f"Live at {server.url}  (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            server.wait()


class LiveServer:
    """A live page served from a thread of its own: ``with LiveServer(archive) as server: print(server.url)``.

    `notify` looks at the archives at once, so an evaluation in the same process can call it after each tile. With
    `steering` pages offer to pause, resume and stop that evaluation, and to look closer at a region.
    """

    def __init__(
        self, archives: Archives, *, host: str = "127.0.0.1", port: int = 0, interval: float = 0.5, steering: Steering | None = None
    ) -> None:
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise InputError("host", host, "a loopback address such as 127.0.0.1", "Reach a remote machine through an SSH tunnel")
        self.token = secrets.token_urlsafe(16)
        self.feed = Feed([_opened(archive) for archive in _listed(archives)])
        self._socket = _bind(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self.steering = steering
        self._interval = interval
        self._pages: set[_Page] = set()
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
        _need_app_extra()
        self._thread.start()
        self._ready.wait(20)
        return self

    def stop(self) -> None:
        if self._server is not None and self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError, TimeoutError):  # the server may have ended by itself
                asyncio.run_coroutine_threadsafe(self._say_goodbye(), self._loop).result(2)
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

        config = uvicorn.Config(self.app(), log_level="error", ws="websockets-sansio", lifespan="on", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def app(self) -> Any:
        """The Starlette application."""
        from starlette.applications import Starlette
        from starlette.routing import Route, WebSocketRoute

        routes = [
            Route("/", self._page),
            WebSocketRoute("/live", self._live),
            Route("/events", self._events),
            Route("/ask", self._asked, methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        watching = asyncio.create_task(self._watch())
        self._ready.set()
        yield
        watching.cancel()

    async def _page(self, request: Any) -> Any:
        from starlette.responses import HTMLResponse, PlainTextResponse

        if not self._knows(request):
            return PlainTextResponse("This page needs the token that `lossatlas view` printed with its address.", status_code=403)
        return HTMLResponse(_PAGE % script(), headers=_HEADERS)

    async def _live(self, page: Any) -> None:
        from starlette.websockets import WebSocketDisconnect

        if not self._welcome(page):
            await page.close(code=4403)
            return
        await page.accept()
        follower = _SocketPage(page)
        await self._greet(follower)
        try:
            while True:
                self._take(await page.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            self._pages.discard(follower)

    async def _events(self, request: Any) -> Any:
        """The same messages one way, for pages whose WebSocket does not come through."""
        from starlette.responses import PlainTextResponse, StreamingResponse

        if not self._knows(request) or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("", status_code=403)
        follower = _EventPage()
        await self._greet(follower)

        async def stream() -> AsyncIterator[str]:
            try:
                while (message := await follower.queue.get()) is not None:
                    yield f"data: {message}\n\n"
            finally:
                self._pages.discard(follower)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _asked(self, request: Any) -> Any:
        from starlette.responses import PlainTextResponse

        if not self._welcome(request):
            return PlainTextResponse("", status_code=403)
        return PlainTextResponse("", status_code=204 if self._take((await request.body()).decode("utf-8", "replace")) else 400)

    def _take(self, text: str) -> bool:
        """A page's wish; one that makes no sense changes nothing."""
        if self.steering is None:
            return False
        try:
            self.steering.ask(json.loads(text))
        except (ValueError, AttributeError, LossatlasError):
            return False
        self.notify()
        return True

    async def _greet(self, page: _Page) -> None:
        """The full state first; patches from then on."""
        payload, (words, finished) = self.feed.whole(), self.feed.progress()
        await page.send(payload, (), self._progress(words, finished))
        self._pages.add(page)

    async def _say_goodbye(self) -> None:
        for page in tuple(self._pages):
            await self._tell(page, None, (), {"type": "end", "words": "The evaluation has ended, and with it this live page."})
            await page.close()

    def _progress(self, words: str, finished: bool) -> dict[str, Any]:
        steering = None if self.steering is None else self.steering.describe()
        return {"type": "progress", "words": words, "finished": finished, "notes": self.feed.notes(), "steering": steering}

    def _knows(self, request: Any) -> bool:
        return secrets.compare_digest(request.query_params.get("token", "").encode(), self.token.encode())

    def _welcome(self, request: Any) -> bool:
        origin = request.headers.get("origin", "").split("://")[-1]
        return self._knows(request) and origin == request.headers.get("host")

    async def _watch(self) -> None:
        """Look, tell every page, wait for the next look."""
        assert self._wake is not None
        while True:
            try:
                change = await asyncio.to_thread(self.feed.look)
                told, payload, patches = self._progress(change.words, change.finished), change.payload, change.patches
            except (LossatlasError, OSError, ValueError, KeyError) as error:
                # An archive may be looked at in the middle of a write; the next look finds it whole.
                told, payload, patches = self._progress(f"The archive cannot be read just now ({type(error).__name__})", False), None, ()
            for page in tuple(self._pages):
                await self._tell(page, payload, patches, told)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval)
            self._wake.clear()

    async def _tell(self, page: _Page, payload: Payload | None, patches: Sequence[bytes], told: dict[str, Any]) -> None:
        try:
            await page.send(payload, patches, told)
        except (RuntimeError, OSError):
            self._pages.discard(page)
        except Exception as error:
            # Starlette raises its own type when a page has gone away in the middle of a message.
            if type(error).__name__ != "WebSocketDisconnect":
                raise
            self._pages.discard(page)


class _Page(Protocol):
    """Someone who follows: a full state or patches, then what is going on."""

    async def send(self, payload: Payload | None, patches: Sequence[bytes], told: dict[str, Any]) -> None: ...
    async def close(self) -> None: ...


class _SocketPage:
    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def send(self, payload: Payload | None, patches: Sequence[bytes], told: dict[str, Any]) -> None:
        if payload is not None:
            await self.socket.send_text(json.dumps({"type": "scene", "header": payload.header}))
            await self.socket.send_bytes(payload.blob)
        for patch in patches:
            await self.socket.send_bytes(patch)
        await self.socket.send_text(json.dumps(told))

    async def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            await self.socket.close()


class _EventPage:
    """Binary parts travel as base64, a third larger."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def send(self, payload: Payload | None, patches: Sequence[bytes], told: dict[str, Any]) -> None:
        if payload is not None:
            self.queue.put_nowait(json.dumps({"type": "scene", "header": payload.header, "parts": [_base64(payload.blob)]}))
        if patches:
            self.queue.put_nowait(json.dumps({"type": "patches", "parts": [_base64(patch) for patch in patches]}))
        self.queue.put_nowait(json.dumps(told))

    async def close(self) -> None:
        self.queue.put_nowait(None)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _listed(archives: Archives) -> list[Archive | str | os.PathLike[str]]:
    return [archives] if isinstance(archives, Archive | str | os.PathLike) else list(archives)


def _opened(archive: Archive | str | os.PathLike[str]) -> Archive:
    return archive if isinstance(archive, Archive) else open_archive(archive)


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


def _need_app_extra() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("The live page", "app") from error


_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src blob:; connect-src 'self'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><title>Lossatlas, live</title>
<style>html, body { margin: 0; height: 100%%; background: Canvas; } #lossatlas { position: fixed; inset: 0; }</style></head>
<body><div id="lossatlas"></div><script>%s</script>
<script>lossatlas.default.live(document.getElementById("lossatlas"));</script></body></html>
"""
