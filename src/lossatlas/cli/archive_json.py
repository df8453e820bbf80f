"""Contents of an archive as JSON, for scripts: names, shapes and attributes, without the values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from lossatlas.archive import Archive


def archive_json(archive: Archive) -> str:
    """Surfaces and trajectories with dims, shapes, dtypes and attributes; numbers that are not finite are null."""
    contents = {
        "location": archive.location,
        "attrs": archive.attrs,
        "surfaces": {name: _surface(archive, name) for name in archive.surfaces},
        "trajectories": {name: _dataset(archive.trajectory(name)) for name in archive.trajectories},
    }
    return json.dumps(plain(contents), indent=2, allow_nan=False, ensure_ascii=False)


def _surface(archive: Archive, name: str) -> dict[str, Any]:
    dataset = archive.surface(name)
    cells = {"done": int(dataset.done.sum()), "of": int(dataset.done.size)}
    samples = {key: {"shape": array.shape, "dtype": str(array.dtype)} for key, array in archive.samples(name).items()}
    return {"cells": cells, **_dataset(dataset), "samples": samples}


def _dataset(dataset: xr.Dataset) -> dict[str, Any]:
    return {
        "shape": dict(dataset.sizes),
        "variables": {str(name): _variable(dataset[name]) for name in dataset.variables},
        "attrs": dataset.attrs,
    }


def _variable(array: xr.DataArray) -> dict[str, Any]:
    return {"dims": array.dims, "shape": array.shape, "dtype": str(array.dtype), "attrs": array.attrs}


def plain(value: Any) -> Any:
    """JSON's own types; what is none of them is written as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
