"""Payload of the viewer: a scene as one JSON header and one binary blob.

The header repeats the scene's dataclasses field by field; an array is replaced by ``{"block": k}`` and stands in the
blob as block ``k``, deflated. Fields over the plane are stored as 16-bit codes by default: 65533 steps between the
exact smallest and largest value, of the logarithm where the range is wide, so the error stays below 1e-5 of the range.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lossatlas._util.text import to_json_value
from lossatlas._util.version import __version__
from lossatlas.errors import InputError
from lossatlas.viz.metadata.record import source_of
from lossatlas.viz.scene.interpolation import spans_decades
from lossatlas.viz.scene.model import Field, Scene, Surface
from lossatlas.viz.web.colormaps import tables

FORMAT = "lossatlas-viewer"
VERSION = 1
Precision = Literal["uint16", "float32"]

STEPS = 65532
"""The largest code of a finite value; the three codes above it are -inf, +inf and NaN."""
MINUS, PLUS, NOT_A_NUMBER = 65533, 65534, 65535
EXTREME = 1e9
"""Beyond this ratio 16 bits of the logarithm are too coarse, and float32 is stored instead."""


@dataclass(frozen=True)
class Payload:
    """Data of a page: `header` is JSON-ready, `blob` the blocks one after the other."""

    header: dict[str, Any]
    blob: bytes

    def json(self) -> str:
        return json.dumps(self.header, allow_nan=False, separators=(",", ":"), ensure_ascii=False)

    def base64(self) -> str:
        return base64.b64encode(self.blob).decode("ascii")


def encode(
    scenes: Scene | Sequence[Scene],
    *,
    precision: Precision = "uint16",
    theme: str | None = None,
    view: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Payload:
    """Encode scenes for the viewer; `decode_block` and the page's own decoder undo it.

    Args:
        scenes: one scene, or several that the page offers in turn.
        precision: "uint16" (small) or "float32" (every value to seven digits).
        theme: "light", "dark" or None, which follows the reader's system.
        view: the state to open with, the same keys as in the page's address after ``#v=``.
        warnings: lines the page shows above the picture.

    Raises:
        InputError: `precision` or `theme` is none of the above.
    """
    if precision not in ("uint16", "float32"):
        raise InputError("precision", precision, '"uint16" or "float32"')
    if theme not in (None, "light", "dark"):
        raise InputError("theme", theme, '"light", "dark" or None')
    listed = (scenes,) if isinstance(scenes, Scene) else tuple(scenes)
    blocks = _Blocks(precision)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "scenes": [{**blocks.plain(scene), "sources": _sources(scene)} for scene in listed],
        "colormaps": tables(color.colormap for scene in listed for color in scene.colors),
        "theme": theme,
        "view": to_json_value(dict(view or {})),
        "warnings": list(warnings),
        "package": __version__,
    }
    return Payload({**header, "blocks": blocks.table}, b"".join(blocks.parts))


def _sources(scene: Scene) -> dict[str, dict[str, str]]:
    """Archive, name and hash of every surface, for the pictures that the page exports."""
    return {surface.name: asdict(source_of(surface)) for surface in scene.surfaces}


class _Blocks:
    """Collects arrays while a scene is turned into JSON."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.table: list[dict[str, Any]] = []
        self.parts: list[bytes] = []
        self.length = 0

    def plain(self, thing: Any) -> Any:
        """`thing` as JSON: dataclasses and mappings become objects, arrays become references."""
        if isinstance(thing, Field):
            return self._field(thing)
        if isinstance(thing, Surface):
            thing = replace(thing, notes=thing.all_notes())  # the page leaves out those of other quantities than it shows
        if is_dataclass(thing) and not isinstance(thing, type):
            return {f.name: self.plain(getattr(thing, f.name)) for f in fields(thing)}
        if isinstance(thing, Mapping):
            return {str(key): self.plain(value) for key, value in thing.items()}
        if isinstance(thing, list | tuple):
            return [self.plain(item) for item in thing]
        return self._exact(thing) if isinstance(thing, np.ndarray) else to_json_value(thing)

    def _field(self, quantity: Field) -> dict[str, Any]:
        error = quantity.standard_error
        return {
            "values": self._lossy(quantity.values),
            "label": quantity.label,
            "units": quantity.units,
            "standard_error": None if error is None else self._lossy(error),
            "interval": None if quantity.interval is None else [self._lossy(end) for end in quantity.interval],
            "doubtful": None if quantity.doubtful is None else self._exact(quantity.doubtful),
            **({} if quantity.is_minimum_located else {"minimum_located": False}),
            "cautions": self.plain(quantity.cautions),
        }

    def _lossy(self, values: NDArray[Any]) -> dict[str, int]:
        span = _range(values)
        if self.precision == "float32" or (span["log"] and span["high"] / span["low"] > EXTREME):
            return self._add("f32", np.asarray(values, np.float32), values.shape, **span)
        codes, coding = quantize(values)
        return self._add("u16", difference(codes), values.shape, **coding)

    def _exact(self, values: NDArray[Any]) -> dict[str, int]:
        codec, dtype = {"f": ("f64", np.float64), "b": ("u8", np.uint8)}.get(values.dtype.kind, ("i32", np.int32))
        if codec == "i32" and values.size and values.min() >= 0 and values.max() < 256:
            codec, dtype = "u8", np.uint8
        return self._add(codec, np.asarray(values, dtype), values.shape)

    def _add(self, codec: str, stored: NDArray[Any], shape: tuple[int, ...], **coding: Any) -> dict[str, int]:
        data = zlib.compress(_byte_planes(stored), 9 if stored.size < 4_000_000 else 6)
        self.table.append({"codec": codec, "shape": list(shape), "offset": self.length, "length": len(data), **coding})
        self.parts.append(data)
        self.length += len(data)
        return {"block": len(self.table) - 1}


