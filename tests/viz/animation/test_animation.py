from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from lossatlas.errors import InputError, MissingDependencyError
from lossatlas.viz.animation import writer as animation
from lossatlas.viz.animation.gif import encode_gif
from lossatlas.viz.api import animate
from lossatlas.viz.colors import PATH_COLORS
from lossatlas.viz.compose.timeline import rotate_camera
from lossatlas.viz.metadata.reading import read_metadata
from lossatlas.viz.mpl.artists.path import faded_color
from lossatlas.viz.scene.model import Curve, Pane, Scene, Timeline

Make = Callable[..., Any]
WIDTH = 320


def timeline(steps: list[int], **more: Any) -> Timeline:
    return Timeline(np.array(steps), tuple(f"step {step}" for step in steps), **more)


@pytest.fixture
def descent(make_surface: Make, make_path: Make) -> Scene:
    """A map with a growing path above, a growing curve below."""
    panes = (Pane("contour", ("bowl",), ("sgd",)), Pane("curves", curves=("sgd",), row=1, y_label="loss"))
    curve = Curve("sgd", np.arange(50.0), np.linspace(8, 0.5, 50))
    return Scene(panes, (make_surface(),), (make_path(),), curves=(curve,), timeline=timeline([0, 10, 30, 49]))


def colored(image: np.ndarray, color: str) -> int:
    return int((np.abs(image / 255 - np.array(to_rgb(color))).max(axis=-1) < 0.08).sum())


def pages(path: File) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(path) as gif:
        shown, durations = [], []
        for page in range(getattr(gif, "n_frames", 1)):
            gif.seek(page)
            shown.append(np.asarray(gif.convert("RGB")).astype(int))
            durations.append(gif.info["duration"])
    return shown, durations


@pytest.mark.slow
def test_paths_and_curves_grow_and_all_else_stands_still(descent: Scene) -> None:
    images = [image.astype(int) for image in animation.frames(descent, width=WIDTH)]
    assert len(images) == 4
    lengths = [colored(image, PATH_COLORS[0]) for image in images]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 2 * lengths[0]
    changed = (images[0] != images[-1]).any(axis=-1).mean()
    assert 0 < changed < 0.08


@pytest.mark.slow
def test_a_frame_is_what_a_still_figure_of_it_shows(descent: Scene) -> None:
    """Drawing over a kept background gives the same pixels as drawing everything anew."""
    from lossatlas.viz.mpl.figure import draw
    from lossatlas.viz.mpl.style import styled

    frames = list(animation.frames(descent, width=WIDTH))
    with styled():
        drawing = draw(descent, pixels=WIDTH)
        drawing.show(2)
        drawing.figure.canvas.draw()
        anew = np.asarray(drawing.figure.canvas.buffer_rgba())[..., :3].astype(int)  # pyright: ignore[reportAttributeAccessIssue]
    difference = np.abs(frames[2].astype(int) - anew).max(axis=-1)
    assert (difference > 40).mean() < 0.002, "only the order of marks that overlap may differ"


@pytest.mark.slow
def test_a_gif_has_the_frames_and_times_asked_for(descent: Scene, tmp_path: File) -> None:
    told: list[tuple[int, int]] = []
    path = animation.save(descent, tmp_path / "descent.gif", width=WIDTH, on_frame=lambda done, count: told.append((done, count)))
    shown, durations = pages(path)
    assert durations == [80, 80, 80, 1000]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert shown[0].shape[1] == WIDTH
    assert shown[0].shape[0] % 2 == 0


