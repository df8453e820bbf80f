"""Markers of flat and relief panes: minimum, model, and samples of the legend."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lossatlas.viz.colors import HOLE, HOLE_EDGE, STAR
from lossatlas.viz.scene.cell_masks import CellMasks
from lossatlas.viz.scene.model import Surface

HATCHES = {"missing": "////", "not_finite": "xxxx", "not_positive": "...."}
HOLE_LABELS = {"missing": "not computed", "not_finite": "NaN or infinite", "not_positive": "≤ 0 (no logarithm)"}

_STAR: dict[str, Any] = {
    "marker": "*",
    "markersize": 11,
    "color": STAR,
    "markeredgecolor": "#111111",
    "markeredgewidth": 0.8,
    "linestyle": "none",
}
_ORIGIN: dict[str, Any] = {
    "marker": "P",
    "markersize": 6.5,
    "color": "white",
    "markeredgecolor": "#111111",
    "markeredgewidth": 0.8,
    "linestyle": "none",
}

SAMPLES: dict[str, Any] = {
    "marker": "o",
    "markersize": 1.6,
    "color": "white",
    "markeredgecolor": "#111111",
    "markeredgewidth": 0.35,
    "linestyle": "none",
}
"""Cells that were computed, where the rest is interpolated between them."""


def lowest(surface: Surface, quantity: str, frame: int = 0) -> tuple[float, float, float] | None:
    """Position of the star, (alpha, beta, value); None where no one cell is lowest, or where low is not what is sought."""
    values = surface.frame_values(quantity, frame)
    finite = values[np.isfinite(values)]
    if quantity != "loss" or not finite.size or np.ptp(finite) == 0:
        return None
    place = surface.minimum(quantity, frame)
    return place if np.isfinite(place[2]) else None


def star(x: float, y: float, **style: Any) -> Line2D:
    """The lowest computed cell of the grid."""
    return Line2D([x], [y], zorder=7.5, **_STAR, **style)


def origin(x: float, y: float, **style: Any) -> Line2D:
    """Marker of the model itself on the plane, above the star and a path's end, which often stand there too."""
    return Line2D([x], [y], zorder=8.2, **_ORIGIN, **style)


def star_handle() -> Line2D:
    return Line2D([], [], label="minimum on this grid", **_STAR)


def origin_handle(label: str) -> Line2D:
    return Line2D([], [], label=label, **_ORIGIN)


def sample_handle() -> Line2D:
    return Line2D([], [], label="computed; interpolated between", **SAMPLES)


def hole_patch(kind: str, **style: Any) -> Patch:
    return Patch(facecolor=HOLE, edgecolor=HOLE_EDGE, hatch=HATCHES[kind], linewidth=0.4, **style)


def hole_handles(cells: CellMasks) -> list[Patch]:
    return [hole_patch(kind, label=HOLE_LABELS[kind]) for kind in HATCHES if getattr(cells, kind).any()]


def band_handle(label: str) -> Patch:
    return Patch(facecolor="#777777", alpha=0.3, label=label)
