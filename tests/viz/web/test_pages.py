"""Pages without a browser: what they gather, that they stand alone, and that they stay small."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lossatlas import schema
from lossatlas.archive import Archive, open_archive
from lossatlas.errors import ArchiveError, InputError
from lossatlas.viz.api import view
from lossatlas.viz.compose.pages import combine, scenes_of
from lossatlas.viz.scene.model import Field, Pane, Scene, Surface
from lossatlas.viz.web.archive_feed import ArchiveFeed
from lossatlas.viz.web.bundle import MissingBundleError, module, script
from lossatlas.viz.web.html import export_html, fragment
from lossatlas.viz.web.payload import encode
from lossatlas.viz.web.server import LiveServer
from lossatlas.viz.web.thumbnail import thumbnail_png

NA, NB = 5, 7


def filled(path: Path | None, *names: str, seed: int = 0) -> Archive:
    archive = open_archive(path, "a")
    axes = {"alpha": np.linspace(-1, 1, NA), "beta": np.linspace(0, 1, NB)}
    for name in names:
        archive.create_surface(
            name, axes, [schema.variable("loss")], {"kind": "surface", "title": name, "plane": {"kind": "random", "seed": seed}}
        )
        archive.write_cells(name, np.arange(NA * NB), {"loss": np.arange(NA * NB) + 1.0})
    return archive


def path_over(archive: Archive) -> None:
    steps = np.arange(4)
    data = {"path_alpha": ("step", steps / 4), "path_beta": ("step", steps / 5), "path_loss": ("step", 4.0 - steps)}
    archive.write_trajectory("run", xr.Dataset(data, coords={"step": steps}, attrs={"kind": "trajectory", "label": "SGD"}))


@pytest.fixture
def bundle() -> str:
    try:
        return script()
    except MissingBundleError as error:
        pytest.skip(str(error))


def test_archives_are_gathered_with_their_paths_and_planes(tmp_path: Path) -> None:
    one, two = filled(tmp_path / "one.zarr", "s"), filled(tmp_path / "two.zarr", "s", seed=3)
    path_over(one)
    scene = combine([one, two])
    assert [surface.name for surface in scene.surfaces] == ["one: s", "two: s"]
    assert [surface.label for surface in scene.surfaces] == ["one: s", "two: s"]
    assert [path.label for path in scene.paths] == ["SGD"]
    assert scene.timeline is not None and len(scene.timeline) == 4
    assert {name: plane["seed"] for name, plane in scene.meta["planes"].items()} == {"one: s": 0, "two: s": 3}


def test_each_path_is_read_against_its_own_surface_and_one_plane_is_shown(tmp_path: Path) -> None:
    archive = filled(tmp_path / "a.zarr", "high", "low")
    archive.update_attrs("surfaces", "low", {"plane": {"kind": "random", "seed": 9}})
    archive.write_cells("high", np.arange(NA * NB), {"loss": 100.0 + np.zeros(NA * NB)})
    steps = np.arange(3)
    data = {"path_alpha": ("step", np.zeros(3)), "path_beta": ("step", np.zeros(3)), "path_residual": ("step", steps / 2)}
    archive.write_trajectory("run", xr.Dataset(data, coords={"step": steps}, attrs={"kind": "trajectory", "surface": "low"}))
    scene = combine([archive])
    (path,) = scene.paths
    assert path.surface == "low"
    assert path.plane_loss is not None
    np.testing.assert_allclose(path.plane_loss, 1.0 + (NA // 2) * NB)
    assert scene.panes[0].surfaces == ("low",) and scene.panes[0].paths == ("run",)
    assert [surface.name for surface in scene.surfaces] == ["high", "low"]


def test_a_path_that_names_no_surface_finds_the_plane_it_was_projected_on(tmp_path: Path) -> None:
    archive = filled(tmp_path / "a.zarr", "one", "two")
    for name in ("one", "two"):
        archive.update_attrs("surfaces", name, {"plane": {"direction_hashes": [name, "e"]}})
    path_over(archive)
    run = archive.trajectory("run").assign_attrs(plane={"direction_hashes": ["two", "e"]})
    archive.write_trajectory("run", run)
    assert [path.surface for path in combine([archive]).paths] == ["two"]


def test_surfaces_of_one_plane_are_shown_together() -> None:
    assert combine([filled(None, "a", "b")]).panes[0].surfaces == ("a", "b")


def test_a_page_names_no_place_of_this_machine(tmp_path: Path, bundle: str) -> None:
    filled(tmp_path / "a.zarr", "s")
    page = export_html(tmp_path / "a.zarr", tmp_path / "out" / "a.html").read_text()
    assert str(tmp_path) not in page


def test_a_page_stands_alone(tmp_path: Path, bundle: str) -> None:
    page = view(filled(None, "s"), export=tmp_path / "a.html", title="Mine & yours").read_text()
    without_data = page.replace(bundle, "")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", without_data)
    assert "<title>Mine &amp; yours</title>" in page
    assert page.count("</script>") == 4
    assert view(filled(None, "s"), export=tmp_path / "b.html").exists()


def test_words_from_the_data_cannot_end_the_script(tmp_path: Path, bundle: str) -> None:
    archive = filled(None, "s")
    archive.update_attrs("surfaces", "s", {"title": "</script><b>"})
    page = export_html(archive, tmp_path / "a.html").read_text()
    assert page.count("</script>") == 4 and "<b>" not in page.replace(bundle, "")


def test_static_notebook_fragment_is_one_frame(bundle: str) -> None:
    scenes, _ = scenes_of(filled(None, "s"))
    frame = fragment(encode(scenes), scenes)
    assert frame.startswith("<iframe srcdoc=") and frame.count("<iframe") == 1


@pytest.mark.slow
def test_budgets_of_bundle_and_page(tmp_path: Path, bundle: str) -> None:
    assert len(bundle.encode()) < 900_000 and len(module().encode()) < 900_000
    a, b = np.linspace(-1, 1, 200)[:, None], np.linspace(-1, 1, 200)[None]
    values = np.stack([np.exp(2 * (a**2 + b**2) + 0.4 * np.sin(4 * a + 0.1 * k) * np.cos(5 * b)) for k in range(60)])
    surface = Surface("s", a[:, 0], b[0], {"loss": Field(values, "loss")})
    assert export_html(Scene((Pane("surface", ("s",)),), (surface,)), tmp_path / "a.html").stat().st_size < 5_000_000


def test_the_feed_sends_each_cell_once() -> None:
    archive = open_archive(None, "a")
    feed = ArchiveFeed([archive])
    assert "Waiting" in feed.poll().words
    archive.create_surface("s", {"alpha": np.arange(NA) * 1.0, "beta": np.arange(NB) * 1.0}, [schema.variable("loss")], {"kind": "surface"})
    first = feed.poll()
    assert first.payload is not None and not first.finished
    archive.write_cells("s", np.array([3, 8]), {"loss": np.array([0.5, 1.5])})
    (patch,) = feed.poll().patches
    assert struct.unpack_from("<HHI", patch) == (0, 0, 2)
    assert np.frombuffer(patch, "<u4", 2, 8).tolist() == [3, 8]
    assert np.frombuffer(patch, "<f4", 2, 16).tolist() == [0.5, 1.5]
    assert feed.poll().patches == ()
    archive.write_cells("s", np.array([1]), {"loss": np.array([2.5])})
    feed.poll()
    assert struct.unpack_from("<HHI", feed.patches()[0]) == (0, 0, 3), "all cells since the full state"
    archive.write_cells("s", np.arange(NA * NB), {"loss": np.ones(NA * NB)})
    assert feed.poll().finished


@pytest.mark.slow
def test_the_state_of_a_widget_is_whole_at_every_moment(tmp_path: Path) -> None:
    """A view that opens late hears no messages: what it reads from the widget's state has to be enough."""
    pytest.importorskip("anywidget")
    from lossatlas.viz.web.widget import widget

    axes = {"alpha": np.arange(NA) * 1.0, "beta": np.arange(NB) * 1.0}
    archive = open_archive(tmp_path / "run.zarr", "a")
    waiting = widget(archive)
    assert waiting.header == "" and "Waiting" in waiting.words
    archive.create_surface("s", axes, [schema.variable("loss")], {"kind": "surface"})
    archive.write_cells("s", np.array([3]), {"loss": np.array([0.5])})
    shown = widget(str(tmp_path / "run.zarr"))
    shown.update()
    assert (shown.scene, shown.patches) == (0, [])
    for cell in (8, 5):
        archive.write_cells("s", np.array([cell]), {"loss": np.array([1.5])})
        shown.update()
    (patch,) = shown.patches
    assert np.frombuffer(patch, "<u4", 2, 8).tolist() == [5, 8] and "3 of" in shown.words
    before = shown.blob
    archive.create_surface("t", axes, [schema.variable("loss")], {"kind": "surface"})
    shown.update()
    assert (shown.scene, shown.patches) == (1, []) and shown.blob != before and '"t"' in shown.header
    waiting.update()
    assert (waiting.scene, waiting.header) == (1, shown.header)


def test_the_server_listens_on_this_machine_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="loopback"):
        LiveServer(filled(None, "s"), host="0.0.0.0")
    with pytest.raises(ArchiveError):
        LiveServer(tmp_path / "nothing.zarr")


@pytest.mark.parametrize("source", [3, [], [[]]])
def test_what_cannot_be_drawn_is_refused_in_words(source: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="source"):
        export_html(source, tmp_path / "a.html")


@pytest.mark.parametrize(
    "values", [np.ones((3, 4)), np.full((2, 2), np.nan), np.array([[1.0, np.inf], [-np.inf, 1e9]])], ids=["constant", "empty", "infinite"]
)
def test_a_poster_of_anything(values: np.ndarray) -> None:
    surface = Surface("s", np.arange(values.shape[0]) * 1.0, np.arange(values.shape[1]) * 1.0, {"loss": Field(values, "loss")})
    assert thumbnail_png(Scene((), (surface,))).startswith(b"\x89PNG")
    assert thumbnail_png(Scene(())).startswith(b"\x89PNG")
