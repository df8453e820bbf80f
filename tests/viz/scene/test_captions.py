"""A short caption says what is shown and what could mislead here, in two lines at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from lossatlas.errors import InputError
from lossatlas.viz.api import animate, plot
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.captions import LINE, caption, caption_text
from lossatlas.viz.scene.cautions import Caution, Severity
from lossatlas.viz.scene.footnotes import footnotes
from lossatlas.viz.scene.model import ColorScale, Pane, Provenance, Scene
from lossatlas.viz.scene.names import loss_name, model_name, optimizer_name

Make = Callable[..., Any]


def scene_of(surface: Any, *paths: Any, notes: tuple[str, ...] = (), **scale: Any) -> Scene:
    pane = Pane("contour", (surface.name,), tuple(path.name for path in paths))
    return Scene((pane,), (surface,), tuple(paths), colors=(ColorScale(**scale),), notes=notes)


def test_the_three_sizes(dataset: xr.Dataset) -> None:
    scene = compose(dataset)
    assert caption(scene) == ("Cross-entropy on 50,000 train samples · random directions, filter-normalized",)
    assert caption(scene, "full") == footnotes(scene)
    assert caption(scene, "none") == ()


@pytest.mark.parametrize("size", ["", "long", None, True, ["short"]])
def test_a_size_that_is_not_known_is_refused_with_those_that_are(dataset: xr.Dataset, size: Any) -> None:
    for draw in (lambda: plot(dataset, caption=size), lambda: animate(dataset, "turn.gif", caption=size)):
        with pytest.raises(InputError, match=r'caption.*"short".*"full".*"none"'):
            draw()


def test_what_a_full_caption_knows_stands_in_the_text_for_files(dataset: xr.Dataset) -> None:
    scene = compose(dataset)
    lines = caption_text(scene).split("\n")
    assert lines[0] == "ResNet-20"
    assert tuple(lines[1:]) == footnotes(scene)


def test_the_share_of_interpolated_cells_and_of_clipped_ones(dataset: xr.Dataset) -> None:
    """5 of 63 cells are interpolated; the loss 0.5 + a^2 + 2 b^2 is above 9 in the four corners, and those are above 5 by counting."""
    dataset["loss_filled"] = dataset["loss"]
    dataset["done"][7:, 5:] = False
    dataset["done"][0, 0] = False
    scene = compose(dataset, clip=9.4)
    above = float((dataset["loss"].values > 9.4).mean())
    assert above == pytest.approx(4 / 63)
    (line,) = caption(scene)
    assert line.endswith("92.1 % of cells computed, others interpolated · 6.3 % of cells clipped above 9.4")
    assert len(line) <= LINE


def test_many_clipped_cells_are_a_caution_and_no_longer_a_fact(dataset: xr.Dataset) -> None:
    share = float((dataset["loss"].values > 3).mean())
    assert share > 0.1
    first, second = caption(compose(dataset, clip=3.0))
    assert "clipped" not in first
    assert second == f"Caution: {100 * share:.0f} % of cells clipped above 3"


def test_data_are_not_claimed_for_surfaces_of_which_they_are_not_known(dataset: xr.Dataset) -> None:
    known = surface_from(dataset)
    foreign = replace(known, name="imported", provenance=Provenance())
    panes = tuple(Pane("contour", (name,), column=i) for i, name in enumerate((known.name, "imported")))
    (line,) = caption(Scene(panes, (known, foreign)))
    assert line.startswith("Cross-entropy on 50,000 train samples (not known of 1 of the 2 surfaces)")


def test_holes_are_counted_by_their_reason(make_surface: Make) -> None:
    values = np.linspace(1, 2, 99).reshape(11, 9)
    values[0, 0], values[1, 1], values[1, 2] = np.nan, -1.0, 0.0
    (line,) = caption(scene_of(make_surface(values), scale="log"))
    assert line == "1 % of cells NaN or infinite · 2 % of cells ≤ 0, which a log scale cannot show"
    assert caption(scene_of(make_surface(values))) == ("1 % of cells NaN or infinite",)


def test_the_caution_that_changes_most_is_the_one_that_is_printed(make_surface: Make) -> None:
    order = list(Severity)
    for worst in order:
        milder = [Caution(one.name.lower(), one) for one in order if one <= worst]
        scene = scene_of(make_surface(cautions=tuple(milder)))
        assert caption(scene) == (f"Caution: {worst.name.lower()}",)


def test_too_few_samples_for_an_error_that_is_drawn(dataset: xr.Dataset) -> None:
    """As hatching, as the band of a line, or itself; a map without any of it needs no such caution."""
    few = dataset.assign_attrs(objective={**dataset.attrs["objective"], "samples": 64})
    line = few.isel(beta=3, drop=True)
    for scene in (compose(few, uncertainty=True), compose(line), compose(few, quantity="loss_standard_error")):
        assert caption(scene)[1:] == ("Caution: from 64 samples the standard error is often too small",)
    enough = few.assign_attrs(objective={**few.attrs["objective"], "samples": 200})
    for scene in (compose(few), compose(few, quantity="accuracy"), compose(enough, uncertainty=True)):
        assert len(caption(scene)) == 1


def test_iterates_far_off_the_plane(dataset: xr.Dataset, trajectory: xr.Dataset) -> None:
    """The factor by a plain loop; where the surface reads the iterates' own loss, or they are near, there is nothing to warn of."""
    surface = dataset.assign_attrs(name="n100")
    far, near = (trajectory.assign_attrs(residual_norm={"mean": mean, "largest": 0.9}) for mean in (0.43, 0.05))
    below = far.path_loss.values * np.linspace(1.0, 2.5, 20)
    apart = far.assign(path_plane_loss=("step", below))
    factor = max(max(p / q, q / p) for p, q in zip(below, far.path_loss.values, strict=True))
    assert factor == pytest.approx(2.5)
    assert caption(compose(surface, trajectories=[apart]))[1:] == (
        "Caution: the path is off the plane: its loss and the surface below it differ up to 2.5-fold",
    )
    assert len(caption(compose(surface, trajectories=[far.assign(path_plane_loss=far.path_loss)]))) == 1
    assert len(caption(compose(surface, trajectories=[near.assign(path_plane_loss=("step", below))]))) == 1
    assert caption(compose(surface, trajectories=[far.drop_vars("path_loss")]))[1:] == (
        "Caution: on average 43 % of the path's way lies off the plane: the surface below it is not its loss",
    )


