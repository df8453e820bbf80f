"""Sizes of figures: widths that fit a paper, letters that fit the width, panes in as many columns as there is room for."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real
from typing import Literal

import numpy as np

from lossatlas.errors import InputError
from lossatlas.viz.scene.model import Pane, Scene
from lossatlas.viz.scene.value_ranges import FIELD_PANES

Width = Literal["column", "page"] | float | None
COLUMN, PAGE = 3.25, 6.75
"""Inches of one column and of the text of a page with two, as ICML sets them; IEEE's 3.5 and 7.16 and NeurIPS's 5.5 are given in inches."""
LEAST_WIDTH, MOST_WIDTH = 1.5, 60.0
_LEAST = {"surface": 2.1, "contour": 1.7, "areas": 1.7}
"""Inches below which a kind of pane is not read any more, 1.9 for others; a figure with less a column gets fewer columns."""
GALLERY, LEAST_IN_GALLERY = 4, 1.15
"""More maps than these share their labels and the eye compares them whole, so they may be smaller."""


def inches_of(width: Width) -> float | None:
    """Inches of a width.

    Raises:
        InputError: another word, or no width that a figure can have.
    """
    if width is None:
        return None
    if isinstance(width, str) and width in ("column", "page"):
        return COLUMN if width == "column" else PAGE
    if isinstance(width, Real) and not isinstance(width, bool) and LEAST_WIDTH <= float(width) <= MOST_WIDTH:
        return float(width)
    allowed = f"'column' ({COLUMN} inches), 'page' ({PAGE} inches), or {LEAST_WIDTH:g} to {MOST_WIDTH:g} inches"
    raise InputError("width", width, allowed, "Leave it out for a figure of a screen")


def check_height(height: float | None) -> float | None:
    """A height in inches, or None.

    Raises:
        InputError: no height that a figure can have.
    """
    usable = isinstance(height, Real) and not isinstance(height, bool) and LEAST_WIDTH / 1.5 <= float(height) <= MOST_WIDTH
    if height is None or usable:
        return height
    raise InputError("height", height, f"1 to {MOST_WIDTH:g} inches, or None", "Leave it out and the panes choose it")


def base_points(width: float | None) -> float:
    """Points of the letters in a figure of this width: those of a caption in print, larger on a screen.

    >>> base_points(3.25), base_points(6.75), base_points(None)
    (7.5, 8.0, 9.0)
    """
    return 9.0 if width is None or width > 8 else 8.0 if width > 4.5 else 7.5


def default_width(scene: Scene, columns: int) -> float:
    """Inches on a screen: one pane is 5.6 wide, two 8.6 together, less each in a gallery; tall maps are narrower."""
    shape = math.sqrt(float(np.clip(np.median([_aspect(scene, pane) for pane in scene.panes]), 0.5, 2.0)))
    if columns == 1:
        return 5.8 / max(shape, 0.9) if scene.panes[0].kind in FIELD_PANES else 6.0
    return {2: 8.8, 3: 10.8}.get(columns, min(2.5 * columns + 1.0, 16.0)) / max(shape, 1.0)


def _aspect(scene: Scene, pane: Pane) -> float:
    """Height of a map in units of its width; 1 for all else."""
    if pane.kind != "contour" or not pane.surfaces:
        return 1.0
    surface = next((one for one in scene.surfaces if one.name == pane.surfaces[0]), None)
    if surface is None or surface.beta is None or len(surface.alpha) < 2 or len(surface.beta) < 2:
        return 1.0
    ratio = float(np.ptp(surface.beta)) / float(np.ptp(surface.alpha))
    return ratio if 0.5 <= ratio <= 2 else 1.0


def reflow(scene: Scene, width: float | None) -> Scene:
    """The scene with its panes in fewer columns, where so many would be too narrow to read.

    Panes keep their order, row by row; a scene whose panes span several rows or columns is stacked whole.
    """
    columns = max(pane.column + pane.column_span for pane in scene.panes)
    if width is None or columns == 1:
        return scene
    gallery = len(scene.panes) > GALLERY and all(pane.kind in ("contour", "surface", "areas") for pane in scene.panes)
    least = max(LEAST_IN_GALLERY if gallery else _LEAST.get(pane.kind, 1.9) / pane.column_span for pane in scene.panes)
    most = max(1, int(width // least))
    if most >= columns:
        return scene
    ordered = sorted(scene.panes, key=lambda pane: (pane.row, pane.column))
    most = math.ceil(len(ordered) / math.ceil(len(ordered) / most)) if len({pane.kind for pane in ordered}) == 1 else most
    placed = tuple(replace(pane, row=i // most, column=i % most, row_span=1, column_span=1) for i, pane in enumerate(ordered))
    return scene.replace(panes=placed)
