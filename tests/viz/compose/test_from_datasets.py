from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lossatlas.errors import InputError
from lossatlas.viz.compose.from_datasets import path_from, surface_from, value_below


def test_a_dataset_becomes_a_surface(dataset: xr.Dataset) -> None:
    surface = surface_from(dataset, name="r20")
    assert (surface.name, surface.label, surface.alpha_label, surface.origin) == ("r20", "ResNet-20", "α", (0.0, 0.0))
    assert list(surface.fields) == ["loss", "accuracy"]
    assert surface.fields["loss"].label == "loss [nats]"
    np.testing.assert_array_equal(surface.fields["loss"].values, dataset["loss"].values)
    error = surface.fields["loss"].standard_error
    assert error is not None
    np.testing.assert_array_equal(error, np.full((9, 7), 0.02))
    assert surface.fields["accuracy"].standard_error is None


def test_notes_tell_how_the_surface_was_made(dataset: xr.Dataset) -> None:
    dataset["done"][7:, 5:] = False
    assert surface_from(dataset).all_notes() == (
        "axes: random directions, filter-normalized, direction seed 3, cosine between axes 0.0123, biases and BatchNorm fixed",
        "loss: cross-entropy of ResNet20, eval mode (BatchNorm by running statistics, no dropout), 50,000 train samples, float32",
        "59 of 63 cells computed (93.7 %)",
        "standard error of a cell's loss up to 0.02 nats",
    )


def test_a_path_says_how_its_run_ended_and_what_a_kill_cost(trajectory: xr.Dataset) -> None:
    seams = {"ended": "interrupted: ValueError", "gaps": [{"after": 10, "before": 14, "rows": 3}, {"after": 20, "before": 22, "rows": 1}]}
    notes = path_from(trajectory.assign_attrs(seams)).notes
    assert "run interrupted: ValueError" in notes
    assert "4 due rows missing before step 14, step 22, where the run was killed and resumed" in notes
    assert not any("run" in note or "missing" in note for note in path_from(trajectory.assign_attrs(ended="closed", gaps=[])).notes)


def test_an_estimate_names_its_metric_and_what_it_cannot_see(dataset: xr.Dataset) -> None:
    dataset["done"][7:, 5:] = False
    told = {"estimated_error": 1.5e-9, "estimated_error_scale": "log", "estimated_errors": {"accuracy": 0.883}, "narrowest": 4}
    assert surface_from(dataset.assign_attrs(told)).notes[2] == (
        "59 of 63 cells computed (93.7 %), estimated error of the loss below 0.01 % of the log range, of the accuracy 88 %; "
        "features narrower than 4 cells may be missed"
    )


def test_a_foreign_dataset_without_any_attributes_is_read() -> None:
    values = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("alpha", "beta"), coords={"alpha": [0, 1], "beta": [0, 1, 2]})
    surface = surface_from(xr.Dataset({"train_error": values}))
    assert (surface.name, surface.notes, surface.origin, surface.done) == ("surface", (), None, None)
    assert surface.fields["train_error"].label == "train error"


@pytest.mark.parametrize(
    "plane", [None, "random", {}, {"kind": "magic"}, {"axis_labels": None, "origin": None, "cosine": None, "normalize": None}]
)
def test_odd_attributes_are_coped_with(dataset: xr.Dataset, plane: object) -> None:
    surface = surface_from(dataset.assign_attrs(plane=plane, objective=None))
    assert (surface.alpha_label, surface.beta_label, surface.origin) == ("α", "β", None)


def test_axes_are_named_not_positional(dataset: xr.Dataset) -> None:
    turned = surface_from(dataset.transpose("beta", "alpha"))
    np.testing.assert_array_equal(turned.fields["loss"].values, dataset["loss"].values)


def test_falling_axes_are_turned_round(dataset: xr.Dataset) -> None:
    falling = surface_from(dataset.isel(alpha=slice(None, None, -1)))
    np.testing.assert_array_equal(falling.alpha, dataset["alpha"].values)
    np.testing.assert_array_equal(falling.fields["loss"].values, dataset["loss"].values)


def test_variables_with_further_dims_are_left_out(dataset: xr.Dataset) -> None:
    dataset["loss_per_sample"] = (("alpha", "beta", "sample"), np.zeros((9, 7, 4)))
    assert list(surface_from(dataset).fields) == ["loss", "accuracy"]


@pytest.mark.parametrize("broken", [xr.Dataset(), xr.Dataset({"x": ("time", [1.0])}), xr.Dataset(coords={"alpha": [0, 1], "beta": [0, 1]})])
def test_what_is_no_surface_is_refused(broken: xr.Dataset) -> None:
    with pytest.raises(InputError, match="surface"):
        surface_from(broken)


def test_a_line_has_no_beta(dataset: xr.Dataset) -> None:
    line = surface_from(dataset.isel(beta=3, drop=True))
    assert line.is_line
    assert line.fields["loss"].values.shape == (9,)


def test_a_trajectory_becomes_a_path(trajectory: xr.Dataset, dataset: xr.Dataset) -> None:
    path = path_from(trajectory, name="sgd", surface=surface_from(dataset))
    assert (path.label, path.notes, path.step[-1]) == ("SGD", ("SGD",), 19)
    assert path.epoch is not None
    assert path.epoch[-1] == pytest.approx(1.9)
    assert path.plane_loss is not None


