"""A scene as readable text: the first thing to look at when a figure changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lossatlas.archive import Archive
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.timeline import with_timeline
from lossatlas.viz.scene.model import Arrow, Camera, Curve, DecisionRegions, Pane, Scene, Timeline
from lossatlas.viz.scene.text import describe

COMPOSED = """\
scene "N = 100", 2 panes
pane 1 contour at row 0, column 0: n100
  paths sgd
  loss from 0.5 to 9.5, log scale, atlas, 21 levels
pane 2 surface at row 0, column 1: n100
  paths sgd
  loss from 0.5 to 9.5, log scale, atlas, 21 levels
  camera 32° up, azimuth -60°, zoom 1
surface n100: α -1 to 1 (9), β -2 to 2 (7)
  loss [nats]: 0.5 to 9.5
  accuracy [fraction]: 0.0952381 to 0.666667
path SGD: (-0.9, 1.8) to (0, 0), steps 0 to 19, loss 7.79 to 0.5, solid
timeline: 5 frames (0 cosmetic), steps 0 to 19 (5), 80 ms each
caption: Cross-entropy on 50,000 train samples · random directions, filter-normalized
note: axes: random directions, filter-normalized, direction seed 3, cosine between axes 0.0123, biases and BatchNorm fixed
note: loss: cross-entropy of ResNet20, eval mode (BatchNorm by running statistics, no dropout), 50,000 train samples, float32
note: all 63 cells computed
note: standard error of a cell's loss up to 0.02 nats
note: minimum on this grid 0.5 at (0, 0)
note: SGD"""

MIXED = """\
scene "Everything", 4 panes
  a subtitle
pane 1 contour "Map" at row 0, column 0: bowl
  loss from 0.5 to 9.5, linear scale, atlas, 21 levels
pane 2 curves at row 1, column 0 spanning 1 x 2: loss
pane 3 areas at row 0, column 1: spiral
pane 4 text at row 2, column 0: Read me
surface bowl: α -1 to 1 (9), β -2 to 2 (7)
  loss [nats]: 0.5 to 9.5, 1 not computed, 1 not finite, 3 frames
curve train loss: 4 points, x 0 to 3 (4), y 0 to 9 (4), right axis, dashed
areas spiral: 2 classes, 3 points, map 4 x 5
arrow from (0, 0) to (0.5, 1): step
timeline: 3 frames (1 cosmetic), steps 0 to 2 (3), 40 ms each, azimuth 0 to 90 (3)
caption: 98.4 % of cells computed, others empty · 1.6 % of cells NaN or infinite
note: 1 of 63 cells not computed (///)
note: 1 of 63 cells NaN or infinite (xxx)"""


def test_a_composed_scene_in_words(archive: Archive) -> None:
    scene = with_timeline(compose(archive, surfaces="n100", scale="log", camera=Camera()), frames=5)
    assert describe(scene).replace("\u00a0", " ") == COMPOSED


def test_every_kind_of_thing_in_words(make_surface: Callable[..., Any]) -> None:
    still = make_surface().fields["loss"].values
    done = np.ones((9, 7), bool)
    done[0, 1] = False
    values = np.stack([still] * 3)
    values[:, 1, 1] = np.nan
    scene = Scene(
        panes=(
            Pane("contour", ("bowl",), title="Map"),
            Pane("curves", curves=("loss",), row=1, column_span=2),
            Pane("areas", areas=("spiral",), column=1),
            Pane("text", row=2, text="Read me"),
        ),
        surfaces=(make_surface(values, done=done),),
        arrows=(Arrow((0, 0), (0.5, 1), "step"),),
        curves=(Curve("loss", np.arange(4.0), np.arange(4.0) ** 2, label="train loss", axis="right", dash="dashed"),),
        areas=(DecisionRegions("spiral", np.arange(4.0), np.arange(5.0), np.zeros((4, 5), int), np.zeros((3, 2)), np.array([0, 1, 1])),),
        timeline=Timeline(np.arange(3), ("a", "b", "c"), np.array([False, True, False]), 40, np.array([0.0, 45.0, 90.0])),
        title="Everything",
        subtitle="a subtitle",
    )
    assert describe(scene) == MIXED
