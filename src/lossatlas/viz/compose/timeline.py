"""Timelines: play the paths of a scene, or rotate its camera."""

from __future__ import annotations

import numpy as np

from lossatlas.errors import InputError
from lossatlas.viz.compose.compose import _check_positive, _label
from lossatlas.viz.scene.model import Scene, Timeline

MOST_FRAMES = 100


def with_timeline(scene: Scene, *, frames: int = MOST_FRAMES, milliseconds: int = 80) -> Scene:
    """The scene in time: its paths grow from first step to last; without paths the view turns once around."""
    if scene.timeline is not None:
        return scene
    _check_positive(frames=frames, milliseconds=milliseconds)
    if not scene.paths:
        return scene.replace(timeline=rotate_camera(min(frames, 60), milliseconds, _first_azimuth(scene)))
    steps = np.unique(np.concatenate([path.step for path in scene.paths]))
    chosen = steps[np.unique(np.linspace(0, len(steps) - 1, min(frames, len(steps))).astype(int))]
    return scene.replace(
        timeline=Timeline(step=chosen, label=tuple(_label(scene.paths, int(step)) for step in chosen), milliseconds=milliseconds)
    )


def rotate_camera(frames: int = 60, milliseconds: int = 80, start: float = -60.0) -> Timeline:
    """A full turn of the camera; the data stand still.

    >>> rotate_camera(4).rotation
    array([-60.,  30., 120., 210.])
    """
    rotation = start + 360.0 * np.arange(frames) / frames
    return Timeline(np.zeros(frames, np.int64), ("",) * frames, milliseconds=milliseconds, rotation=rotation)


def _first_azimuth(scene: Scene) -> float:
    for pane in scene.panes:
        if pane.kind == "surface":
            return pane.camera.azimuth
    raise InputError("scene", "no path and no relief", "something that moves", "Record a trajectory on the surface, or use kind='surface'")
