"""Open an archive to read it, to write to it, or to begin it anew; torch is not imported."""

from __future__ import annotations

import datetime
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, cast, get_args

import zarr
from zarr.abc.store import Store
from zarr.errors import ContainsArrayError, ContainsGroupError
from zarr.storage import LocalStore

from lossatlas import schema
from lossatlas._util.argument_checks import check_choice
from lossatlas._util.files import write_file
from lossatlas._util.text import did_you_mean
from lossatlas.archive import arrays as archive_arrays
from lossatlas.archive.archive import Archive, Location
from lossatlas.archive.memory import MemoryGroup
from lossatlas.errors import ArchiveError, InputError, InputTypeError

OpeningMode = Literal["r", "a", "w"]


def open_archive(location: Location | None, mode: OpeningMode = "r") -> Archive:
    """Open an archive; the modes are those of h5py and Zarr.

    Args:
        location: a path or a Zarr store; None, with mode "a" or "w", keeps the archive in memory.
        mode: "r" reads; "a" reads and writes, and makes the archive where there is none; "w" begins an empty one, in place
            of an archive that is there. A folder or a Zarr group that is no archive of Lossatlas is never taken over.

    Raises:
        ArchiveError: nothing there to read, a path that cannot be written, not a Lossatlas archive, a damaged one, one of a
            newer format, or, with "w", one that somebody is writing to.
        InputError: another mode; with "r" no location.

    Example:
        >>> open_archive(None, "a").surfaces
        ()
    """
    check_choice("mode", mode, get_args(OpeningMode))
    _check_location(location)
    if mode == "r":
        return _open_for_reading(location)
    archive = open_for_writing(location)
    return archive if mode == "a" else _emptied(archive)


def as_archive(archive: Location | Archive | None, mode: OpeningMode = "a", *, repair: bool = False) -> Archive:
    """An open archive as it is; one opened for what a caller passed as `archive=`.

    Args:
        archive: a path, a Zarr store, an open archive or None.
        mode: of `open_archive`, where it is not open yet.
        repair: of `open_for_writing`, where mode is "a".
    """
    if isinstance(archive, Archive):
        return archive
    return open_for_writing(archive, repair=repair) if mode == "a" else open_archive(archive, mode)


def same_place(one: Archive, other: Archive) -> bool:
    """Do two open archives lie in one place, in the same folder or the same store?"""
    stores = one.root.store, other.root.store
    if all(isinstance(store, LocalStore) for store in stores):
        return (
            len({Path(store.root).resolve() for store in stores if isinstance(store, LocalStore)}) == 1 and one.root.path == other.root.path
        )
    return stores[0] is stores[1] and one.root.path == other.root.path