@pytest.mark.slow
def test_a_gif_shows_what_was_drawn_without_flicker(descent: Scene, tmp_path: File) -> None:
    drawn = [image.astype(int) for image in animation.frames(descent, width=WIDTH)]
    shown, _ = pages(animation.save(descent, tmp_path / "descent.gif", width=WIDTH))
    for image, page in zip(drawn, shown, strict=True):
        assert np.abs(image - page).mean() < 1.5
        assert abs(colored(page, PATH_COLORS[0]) - colored(image, PATH_COLORS[0])) <= 0.2 * colored(image, PATH_COLORS[0])
    still = (drawn[0] == drawn[-1]).all(axis=-1) & (drawn[0] == drawn[1]).all(axis=-1) & (drawn[0] == drawn[2]).all(axis=-1)
    assert (shown[0][still] == shown[-1][still]).all()
    assert (shown[0][:4, :4] == 255).all(), "paper stays white"


def test_the_gif_encoder_keeps_exact_colors_and_identical_frames_last_longer() -> None:
    first = np.full((40, 60, 3), 255, np.uint8)
    first[5:10, 5:10] = (209, 17, 65)
    second = first.copy()
    second[20:25, 20:25] = (20, 72, 200)
    data = encode_gif(iter([first, second, second]), [40, 40, 40], [(209, 17, 65)])
    path_like = Image.open(__import__("io").BytesIO(data))
    assert path_like.info["loop"] == 0
    assert np.array_equal(np.asarray(path_like.convert("RGB")), first)
    path_like.seek(1)
    assert np.array_equal(np.asarray(path_like.convert("RGB")), second)
    path_like.close()


@pytest.mark.slow
def test_a_turning_relief_keeps_its_words_inside(make_surface: Make) -> None:
    scene = Scene((Pane("surface", ("bowl",)),), (make_surface(alpha_label="a long name of an axis"),), timeline=rotate_camera(6))
    images = list(animation.frames(scene, width=WIDTH))
    assert len(images) == 6
    for image in images:
        edge = np.concatenate(
            [image[:2].reshape(-1, 3), image[-2:].reshape(-1, 3), image[:, :2].reshape(-1, 3), image[:, -2:].reshape(-1, 3)]
        )
        assert (edge > 250).all(), "nothing touches the edge of the frame"
    assert (images[0] != images[1]).any()


@pytest.mark.slow
def test_changing_fields_and_cosmetic_frames(make_surface: Make) -> None:
    from lossatlas.viz.mpl.figure import frame_label

    still = make_surface().fields["loss"].values
    scene = Scene(
        (Pane("contour", ("bowl",)),),
        (make_surface(np.stack([still, still + 3, still + 6])),),
        timeline=timeline([0, 1, 2], cosmetic=np.array([False, True, False])),
    )
    first, second, third = (image.astype(int) for image in animation.frames(scene, width=WIDTH))
    assert (first != third).any(axis=-1).mean() > 0.2
    assert (first != second).any(axis=-1).mean() > 0.2
    assert [frame_label(scene, k) for k in range(3)] == ["step 0", "step 1 · blend, no surface of its own", "step 2"]


@pytest.mark.slow
def test_mp4(descent: Scene, tmp_path: File) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the [video] extra is not installed")
    path = animation.save(descent, tmp_path / "descent.mp4", width=WIDTH)
    assert ffmpeg.count_frames_and_secs(str(path)) == (3 + 12, pytest.approx(1.2, abs=1e-6)), "of 80 ms; the last twelve times, 960 ms"


@pytest.mark.slow
def test_a_webp_has_the_frames_and_times_asked_for(descent: Scene, tmp_path: File) -> None:
    path = animation.save(descent, tmp_path / "descent.webp", width=WIDTH)
    drawn = list(animation.frames(descent, width=WIDTH))
    shown, durations = pages(path)
    assert durations == [80, 80, 80, 1000]
    for image, page in zip(drawn, shown, strict=True):
        assert np.abs(image.astype(int) - page).mean() < 3, "WebP is lossy"


