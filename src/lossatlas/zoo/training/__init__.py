"""Training of the zoo's networks as in Li et al. 2018, recorded and resumable."""

from __future__ import annotations

from lossatlas.zoo.training.loop import train
from lossatlas.zoo.training.settings import Training

__all__ = ["Training", "train"]
