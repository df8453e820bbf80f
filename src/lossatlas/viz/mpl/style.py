"""Fonts, sizes and line widths of every figure, in a context that leaves the user's rcParams alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib

INK = "#1c1f24"
FAINT = "#5a616b"
GRID = "#d9dce1"
PANEL = "#f6f7f9"

TITLE, SUBTITLE, PANE_TITLE, LABEL, TICK, NOTE = 12.0, 9.0, 10.0, 9.0, 8.0, 7.0

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "text.hinting": "none",  # so that words are as wide at every resolution as where they were measured
    "font.size": LABEL,
    "axes.labelsize": LABEL,
    "axes.titlesize": PANE_TITLE,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "axes.labelpad": 3.0,
    "text.color": INK,
    "xtick.labelsize": TICK,
    "ytick.labelsize": TICK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.fontsize": TICK,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.hashsalt": "lossatlas",
    "path.simplify": True,
}

# Matplotlib's settings are one per process, so a figure built or saved in one thread waits for the other.
_LOCK = threading.RLock()
_inside: list[bool] = []


@contextmanager
def styled() -> Iterator[None]:
    """Our settings inside, the user's own again outside, also after an exception; nested calls cost nothing."""
    with _LOCK:
        if _inside:
            yield
            return
        previous_params = {
            key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith(("backend", "interactive", "toolbar"))
        }
        with matplotlib.rc_context({**previous_params, **_STYLE}):  # pyright: ignore[reportArgumentType]
            _inside.append(True)
            try:
                yield
            finally:
                _inside.clear()
