"""Payload of the fixture archive for the viewer's tests: ``python tests/viewer_payload.py`` writes it again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossatlas.archive import open_archive
from lossatlas.viz.compose.pages import scenes_of
from lossatlas.viz.scene.captions import caption
from lossatlas.viz.web.payload import Payload, encode

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = ROOT / "tests" / "fixtures" / "small.zarr"
FILE = ROOT / "viewer" / "test" / "fixtures" / "small.json"


def fixture_payload() -> Payload:
    """Encode the scenes of the fixture archive as a page does."""
    return encode(scenes_of(ARCHIVE)[0])


def stored_numbers() -> dict[str, Any]:
    """Numbers of the archive, read without the encoder: what the viewer must find in the payload."""
    archive = open_archive(ARCHIVE)
    surface, path = archive.surface("plane"), archive.trajectory("path")
    columns = {"alpha": "path_alpha", "beta": "path_beta", "step": "step", "epoch": "epoch", "loss": "path_loss"}
    return {
        "surface": {name: plain(surface[name].values) for name in ("alpha", "beta", "loss", "loss_standard_error", "done")},
        "path": {name: plain(path[variable].values) for name, variable in columns.items()},
    }


def plain(values: NDArray[Any]) -> list[float | str]:
    """Numbers in C order for JSON; what JSON has no number for stands as JavaScript's own word."""
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    flat = np.asarray(values, np.float64).ravel().tolist()
    return [words.get(str(value), value) for value in flat]


def main() -> None:
    payload = fixture_payload()
    content = {"header": json.loads(payload.json()), "blob": base64.b64encode(payload.blob).decode("ascii"), "numbers": stored_numbers()}
    content["caption"] = list(caption(scenes_of(ARCHIVE)[0][0]))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
