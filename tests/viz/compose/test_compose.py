from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.pages import scenes_of
from lossatlas.viz.compose.timeline import with_timeline
from lossatlas.viz.scene.model import Camera, Pane, PathData, Scene


def kinds(scene: Scene) -> list[tuple[str, int, int]]:
    return [(pane.kind, pane.row, pane.column) for pane in scene.panes]


def test_one_surface_is_drawn_as_map_and_relief(dataset: xr.Dataset) -> None:
    assert kinds(compose(dataset)) == [("contour", 0, 0), ("surface", 0, 1)]


def test_several_surfaces_stand_side_by_side_on_one_scale(archive: Archive) -> None:
    scene = compose(archive)
    assert kinds(scene) == [("contour", 0, 0), ("contour", 0, 1)]
    assert [scene.limits(pane) for pane in scene.panes] == [(0.25, 9.5)] * 2
    assert [pane.title for pane in scene.panes] == ["N = 100", "N = 1000"]


def test_both_kinds_of_several_surfaces_stand_in_columns(archive: Archive) -> None:
    assert kinds(compose(archive, kind="both")) == [("contour", 0, 0), ("surface", 1, 0), ("contour", 0, 1), ("surface", 1, 1)]


def test_lines_share_one_pane_with_accuracy_on_the_right(dataset: xr.Dataset) -> None:
    line = dataset.isel(beta=3, drop=True)
    scene = compose([line, line.assign_attrs(title="other")])
    assert kinds(scene) == [("line", 0, 0)]
    assert scene.panes[0].surfaces == ("ResNet-20", "other")
    assert scene.panes[0].y_label_right == "accuracy [fraction]"


def test_paths_go_to_the_surface_they_were_recorded_on(archive: Archive) -> None:
    scene = compose(archive)
    assert [pane.paths for pane in scene.panes] == [("sgd",), ()]
    assert compose(archive, trajectories=()).paths == ()
    assert compose(archive, trajectories=["sgd"], surfaces="n100").paths[0].label == "SGD"
    assert [path.name for path in compose(archive, trajectories="sgd", surfaces="n100").paths] == ["sgd"]


def test_a_path_without_a_surface_runs_on_each_at_its_own_height(archive: Archive, trajectory: xr.Dataset) -> None:
    archive.write_trajectory("free", trajectory.assign_attrs(surface=None))
    scene = compose(archive, trajectories=["free"])
    assert [pane.paths for pane in scene.panes] == [("free",), ("free on n1000",)]
    first, second = (path.plane_loss for path in scene.paths)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first, 2 * second)


def test_equal_names_of_two_archives_are_told_apart(archive: Archive, dataset: xr.Dataset) -> None:
    scene = compose([archive, dataset, dataset.copy()], surfaces=["n100"])
    assert [surface.name for surface in scene.surfaces] == ["n100", "ResNet-20", "ResNet-20 (2)"]


def test_paths_are_solid_and_told_apart_by_color_and_name_alone(archive: Archive, trajectory: xr.Dataset) -> None:
    archive.write_trajectory("adam", trajectory.assign_attrs(label="Adam"))
    archive.write_trajectory("sgd2", trajectory.assign_attrs(surface="n1000"))
    assert {path.name: path.dash for path in compose(archive).paths} == {"adam": "solid", "sgd": "solid", "sgd2": "solid"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"surfaces": ["n7"]}, "n1000"),
        ({"trajectories": ["adam"]}, "sgd"),
        ({"quantity": "hessian"}, "accuracy"),
        ({"scale": "cubic"}, "log"),
        ({"kind": "pie"}, "contour"),
        ({"kind": "line"}, "contour"),
        ({"colormap": "mud"}, "viridis"),
        ({"levels": 1}, "levels"),
        ({"clip": 0.1}, "above"),
        ({"clip": float("nan")}, "above"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(archive: Archive, options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        compose(archive, **options)


def test_sources_without_a_surface_are_refused(tmp_path: Any, trajectory: xr.Dataset) -> None:
    for source in (open_archive(None, "a"), trajectory, []):
        with pytest.raises(InputError, match="nothing to draw"):
            compose(source)
    with pytest.raises(InputError, match="source"):
        compose(7)  # pyright: ignore[reportArgumentType]


def test_a_log_scale_wants_something_positive(dataset: xr.Dataset) -> None:
    with pytest.raises(InputError, match="holds no positive loss"):
        compose(dataset.assign(loss=-dataset.loss), scale="log")


def test_a_recording_alone_says_how_to_draw_it(trajectory: xr.Dataset) -> None:
    archive = open_archive(None, "a")
    archive.write_trajectory("run", trajectory)
    for draw in (compose, scenes_of):
        with pytest.raises(InputError, match=r"recorded run run.*--kind recording.*project_trajectory"):
            draw(archive)


@pytest.mark.parametrize(("epoch", "said"), [([np.nan] * 5, "step 3"), ([0, np.nan, 1, 1.5, np.nan], "step 3 · epoch 1.5")])
def test_frames_say_the_epoch_where_it_is_known(make_path: Callable[..., PathData], epoch: list[float], said: str) -> None:
    path = make_path(steps=5, epoch=np.array(epoch))
    timeline = with_timeline(Scene((Pane("contour", (), (path.name,)),), paths=(path,))).timeline
    assert timeline is not None and timeline.label[3] == said


def test_a_surface_without_any_finished_cell_is_refused(dataset: xr.Dataset) -> None:
    with pytest.raises(InputError, match="at least one computed"):
        compose(dataset.assign(done=dataset["done"] & False))
    with pytest.raises(InputError, match="at least one computed"):
        compose(dataset[["loss"]] * np.nan)


def test_a_timeline_holds_first_and_last_step_and_true_epochs(archive: Archive) -> None:
    timeline = with_timeline(compose(archive, surfaces="n100"), frames=4).timeline
    assert timeline is not None
    assert timeline.step.tolist() == [0, 6, 12, 19]
    assert timeline.label[2] == "step 12 · epoch 1.2"


def test_without_paths_the_relief_turns_once(dataset: xr.Dataset) -> None:
    timeline = with_timeline(compose(dataset, kind="surface", camera=Camera(32, -60)), frames=36).timeline
    assert timeline is not None
    assert timeline.rotation is not None
    assert timeline.rotation[[0, -1]].tolist() == [-60.0, 290.0]


def test_what_cannot_move_is_refused(dataset: xr.Dataset, make_surface: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="moves"):
        with_timeline(compose(dataset, kind="contour"))
    with pytest.raises(InputError, match="frames"):
        with_timeline(compose(dataset), frames=0)
    timed = with_timeline(Scene((Pane("surface", ("bowl",)),), (make_surface(),)), frames=3)
    assert with_timeline(timed, frames=9) is timed


@pytest.mark.parametrize(("word", "meant"), [("relief", "surface"), ("3D", "surface"), ("heatmap", "contour"), ("contuor", "contour")])
def test_an_unknown_kind_is_asked_back_in_the_words_of_others(word: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"kind: got {word};.*Did you mean {meant}\?"):
        compose(xr.Dataset(), kind=word)  # pyright: ignore[reportArgumentType]
