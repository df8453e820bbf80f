"""Surfaces that every format meets: unequal sides, holes, NaN, infinity, zero and negative losses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from lossatlas import schema

SHARED = Path(os.environ.get("LOSSATLAS_DATA", "../shared/data"))
"""Where the foreign files are; tests that need them are skipped where they are not."""

ALPHA, BETA = np.linspace(-1.0, 1.0, 5), np.array([-2.0, 1 / 3, 7.0])
TABLE = 100 * ALPHA[:, None] + BETA[None, :] + 200
"""``(alpha, beta)``: each cell says where it is."""


def surface(values: np.ndarray = TABLE, done: np.ndarray | None = None, **more: np.ndarray) -> xr.Dataset:
    """A surface over `ALPHA` and `BETA`, or a line over `ALPHA` where `values` has one dimension."""
    axes = ("alpha", "beta")[: values.ndim]
    arrays = {"done": np.ones(values.shape, bool) if done is None else done, "loss": values, **more}
    data = {name: (axes, array, schema.variable(name).attrs) for name, array in arrays.items()}
    coords = {name: (name, axis, schema.variable(name).attrs) for name, axis in zip(axes, (ALPHA, BETA), strict=False)}
    return xr.Dataset(data, coords, {"kind": "surface", "plane": {"seed": 3, "cosine": 0.25}, "machine": "a ≥ b"})


def hard() -> xr.Dataset:
    """A hole, a computed NaN, both infinities, zero, a negative loss and an extreme one."""
    values = TABLE.copy()
    values[1], values[2] = (np.nan, np.inf, -np.inf), (0.0, -0.05, 3e15)
    done = np.ones(values.shape, bool)
    done[0, 2] = done[4, 0] = False
    values[~done] = np.nan
    accuracy = np.where(done, TABLE / 1000, np.nan)
    return surface(values, done, accuracy=accuracy, loss_standard_error=np.where(done, 1e-3, np.nan))


def line() -> xr.Dataset:
    """One cell of five is a hole."""
    done = np.arange(len(ALPHA)) != 2
    return surface(np.where(done, ALPHA**2, np.nan), done)
