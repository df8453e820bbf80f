"""A page on this machine that follows archives while they are computed.

It listens on the loopback address only, asks for a random token, and refuses sockets from other origins. The full
state is sent first, also after a lost connection; then patches as cells finish.
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
from collections.abc import AsyncIterator, Sequence
from typing import Any

from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError, LossatlasError, MissingDependencyError
from lossatlas.view.bundle import script
from lossatlas.view.feed import Feed
from lossatlas.view.payload import Payload

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

    `notify` looks at the archives at once, so an evaluation in the same process can call it after each tile.
    """

    def __init__(self, archives: Archives, *, host: str = "127.0.0.1", port: int = 0, interval: float = 0.5) -> None:
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise InputError("host", host, "a loopback address such as 127.0.0.1", "Reach a remote machine through an SSH tunnel")
        self.token = secrets.token_urlsafe(16)
        self.feed = Feed([_opened(archive) for archive in _listed(archives)])
        self._socket = _bind(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._interval = interval
        self._pages: set[Any] = set()
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
        if self._server is not None:
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

        return Starlette(routes=[Route("/", self._page), WebSocketRoute("/live", self._live)], lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        watching = asyncio.create_task(self._watch())
        self._ready.set()
        yield
        watching.cancel()

    async def _page(self, request: Any) -> Any:
        from starlette.responses import HTMLResponse, PlainTextResponse

        if not secrets.compare_digest(request.query_params.get("token", ""), self.token):
            return PlainTextResponse("This page needs the token that `lossatlas view` printed with its address.", status_code=403)
        return HTMLResponse(_PAGE % script(), headers=_HEADERS)

    async def _live(self, page: Any) -> None:
        from starlette.websockets import WebSocketDisconnect

        if not self._welcome(page):
            await page.close(code=4403)
            return
        await page.accept()
        payload, (words, finished) = self.feed.whole(), self.feed.progress()
        await _send_all(page, payload, (), words or "Waiting for a surface to appear in the archive", finished)
        self._pages.add(page)
        try:
            while True:
                await page.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            self._pages.discard(page)

    def _welcome(self, page: Any) -> bool:
        origin = page.headers.get("origin", "").split("://")[-1]
        return secrets.compare_digest(page.query_params.get("token", ""), self.token) and origin == page.headers.get("host")

    async def _watch(self) -> None:
        """Look, tell every page, wait for the next look."""
        assert self._wake is not None
        while True:
            try:
                change = await asyncio.to_thread(self.feed.look)
                for page in tuple(self._pages):
                    await self._tell(page, change.payload, change.patches, change.words, change.finished)
            except (LossatlasError, OSError, ValueError, KeyError) as error:
                # An archive may be looked at in the middle of a write; the next look finds it whole.
                for page in tuple(self._pages):
                    await self._tell(page, None, (), f"The archive cannot be read just now ({type(error).__name__})", False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval)
            self._wake.clear()

    async def _tell(self, page: Any, payload: Payload | None, patches: Sequence[bytes], words: str, finished: bool) -> None:
        try:
            await _send_all(page, payload, patches, words, finished)
        except (RuntimeError, OSError):
            self._pages.discard(page)
        except Exception as error:
            # Starlette raises its own type when a page has gone away in the middle of a message.
            if type(error).__name__ != "WebSocketDisconnect":
                raise
            self._pages.discard(page)


async def _send_all(page: Any, payload: Payload | None, patches: Sequence[bytes], words: str, finished: bool) -> None:
    if payload is not None:
        await page.send_text(json.dumps({"type": "scene", "header": payload.header}))
        await page.send_bytes(payload.blob)
    for patch in patches:
        await page.send_bytes(patch)
    await page.send_text(json.dumps({"type": "progress", "words": words, "finished": finished}))


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