def quantize(values: NDArray[Any]) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """16-bit codes of `values` and how to read them: ``low``, ``high`` (exact) and whether the steps are of the logarithm.

    >>> codes, coding = quantize(np.array([0.0, 1.0, np.nan, np.inf]))
    >>> codes.tolist(), coding
    ([0, 65532, 65535, 65534], {'low': 0.0, 'high': 1.0, 'log': False})
    """
    coding = _range(values)
    low, high, log = coding["low"], coding["high"], coding["log"]
    with np.errstate(all="ignore"):
        scaled = (np.log(values) - math.log(low)) / (math.log(high) - math.log(low)) if log else _unit(values, low, high)
        codes = np.round(np.nan_to_num(scaled) * STEPS).clip(0, STEPS).astype(np.uint16)
    codes[np.isnan(values)] = NOT_A_NUMBER
    codes[np.isposinf(values)] = PLUS
    codes[np.isneginf(values)] = MINUS
    return codes, coding


def difference(codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Each code less its neighbor before it along the last axis, modulo 2**16: smooth fields then deflate well."""
    return np.diff(codes, axis=-1, prepend=np.zeros((*codes.shape[:-1], 1), np.uint16)).astype(np.uint16)


def decode_block(payload: Payload, index: int) -> NDArray[Any]:
    """Block `index` as an array again; what the page's decoder does, for checks in Python."""
    block = payload.header["blocks"][index]
    raw = zlib.decompress(payload.blob[block["offset"] : block["offset"] + block["length"]])
    dtype = np.dtype({"u16": "<u2", "f32": "<f4", "f64": "<f8", "i32": "<i4", "u8": "<u1"}[block["codec"]])
    planes = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1)
    stored = np.ascontiguousarray(planes.T).view(dtype).reshape(block["shape"])
    return _dequantize(stored, block) if block["codec"] == "u16" else stored


def _dequantize(stored: NDArray[np.uint16], block: Mapping[str, Any]) -> NDArray[np.float64]:
    codes = np.cumsum(stored, axis=-1, dtype=np.uint16)
    share = codes / STEPS
    low, high = block["low"], block["high"]
    values = low * (high / low) ** share if block["log"] else low + (high - low) * share
    special = {MINUS: -np.inf, PLUS: np.inf, NOT_A_NUMBER: np.nan}
    for code, value in special.items():
        values = np.where(codes == code, value, values)
    return values


def _range(values: NDArray[Any]) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return {"low": low, "high": high, "log": spans_decades(low, high)}


def _unit(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    return (values - low) / (high - low) if high > low else np.zeros(values.shape)


def _byte_planes(stored: NDArray[Any]) -> bytes:
    """All first bytes, then all second bytes, …, little-endian: the high bytes are nearly constant and deflate well."""
    little = np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("<")))
    return np.ascontiguousarray(little.reshape(-1).view(np.uint8).reshape(-1, stored.dtype.itemsize).T).tobytes()
