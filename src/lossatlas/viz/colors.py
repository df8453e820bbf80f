"""Colormaps, color norms, and the colors of paths."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize

from lossatlas.errors import InputError
from lossatlas.viz.scene.model import ColorScale

DEFAULT = "batlow"
FALLBACK = "viridis"
SCIENTIFIC = (
    "batlow",
    "lipari",
    "davos",
    "oslo",
    "hawaii",
    "lajolla",
    "roma",
    "vik",
    "berlin",
    "acton",
    "bamako",
    "tokyo",
    "turku",
    "oleron",
)

# Strong on batlow, viridis and terrain alike, and told apart by colour-blind readers (dark to light); dashes differ as well.
PATH_COLORS = ("#d11141", "#1448c8", "#111111", "#a3119c", "#e06c00", "#00707a", "#6b4a1b", "#5b5b5b")
DASHES: tuple[Literal["solid", "dashed", "dashdot", "dotted"], ...] = ("solid", "dashed", "dashdot", "dotted")

CLASS_COLORS = ("#3b6fb6", "#e08a1e", "#2f9e77", "#b5446e", "#7a5cc2", "#8a8a2b", "#4aa3c7", "#a0522d", "#5f6a72", "#d16ba5")

STAR = "#ffd21f"
HOLE = "#dedede"
HOLE_EDGE = "#8c8c8c"


def colormap(name: str) -> Colormap:
    """A colormap by name: matplotlib's, or one of the scientific maps where the [maps] extra is installed.

    `batlow`, the default, falls back to `viridis`, which is perceptually uniform as well.

    Raises:
        InputError: unknown, or a scientific map that is not installed.
    """
    if name in colormaps:
        return colormaps[name]
    scientific = _scientific(name)
    if scientific is not None:
        return scientific
    if name == DEFAULT:
        return colormaps[FALLBACK]
    known = "batlow, viridis, cividis, terrain, magma, or another matplotlib map"
    step = "Install the scientific maps: pip install 'lossatlas[maps]'" if name.removesuffix("_r") in SCIENTIFIC else ""
    raise InputError("colormap", name, known, step)


@lru_cache
def _scientific(name: str) -> Colormap | None:
    """One of cmcrameri's maps, read from its table: importing the package would start pyplot."""
    spec = importlib.util.find_spec("cmcrameri")
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    tables = [Path(folder) / "cmaps" / f"{name.removesuffix('_r')}.txt" for folder in folders]
    for table in tables:
        if table.is_file():
            colormap = ListedColormap(np.loadtxt(table), name=name)
            return colormap.reversed(name) if name.endswith("_r") else colormap
    return None


def norm_of(color: ColorScale, limits: tuple[float, float]) -> Normalize:
    """The shared norm of every pane on this scale; values beyond saturate."""
    kind = LogNorm if color.scale == "log" else Normalize
    return kind(*limits, clip=True)


def path_color(index: int) -> str:
    return PATH_COLORS[index % len(PATH_COLORS)]
