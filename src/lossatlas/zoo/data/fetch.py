"""Search for a data file under the data root, or checked download with pooch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lossatlas.errors import InputError

ENVIRONMENT = "LOSSATLAS_DATA"
BESIDE_THE_CHECKOUT = Path("../shared/data")
TIMEOUT = 15
"""Seconds to wait for a mirror to answer before the next is tried."""


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Folder searched for data files: `root`, else $LOSSATLAS_DATA, else ../shared/data, else the download cache.

    Raises:
        InputError: a `root` or $LOSSATLAS_DATA that is not a folder.
    """
    named = {"root": root, ENVIRONMENT: os.environ.get(ENVIRONMENT)}
    for argument, value in named.items():
        if value:
            return _folder(argument, Path(value))
    return BESIDE_THE_CHECKOUT if BESIDE_THE_CHECKOUT.is_dir() else cache_root()


def cache_root() -> Path:
    """The folder that downloads go to; it may not exist yet."""
    import pooch

    return Path(pooch.os_cache("lossatlas"))


def find(names: Iterable[str], folders: Iterable[Path]) -> Path | None:
    """The first file of these names in these folders, folders first."""
    wanted = tuple(names)
    return next((folder / name for folder in folders for name in wanted if (folder / name).exists()), None)


def fetch(name: str, checksum: str, mirrors: Iterable[str], folder: str) -> Path | None:
    """Download `name` from the first mirror that has it into ``cache/folder``; None where none answers.

    Args:
        checksum: sha256 of the file; a download that differs is discarded and the next mirror tried.
        mirrors: addresses that end in a slash.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    for mirror in mirrors:
        try:
            downloader: Any = pooch.HTTPDownloader(timeout=TIMEOUT)
            return Path(pooch.retrieve(mirror + name, f"sha256:{checksum}", name, cache_root() / folder, downloader=downloader))
        except (OSError, ValueError):  # requests raises an OSError: no network, a refusal, a full disk, a wrong checksum
            continue
    return None


def _folder(argument: str, path: Path) -> Path:
    if not path.is_dir():
        raise InputError(argument, str(path), "a folder that exists", "Name the folder that holds the data files, or leave it out")
    return path
