"""State that a page opens with: every key of the viewer, and none that it does not know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import lossatlas as la
from lossatlas.viz.web.archive_feed import ArchiveFeed
from lossatlas.viz.web.view_state import CAMERA, STATE, page_state

VIEWER = Path(__file__).parents[3] / "viewer" / "src"


def surface() -> xr.Dataset:
    axes = {"alpha": [-1.0, 0.0, 1.0], "beta": [0.0, 1.0]}
    return xr.Dataset({name: (tuple(axes), np.arange(6.0).reshape(3, 2) + 1) for name in ("loss", "accuracy")}, axes)


def test_the_keys_are_those_of_the_viewer() -> None:
    def keys(file: str, interface: str) -> set[str]:
        body = re.search(rf"export interface {interface} \{{(.*?)\n\}}", (VIEWER / file).read_text(), re.DOTALL)
        assert body is not None
        return set(re.findall(r"^  (\w+):", body[1], re.MULTILINE))

    assert keys("state.ts", "ViewState") == STATE.keys()
    assert keys("math/camera.ts", "Camera") == CAMERA.keys()


def test_words_that_the_viewer_takes_are_those_allowed() -> None:
    text = (VIEWER / "state.ts").read_text()
    for key, kind in STATE.items():
        if isinstance(kind, tuple):
            declared = re.search(rf"^  {key}: ([^;]+);", text, re.MULTILINE)
            assert declared is not None and set(re.findall(r'"([^"]*)"', declared[1])) == set(kind)


@pytest.mark.parametrize(("scale", "state"), [("log", {"log": True}), ("linear", {"log": False}), ("auto", {})])
def test_the_scale_is_a_word(scale: str, state: dict[str, bool]) -> None:
    assert page_state({"scale": scale}) == state


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"sclae": "log"}, r"the key 'sclae'; expected keys among scale, scene, .*ui, caption\. Did you mean scale\?"),
        ({"scale": "cubic"}, r"'auto' or 'linear' or 'log'"),
        ({"log": "yes"}, r'view\["log"\]: got \'yes\'|True or False'),
        ({"clip": "2"}, r"a number or None"),
        ({"camera": {"azimut": 3}}, r"Did you mean azimuth\?"),
        ({"camera": {"azimuth": True}}, r"a number"),
        ({"style": "glass"}, r"'solid' or 'mesh' or 'wire'"),
        ("log", r"a dict such as"),
        ({"quantity": "acuracy"}, r"one of loss, accuracy\. Did you mean accuracy\?"),
    ],
)
def test_what_no_page_knows_is_named(view: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(la.InputError, match=words):
        la.view(surface(), export=tmp_path / "a.html", view=view)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "words"), [("a.pdf", r"la\.plot"), ("a.gif", r"la\.animate"), ("a", r"ends in \.html")])
def test_a_page_is_an_html_file(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(la.InputError, match=words):
        la.view(surface(), export=tmp_path / name)


def test_a_live_page_takes_a_title() -> None:
    archive = la.open_archive(None, "a")
    archive.write_surface("s", surface().assign(done=(("alpha", "beta"), np.ones((3, 2), bool))))
    payload = ArchiveFeed([archive], "Two minima").poll().payload
    assert payload is not None and payload.header["scenes"][0]["title"] == "Two minima"