@pytest.mark.slow
def test_a_still_of_the_last_frame_lies_beside(descent: Scene, tmp_path: File) -> None:
    path = animation.save(descent, tmp_path / "descent.gif", width=WIDTH)
    *_, last = animation.frames(descent, width=WIDTH)
    with Image.open(tmp_path / "descent-still.png") as still:
        assert np.array_equal(np.asarray(still.convert("RGB")), last)
    assert read_metadata(tmp_path / "descent-still.png") == read_metadata(path)
    animation.save(descent, tmp_path / "alone.gif", width=WIDTH, still=False)
    assert not (tmp_path / "alone-still.png").exists()


@pytest.mark.slow
def test_a_turn_goes_on_without_a_pause(make_surface: Make, tmp_path: File) -> None:
    """Its still is the first frame, from where the camera was put."""
    scene = Scene((Pane("surface", ("bowl",)),), (make_surface(),), timeline=rotate_camera(3, 50))
    _, durations = pages(animation.save(scene, tmp_path / "turn.gif", width=WIDTH))
    assert durations == [50, 50, 50]
    first = next(animation.frames(scene, width=WIDTH))
    with Image.open(tmp_path / "turn-still.png") as still:
        assert np.array_equal(np.asarray(still.convert("RGB")), first)


@pytest.mark.parametrize("kind", ["contour", "surface"])
def test_a_single_pane_is_landscape(make_surface: Make, kind: Any) -> None:
    scene = Scene((Pane(kind, ("bowl",)),), (make_surface(),), timeline=timeline([0, 1]))
    height, width, _ = next(animation.frames(scene, width=320)).shape
    assert (width, height) == (320, 200)


@pytest.mark.slow
def test_a_theme_colors_the_frames_and_the_still(descent: Scene, tmp_path: File) -> None:
    animate(descent, tmp_path / "dark.gif", width=WIDTH, theme="dark")
    for name in ("dark.gif", "dark-still.png"):
        with Image.open(tmp_path / name) as image:
            assert np.mean(image.convert("RGB").getpixel((2, 2))) < 0.15 * 255, name
    with pytest.raises(InputError, match=r"theme.*sepia.*print"):
        animate(descent, tmp_path / "sepia.gif", theme="sepia")  # type: ignore[arg-type]
    assert not list(tmp_path.glob("sepia*"))


def test_a_gif_holds_the_legends_sample_of_a_path_off_the_plane(descent: Scene, tmp_path: File) -> None:
    far = replace(descent.paths[0], residual=np.full(len(descent.paths[0].step), 3.0))
    scene = descent.replace(paths=(far,))
    animation.save(scene, tmp_path / "far.gif", width=WIDTH)
    sample = tuple(round(255 * part) for part in to_rgb(faded_color(scene, far)))
    last = pages(tmp_path / "far.gif")[0][-1]
    assert (last == sample).all(axis=-1).sum() > 10


def test_mp4_without_the_extra_names_it(descent: Scene, tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    find: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "imageio_ffmpeg" else find(name, *rest))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingDependencyError, match=r"lossatlas\[video\]"):
        animation.save(descent, tmp_path / "descent.mp4")


def test_wrong_input_is_named(descent: Scene, tmp_path: File) -> None:
    with pytest.raises(InputError, match=r"\.gif, \.mp4 or \.webp"):
        animation.save(descent, tmp_path / "descent.avi")
    with pytest.raises(InputError, match="timeline"):
        animation.save(descent.replace(timeline=None), tmp_path / "descent.gif")
    with pytest.raises(InputError, match="width"):
        animation.save(descent, tmp_path / "descent.gif", width=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_long_animation_stays_small(make_surface: Make, make_path: Make, tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """98 frames of a relief at full size and mesh, as the tutorial's first animation, in less than 3 MB."""
    monkeypatch.undo()
    steps = np.linspace(0, 8900, 98).astype(int)
    scene = Scene((Pane("surface", ("bowl",), ("sgd",)),), (make_surface(),), (make_path(steps=10_000),), timeline=timeline(steps.tolist()))
    path = animation.save(scene, tmp_path / "long.gif")
    assert len(pages(path)[0]) == 98
    assert path.stat().st_size < 3_000_000
