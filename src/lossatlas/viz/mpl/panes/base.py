"""Artists of a drawn pane, as the figure and the animation use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from lossatlas.viz.mpl.artists.path import PathArtist
from lossatlas.viz.scene.model import Pane, Scene


def _stay(frame: int | None) -> None:
    """Nothing in this pane moves."""


@dataclass(frozen=True)
class PaneArtists:
    """A pane on its axes.

    Attributes:
        show: brings the pane to a frame; None shows everything at once.
        moving: artists that `show` changes; all else stays as first drawn.
        redraws_every_frame: the frame changes more than `moving` (fields, camera), so the whole axes is drawn anew.
        mappable: what a color bar explains, or None.
        right_axes: a second y axis on the same place, or None.
        handles: what the legend should name.
        tracks: the paths, which may carry their labels at their ends.
    """

    pane: Pane
    axes: Any
    show: Callable[[int | None], None] = _stay
    moving: list[Artist] = field(default_factory=list)
    redraws_every_frame: bool = False
    mappable: ScalarMappable | None = None
    right_axes: Axes | None = None
    handles: list[Artist] = field(default_factory=list)
    tracks: Sequence[PathArtist] = ()

    @property
    def is_relief(self) -> bool:
        return self.pane.kind == "surface"


def step_at(scene: Scene, frame: int | None) -> int | None:
    """The step at which paths and curves are cut on a frame; None shows all of them."""
    if frame is None or scene.timeline is None:
        return None
    return int(scene.timeline.step[frame])


def changes(scene: Scene, pane: Pane) -> bool:
    """Whether a field of the pane differs from frame to frame."""
    if scene.timeline is None:
        return False
    return any(
        s.fields[pane.quantity].values.ndim > (1 if s.is_line else 2)
        for s in map(scene.surface, pane.surfaces)
        if pane.quantity in s.fields
    )


def has_axes(axes: Any) -> bool:
    """Whether axes draw their ticks, labels and box; of 3-D ones `Axes.axison` is always False."""
    return bool(getattr(axes, "_axis3don", axes.axison))
