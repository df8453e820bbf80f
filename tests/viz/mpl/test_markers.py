"""Marks of a path, such as drops of the learning rate, are drawn where it stood, and not before it gets there."""

from __future__ import annotations

import numpy as np
import pytest

from lossatlas.viz.mpl.artists.markers import MINIMUM, handles_of, marks_of
from lossatlas.viz.mpl.figure import draw
from lossatlas.viz.mpl.style import styled
from lossatlas.viz.scene.model import Field, ModelPlace, Pane, PathData, Scene, Surface, Timeline


def marked_scene() -> Scene:
    axis = np.linspace(-1, 1, 5)
    surface = Surface("s", axis, axis, {"loss": Field(np.add.outer(axis**2, axis**2), "loss")})
    way = np.linspace(-0.9, 0.9, 10)
    path = PathData("p", way, way**2, np.arange(10), marks=(3, 7))
    timeline = Timeline(np.array([0, 5, 9]), ("a", "b", "c"))
    return Scene((Pane("contour", ("s",), ("p",)),), (surface,), (path,), timeline=timeline)


def test_marks_appear_when_the_path_has_reached_them() -> None:
    with styled():
        drawing = draw(marked_scene())
        found = []
        for frame in (0, 1, 2):
            drawing.show(frame)
            diamonds = [line for line in drawing.panes[0].axes.lines if line.get_marker() == "D"]
            found.append([float(x) for line in diamonds for x in line.get_xdata()])
    assert found == [[], pytest.approx([-0.3]), pytest.approx([-0.3, 0.5])]


def between_models(low: tuple[float, float] = (0.0, 0.5)) -> Surface:
    alpha, beta = np.linspace(-0.25, 1.25, 7), np.linspace(-0.5, 1.5, 9)
    values = (alpha[:, None] - low[0]) ** 2 + (beta - low[1]) ** 2
    models = tuple(ModelPlace(name, place) for name, place in (("SGD", (0.0, 0.0)), ("Adam", (1.0, 0.0)), ("SAM", (0.0, 1.0))))
    return Surface("s", alpha, beta, {"loss": Field(values, "loss")}, origin=(0.0, 0.0), origin_label="SGD", models=models)


@pytest.mark.slow
def test_every_model_of_a_plane_between_models_is_marked_and_named() -> None:
    """The minimum at (0, 0.5) is three cells away from each of them; values by the formula."""
    marks = marks_of(between_models(), "loss")
    assert [(m.name, m.alpha, m.beta, m.kind) for m in marks[:3]] == [
        ("SGD", 0, 0, "model"),
        ("Adam", 1, 0, "model"),
        ("SAM", 0, 1, "model"),
    ]
    np.testing.assert_allclose([m.value for m in marks[:3]], [0.25, 1.25, 0.25], atol=1e-12)
    assert (marks[3].kind, marks[3].alpha, marks[3].beta) == ("minimum", 0.0, 0.5)
    assert [handle.get_label() for handle in handles_of(marks)] == ["models", MINIMUM]
    with styled():
        drawing = draw(Scene((Pane("contour", ("s",)), Pane("surface", ("s",), column=1)), (between_models(),)))
        for pane in drawing.panes:
            assert {"SGD", "Adam", "SAM"} <= {text.get_text() for text in pane.axes.texts}


def test_one_mark_where_a_model_is_the_minimum_and_none_outside_the_window() -> None:
    marks = marks_of(between_models((1.0, 0.0)), "loss")
    assert [mark.name for mark in marks] == ["SGD", f"Adam, {MINIMUM}", "SAM"]
    near = between_models()
    cut = Surface("s", near.alpha[:4], near.beta, {"loss": Field(near.fields["loss"].values[:4], "loss")}, origin=(0.0, 0.0))
    alone = marks_of(Surface(**{**vars(cut), "models": near.models}), "loss")
    assert [mark.name for mark in alone] == ["the model itself", "SAM", ""]
