"""Markers of flat and relief panes: minimum, model, and samples of the legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

from lossatlas.viz.colors import HOLE, HOLE_EDGE, STAR
from lossatlas.viz.scene.cell_masks import CellMasks
from lossatlas.viz.scene.model import FloatArray, Surface

MINIMUM = "minimum on this grid"
HATCHES = {"missing": "////", "not_finite": "xxxx", "not_positive": "...."}
HOLE_LABELS = {"missing": "not computed", "not_finite": "NaN or infinite", "not_positive": "≤ 0 (no logarithm)"}

_STAR: dict[str, Any] = {
    "marker": "*",
    "markersize": 10,
    "color": STAR,
    "markeredgecolor": "#111111",
    "markeredgewidth": 0.8,
    "linestyle": "none",
}
_ORIGIN: dict[str, Any] = {
    "marker": "P",
    "markersize": 6.0,
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
    """Position of the star, (alpha, beta, value); None where no one cell is known to be lowest, or where low is not what is sought."""
    values = surface.frame_values(quantity, frame)
    finite = values[np.isfinite(values)]
    if quantity != "loss" or not surface.fields[quantity].is_minimum_located or not finite.size or np.ptp(finite) == 0:
        return None
    place = surface.minimum(quantity, frame)
    return place if np.isfinite(place[2]) else None


@dataclass(frozen=True)
class Mark:
    """A place of a surface worth marking: coordinates, value, and how it is drawn and called."""

    alpha: float
    beta: float
    value: float
    kind: Literal["minimum", "model"]
    label: str
    name: str = ""
    """Written beside the mark, where it is one of several of its kind."""

    def at(self, x: float, y: float, **style: Any) -> Line2D:
        """The mark at a place of the axes."""
        return (star if self.kind == "minimum" else origin)(x, y, **style)

    def annotate(self, axes: Axes, x: float, y: float, below: bool = False) -> Annotation | None:
        """Write the name beside a place of the axes, on the side that has more room, or `below` it, above where it stands low."""
        if not self.name:
            return None
        across, up = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
        right, low = across < 0.6, up < 0.25
        return axes.annotate(
            self.name,
            (x, y),
            xytext=(0, 7 if low else -7) if below else (7 if right else -7, 5),
            textcoords="offset points",
            ha="center" if below else "left" if right else "right",
            va="top" if below and not low else "bottom",
            color="#111111",
            fontsize=rcParams["legend.fontsize"],
            zorder=8.5,
            path_effects=[withStroke(linewidth=2.4, foreground="white")],
        )

    @property
    def handle(self) -> Line2D:
        return star_handle(self.label) if self.kind == "minimum" else origin_handle(self.label)


def marks_of(surface: Surface, quantity: str, frame: int = 0) -> list[Mark]:
    """The models on the plane and the minimum on the grid; one mark where a model and the minimum fall into one cell.

    Of several models each has its name beside it, and one entry of the legend stands for all.
    """
    low = lowest(surface, quantity, frame)
    places = {place: label for label, place in _models(surface) if _inside(surface, place)}
    several, marks, taken = len(places) > 1, [], False
    for place, label in places.items():
        alpha, beta = (*place, float("nan"))[:2]
        here = low is not None and all(abs(x - y) <= 0.75 * _cell(a) for x, y, a in zip(place, low, _axes(surface), strict=False))
        taken |= here
        name = label if not here else f"{label}, {MINIMUM}"
        entry, beside = ("models", name) if several else (name, "")
        marks.append(Mark(alpha, beta, _value_at(surface, quantity, frame, place), "model", entry, beside))
    return marks if low is None or taken else [*marks, Mark(*low, "minimum", MINIMUM)]


def handles_of(marks: list[Mark]) -> list[Line2D]:
    """Entries of the legend, each once."""
    return list({mark.label: mark.handle for mark in marks}.values())


def _models(surface: Surface) -> list[tuple[str, tuple[float, ...]]]:
    origin = [] if surface.origin is None else [(surface.origin_label, surface.origin)]
    return [*origin, *((model.label, model.place) for model in surface.models if model.place != surface.origin)]


def _inside(surface: Surface, place: tuple[float, ...]) -> bool:
    return all(a[0] <= x <= a[-1] for x, a in zip(place, _axes(surface), strict=False))


def _axes(surface: Surface) -> list[FloatArray]:
    return [surface.alpha] if surface.beta is None else [surface.alpha, surface.beta]


def _cell(axis: FloatArray) -> float:
    return float(np.ptp(axis)) / max(len(axis) - 1, 1)


def _value_at(surface: Surface, quantity: str, frame: int, place: tuple[float, ...]) -> float:
    """Linear between the cells."""
    values = surface.frame_values(quantity, frame)
    rows = values if surface.beta is None else np.array([np.interp(place[1], surface.beta, row) for row in values])
    return float(np.interp(place[0], surface.alpha, rows))


def star(x: float, y: float, **style: Any) -> Line2D:
    """The minimum among the computed cells."""
    return Line2D([x], [y], zorder=7.5, **_scaled(_STAR), **style)


def origin(x: float, y: float, **style: Any) -> Line2D:
    """Marker of the model itself on the plane, above the star and a path's end, which often stand there too."""
    return Line2D([x], [y], zorder=8.2, **_scaled(_ORIGIN), **style)


def _scaled(style: dict[str, Any]) -> dict[str, Any]:
    """Marks as large as the letters beside them."""
    return {**style, "markersize": style["markersize"] * float(rcParams["font.size"]) / 9.0}


def star_handle(label: str = MINIMUM) -> Line2D:
    return Line2D([], [], label=label, **_scaled(_STAR))


def origin_handle(label: str) -> Line2D:
    return Line2D([], [], label=label, **_scaled(_ORIGIN))


def sample_handle() -> Line2D:
    return Line2D([], [], label="computed; interpolated between", **SAMPLES)


def hole_patch(kind: str, **style: Any) -> Patch:
    return Patch(facecolor=HOLE, edgecolor=HOLE_EDGE, hatch=HATCHES[kind], linewidth=0.4, **style)


def hole_handles(cells: CellMasks) -> list[Patch]:
    return [hole_patch(kind, label=HOLE_LABELS[kind]) for kind in HATCHES if getattr(cells, kind).any()]


def band_handle(label: str) -> Patch:
    return Patch(facecolor="#777777", alpha=0.3, label=label)
