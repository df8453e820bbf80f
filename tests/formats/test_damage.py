"""Every reader, on a file with bytes cut or changed at random: a surface or an error that names the file, nothing else."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from formats import cases
from lossatlas.errors import InputError
from lossatlas.formats import export_surface, import_surface


def damaged(content: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.2:
        return content[: dice.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(dice.choice([1, 2, 5, 30])):
        changed[dice.randrange(len(changed))] = dice.choice([0, 255, dice.randrange(256)])
    return bytes(changed)


@pytest.mark.parametrize("suffix", [".h5", ".vtp", ".csv", ".npz"])
def test_a_damaged_file_is_read_or_refused(suffix: str, tmp_path: Path) -> None:
    whole = export_surface(cases.hard(), tmp_path / f"s{suffix}").read_bytes()
    file, dice, refused = tmp_path / f"damaged{suffix}", random.Random(0), 0
    for _ in range(100):
        file.write_bytes(damaged(whole, dice))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a layout that damage only feigns
            try:
                import_surface(file)
            except InputError as error:
                refused += 1
                assert "damaged" in str(error)
    assert refused > 10
