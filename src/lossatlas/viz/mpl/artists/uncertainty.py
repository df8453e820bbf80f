"""Hatching of cells that the samples do not tell apart from the minimum, and outlines of noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from lossatlas.viz.scene.model import Outline, Pane, Scene, Surface

HATCH = "\\\\\\\\"
UNCERTAIN_COLOR = "white"
PAIRED_LABEL = "not told apart from the lowest cell (2 standard errors of the difference)"
CONSERVATIVE_LABEL = "not told apart from the lowest cell (2 standard errors of both; conservative)"
OUTLINE = "#111111"


def uncertain_cells(surface: Surface, pane: Pane) -> np.ndarray | None:
    """The mask, where there is one and it holds anything."""
    field = surface.fields.get(pane.quantity)
    mask = None if field is None else field.doubtful
    return mask if mask is not None and bool(mask.any()) else None


def hatch_map(axes: Axes, surface: Surface, pane: Pane) -> list[Artist]:
    """Hatch the doubtful cells of a map; returns the legend's sample."""
    from lossatlas.viz.mpl.artists.cell_squares import cell_rectangles

    mask = uncertain_cells(surface, pane)
    if mask is None or surface.beta is None:
        return []
    corners = list(cell_rectangles(surface.alpha, surface.beta, mask))
    axes.add_collection(
        PolyCollection(corners, facecolors="none", edgecolors=UNCERTAIN_COLOR, linewidths=0, hatch=HATCH, zorder=1.6), autolim=False
    )
    return [_sample(surface, pane)]


def hatch_line(axes: Axes, surface: Surface, pane: Pane) -> list[Artist]:
    """Grey bands over the doubtful cells of a line; returns the legend's sample."""
    from lossatlas.viz.mpl.artists.cell_squares import edges_of

    mask = uncertain_cells(surface, pane)
    if mask is None:
        return []
    edges = edges_of(surface.alpha)
    for i in np.flatnonzero(mask):
        axes.axvspan(
            edges[i], edges[i + 1], facecolor="#bbbbbb", edgecolor=UNCERTAIN_COLOR, hatch=HATCH, alpha=0.45, linewidth=0, zorder=0.4
        )
    return [_sample(surface, pane)]


def add_outlines(axes: Axes, scene: Scene) -> list[Artist]:
    """Closed lines with a white halo; returns the legend's samples, each label once."""
    samples: dict[str, Artist] = {}
    for outline in scene.outlines:
        style: dict[str, Any] = {"color": outline.color or OUTLINE, "linewidth": 1.3}
        line = Line2D(*_closed(outline), zorder=6.6, path_effects=[withStroke(linewidth=2.8, foreground="white")], **style)
        line.set_clip_path(axes.patch)
        axes.add_artist(line)
        if outline.label:
            samples.setdefault(outline.label, Line2D([], [], label=outline.label, **style))
    return list(samples.values())


def _closed(outline: Outline) -> tuple[np.ndarray, np.ndarray]:
    return np.append(outline.alpha, outline.alpha[0]), np.append(outline.beta, outline.beta[0])


def _sample(surface: Surface, pane: Pane) -> Patch:
    label = CONSERVATIVE_LABEL if surface.fields[pane.quantity].conservative else PAIRED_LABEL
    return Patch(facecolor="#8c8c8c", edgecolor=UNCERTAIN_COLOR, hatch=HATCH, linewidth=0, label=label)