def open_for_writing(location: Location | None, *, repair: bool = False) -> Archive:
    """Open `location` for writing, making it where it does not exist; None keeps the archive in memory.

    Args:
        location: a path or a Zarr store.
        repair: write the archive's own ``zarr.json`` anew where it is lost or damaged, as a power cut may leave it; what
            lies in the archive stays.

    Raises:
        ArchiveError: the path cannot be written, holds something else, is damaged, or was written by a newer format.
    """
    _check_location(location)
    name = _name_of(location)
    if location is None:
        return Archive(cast(zarr.Group, MemoryGroup(_new_attrs())), name)
    try:
        if repair and isinstance(location, str | os.PathLike) and "://" not in str(location):
            _repair(Path(location))
        _refuse_foreign_folder(location)
        root = _open_root_group(location)
    except ContainsArrayError as error:
        raise ArchiveError(f"{name} is a Zarr array and not a Lossatlas archive. Choose another path.") from error
    except OSError as error:
        raise ArchiveError(f"Cannot write the archive {name}: {error}. Choose another archive=.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged_root(name, error) from error
    _check_format(root, name)
    return Archive(root, name)


def _open_for_reading(location: Location | None) -> Archive:
    if location is None:
        raise InputError("archive", "None to read from", "a path or a Zarr store", 'Pass mode="a" for an archive in memory')
    name = _name_of(location)
    try:
        root = zarr.open_group(location, mode="r", zarr_format=3)
    except Exception as error:  # Zarr and JSON answer damage with nearly any exception
        if isinstance(location, str | os.PathLike) and _holds_parts(Path(location)):
            raise _damaged_root(name, error) from error
        raise ArchiveError(
            f"No archive at {name} ({type(error).__name__}). {_near_archive(location)}"
            "An archive is a folder such as archive.zarr made by `lossatlas`."
        ) from error
    _check_format(root, name)
    return Archive(root, name)


def _near_archive(location: Location) -> str:
    """The question whether a folder of nearly that name was meant."""
    if not isinstance(location, str | os.PathLike) or "://" in str(location):
        return ""
    path = Path(location)
    try:
        question = did_you_mean(path.name, (entry.name for entry in path.parent.iterdir() if (entry / "zarr.json").is_file()))
    except (OSError, ValueError):
        return ""
    return f"{question} " if question else ""


def _emptied(archive: Archive) -> Archive:
    """The archive without its surfaces and trajectories, made anew; refused while one of them is being written."""
    parts = [(kind, name) for kind in ("surfaces", "trajectories") for name in archive_arrays.children(archive.root, kind)]
    with ExitStack() as locks:
        for kind, name in parts:
            locks.enter_context(archive.lock_for_writing(name, kind))
        for kind in ("surfaces", "trajectories"):
            archive_arrays.delete_group(archive.root, kind)
    archive.root.attrs.put(_new_attrs())
    return archive


def _check_location(location: Any) -> None:
    if location is not None and not isinstance(location, str | os.PathLike | Store):
        raise InputTypeError("archive", location, "a path, a Zarr store, an open archive or None")


def _holds_parts(folder: Path) -> bool:
    """Are surfaces or trajectories there, as in an archive that has lost its own ``zarr.json``?"""
    return any((folder / part).is_dir() for part in ("surfaces", "trajectories"))


def _damaged_root(name: str, error: Exception) -> ArchiveError:
    return ArchiveError(
        f"The file zarr.json of {name} is lost or damaged ({type(error).__name__}), so that the archive cannot be opened. "
        "Restore it from a copy; or compute with overwrite=True, which writes it anew and keeps the archive's other surfaces and runs."
    )


def _repair(folder: Path) -> None:
    """Give a folder of an archive's parts, and of nothing else, its ``zarr.json`` back."""
    file = folder / "zarr.json"
    try:
        text = json.loads(file.read_bytes())
        if isinstance(text, dict) and {"zarr_format", "node_type"} <= text.keys():
            return
    except FileNotFoundError:
        if not _holds_parts(folder):
            return
    except ValueError:
        pass
    if all(entry.name in ("zarr.json", "surfaces", "trajectories") or entry.name.startswith(".") for entry in folder.iterdir()):
        write_file(file, json.dumps({"zarr_format": 3, "node_type": "group", "attributes": _new_attrs()}, indent=2))


def _open_root_group(store: Any) -> zarr.Group:
    """The group at `store`, made in one write where there is none; an empty group that says nothing becomes an archive."""
    try:
        root = zarr.open_group(store, mode="a", zarr_format=3, attributes=_new_attrs())
    except ContainsGroupError:  # another process made it in this very moment
        root = zarr.open_group(store, mode="r+", zarr_format=3)
    if not root.attrs and not any(True for _ in root.keys()):  # noqa: SIM118 - a group is no mapping
        root.attrs.update(_new_attrs())
    return root


def _new_attrs() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"format": schema.FORMAT, "format_version": schema.FORMAT_VERSION, "created": now}


def _check_format(root: zarr.Group, name: str) -> None:
    attrs = root.attrs
    if attrs.get("format") != schema.FORMAT:
        raise ArchiveError(f"{name} is a Zarr group but not a Lossatlas archive (its attribute 'format' is missing). Choose another path.")
    version = attrs.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= schema.FORMAT_VERSION:
        raise ArchiveError(
            f"{name} has format version {version}; this Lossatlas reads up to {schema.FORMAT_VERSION}. "
            "Update with: pip install --upgrade lossatlas"
        )


def _refuse_foreign_folder(location: Location | None) -> None:
    """A folder with other files in it is never taken over."""
    if not isinstance(location, str | os.PathLike) or "://" in str(location):
        return
    path = Path(location)
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "zarr.json").exists()):
        if _holds_parts(path):
            raise _damaged_root(str(path), FileNotFoundError())
        raise ArchiveError(f"{path} exists and is not an archive. Choose a new path for the archive, such as {path}.zarr.")


def _name_of(location: Location | None) -> str:
    return "the in-memory archive" if location is None else str(location)
