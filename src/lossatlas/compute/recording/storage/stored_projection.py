"""Projection of a recorded path that is kept beside the recorded curves, and goes when rows are added."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from lossatlas._util.caller import caller_level
from lossatlas.compute.recording.storage.stored_arrays import create_variable, declared_like, lies_over_steps, write_rows

MEASURED_AGAIN = ("path_", "area_", "data_")
"""Beginnings of names that a projection may hold anew though the recorder holds them too."""


def projection_of(group: zarr.Group) -> dict[str, Any]:
    """Record of what was stored beside the recording: its `arrays`, its `attrs`, and the attributes that these `replaced`."""
    stored: Any = group.attrs.get("projection", {"arrays": [], "attrs": [], "replaced": {}})
    return dict(stored)


def write_projection(group: zarr.Group, slots: NDArray[np.int64], dataset: Any, attrs: Mapping[str, Any]) -> None:
    """Store further curves over ``(step,)``; what was recorded is left as it is, unless it is such a projection itself.

    Args:
        group: of the recording.
        slots: entries of its arrays that hold its rows, in the order of their steps.
        dataset: an xarray Dataset over these rows.
        attrs: provenance to add.
    """
    before, earlier = dict(group.attrs), projection_of(group)
    arrays = {*earlier["arrays"], *(str(name) for name in dataset.variables if name not in group)}
    replaced = {key: before[key] for key in attrs if key in before and key not in earlier["attrs"]} | earlier["replaced"]
    projection = {"arrays": sorted(arrays), "attrs": sorted({*earlier["attrs"], *attrs}), "replaced": replaced}
    order = np.argsort(slots)
    for name, values in dataset.variables.items():
        if name in group and not str(name).startswith(MEASURED_AGAIN):
            continue
        array = create_variable(group, declared_like(str(name), values), dict(values.sizes))
        if lies_over_steps(array) and len(slots):
            write_rows(array, slots[order], values.values[order])
        else:
            array[...] = values.values
    group.attrs.update({**attrs, "projection": projection})


def drop_projection(group: zarr.Group, name: str) -> None:
    """Remove a projection, with a warning: it covers only the rows that were there, and must not pass as whole."""
    if "projection" not in group.attrs:
        return
    path = projection_of(group)
    for array in path["arrays"]:
        del group[array]
    gone = {"projection", *path["attrs"]}
    group.attrs.put({**{k: v for k, v in dict(group.attrs).items() if k not in gone}, **path["replaced"]})
    warnings.warn(
        f"The projection kept with {name!r} covers only the rows recorded before it, so it is dropped. "
        "Keep it anew when the training has ended: la.project_trajectory(..., archive=archive).",
        stacklevel=caller_level(),
    )
