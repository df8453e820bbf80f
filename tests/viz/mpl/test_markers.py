"""Marks of a path, such as drops of the learning rate, are drawn where it stood, and not before it gets there."""

from __future__ import annotations

import numpy as np
import pytest

from lossatlas.viz.mpl.figure import draw
from lossatlas.viz.mpl.style import styled
from lossatlas.viz.scene.model import Field, Pane, PathData, Scene, Surface, Timeline


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
