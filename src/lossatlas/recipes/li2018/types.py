"""Records that the figures of the recipe share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr

from lossatlas.archive import open_archive
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
    """A recorded training of VGG-9, the network it ended with, and the folder of both."""

    name: str
    training: Training
    net: Net
    folder: Path

    @cached_property
    def trajectory(self) -> Trajectory:
        """Recorded weights and curves; figures without it do with published weights alone."""
        return Trajectory.open(open_archive(self.folder / "archive.zarr", "a"), self.training.network)

    @property
    def label(self) -> str:
        return self.net.label
