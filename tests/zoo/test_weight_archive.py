"""Archives of trained weights: reading back is the identity, and whatever was changed on the way is named."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from lossatlas.errors import InputError
from lossatlas.zoo import weight_archive
from lossatlas.zoo.weight_archive import fetch_archive, pack_trainings, unpack_trainings

FILES = {
    "small/weights.safetensors": b"weights of a small one",
    "small/summary.json": b'{"seed": 0}',
    "small/archive.zarr/zarr.json": b"{}",
    "small/archive.zarr/trajectories/c/0": b"rows",
    "large/weights.safetensors": b"weights of a large one",
    "large/summary.json": b'{"seed": 1}',
    "unfinished/checkpoint.pt": b"half way",
}


@pytest.fixture
def trainings(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "trainings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "trainings"


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_finished_trainings_come_back_as_they_were(trainings: Path, tmp_path: Path) -> None:
    checksum = pack_trainings(trainings, tmp_path / "weights.zip")
    assert checksum == hashlib.sha256((tmp_path / "weights.zip").read_bytes()).hexdigest()
    assert unpack_trainings(tmp_path / "weights.zip", tmp_path / "out") == ("large", "small")
    assert below(tmp_path / "out") == {name: content for name, content in FILES.items() if name.endswith((".safetensors", "summary.json"))}


def test_paths_have_an_archive_of_their_own(trainings: Path, tmp_path: Path) -> None:
    pack_trainings(trainings, tmp_path / "paths.zip", "paths")
    assert unpack_trainings(tmp_path / "paths.zip", tmp_path / "out") == ("small",)
    assert below(tmp_path / "out") == {name: content for name, content in FILES.items() if ".zarr" in name}


def test_equal_trainings_give_equal_archives(trainings: Path, tmp_path: Path) -> None:
    first = pack_trainings(trainings, tmp_path / "a.zip")
    (trainings / "small" / "weights.safetensors").touch()
    assert pack_trainings(trainings, tmp_path / "b.zip") == first


def test_only_the_named_ones_and_nothing_is_replaced(trainings: Path, tmp_path: Path) -> None:
    pack_trainings(trainings, tmp_path / "weights.zip")
    (tmp_path / "out" / "small").mkdir(parents=True)
    (tmp_path / "out" / "small" / "summary.json").write_text("mine")
    assert unpack_trainings(tmp_path / "weights.zip", tmp_path / "out", ["small", "absent"]) == ("small",)
    assert below(tmp_path / "out") == {"small/summary.json": b"mine", "small/weights.safetensors": FILES["small/weights.safetensors"]}


@pytest.mark.parametrize("form", ["path", "file"])
def test_an_archive_is_checked_where_it_lies(trainings: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / "weights.zip"
    checksum = pack_trainings(trainings, file)
    address = str(file) if form == "path" else file.as_uri()
    assert fetch_archive(address) == fetch_archive(f"{address}#sha256={checksum}") == fetch_archive(address, checksum) == file
    with pytest.raises(InputError, match=f"SHA-256 {checksum}.*{'0' * 64}, that of .*leave it out to train"):
        fetch_archive(f"{address}#sha256={'0' * 64}")
    with pytest.raises(InputError, match="a zip of trained weights"):
        fetch_archive(address + ".absent")


def test_a_download_is_checked_too(trainings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooch's part is played by a copy; what it does with checksums is its own business, and ours is checked after it."""
    import pooch

    checksum = pack_trainings(trainings, tmp_path / "weights.zip")
    asked: list[tuple[object, ...]] = []

    def retrieve(*arguments: object) -> str:
        asked.append(arguments)
        return str(tmp_path / "weights.zip")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setattr(weight_archive, "cache_root", lambda: tmp_path / "cache")
    assert fetch_archive("https://example.org/weights.zip#sha256=" + checksum) == tmp_path / "weights.zip"
    assert asked == [("https://example.org/weights.zip", f"sha256:{checksum}", None, tmp_path / "cache" / "weights")]
    with pytest.raises(InputError, match="SHA-256"):
        fetch_archive("https://example.org/weights.zip#sha256=" + "1" * 64)


def _rewritten(file: Path, **changes: bytes) -> Path:
    """The same zip with other contents of some members."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(file.with_name("changed.zip"), "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name.replace("/", "_").replace(".", "_"), old.read(name)))
    return file.with_name("changed.zip")


def test_what_was_changed_is_named(trainings: Path, tmp_path: Path) -> None:
    pack_trainings(trainings, tmp_path / "weights.zip")
    changed = _rewritten(tmp_path / "weights.zip", small_weights_safetensors=b"weights of a stranger")
    with pytest.raises(InputError, match=r"that of .*small/weights\.safetensors"):
        unpack_trainings(changed, tmp_path / "out")
    assert not (tmp_path / "out" / "small" / "weights.safetensors").exists()


@pytest.mark.parametrize("listed", [b"ab  ../../stranger/file\n", b"ab  /etc/file\n", b"ab  loose\n", b""])
def test_paths_that_leave_the_folder_are_refused(trainings: Path, tmp_path: Path, listed: bytes) -> None:
    pack_trainings(trainings, tmp_path / "weights.zip")
    with pytest.raises(InputError, match="relative paths"):
        unpack_trainings(_rewritten(tmp_path / "weights.zip", SHA256SUMS=listed), tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.zip").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="an intact zip"):
        unpack_trainings(tmp_path / "weights.zip", tmp_path / "out")
    with pytest.raises(InputError, match="finished trainings"):
        pack_trainings(tmp_path, tmp_path / "empty.zip")
