"""Output files are written whole or not at all, whoever writes them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure

import lossatlas as la
from lossatlas._util import files
from lossatlas.formats import export_surface
from lossatlas.formats.mesh import write_mesh
from lossatlas.recipes.common import write_summary
from lossatlas.viz.mpl.export import save
from lossatlas.zoo.training.checkpoint import Checkpoint

OLDER = b"what was there before"


class FullDisk:
    """A file on a disk with room for a few bytes."""

    def __init__(self, file: Any, room: int = 10) -> None:
        self.file, self.room = file, room

    def write(self, data: Any) -> int:
        taken = data[: self.room]
        self.file.write(taken)
        self.room -= len(taken)
        if len(taken) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def surface() -> xr.Dataset:
    square = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
    return la.evaluate(square, la.weight_plane(square, ("w", 0), ("w", 1)), resolution=(4, 3))


def checkpoint(path: Path) -> None:
    Checkpoint(0, {}, {"w": torch.zeros(300)}, {}, torch.get_rng_state(), 0.0).write(path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "page.html": lambda path: la.view(surface(), export=path),
    "solid.stl": lambda path: write_mesh(surface(), path),
    "solid.glb": lambda path: write_mesh(surface(), path),
    "figure.png": lambda path: save(Figure(figsize=(1, 2)), path),
    "figure.svg": lambda path: save(Figure(figsize=(1, 2)), path),
    "table.csv": lambda path: export_surface(surface(), path),
    "arrays.npz": lambda path: export_surface(surface(), path),
    "mesh.vtp": lambda path: export_surface(surface(), path),
    "summary.json": lambda path: write_summary(path.parent, "demo", {"loss": 1.5}),
    "checkpoint.pt": checkpoint,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path, opened = tmp_path / name, Path.open
    path.write_bytes(OLDER)

    def full(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = opened(self, mode, *arguments, **options)
        return FullDisk(file) if "w" in mode and self.parent == tmp_path else file

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises((la.InputError, la.ArchiveError), match="No space left"):
        WRITERS[name](path)
    monkeypatch.undo()
    assert path.read_bytes() == OLDER
    assert [file.name for file in tmp_path.iterdir()] == [name]
    WRITERS[name](path)
    assert path.read_bytes() != OLDER
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_writer_in_c_is_no_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "surface.h5"
    path.write_bytes(OLDER)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    monkeypatch.setattr(h5py.Group, "__setitem__", full)
    with pytest.raises(la.InputError, match="No space left"):
        export_surface(surface(), path)
    assert path.read_bytes() == OLDER and len(list(tmp_path.iterdir())) == 1


def test_links_are_followed_and_permissions_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("older")
    real.chmod(0o640)
    link.symlink_to(real)
    files.write_file(link, "newer")
    assert link.is_symlink() and real.read_text() == "newer"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    files.write_file(tmp_path / "folder" / "ours", b"")
    assert (tmp_path / "folder" / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write_file(tmp_path / "pipe", "through")
    assert os.read(reader, 20) == b"through"
    os.close(reader)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(la.InputError, match=r"path: got .*page\.html.*can be written"):
        la.view(surface(), export=tmp_path / "file" / "page.html")
