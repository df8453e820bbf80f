"""The camera that is chosen sees the deepest point, the highest one and the paths."""

from __future__ import annotations

import numpy as np
import pytest

from lossatlas.viz.compose.camera import HEIGHT, choose_camera
from lossatlas.viz.scene.model import Camera, ColorScale, Field, PathData, Surface

AXIS = np.linspace(-1, 1, 31)


def surface(values: np.ndarray) -> Surface:
    return Surface("s", AXIS, np.linspace(-1, 1, values.shape[1]), {"loss": Field(values, "loss")})


def hidden(values: np.ndarray, place: tuple[int, int], camera: Camera) -> bool:
    """By a plain loop along the line of sight over the unit square, nearest cell by nearest cell."""
    heights = HEIGHT * (values - values.min()) / np.ptp(values)
    rows, columns = heights.shape
    x, y = place[0] / (rows - 1), place[1] / (columns - 1)
    azimuth, rise_per_step = np.radians(camera.azimuth), np.tan(np.radians(camera.elevation))
    for away in np.arange(0.05, 1.5, 0.005):
        u, v = x + away * np.cos(azimuth), y + away * np.sin(azimuth)
        if not (0 <= u <= 1 and 0 <= v <= 1):
            return False
        if heights[round(u * (rows - 1)), round(v * (columns - 1))] > heights[place] + away * rise_per_step + 0.02:
            return True
    return False


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_no_wall_stands_between_the_camera_and_the_minimum(turn: int) -> None:
    """A steep wall along one side, the minimum just behind it: only from the other sides is it seen."""
    values = np.zeros((31, 31))
    values[28:] = 1.0
    values[25, 15] = -0.01
    values = np.rot90(values, turn)
    camera = choose_camera([surface(values)], ColorScale())
    lowest = tuple(int(i) for i in np.unravel_index(np.argmin(values), values.shape))
    assert not hidden(values, (lowest[0], lowest[1]), camera)


def test_the_usual_direction_stays_where_nothing_is_in_the_way() -> None:
    slope = np.add.outer(-AXIS, AXIS[:21])  # highest at the side that is farthest from the usual camera
    assert choose_camera([surface(slope)], ColorScale()) == Camera(30, -60)
    assert choose_camera([surface(np.full((31, 21), np.nan))], ColorScale()) == Camera(30, -60)


def test_a_path_behind_a_ridge_turns_the_camera() -> None:
    """The ridge runs along alpha between the usual camera and the path."""
    values = np.ones((31, 1)) * np.exp(-(((np.linspace(-1, 1, 31) + 0.3) / 0.1) ** 2))[None] + 1e-3 * AXIS[None, :]
    way = PathData("p", np.linspace(-0.5, 0.5, 20), np.full(20, 0.0), np.arange(20))
    camera = choose_camera([surface(values)], ColorScale(), [way])
    assert not hidden(values, (15, 15), camera)
    assert hidden(values, (15, 15), Camera(30, -60))
