"""Scene of the decision regions of a classifier, as `la.decision_regions` gives them."""

from __future__ import annotations

from typing import Any

import xarray as xr

from lossatlas.viz.compose.from_datasets import areas_from
from lossatlas.viz.scene.model import Pane, Scene

NAME = "decision regions"


def are_regions(source: Any) -> bool:
    """Whether this is a Dataset of decision regions and of nothing else that could be drawn."""
    return isinstance(source, xr.Dataset) and "area_class" in source and not {"alpha", "path_alpha", "path_loss"} & set(source.variables)


def regions_scene(source: xr.Dataset, title: str = "") -> Scene:
    """The regions of the last step, over two features or over the axes of a plane in input space."""
    plane = source.attrs.get("plane")
    labels = list(plane.get("axis_labels") or ()) if isinstance(plane, dict) else []
    x_label, y_label = (str(label) for label in (*labels, "", "")[:2])
    pane = Pane("areas", areas=(NAME,), x_label=x_label, y_label=y_label)
    return Scene((pane,), areas=(areas_from(source, name=NAME),), title=title)
