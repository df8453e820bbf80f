"""Colormaps, color norms, and the colors of paths."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from scipy.interpolate import PchipInterpolator

from lossatlas.errors import InputError
from lossatlas.viz.scene.model import ColorScale, FloatArray

DEFAULT = "atlas"
FALLBACK = "viridis"
_ATLAS = ((0.49, 0.595, 0.70, 0.815, 0.945), (262.0, 222.0, 165.0, 100.0, 60.0), (0.12, 0.10, 0.10, 0.10, 0.05))
"""Lightness, hue in degrees and chroma of the default map, in OKLCH (Ottosson 2020), at equal distances from low to high: blue, teal,
green, sand, rose. Lightness rises evenly, so the map holds in gray and for color-blind readers; it starts at a half, so that lines and
paths are seen in the valley, which is where they end."""
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

# Strong on atlas, viridis and terrain alike, and told apart by colour-blind readers (dark to light).
PATH_COLORS = ("#d11141", "#1448c8", "#111111", "#a3119c", "#e06c00", "#00707a", "#6b4a1b", "#5b5b5b")
CLASS_COLORS = ("#3b6fb6", "#e08a1e", "#2f9e77", "#b5446e", "#7a5cc2", "#8a8a2b", "#4aa3c7", "#a0522d", "#5f6a72", "#d16ba5")

STAR = "#ffd21f"
HOLE = "#dedede"
HOLE_EDGE = "#8c8c8c"


def colormap(name: str) -> Colormap:
    """A colormap by name: matplotlib's, or one of the scientific maps where the [maps] extra is installed.

    `atlas` is the default: perceptually even, with a valley that is not black.

    Raises:
        InputError: unknown, or a scientific map that is not installed.
    """
    if name in (DEFAULT, f"{DEFAULT}_r"):
        return _atlas() if name == DEFAULT else _atlas().reversed(name)
    if name in colormaps:
        return colormaps[name]
    scientific = _scientific(name)
    if scientific is not None:
        return scientific
    known = "atlas, viridis, cividis, terrain, magma, or another matplotlib map"
    step = "Install the scientific maps: pip install 'lossatlas[maps]'" if name.removesuffix("_r") in SCIENTIFIC else ""
    raise InputError("colormap", name, known, step)


@lru_cache
def _atlas() -> Colormap:
    at, nodes = np.linspace(0, 1, 256), np.linspace(0, 1, len(_ATLAS[0]))
    lightness, hue, chroma = (PchipInterpolator(nodes, part)(at) for part in _ATLAS)
    return ListedColormap(_oklab_to_rgb(lightness, chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))), name=DEFAULT)


def _oklab_to_rgb(lightness: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """sRGB in [0, 1], (n, 3), of OKLab colors (Ottosson 2020, bottosson.github.io/posts/oklab)."""
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_linear @ cones**3, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).T


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
