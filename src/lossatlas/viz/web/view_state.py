"""State that a page opens with: what may be said in Python's ``view=``, checked, and in the keys of the page's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from lossatlas._util.argument_checks import check_choice
from lossatlas._util.text import did_you_mean
from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz.scene.model import Scene

CAMERA: dict[str, type] = {"azimuth": Real, "elevation": Real, "zoom": Real, "x": Real, "y": Real, "z": Real, "ortho": bool}
STATE: dict[str, type | tuple[str, ...]] = {
    "scene": Real,
    "camera": Mapping,
    "frame": Real,
    "playing": bool,
    "speed": Real,
    "loop": ("all", "once"),
    "range": list,
    "follow": bool,
    "rotating": bool,
    "quantity": str,
    "colorBy": str,
    "colormap": str,
    "log": bool,
    "clip": Real,
    "exaggeration": Real,
    "light": Real,
    "style": ("solid", "mesh", "wire"),
    "contours": bool,
    "interval": Real,
    "floor": bool,
    "mode": ("overlay", "side", "difference", "swipe"),
    "swipe": Real,
    "active": str,
    "hidden": list,
    "hiddenPaths": list,
    "map": ("inset", "side", "full", "off"),
    "mapView": Mapping,
    "shared": bool,
    "colorRange": list,
    "probes": list,
    "noise": bool,
    "insetSize": Real,
    "split": Real,
    "barHeight": Real,
    "cardSize": Real,
    "theme": ("light", "dark", ""),
    "ui": ("full", "min", "0"),
    "caption": ("short", "full", "none"),
}
"""Keys of `ViewState` in viewer/src/state.ts, with the type or the words that each takes."""
NULLABLE = ("clip", "range", "colorRange")
WORDS_FOR = {bool: "True or False", Real: "a number", str: "text", list: "a list", Mapping: "a dict"}


def page_state(view: Mapping[str, Any] | None) -> dict[str, Any]:
    """The state in the keys of the page, from those of `view=`.

    Args:
        view: keys of the page's address such as ``quantity``, ``clip``, ``camera``, ``mode`` or ``style``; and ``scale``, "linear"
            or "log", or "auto" for what suits the values.

    Raises:
        InputError: an unknown key, or a value that its key does not take.

    >>> page_state({"scale": "log", "camera": {"azimuth": 30}})
    {'log': True, 'camera': {'azimuth': 30}}
    """
    if view is None:
        return {}
    if not isinstance(view, Mapping):
        raise InputTypeError("view", type(view).__name__, "a dict such as {'scale': 'log'}, or None")
    state: dict[str, Any] = {}
    for key, value in view.items():
        if key == "scale":
            word = check_choice('view["scale"]', value, ("auto", "linear", "log"))
            state |= {} if word == "auto" else {"log": word == "log"}
            continue
        if key not in STATE:
            known = ("scale", *STATE)
            raise InputError("view", f"the key {key!r}", f"keys among {', '.join(known)}", did_you_mean(str(key), known))
        state[key] = _checked(f'view["{key}"]', value, STATE[key], key in NULLABLE)
    if "camera" in state:
        _check_camera(state["camera"])
    return state


def check_quantity(quantity: str | None, scenes: Sequence[Scene]) -> None:
    """Refuse a quantity that no surface of the page holds.

    Raises:
        InputError: with the names of those that are there.
    """
    known = list(dict.fromkeys(name for scene in scenes for surface in scene.surfaces for name in surface.fields))
    if quantity is not None and known and quantity not in known:
        raise InputError('view["quantity"]', quantity, f"one of {', '.join(known)}", did_you_mean(quantity, known))


def _checked(argument: str, value: Any, kind: type | tuple[str, ...], nullable: bool) -> Any:
    if isinstance(kind, tuple):
        return check_choice(argument, value, kind)
    if value is None and nullable:
        return None
    fits = isinstance(value, list | tuple) if kind is list else isinstance(value, kind)
    if not fits or (kind is Real and isinstance(value, bool)):
        raise InputTypeError(argument, value, WORDS_FOR[kind] + (" or None" if nullable else ""))
    return value


def _check_camera(camera: Mapping[str, Any]) -> None:
    for key, value in camera.items():
        if key not in CAMERA:
            raise InputError('view["camera"]', f"the key {key!r}", f"keys among {', '.join(CAMERA)}", did_you_mean(str(key), CAMERA))
        _checked(f'view["camera"]["{key}"]', value, CAMERA[key], nullable=False)