def test_an_estimate_on_another_scale_and_a_coarse_one(dataset: xr.Dataset) -> None:
    dataset["loss_filled"] = dataset["loss"]
    dataset["done"][7:, 5:] = False
    rough = dataset.assign_attrs(estimated_error=0.3, estimated_error_scale="linear")
    fine = dataset.assign_attrs(estimated_error=0.02, estimated_error_scale="linear")
    assert caption(compose(rough))[1:] == ("Caution: interpolated values may be off by 30 % of the range",)
    sampled = rough.assign_attrs(estimated_error_scale="log", sampling={"scale": "log", "samples": 50_000})
    assert "Caution: estimates from some of the samples may be off by 30 % of the log range" in caption(compose(sampled, scale="log"))
    assert len(caption(compose(fine, scale="linear"))) == 1
    (caution,) = caption(compose(fine, scale="log"))[1:]
    assert "linear scale" in caution


def test_statistics_of_another_model_outrank_everything(dataset: xr.Dataset) -> None:
    models = [{"label": "model b", "differs": True, "plane_loss": 2.0, "loss": 0.5, "place": [1.0, 0.0]}]
    found = dataset.assign_attrs(models=models, objective={**dataset.attrs["objective"], "samples": 20})
    (caution,) = caption(compose(found, clip=2.0))[1:]
    assert caution.startswith("Caution: at model b the plane reads 2, that model's own loss is 0.5")


