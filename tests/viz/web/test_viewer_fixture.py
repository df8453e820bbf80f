"""The payload that the viewer's own tests decode is the one that `encode` makes of the fixture archive now."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from lossatlas.viz.compose.pages import scenes_of
from lossatlas.viz.scene.captions import caption
from lossatlas.viz.web.payload import STEPS, Payload, decode_block
from viewer_payload import ARCHIVE, FILE, fixture_payload, stored_numbers

AGAIN = "Write it again with: python tests/viewer_payload.py"


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_committed_header_is_the_one_that_encode_makes(committed: dict[str, Any]) -> None:
    header, now = dict(committed["header"]), json.loads(fixture_payload().json())
    assert header.pop("package") and now.pop("package")  # of whichever version wrote it
    blocks, blocks_now = header.pop("blocks"), now.pop("blocks")
    assert header == now, AGAIN
    # Offsets and lengths depend on the deflate library; shapes and codecs do not.
    assert [(b["codec"], b["shape"], b.get("log")) for b in blocks] == [(b["codec"], b["shape"], b.get("log")) for b in blocks_now], AGAIN


def test_the_committed_blocks_hold_the_numbers_that_encode_stores(committed: dict[str, Any]) -> None:
    then, now = Payload(committed["header"], base64.b64decode(committed["blob"])), fixture_payload()
    for k, block in enumerate(now.header["blocks"]):
        step = (block["high"] - block["low"]) / STEPS if block["codec"] == "u16" else 0.0  # rounding may fall on the neighboring code
        np.testing.assert_allclose(decode_block(then, k), decode_block(now, k), rtol=1e-12, atol=step, err_msg=AGAIN)


def test_the_numbers_beside_the_payload_are_those_of_the_archive(committed: dict[str, Any]) -> None:
    stored = stored_numbers()
    assert committed["numbers"].keys() == stored.keys()
    for group, columns in stored.items():
        for name, values in columns.items():
            then = np.array(committed["numbers"][group][name], float)  # float() reads "NaN" and "Infinity"
            np.testing.assert_allclose(then, np.array(values, float), rtol=1e-12, err_msg=f"{group}.{name}: {AGAIN}")


def test_the_caption_beside_the_payload_is_that_of_a_figure(committed: dict[str, Any]) -> None:
    assert committed["caption"] == list(caption(scenes_of(ARCHIVE)[0][0])), AGAIN


def test_the_fixture_names_no_machine() -> None:
    assert "/home" not in FILE.read_text(encoding="utf-8")
    assert json.loads(FILE.read_text(encoding="utf-8"))["header"]["scenes"][0]["meta"]["source"] == {"plane": ["small.zarr", "plane"]}
