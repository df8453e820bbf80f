"""A path beside what the network does: decision areas on 2-D data, the metric's curves on any other; and the recorder's sheet."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from lossatlas import schema
from lossatlas.archive import open_archive
from lossatlas.errors import InputError
from lossatlas.viz.api import animate
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.runs.recording import quantile, recording_scene
from lossatlas.viz.mpl.figure import figure

STEPS = np.array([0, 3, 7, 12])


def run(label: str = "adam", areas: bool = False, **columns: Any) -> xr.Dataset:
    """A projected run of four steps over the map `bowl`."""
    values: dict[str, Any] = {
        "path_alpha": [-0.8, -0.4, 0.1, 0.0],
        "path_beta": [1.0, 0.5, 0.2, 0.0],
        "path_loss": [3.0, 1.5, 0.7, 0.5],
        "path_plane_loss": [2.5, 1.4, 0.6, 0.5],
        "path_relative_residual": [0.4, 0.2, 0.1, 0.0],
        "path_accuracy": [0.2, 0.5, 0.8, 0.9],
        "test_loss": [3.1, 1.6, 0.9, 0.8],
        "test_accuracy": [0.2, 0.4, 0.7, 0.8],
        "epoch": STEPS / 2,
        **columns,
    }
    found = xr.Dataset({name: ("step", np.asarray(v, float)) for name, v in values.items()}, coords={"step": STEPS})
    if areas:
        found["area_class"] = (("step", "area_x", "area_y"), np.arange(4 * 3 * 2).reshape(4, 3, 2) % 3)
        found = found.assign_coords(area_x=[-1.0, 0.0, 1.0], area_y=[-1.0, 1.0])
    found.attrs = {"kind": "trajectory", "label": label, "title": label, "surface": "bowl", "optimizer": "Adam", "learning_rate": 0.1}
    return found


def bowl() -> xr.Dataset:
    alpha, beta = np.linspace(-1, 1, 9), np.linspace(-2, 2, 7)
    loss = 0.5 + alpha[:, None] ** 2 + beta**2
    return xr.Dataset(
        {"loss": (("alpha", "beta"), loss)}, coords={"alpha": alpha, "beta": beta}, attrs={"kind": "surface", "title": "bowl"}
    )


def test_data_of_two_features_have_their_decision_areas_beside_the_path() -> None:
    scene = compose([bowl(), run(areas=True)], kind="training")
    kinds = [(pane.kind, pane.row, pane.column) for pane in scene.panes]
    assert kinds == [("contour", 0, 0), ("areas", 0, 1), ("curves", 1, 0), ("curves", 1, 1)]
    np.testing.assert_array_equal(scene.areas[0].classes, run(areas=True).area_class)


@pytest.mark.slow
def test_other_data_have_the_curves_of_the_metrics_instead() -> None:
    scene = compose([bowl(), run()], kind="training")
    assert [(pane.kind, pane.row, pane.column) for pane in scene.panes] == [("contour", 0, 0), ("curves", 0, 1), ("curves", 1, 1)]
    assert scene.panes[0].row_span == 2 and not scene.areas
    drawn = {curve.label: curve.y.tolist() for curve in scene.curves}
    assert drawn["training loss of the iterate"] == [3.0, 1.5, 0.7, 0.5] and drawn["the plane below it"] == [2.5, 1.4, 0.6, 0.5]
    assert drawn["held-out accuracy"] == [0.2, 0.4, 0.7, 0.8] and drawn["share of the way off the plane"] == [0.4, 0.2, 0.1, 0.0]
    figure(scene)


def test_a_run_without_a_loss_of_its_own_has_only_the_planes_below_it() -> None:
    bare = run().drop_vars([name for name in run().data_vars if name not in ("path_alpha", "path_beta")])
    scene = compose([bowl(), bare], kind="training")
    assert [curve.label for curve in scene.curves] == ["the plane below it"] and scene.panes[1].y_label == "loss"


def test_several_runs_show_losses_and_how_far_each_is_off_the_plane_in_the_color_of_its_path() -> None:
    scene = compose([bowl(), run("sgd"), run("adam")], kind="training")
    colors = {path.name: path.color for path in scene.paths}
    assert len(set(colors.values())) == 2
    for pane, words in zip(scene.panes[1:], ("loss of the iterate", "share of the way off the plane"), strict=True):
        assert pane.y_label.startswith(words)
        assert {scene.curve(name).color for name in pane.curves} == set(colors.values())


@pytest.mark.slow
def test_frames_carry_the_true_step_and_epoch(tmp_path: FilePath) -> None:
    made = animate([bowl(), run()], tmp_path / "run.gif", kind="training", width=400)
    with Image.open(made) as image:
        assert image.n_frames == len(STEPS)
    from lossatlas.viz.compose.timeline import with_timeline

    timeline = with_timeline(compose([bowl(), run()], kind="training")).timeline
    assert timeline is not None and timeline.label == ("step 0 · epoch 0", "step 3 · epoch 1.5", "step 7 · epoch 3.5", "step 12 · epoch 6")


def test_a_map_without_a_path_cannot_be_a_training() -> None:
    with pytest.raises(InputError, match="path"):
        compose(bowl(), kind="training")


def recorded(**changes: Any) -> xr.Dataset:
    """What a recorder keeps, with a NaN gradient at step 0 as in a real run."""
    counts = np.array([[[0, 2, 4, 2, 0], [0, 0, 0, 0, 0]], [[1, 2, 2, 2, 1], [0, 0, 0, 0, 0]]])
    series = {
        "batch_loss": [np.nan, 0.9],
        "path_loss": [2.0, 0.8],
        "learning_rate": [0.5, 0.5],
        "weight_norm": [3.0, 4.0],
        "gradient_norm": [np.nan, 0.2],
        "sharpness": [1.0, 4.1],
        "stability_limit": [4.0, 4.0],
    }
    found = xr.Dataset({name: ("step", values) for name, values in series.items()}, coords={"step": [0, 10]})
    found["layer_norm"] = (("step", "layer"), [[2.0, 1.0], [3.0, 1.0]])
    found["weight_histogram"] = (("step", "bin"), counts.sum(1))
    found["layer_histogram"] = (("step", "layer", "bin"), counts)
    found = found.assign_coords(bin=np.linspace(-1, 1, 5))
    found.attrs = {"kind": "trajectory", "label": "run", "layers": ["body.0", "body.1"], "optimizer": "SGD", "options": {"momentum": 0.0}}
    return found.assign(changes)


@pytest.mark.slow
def test_the_sheet_shows_all_that_a_recorder_keeps() -> None:
    scene = recording_scene(recorded())
    titles = {pane.title.splitlines()[0]: pane for pane in scene.panes}
    assert list(titles) == [
        "loss",
        "sharpness and the edge of stability",
        "learning rate",
        "gradient before the update",
        "norm of the weights",
        "spread of all weights",
        "spread of body.0",
    ]
    edge = titles["sharpness and the edge of stability"]
    assert [scene.curve(name).label for name in edge.curves] == ["largest Hessian eigenvalue", "2 / learning rate"]
    norms = {scene.curve(name).label: scene.curve(name).y.tolist() for name in titles["norm of the weights"].curves}
    assert norms == {"all": [3.0, 4.0], "body.0": [2.0, 3.0], "body.1": [1.0, 1.0]}
    figure(scene)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.9, 0.99])
def test_quantiles_of_counts_are_those_of_the_weights_within_a_bin(share: float) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 5000)).clip(-4, 4)
    edges = np.linspace(-4, 4, 102)
    counts = np.stack([np.histogram(row, edges)[0] for row in weights])
    found = quantile(counts, (edges[:-1] + edges[1:]) / 2, share)
    np.testing.assert_allclose(found, np.quantile(weights, share, axis=1), atol=edges[1] - edges[0])
    assert np.isnan(quantile(np.zeros((1, 3)), np.arange(3.0), share)).all()


@pytest.mark.slow
def test_weights_beyond_the_bins_leave_no_median_and_are_counted() -> None:
    counts = np.array([[[0, 0, 8, 0, 0]], [[5, 0, 1, 0, 2]]])
    grown = recorded(
        layer_histogram=(("step", "layer", "bin"), np.repeat(counts, 2, 1)), weight_histogram=(("step", "bin"), 2 * counts[:, 0])
    )
    scene = recording_scene(grown)
    pane = next(pane for pane in scene.panes if pane.title.startswith("spread of all"))
    assert pane.title == "spread of all weights\nup to 88 % beyond ±0.75"
    (median,) = (curve.y for curve in scene.curves if curve.name == "all median")
    assert np.isfinite(median).tolist() == [True, False]
    figure(scene)


@pytest.mark.slow
def test_a_recording_that_never_moved_says_so_and_shows_constants_as_constants() -> None:
    noise = 0.68 * (1 + 1e-8 * np.array([1.0, -1.0]))
    still = recorded(layer_norm=(("step", "layer"), [[2.0, 1.0]] * 2), path_loss=("step", noise), batch_loss=("step", noise))
    scene = recording_scene(still)
    assert any("stood still" in note for note in scene.notes)
    assert not any("stood still" in note for note in recording_scene(recorded()).notes)
    low, high = next(axes for axes in figure(scene).axes if axes.get_ylabel().startswith("loss")).get_ylim()
    assert high - low == pytest.approx(0.068, rel=1e-3)


def test_what_is_no_recording_is_refused() -> None:
    with pytest.raises(InputError, match="recorder"):
        recording_scene(run())
    with pytest.raises(InputError, match="at least two"):
        recording_scene(recorded().isel(step=[0]))
    archive = open_archive(None, "a")
    with pytest.raises(InputError, match="no recorded run"):
        compose(archive, kind="recording")
    with pytest.raises(InputError, match="at least two"):
        compose([recorded(), recorded().isel(step=[0])], kind="recording")


def test_a_recording_needs_no_surface() -> None:
    assert compose(recorded(), kind="recording").title == "run"


def kept(folder: FilePath, name: str, scale: float) -> str:
    """An archive with a projected run called "run", whose norms and losses are `scale` times those of `recorded`."""
    archive = open_archive(folder / name, "a")
    trajectory = recorded(weight_norm=("step", [3.0 * scale, 4.0 * scale]))
    trajectory["path_alpha"], trajectory["path_beta"] = ("step", [-0.5, 0.0]), ("step", [1.0, 0.0])
    trajectory["test_loss"] = ("step", [2.1 * scale, 0.9 * scale])
    archive.write_trajectory("run", trajectory)
    return str(folder / name)


@pytest.mark.slow
def test_every_run_is_drawn_and_told_apart_though_both_have_one_name(tmp_path: FilePath) -> None:
    a, b = kept(tmp_path, "first.zarr", 1.0), kept(tmp_path, "second.zarr", 10.0)
    alone, scene = compose(a, kind="recording"), compose([a, b], kind="recording")
    assert len(scene.panes) == 2 * len(alone.panes) and len(scene.curves) == 2 * len(alone.curves)
    norms = {pane.title: [scene.curve(name).y.tolist() for name in pane.curves] for pane in scene.panes if "norm of the w" in pane.title}
    assert {title: curves[0] for title, curves in norms.items()} == {
        "run (first): norm of the weights": [3.0, 4.0],
        "run (second): norm of the weights": [30.0, 40.0],
    }
    assert len({(pane.row, pane.column) for pane in scene.panes}) == len(scene.panes)
    assert sum("SGD" in note for note in scene.notes) == 1, "what holds for both is said once"
    figure(scene)


@pytest.mark.slow
def test_runs_are_told_apart_by_labels_names_archives_or_numbers(tmp_path: FilePath) -> None:
    one, two, other = recorded(), recorded(), recorded().assign_attrs(label="adam")
    titles = [pane.title for pane in compose([one, two, other], kind="recording").panes if "learning" in pane.title]
    assert titles == ["run (1): learning rate", "run (2): learning rate", "adam: learning rate"]
    archive = open_archive(tmp_path / "both.zarr", "a")
    archive.write_trajectory("warm", one)
    archive.write_trajectory("cold", two)
    titles = [pane.title for pane in compose(archive, kind="recording").panes if "learning" in pane.title]
    assert sorted(titles) == ["run (cold): learning rate", "run (warm): learning rate"]
    (only,) = (pane for pane in compose(archive, kind="recording", trajectories=["warm"]).panes if "learning" in pane.title)
    assert only.title == "learning rate"
    with pytest.raises(InputError, match="none of cold, warm"):
        compose(archive, kind="recording", trajectories=["hot"])
    with pytest.raises(InputError, match="no recorded run"):
        compose(bowl(), kind="recording")


@pytest.mark.slow
def test_a_training_figure_takes_the_curves_of_its_own_run(tmp_path: FilePath) -> None:
    """The map lies in the first archive; the second has a run of the same name."""
    a, b = kept(tmp_path, "first.zarr", 1.0), kept(tmp_path, "second.zarr", 10.0)
    map_ = bowl()
    first = open_archive(tmp_path / "map.zarr", "a")
    declared = [schema.variable("loss")]
    first.create_surface("bowl", {axis: map_[axis].values for axis in ("alpha", "beta")}, declared, map_.attrs)
    first.write_cells("bowl", np.arange(63), {"loss": map_.loss.values.ravel()})
    first.write_trajectory("run", open_archive(a).trajectory("run"))
    for sources in ([tmp_path / "map.zarr", b], [b, tmp_path / "map.zarr"]):
        scene = compose(sources, kind="training")
        (held_out,) = (curve.y.tolist() for curve in scene.curves if curve.label == "held-out loss")
        assert held_out == [2.1, 0.9]
