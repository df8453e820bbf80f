"""Artists of an axes-level call, checks of foreign axes, and what earlier calls drew on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from mpl_toolkits.mplot3d import Axes3D

from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz.mpl.mathtext import escape_broken_mathtext
from lossatlas.viz.mpl.panes.base import PaneArtists
from lossatlas.viz.scene.model import Pane, Scale, Scene


@dataclass(frozen=True)
class PlotArtists:
    """Artists, legend samples and color mapping of one axes-level call.

    Attributes:
        artists: all that was added to the axes, in the order of drawing.
        handles: samples for a legend: ``ax.legend(handles=drawn.handles)``.
        mappable: for a color bar: ``figure.colorbar(drawn.mappable, ax=ax)``; None where no color stands for a value.
    """

    artists: tuple[Artist, ...]
    handles: list[Artist]
    mappable: ScalarMappable | None = None


drawn_surfaces: WeakKeyDictionary[Axes, tuple[Scene, Pane]] = WeakKeyDictionary()
"""The map or relief on each axes, so that a path drawn later knows its window, its heights and what hides it."""
line_counts: WeakKeyDictionary[Axes, int] = WeakKeyDictionary()
"""Lines and paths on each axes, so that each takes the next color."""


def draw_pane(ax: Axes, draw: Any, scene: Scene, pane: Pane) -> PlotArtists:
    """Draw a pane and tell apart what it added; a legend's samples of shared kinds are the pane's."""
    before = set(ax.get_children())
    one: PaneArtists = draw(ax, escape_broken_mathtext(scene), escape_broken_mathtext(pane))
    one.show(None)
    if pane.kind in ("contour", "surface"):
        drawn_surfaces[ax] = (scene, pane)
    else:
        ax.grid(rcParams["axes.grid"])
    return PlotArtists(added_artists(ax, before), list(one.handles), one.mappable)


def added_artists(ax: Axes, before: set[Artist]) -> tuple[Artist, ...]:
    """Artists that the axes did not hold before; they lie within the axes, so layouts need not measure them, nor their empty lines."""
    added = tuple(artist for artist in ax.get_children() if artist not in before)
    for artist in added:
        artist.set_in_layout(False)
    return added


def check_axes(ax: Any) -> None:
    if not isinstance(ax, Axes):
        raise InputTypeError("ax", type(ax).__name__, "matplotlib axes", "Make them with plt.subplots(); of several give one: axes[0]")


def check_flat(ax: Any, x_scales: Sequence[str] = ("linear",), y_scales: Sequence[str] = ("linear",)) -> None:
    """Refuse what is no 2-D axes, and scales on which coordinates of a plane, zero and negative ones too, have no place."""
    check_axes(ax)
    if isinstance(ax, Axes3D):
        raise InputError("ax", type(ax).__name__, "2-D axes", "Make them with plt.subplots(); a relief on 3-D axes is la.plot_surface")
    for name, allowed in (("x", x_scales), ("y", y_scales)):
        current = getattr(ax, f"get_{name}scale")()
        if current not in allowed:
            raise InputError(
                "ax", f"a {current} {name} axis", f"a {' or '.join(allowed)} one", f'Undo it with ax.set_{name}scale("linear")'
            )


def scale_of(ax: Axes) -> Scale:
    return "log" if ax.get_yscale() == "log" else "linear"


def next_index(ax: Axes, count: int = 1) -> int:
    index = line_counts.get(ax, 0)
    line_counts[ax] = index + count
    return index
