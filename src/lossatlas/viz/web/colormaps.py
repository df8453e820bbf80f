"""Colormaps for the browser: 256 colors each, as base64 of red, green, blue bytes."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
from matplotlib.colors import Colormap

from lossatlas.errors import InputError
from lossatlas.viz.colors import FALLBACK, colormap

OFFERED = ("atlas", "batlow", "lipari", "viridis", "cividis", "terrain", "vik")
"""What the page's menu offers besides the scene's own: perceptually even and safe for color-blind readers, but for
`terrain`, which the tutorial's pictures use; `vik` is for differences, with its middle at zero."""

_STAND_INS = {"lipari": "magma", "vik": "RdBu_r"}


def tables(wanted: Iterable[str] = ()) -> dict[str, str]:
    """The offered colormaps and the wanted ones, each name with its 768 bytes in base64."""
    names = dict.fromkeys((*OFFERED, *wanted))
    return {name: base64.b64encode(_bytes(name)).decode("ascii") for name in names}


def _bytes(name: str) -> bytes:
    rgba = np.asarray(_colormap(name)(np.linspace(0.0, 1.0, 256)))
    return np.round(rgba[:, :3] * 255).astype(np.uint8).tobytes()


def _colormap(name: str) -> Colormap:
    """The map, or one of the same kind where the scientific maps are not installed."""
    try:
        return colormap(name)
    except InputError:
        return colormap(_STAND_INS.get(name, FALLBACK))