def test_a_run_that_was_never_projected_is_refused() -> None:
    with pytest.raises(InputError, match="path_alpha"):
        path_from(xr.Dataset({"loss": ("step", [1.0])}))


def test_the_value_below_is_bilinear_and_stops_at_the_window(make_surface: object) -> None:
    alpha, beta = np.linspace(-1, 1, 5), np.linspace(-2, 2, 4)
    surface = make_surface(3 * alpha[:, None] - beta[None, :])  # pyright: ignore[reportCallIssue]
    below = value_below(surface, np.array([0.3, -0.7, 1.5]), np.array([0.2, 1.9, 0.0]))
    np.testing.assert_allclose(below, [0.7, -4.0, np.nan])


def test_a_path_says_what_a_random_walk_would_show_and_how_far_off_the_plane_it_is() -> None:
    columns = {name: ("step", [0.0, 1.0]) for name in ("path_alpha", "path_beta", "path_plane_loss")}
    attrs = {
        "explained_variance_ratio": [0.9, 0.05],
        "random_walk_null": [0.81, 0.09],
        "walk_correlation": [0.77, 0.34],
        "residual_norm": {"mean": 0.125, "largest": 0.5},
    }
    path = path_from(xr.Dataset(columns, attrs=attrs))
    assert path.notes == (
        "two components: 90.0 % + 5.0 %; a random walk would give 81.0 % + 9.0 % (correlation with its components 0.77 and 0.34)",
        "off the plane: 12.5 % of the way on average, 50.0 % at most",
    )
    assert path.plane_loss is not None and path.plane_loss.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pca", "the end of the run"),
        ("start-end", "the end of the run"),
        ("shared", "the common start"),
        ("between", "model a"),
        ("random", "the model itself"),
        (None, "the model itself"),
    ],
)
def test_the_mark_at_the_origin_names_the_model_that_stands_there(kind: str | None, words: str) -> None:
    values = xr.DataArray(np.ones((2, 3)), dims=("alpha", "beta"), coords={"alpha": [0, 1], "beta": [0, 1, 2]})
    assert surface_from(xr.Dataset({"loss": values}, attrs={"plane": {"kind": kind, "origin": [0.0, 0.0]}})).origin_label == words


def test_a_path_on_a_shared_plane_says_its_own_share_and_that_of_all_runs() -> None:
    attrs = {
        "plane": {"kind": "shared"},
        "explained_variance_ratio": [0.8, 0.1],
        "random_walk_null": [0.2, 0.05],
        "joint_explained_variance_ratio": [0.7, 0.15],
        "joint_random_walk_null": [0.22, 0.19],
    }
    path = path_from(xr.Dataset({name: ("step", [0.0, 1.0]) for name in ("path_alpha", "path_beta")}, attrs=attrs))
    assert path.notes == (
        "of its own motion the axes show: 80.0 % + 10.0 %; a random walk would give 20.0 % + 5.0 %; "
        "of all runs 70.0 % + 15.0 %, of such walks 22.0 % + 19.0 %",
    )


def test_a_plane_between_models_knows_where_each_of_them_stands(dataset: xr.Dataset) -> None:
    places = [["model a", [0.0, 0.0], 0.0], ["fine-tuned", [1.0, 0.0], 0.0], ["odd"], "odd", ["line", [1.0], 0.0], ["x", ["y"], 0.0]]
    plane = {"kind": "between", "origin": [0.0, 0.0], "model_places": places}
    surface = surface_from(dataset.assign_attrs(plane=plane))
    assert [(model.label, model.place) for model in surface.models] == [("model a", (0.0, 0.0)), ("fine-tuned", (1.0, 0.0))]
    assert surface_from(dataset.assign_attrs(plane={**plane, "kind": "pca"})).models == (), "the paths show them"
    renamed = {**plane, "model_places": [["pretrained", [0.0, 0.0], 0.0]]}
    assert surface_from(dataset.assign_attrs(plane=renamed)).origin_label == "pretrained"


def test_a_surface_estimated_from_samples_says_so_and_marks_no_cells() -> None:
    """Its values, its own standard error, one phrase beside the data; no cell passes for computed or for a hole."""
    shape, dims = (3, 4), ("alpha", "beta")
    variables = {"loss": np.full(shape, np.nan), "loss_filled": np.arange(12.0).reshape(shape), "done": np.zeros(shape, bool)}
    variables |= {"loss_filled_standard_error": np.full(shape, 0.25), "loss_standard_error": np.full(shape, np.nan)}
    sampling = {"samples": 50_000, "share": 0.024, "scale": "linear"}
    attrs = {"sampling": sampling, "estimated_error": 0.008, "objective": {"samples": 50_000, "loss": "cross_entropy"}}
    dataset = xr.Dataset({k: (dims, v) for k, v in variables.items()}, {"alpha": [0.0, 1, 2], "beta": [0.0, 1, 2, 3]}, attrs)
    surface = surface_from(dataset)
    np.testing.assert_array_equal(surface.fields["loss"].values, variables["loss_filled"])
    np.testing.assert_array_equal(surface.fields["loss"].standard_error, variables["loss_filled_standard_error"])
    assert surface.done is None and surface.sampled is None
    assert surface.provenance.data == "50,000 samples, estimated within 0.8 % of the range"
    assert any("estimated from 50,000 samples" in note for note in surface.notes)
