"""Change-overs from batch to batch: true stills stay true, blends are convex and say that they are blends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossatlas.errors import InputError
from lossatlas.viz.compose.batch_frames import growing_steps, interpolate_batches, update_arrows
from lossatlas.viz.mpl.figure import figure, frame_label
from lossatlas.viz.scene.model import Field, Outline, Pane, Scene, Surface
from lossatlas.viz.scene.text import describe


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 6))
def test_every_frame_is_a_still_or_a_convex_combination_of_neighbors(count: int, hold: int, blend: int) -> None:
    stills = np.random.default_rng(count).normal(size=(count, 3, 4))
    moved = interpolate_batches(count, hold, blend)
    frames = moved.frames(stills)
    assert len(moved) == count * hold + (count - 1) * blend
    for frame, still, cosmetic in zip(frames, moved.batch, moved.is_transition, strict=True):
        if not cosmetic:
            np.testing.assert_array_equal(frame, stills[still])
        else:
            low, high = np.minimum(stills[still], stills[still + 1]), np.maximum(stills[still], stills[still + 1])
            assert (frame >= low - 1e-15).all() and (frame <= high + 1e-15).all()
    assert int((~moved.is_transition).sum()) == count * hold


def test_infinity_stays_infinite_in_a_blend() -> None:
    frames = interpolate_batches(2, 1, 2).frames(np.array([[np.inf, 1.0], [2.0, 3.0]]))
    assert np.isinf(frames[1:3, 0]).all() and frames[-1, 0] == 2.0


def test_blends_say_so() -> None:
    moved = interpolate_batches(2, 2, 3)
    scene = Scene(panes=(), timeline=moved.timeline(lambda still, turn: f"batch {still + 1}.{turn}"))
    assert frame_label(scene, 1) == "batch 1.1"
    assert all("blend" in frame_label(scene, k) for k in (2, 3, 4))
    assert "3 cosmetic" in describe(scene)


def test_arrows_are_the_updates_and_the_path_grows_behind_them() -> None:
    alpha, beta = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 1.0])
    moved = interpolate_batches(2, 2, 1)
    first, second = update_arrows(alpha, beta, moved)
    assert (first.start, first.end, first.frames) == ((0.0, 0.0), (1.0, 2.0), (1,))
    assert (second.start, second.end, second.frames) == ((1.0, 2.0), (3.0, 1.0), (4,))
    assert growing_steps(moved).tolist() == [0, 0, 1, 1, 2]


def test_nothing_to_shake() -> None:
    with pytest.raises(InputError, match="shake"):
        interpolate_batches(0, 1, 1)


def test_doubtful_cells_are_hatched_and_explained() -> None:
    values = np.add.outer(np.linspace(-1, 1, 5) ** 2, np.linspace(-1, 1, 4) ** 2)
    doubtful = values < 0.5
    plain = Surface("s", np.linspace(-1, 1, 5), np.linspace(-1, 1, 4), {"loss": Field(values, "loss")})
    marked = Surface("s", plain.alpha, plain.beta, {"loss": Field(values, "loss", doubtful=doubtful)})
    words = [
        [
            text.get_text()
            for legend in figure(Scene((Pane("contour", ("s",)),), (surface,), outlines=noise)).legends
            for text in legend.texts
        ]
        for surface, noise in ((plain, ()), (marked, (Outline(np.array([0.0, 0.5, 0.0]), np.array([0.0, 0.0, 0.5]), "noise"),)))
    ]
    assert not any("told apart" in word for word in words[0])
    assert any("told apart" in word for word in words[1]) and "noise" in words[1]
