"""Packs finished trainings for a release: two zips and the lines that declare them.

Usage: python .ci/pack_weights.py OUT/li2018/trainings FOLDER

Upload the zips beside the release, then put the printed lines into `PUBLISHED_ARCHIVES` of `lossatlas.zoo.weight_archive`: from then on
a run of size "laptop" fetches them instead of training.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lossatlas import __version__
from lossatlas.zoo.weight_archive import PARTS, pack_trainings

ASSETS = "https://github.com/lossatlas/lossatlas/releases/download"


def main(trainings: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        file = folder / f"li2018-{part}.zip"
        checksum = pack_trainings(trainings, file, part)
        print(f'"{ASSETS}/v{__version__}/{file.name}#sha256={checksum}",  # {file.stat().st_size / 1e6:.1f} MB')


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
