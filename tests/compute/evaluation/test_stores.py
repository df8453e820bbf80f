"""An archive lives on any Zarr store: memory, a folder, fsspec, an S3 emulator; one that fails in mid-write keeps the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import lossatlas as la
from cases import case


def fill(location: Any) -> np.ndarray:
    """Stop half way, open the store again, go on."""
    objective = case("tutorial")
    plane, seen = la.random_plane(objective, seed=1), 0

    def stop(cells: np.ndarray, _: object) -> None:
        nonlocal seen
        seen += len(cells)
        if seen > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        la.evaluate(objective, plane, resolution=(6, 5), archive=location, engine=la.Engine(tile=4, evaluator="loop"), on_tile=stop)
    assert 0 < int(la.open_archive(location).surface().done.sum()) < 30
    return la.evaluate(objective, plane, resolution=(6, 5), archive=location, engine=la.Engine(evaluator="loop")).loss.values


def expected() -> np.ndarray:
    objective = case("tutorial")
    return la.evaluate(objective, la.random_plane(objective, seed=1), resolution=(6, 5), engine=la.Engine(evaluator="loop")).loss.values


@pytest.mark.slow
def test_a_folder_and_memory(tmp_path: Path) -> None:
    for location in (tmp_path / "a.zarr", zarr.storage.LocalStore(tmp_path / "b.zarr"), zarr.storage.MemoryStore()):
        np.testing.assert_array_equal(fill(location), expected())


def test_fsspec_in_memory() -> None:
    np.testing.assert_array_equal(fill("memory://landscapes/a.zarr"), expected())


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty bucket on an S3 emulator of this process."""
    pytest.importorskip("s3fs")
    server_class = pytest.importorskip("moto.server").ThreadedMotoServer
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = server_class(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    import boto3

    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="landscapes")
    yield {"endpoint_url": f"http://{host}:{port}"}
    server.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # botocore and moto warn of their own deprecations
def test_object_storage(bucket: dict[str, Any]) -> None:
    store = zarr.storage.FsspecStore.from_url("s3://landscapes/a.zarr", storage_options=bucket)
    np.testing.assert_array_equal(fill(store), expected())


def test_a_store_that_fails_in_mid_write_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = case("tutorial")
    plane, archive = la.random_plane(objective, seed=1), la.open_archive(tmp_path / "a.zarr", "a")
    honest, writes = type(archive).write_cells, 0

    def full(self: Any, *args: Any) -> None:
        nonlocal writes
        writes += 1
        if writes > 3:
            raise OSError(28, "No space left on device")
        honest(self, *args)

    monkeypatch.setattr(type(archive), "write_cells", full)
    with pytest.raises(la.ArchiveError, match="No space left on device"):
        la.evaluate(objective, plane, resolution=(6, 5), archive=archive, engine=la.Engine(tile=4, evaluator="loop"))
    monkeypatch.undo()
    assert int(la.open_archive(tmp_path / "a.zarr").surface().done.sum()) == 12
    rest = la.evaluate(objective, plane, resolution=(6, 5), archive=tmp_path / "a.zarr", engine=la.Engine(evaluator="loop"))
    np.testing.assert_array_equal(rest.loss, expected())
