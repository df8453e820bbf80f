"""Fonts, sizes, colors and line widths of figures: our defaults below the user's rcParams, in a context that leaves them alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import matplotlib
import matplotlib.rcsetup
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import FontProperties

from lossatlas.errors import InputError
from lossatlas.viz.colors import path_color

Theme = Literal["light", "dark", "print"]
"""Colors of a figure: dark ink on white, light ink on near-black, or what still reads on a printer without color."""

INK = "#1c1f24"
LEAST_POINTS = 6.0
"""The smallest letters of a figure, in points; print smaller than that is not read."""
PRINT_CURVES = ("#000000", "#8a4b08", "#5f6fc9", "#d08a2e", "#8fbf9f")
"""Colors whose lightness differs as much as their hue, from dark to light."""

_RATIOS = {
    "figure.titlesize": 1.3,
    "axes.titlesize": 1.1,
    "axes.labelsize": 1.0,
    "xtick.labelsize": 0.9,
    "ytick.labelsize": 0.9,
    "legend.fontsize": 0.9,
}
"""Sizes of letters relative to ``font.size``."""

_LINES: dict[str, Any] = {
    "mathtext.fontset": "dejavusans",
    "text.hinting": "none",  # so that words are as wide at every resolution as where they were measured
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "axes.labelpad": 3.0,
    "axes.titlelocation": "left",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.hashsalt": "lossatlas",
    "path.simplify": True,
}

_COLORS: dict[str, tuple[str, str, str]] = {
    "light": (INK, "#ffffff", "#d9dce1"),
    "dark": ("#e8eaee", "#15181d", "#3a4049"),
    "print": ("#000000", "#ffffff", "#cccccc"),
}
"""Ink, background and grid of each theme."""

# Matplotlib's settings are one per process, so a figure built or saved in one thread waits for the other.
_LOCK = threading.RLock()
_inside: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Palette:
    """Colors of ink, background and what lies between, as the rcParams have them."""

    ink: str
    background: str
    faint: str
    grid: str

    @classmethod
    def current(cls) -> Palette:
        params = matplotlib.rcParams
        ink, background = to_hex(params["text.color"]), to_hex(_opaque(params["axes.facecolor"]))
        return cls(ink, background, blend(ink, background, 0.65), blend(ink, background, 0.16))


def blend(color: Any, other: Any, share: float) -> str:
    """A color that is `share` of the first and the rest of the other.

    >>> blend("white", "black", 0.2)
    '#333333'
    """
    return to_hex(tuple(share * one + (1 - share) * two for one, two in zip(to_rgb(color), to_rgb(other), strict=True)))  # pyright: ignore[reportArgumentType]


def curve_color(index: int) -> str:
    """Color of a curve or path without one of its own: the user's or the theme's cycle, where it is not matplotlib's, else ours."""
    cycle = matplotlib.rcParams["axes.prop_cycle"]
    if cycle == matplotlib.rcParamsDefault["axes.prop_cycle"]:
        return path_color(index)
    colors = cycle.by_key().get("color") or [path_color(index)]
    return to_hex(colors[index % len(colors)])


def map_line_color(index: int) -> str:
    """Color of a path on a map: of the printing theme's cycle in its figures, else ours; no style sheet knows the colors of maps."""
    printed = matplotlib.rcParams["axes.prop_cycle"] == matplotlib.rcsetup.cycler(color=PRINT_CURVES)
    return PRINT_CURVES[index % len(PRINT_CURVES)] if printed else path_color(index)


def font_points(name: str) -> float:
    """Points of a font size in the rcParams, such as ``axes.labelsize``, which may be a number or a word."""
    return float(FontProperties(size=_rc(name)).get_size_in_points())


def note_points() -> float:
    """Points of the small print below a figure."""
    return max(LEAST_POINTS, 0.8 * float(matplotlib.rcParams["font.size"]))


def figure_settings(theme: Theme | None = None, base: float = 9.0) -> dict[str, Any]:
    """The rcParams of a figure: the user's own where these differ from matplotlib's defaults, else ours.

    Args:
        theme: whose colors replace the user's; None takes the light ones where the user has chosen no other.
        base: points of ``font.size`` where the user has not set it; all other letters follow.

    Raises:
        InputError: an unknown theme.
    """
    if theme is not None and theme not in get_args(Theme):
        raise InputError("theme", theme, f"one of {', '.join(get_args(Theme))}, or None for the colors of rcParams")
    size = float(_users("font.size", base))
    letters = {"font.size": size} | {key: max(ratio * size, min(size, LEAST_POINTS)) for key, ratio in _RATIOS.items()}
    settings = {key: _users(key, value) for key, value in {**letters, **_LINES}.items()}
    colors = _theme_colors(theme or "light")
    return settings | (colors if theme is not None else {key: _users(key, value) for key, value in colors.items()})


def _theme_colors(theme: Theme) -> dict[str, Any]:
    ink, background, grid = _COLORS[theme]
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    colors: dict[str, Any] = dict.fromkeys(inked, ink) | {"grid.color": grid, "savefig.facecolor": "auto"}
    colors |= {"figure.facecolor": background, "axes.facecolor": background, "legend.facecolor": background}
    return colors | ({"axes.prop_cycle": matplotlib.rcsetup.cycler(color=PRINT_CURVES)} if theme == "print" else {})


def _users(key: str, value: Any) -> Any:
    setting = _rc(key)
    default: Any = matplotlib.rcParamsDefault[key]  # pyright: ignore[reportArgumentType]
    return value if setting == default else setting


def _rc(key: str) -> Any:
    return matplotlib.rcParams[key]  # pyright: ignore[reportArgumentType]


def _opaque(color: Any) -> Any:
    return "white" if color == "none" else color


@contextmanager
def styled(settings: Mapping[str, Any] | None = None) -> Iterator[None]:
    """`settings` (by default ours) inside, the user's own again outside, also after an exception; nested calls change nothing."""
    with _LOCK:
        if _inside:
            yield
            return
        inside = dict(figure_settings() if settings is None else settings)
        with matplotlib.rc_context(inside):  # pyright: ignore[reportArgumentType]
            _inside.append(inside)
            try:
                yield
            finally:
                _inside.clear()


def current_settings() -> dict[str, Any]:
    """The settings inside `styled`, with which a figure can be drawn again."""
    return dict(_inside[0]) if _inside else figure_settings()
