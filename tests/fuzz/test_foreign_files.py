"""Files of other tools, damaged: every reader gives arrays or one of our errors, and takes no more memory than a file can fill."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import resource
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from formats import cases
from fuzz.fuzzing import damaged, run_cases
from lossatlas.compute.params.checkpoint import read_checkpoint
from lossatlas.formats import export_surface, import_surface
from lossatlas.zoo.data.cifar_files import read_images
from lossatlas.zoo.data.idx import read_idx
from lossatlas.zoo.safe_pickle import read_pickled_arrays

pytestmark = pytest.mark.slow

MOST_MEGABYTES = 700
"""By which the process may grow: a surface of the most cells allowed, and what reading it needs."""


def _torch_file(legacy: bool) -> bytes:
    buffer = io.BytesIO()
    state = {"model": {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float64)}, "epoch": 3, "names": ["a"]}
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def _safetensors() -> bytes:
    from safetensors.torch import save

    return save({"w": torch.arange(6.0).reshape(2, 3)})


def _batch() -> bytes:
    return pickle.dumps({b"data": np.zeros((3, 12), np.uint8), b"labels": [1, 2, 3], b"filenames": [b"a"]}, protocol=2)


def _tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("cifar/data_batch_1", "cifar/test_batch"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    pictures, labels = np.zeros((4, 3, 32, 32), np.uint8), np.zeros(4, np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, train_x=pictures, train_y=labels, test_x=pictures, test_y=labels)
    return buffer.getvalue()


def _idx() -> bytes:
    return bytes([0, 0, 8, 3]) + struct.pack(">III", 2, 3, 4) + bytes(24)


def _exported(suffix: str, folder: Path) -> bytes:
    return export_surface(cases.hard(), folder / f"whole{suffix}").read_bytes()


def _sources(folder: Path) -> dict[str, tuple[str, bytes, Callable[[Path], Any]]]:
    """By name: the file's suffix, whole bytes, and its reader."""
    surfaces = {s: (s, _exported(s, folder), import_surface) for s in (".h5", ".vtp", ".csv", ".npz")}
    return {
        **surfaces,
        "checkpoint": (".pt", _torch_file(False), read_checkpoint),
        "old checkpoint": (".pth", _torch_file(True), read_checkpoint),
        "safetensors": (".safetensors", _safetensors(), read_checkpoint),
        "pickle": ("", _batch(), lambda file: read_pickled_arrays(file.read_bytes(), str(file))),
        "tar": (".tar", _tar(_batch()), lambda file: read_images(file, "test", 2)),
        "pictures": (".npz", _npz(), lambda file: read_images(file, "train", 3)),
        "idx": (".idx", _idx(), lambda file: read_idx(file, 3)),
    }


def megabytes() -> float:
    """The most that this process ever took."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    for suffix, whole, reader in sources.values():
        (tmp_path / f"whole{suffix}").write_bytes(whole)
        if suffix not in ("", ".tar"):  # batches of three pictures are no CIFAR-10
            reader(tmp_path / f"whole{suffix}")

    def case(dice: random.Random) -> None:
        name = dice.choice(list(sources))
        suffix, whole, reader = sources[name]
        content = damaged(whole, dice)
        if name in ("idx", "tar") and dice.random() < 0.5:
            suffix, content = f"{suffix}.gz", gzip.compress(content, 1)
            content = damaged(content, dice) if dice.random() < 0.3 else content
        file = tmp_path / f"damaged{suffix}"
        file.write_bytes(content)
        try:
            reader(file)
        except BaseException as error:
            error.add_note(f"reader {name}")
            raise

    before = megabytes()
    counts = run_cases("foreign files", case, fewest=120)
    assert 0 < counts["refused"] < counts["cases"]
    assert megabytes() - before < MOST_MEGABYTES


@pytest.mark.parametrize("name", ["checkpoint", "old checkpoint", "pickle"])
def test_one_changed_byte_anywhere(name: str, tmp_path: Path) -> None:
    """Small formats of commands: each byte in turn is the largest and the smallest it can be, some of them by default."""
    suffix, whole, reader = _sources(tmp_path)[name]
    file, places = tmp_path / f"changed{suffix}", iter(random.Random(0).sample(range(len(whole)), min(len(whole), 40)))

    def case(dice: random.Random) -> None:
        place = next(places, None)
        place = dice.randrange(len(whole)) if place is None else place
        file.write_bytes(whole[:place] + bytes([dice.choice([0, 255, dice.randrange(256)])]) + whole[place + 1 :])
        reader(file)

    run_cases(f"one byte of a {name}", case)
