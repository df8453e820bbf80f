"""Downloads, from a server on this machine: a wrong checksum is discarded and the next mirror tried."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossatlas.zoo.data import fetch

CONTENT = b"four files and a network"
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    for folder, content in {"good": CONTENT, "tampered": CONTENT + b"!"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file.gz").write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("lossatlas.zoo.data.fetch.cache_root", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_the_first_good_mirror_wins(server: str, cache: Path) -> None:
    mirrors = [server + "absent/", server + "tampered/", server + "good/"]
    path = fetch.fetch("file.gz", CHECKSUM, mirrors, "mnist")
    assert path == cache / "mnist" / "file.gz"
    assert path.read_bytes() == CONTENT


def test_nothing_wrong_is_kept(server: str, cache: Path) -> None:
    assert fetch.fetch("file.gz", CHECKSUM, [server + "absent/", server + "tampered/"], "mnist") is None
    assert not list(cache.rglob("*.gz"))


def test_no_network_is_no_exception() -> None:
    assert fetch.fetch("file.gz", CHECKSUM, ["http://127.0.0.1:9/"], "mnist") is None