def test_weights_that_are_not_finite_end_a_path(make_surface: Make, make_path: Make) -> None:
    path = make_path(steps=50)
    alpha = path.alpha.copy()
    alpha[40:] = np.nan
    assert caption(scene_of(make_surface(), replace(path, alpha=alpha))) == (
        "Caution: the weights are not finite from step 40 on: the path ends there",
    )


def test_a_caution_of_one_of_several_names_its_owner(make_surface: Make) -> None:
    caution = Caution("values may be off", Severity.COARSE_ESTIMATE)
    one, other = make_surface(name="one", cautions=(caution,)), make_surface(name="other")
    panes = (Pane("contour", ("one",)), Pane("contour", ("other",), column=1))
    assert caption(Scene(panes, (one, other))) == ("Caution: one: values may be off",)
    assert caption(Scene(panes, (one, replace(other, cautions=(caution,))))) == ("Caution: values may be off",)


def test_what_more_than_two_surfaces_do_not_share_is_left_to_their_titles(make_surface: Make) -> None:
    one = make_surface(name="one", provenance=Provenance("cross-entropy", "100 samples", "random directions"))
    other = make_surface(name="other", provenance=Provenance("cross-entropy", "1,000 samples", "random directions"))
    third = make_surface(name="third", provenance=Provenance("cross-entropy", "9 samples", "random directions"))
    panes = tuple(Pane("contour", (name,), column=k) for k, name in enumerate(("one", "other", "third")))
    assert caption(Scene(panes[:2], (one, other))) == ("Cross-entropy on 100 samples and 1,000 samples · random directions",)
    assert caption(Scene(panes, (one, other, third))) == ("Cross-entropy · random directions",)


def test_a_scene_without_surfaces_opens_with_its_first_notes(dataset: xr.Dataset) -> None:
    scene = Scene((Pane("text", text="x"),), notes=("SGD, learning rate 0.1", "CAUTION: the weights stood still", "a" * LINE))
    assert caption(scene) == ("SGD, learning rate 0.1", "Caution: the weights stood still")
    assert caption(scene.replace(summary="One run")) == ("One run", "Caution: the weights stood still")


def test_a_first_line_is_never_longer_than_a_line_of_a_page(dataset: xr.Dataset) -> None:
    dataset["loss_filled"] = dataset["loss"]
    dataset["done"][7:, 5:] = False
    long = dataset.assign_attrs(objective={**dataset.attrs["objective"], "loss": "my_very_long_loss_function_of_many_words"})
    line = caption(compose(long, clip=9.4))[0]
    assert len(line) <= LINE
    assert "interpolated" in line


def test_names_as_the_field_writes_them() -> None:
    for name in ("cross_entropy", "CrossEntropyLoss", "softmax_cross_entropy"):
        assert loss_name(name) == "cross-entropy"
    assert [loss_name(name) for name in ("mse_loss", "MSELoss", "nll_loss", "<lambda>", "energy")] == [
        "mean squared error",
        "mean squared error",
        "negative log-likelihood",
        "loss",
        "energy",
    ]
    assert [optimizer_name(name) for name in ("sgd", "Adam", "RMSPROP", "run 3")] == ["SGD", "Adam", "RMSprop", "run 3"]
    assert (model_name("Sequential"), model_name("ResNet20")) == ("", "ResNet20")


def test_a_container_is_no_name_of_a_network(dataset: xr.Dataset, trajectory: xr.Dataset) -> None:
    plain = dataset.assign_attrs(objective={**dataset.attrs["objective"], "model": "Sequential", "loss": "CrossEntropyLoss"})
    assert surface_from(plain).notes[1].startswith("loss: cross-entropy, eval mode")
    assert path_from(trajectory, label="adamw").label == "AdamW"
