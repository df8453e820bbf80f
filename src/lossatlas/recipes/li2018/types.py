"""Records that the figures of the recipe share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xarray as xr

from lossatlas.compute.recording.trajectory import Trajectory
from lossatlas.recipes.li2018.networks import Net
from lossatlas.zoo.training import Training


@dataclass(frozen=True)
class Panel:
    """A surface and what to say above it."""

    name: str
    title: str
    surface: xr.Dataset
    summary: dict[str, Any]


@dataclass(frozen=True)
class Solution:
    """A recorded training of VGG-9 and the network it ended with."""

    name: str
    training: Training
    net: Net
    trajectory: Trajectory

    @property
    def label(self) -> str:
        return self.net.label
