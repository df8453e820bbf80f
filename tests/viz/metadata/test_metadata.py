"""The full caption travels inside every file, and is read from strangers' files without harm."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError
from lossatlas.viz.animation import writer
from lossatlas.viz.api import plot
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.timeline import with_timeline
from lossatlas.viz.metadata.reading import read_metadata
from lossatlas.viz.metadata.record import FORMAT, FigureSource, figure_metadata, metadata_from_json, surface_hash
from lossatlas.viz.metadata.writing import gif_comment
from lossatlas.viz.scene.captions import caption
from lossatlas.viz.scene.model import Curve, Pane, Scene

TITLE = 'Größe (α, β) \\ "N = 100" <&> ←'
"""Everything that one of the formats writes in a way of its own: parentheses, backslashes, quotes, markup, other scripts."""


@pytest.fixture
def scene(dataset: xr.Dataset) -> Scene:
    dataset["loss"][0, 0] = np.nan
    return compose(dataset, kind="contour", title=TITLE)


def small_scene() -> Scene:
    curve = Curve("loss", np.arange(3.0), np.arange(3.0))
    return Scene((Pane("curves", curves=("loss",)),), curves=(curve,), title=TITLE, notes=("a note",))


def turning(dataset: xr.Dataset) -> Scene:
    return with_timeline(compose(dataset, kind="surface", title=TITLE), frames=2)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_caption_is_read_back_from_a_figure(scene: Scene, tmp_path: Path, suffix: str) -> None:
    plot(scene, tmp_path / f"figure.{suffix}", dpi=30)
    metadata = read_metadata(tmp_path / f"figure.{suffix}")
    assert metadata == figure_metadata(scene)
    assert metadata.caption == caption(scene, "full") != ()
    assert metadata.title == TITLE


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["gif", "webp", "mp4"])
def test_the_caption_is_read_back_from_an_animation(dataset: xr.Dataset, tmp_path: Path, suffix: str) -> None:
    if suffix == "mp4":
        pytest.importorskip("imageio_ffmpeg")
    scene = turning(dataset)
    writer.save(scene, tmp_path / f"turn.{suffix}", width=160)
    assert read_metadata(tmp_path / f"turn.{suffix}") == figure_metadata(scene)


@pytest.mark.slow
def test_a_figure_that_the_user_saves_carries_it_too(scene: Scene, tmp_path: Path) -> None:
    figure: Any = plot(scene, caption="none")
    assert figure.attrs["caption"] == caption(scene, "full")
    figure.savefig(tmp_path / "mine.svg")
    figure.savefig(tmp_path / "mine.png", dpi=20, metadata={"Author": "me"})
    assert read_metadata(tmp_path / "mine.svg") == read_metadata(tmp_path / "mine.png") == figure_metadata(scene)
    with Image.open(tmp_path / "mine.png") as image:
        assert image.info["Author"] == "me"


@pytest.mark.slow
def test_other_programs_find_the_caption_as_the_description(scene: Scene, tmp_path: Path) -> None:
    plot(scene, tmp_path / "figure.png", dpi=20)
    with Image.open(tmp_path / "figure.png") as image:
        assert image.info["Description"].split("\n") == list(caption(scene, "full"))
        assert image.info["Title"] == TITLE


def test_a_figure_names_its_archive_and_the_hash_of_what_it_shows(archive: Archive, dataset: xr.Dataset, tmp_path: Path) -> None:
    stored = open_archive(tmp_path / "mine.zarr", "a")
    from lossatlas import schema

    declared = [schema.variable(key) for key in ("loss", "accuracy")]
    stored.create_surface("plane", {axis: dataset[axis].values for axis in ("alpha", "beta")}, declared, dataset.attrs)
    stored.write_cells("plane", np.arange(63), {v.name: dataset[v.name].values.ravel() for v in declared})
    digest = hashlib.sha256()
    for values in (dataset.alpha.values, dataset.beta.values, dataset.accuracy.values, dataset.loss.values):
        digest.update(values.astype("<f8").tobytes())
    expected = FigureSource("mine.zarr", "plane", digest.hexdigest()[:16])
    for quantity in ("loss", "accuracy"):
        assert figure_metadata(compose(tmp_path / "mine.zarr", quantity=quantity)).sources == (expected,)
    assert [source.archive for source in figure_metadata(compose(archive)).sources] == ["", ""], "in memory"


def test_the_hash_tells_other_values_apart_and_nothing_else(dataset: xr.Dataset) -> None:
    from lossatlas.viz.compose.from_datasets import surface_from

    first = surface_hash(surface_from(dataset))
    assert first == surface_hash(surface_from(dataset.assign_attrs(title="another").drop_vars("loss_standard_error")))
    assert first == surface_hash(surface_from(dataset.isel(alpha=slice(None, None, -1))))
    dataset["loss"][2, 3] += 1e-9
    assert first != surface_hash(surface_from(dataset))


@pytest.mark.slow
def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    scene = small_scene()
    for suffix in ("pdf", "svg"):
        for name in "ab":
            plot(scene, tmp_path / f"{name}.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_control_characters_of_a_stranger_never_reach_the_terminal() -> None:
    line = json.dumps({"format": FORMAT, "title": "\x1b[2Jx", "caption": ["a\x07b", 3], "sources": [{"archive": "\x1b", "surface": 1}, 7]})
    metadata = metadata_from_json(line)
    assert metadata is not None
    assert metadata.title == " [2Jx"
    assert metadata.caption == ("a b", "")
    assert metadata.sources == (FigureSource(" ", "", ""),)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"format": "other"}', "3", '{"format": ["lossatlas-figure"]}'])
def test_what_is_none_of_ours_is_no_metadata(text: str) -> None:
    assert metadata_from_json(text) is None


def gif_bytes(comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    Image.new("P", (4, 3)).save(buffer, "GIF", comment=comment)
    return buffer.getvalue()


BOMB = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>'
MALFORMED = {
    "empty.png": b"",
    "text.png": b"no picture at all",
    "cut.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00",
    "text.gif": b"no picture at all",
    "text.webp": b"no picture at all",
    "text.pdf": b"no document at all",
    "cut.pdf": b"%PDF-1.4\n1 0 obj\n<< /Keywords (x) >>\nendobj\n",
    "text.svg": b"no markup",
    "cut.svg": b"<svg><metadata>",
    "entities.svg": BOMB,
    "text.mp4": b"no film at all",
    "cut.mp4": struct.pack(">I4s4s", 12, b"ftyp", b"isom") + struct.pack(">I4s", 5000, b"moov"),
    "endless.mp4": struct.pack(">I4s4s", 12, b"ftyp", b"isom") + struct.pack(">I4s", 4, b"moov") * 3,
    "bare.mp4": struct.pack(">I4s4s", 12, b"ftyp", b"isom"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_a_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(MALFORMED[name])
    with pytest.raises(InputError, match=r"file: got .*; expected a whole [A-Z0-9]+ file \(.+\)"):
        read_metadata(tmp_path / name)


@pytest.mark.slow
def test_cut_or_garbled_files_never_raise_anything_else(scene: Scene, dataset: xr.Dataset, tmp_path: Path) -> None:
    """Every prefix and some flipped bytes of a small file of each format."""
    rng = np.random.default_rng(0)
    files = {"gif": gif_bytes(gif_comment(figure_metadata(scene)))}
    for suffix in ("png", "svg", "pdf"):
        files[suffix] = plot(small_scene(), tmp_path / f"good.{suffix}", dpi=10) and (tmp_path / f"good.{suffix}").read_bytes()
    for suffix, data in files.items():
        for _ in range(25):
            broken = bytearray(data[: rng.integers(1, len(data))] if rng.random() < 0.5 else data)
            for at in rng.integers(0, len(broken), 20):
                broken[at] = rng.integers(256)
            (tmp_path / f"broken.{suffix}").write_bytes(broken)
            try:
                read_metadata(tmp_path / f"broken.{suffix}")
            except InputError as error:
                assert error.argument == "file"


def test_a_file_of_another_program_says_that_metadata_is_often_stripped(tmp_path: Path) -> None:
    (tmp_path / "plain.gif").write_bytes(gif_bytes())
    Image.new("RGB", (4, 3)).save(tmp_path / "plain.png")
    (tmp_path / "plain.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    (tmp_path / "plain.pdf").write_bytes(b"%PDF-1.4\ntrailer\n<< /Size 1 >>\n%%EOF")
    for name in ("plain.gif", "plain.png", "plain.svg", "plain.pdf"):
        with pytest.raises(InputError, match="strip metadata"):
            read_metadata(tmp_path / name)


def test_a_missing_file_and_another_suffix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_metadata(tmp_path / "nowhere.png")
    with pytest.raises(InputError, match=r"\.png, \.pdf, \.svg, \.gif, \.webp, \.mp4"):
        read_metadata(tmp_path / "figure.jpeg")
