"""Archives of trained weights: a zip of finished trainings with a SHA-256 of every file, fetched with pooch and checked twice.

A training needs only its weights and its numbers for most figures; those that draw its path need the recorded trajectory too, which is
some hundred times as large and has an archive of its own. Files are plain: safetensors, JSON and Zarr; nothing in them is executed.
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlparse

from lossatlas._util.files import replacing, write_file
from lossatlas.errors import ArchiveError, InputError
from lossatlas.zoo.data.fetch import cache_root

Part = Literal["weights", "paths"]
SUMS = "SHA256SUMS"
PARTS: dict[Part, tuple[str, ...]] = {"weights": ("weights.safetensors", "summary.json", "training.png"), "paths": ("archive.zarr",)}
"""Files, or folders, of a training that belong to each kind of archive."""
PUBLISHED_ARCHIVES: tuple[str, ...] = ()
"""Addresses, with checksums, of archives beside the project's releases; none is published yet."""
LARGEST = 4 * 2**30
"""Bytes of an unpacked file, beyond which an archive is refused."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same time for every member: equal trainings give equal archives."""


def pack_trainings(trainings: Path, file: Path, part: Part = "weights") -> str:
    """Write the finished trainings below a folder into one zip, with their SHA-256 sums.

    Args:
        trainings: holds a folder a training, as `li2018` and `compare` leave them.
        file: the zip to write or replace.
        part: "weights" with the numbers, or "paths", the recorded trajectories.

    Returns:
        the SHA-256 of the zip.

    Raises:
        InputError: no finished training there.
        ArchiveError: `file` cannot be written.
    """
    members = list(_members(trainings, part))
    if not members:
        raise InputError("trainings", str(trainings), "a folder with finished trainings", "Train first: lossatlas run li2018 --size laptop")
    sums = "".join(f"{_sha256(trainings / name)}  {name}\n" for name in members)
    try:
        with replacing(file) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(SUMS, _EPOCH), sums)
            for name in members:
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), (trainings / name).read_bytes())
    except OSError as error:
        raise ArchiveError(f"Cannot write {file}: {error}. Free space or choose another place.") from error
    return _sha256(file)


def fetch_archive(address: str, checksum: str | None = None) -> Path:
    """The archive at a path or an address, downloaded once and checked.

    Args:
        address: a path, or an address that pooch can fetch (https://…, file://…), with ``#sha256=HEX`` behind it where it is known.
        checksum: the same as a word of its own.

    Raises:
        InputError: nothing there, or another checksum.
    """
    place, _, fragment = address.partition("#sha256=")
    expected = checksum or fragment or None
    scheme = urlparse(place).scheme
    if len(scheme) < 2 or scheme == "file":
        path = Path(urlparse(place).path if scheme == "file" else place)
        if not path.is_file():
            raise InputError("weights", address, "a zip of trained weights", "Check the path, or leave it out to train")
        return _checked(path, expected, address)
    return _checked(_download(place, expected, address), expected, address)


def unpack_trainings(file: Path, folder: Path, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Unpack trainings into folders of their names, each file checked against the archive's own sums; nothing is replaced.

    Args:
        names: only these trainings; None takes all.

    Returns:
        the names that the archive holds of them.

    Raises:
        InputError: not such an archive, or a file with another checksum.
    """
    wanted = None if names is None else set(names)
    unpacked: dict[str, None] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            sums = _read_sums(archive, file)
            for member, expected in sums.items():
                name = member.split("/")[0]
                if wanted is not None and name not in wanted:
                    continue
                unpacked[name] = None
                if not (folder / member).exists():
                    write_file(folder / member, _member(archive, member, expected, file))
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise InputError("weights", f"{file}: {error}", "an intact zip of trained weights", "Fetch it again, or leave it out") from error
    return tuple(unpacked)


def _members(trainings: Path, part: Part) -> Iterator[str]:
    """Paths below the folder, in order, of trainings that are done."""
    for folder in sorted(path.parent for path in trainings.glob("*/weights.safetensors") if (path.parent / "summary.json").is_file()):
        for name in PARTS[part]:
            files = [folder / name] if (folder / name).is_file() else sorted(path for path in (folder / name).rglob("*") if path.is_file())
            yield from (path.relative_to(trainings).as_posix() for path in files)


def _read_sums(archive: zipfile.ZipFile, file: Path) -> dict[str, str]:
    """Path and SHA-256 of every member; paths that would leave the folder are refused."""
    lines = archive.read(SUMS).decode().splitlines() if archive.getinfo(SUMS).file_size < 2**24 else []
    sums = {name: checksum for checksum, name in (line.split("  ", 1) for line in lines if "  " in line)}
    unsafe = [name for name in sums if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "/" not in name]
    if unsafe or not sums:
        reason = f"{file} lists {unsafe[0]!r}" if unsafe else f"{file} lists no file"
        raise InputError("weights", reason, "relative paths below a folder a training", "Fetch the archive from where it was published")
    return sums


def _member(archive: zipfile.ZipFile, name: str, expected: str, file: Path) -> bytes:
    if archive.getinfo(name).file_size > LARGEST:
        raise InputError("weights", f"{name} of {archive.getinfo(name).file_size:,} bytes", f"at most {LARGEST:,}")
    content = archive.read(name)
    if (actual := hashlib.sha256(content).hexdigest()) != expected:
        raise _mismatch(f"{file}: {name}", expected, actual)
    return content


def _download(place: str, expected: str | None, address: str) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    known = f"sha256:{expected}" if expected else None
    try:
        return Path(pooch.retrieve(place, known, None, cache_root() / "weights"))
    except ValueError as error:  # pooch: another checksum, or a protocol that it does not know
        raise InputError(
            "weights", address, "an archive with that checksum", f"Fetch it again, or leave it out to train ({error})"
        ) from error
    except OSError as error:
        raise InputError("weights", address, "an address that answers", f"Check it, or leave it out to train ({error})") from error


def _checked(path: Path, expected: str | None, address: str) -> Path:
    if expected and (actual := _sha256(path)) != expected.lower():
        raise _mismatch(address, expected, actual)
    return path


def _mismatch(place: str, expected: str, actual: str) -> InputError:
    return InputError(
        "weights",
        f"SHA-256 {actual}",
        f"{expected}, that of {place}",
        "The file is damaged or another one: fetch it from where it was published, or leave it out to train",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
