"""Hatching of cells that samples do not tell apart from the minimum or not tell well enough, and outlines of noise."""

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
IMPRECISE_HATCH = "////"
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
    """Hatch the doubtful and the imprecise cells of a map; returns the legend's samples."""
    if surface.beta is None:
        return []
    samples: list[Artist] = []
    if (mask := uncertain_cells(surface, pane)) is not None:
        samples.append(_hatch_cells(axes, surface, mask, HATCH, _label_of_doubt(surface, pane)))
    field = surface.fields.get(pane.quantity)
    if field is not None and field.imprecise is not None:
        samples.append(_hatch_cells(axes, surface, field.imprecise.mask, IMPRECISE_HATCH, field.imprecise.label))
    return samples


def _hatch_cells(axes: Axes, surface: Surface, mask: np.ndarray, hatch: str, label: str) -> Artist:
    from lossatlas.viz.mpl.artists.cell_squares import cell_rectangles

    assert surface.beta is not None
    corners = list(cell_rectangles(surface.alpha, surface.beta, mask))
    axes.add_collection(
        PolyCollection(corners, facecolors="none", edgecolors=UNCERTAIN_COLOR, linewidths=0, hatch=hatch, zorder=1.6), autolim=False
    )
    return _sample(label, hatch)


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
    return [_sample(_label_of_doubt(surface, pane))]


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


def _label_of_doubt(surface: Surface, pane: Pane) -> str:
    return CONSERVATIVE_LABEL if surface.fields[pane.quantity].conservative else PAIRED_LABEL


def _sample(label: str, hatch: str = HATCH) -> Patch:
    return Patch(facecolor="#8c8c8c", edgecolor=UNCERTAIN_COLOR, hatch=hatch, linewidth=0, label=label)
