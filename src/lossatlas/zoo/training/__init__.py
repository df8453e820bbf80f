"""Train a network of the zoo as Li et al. 2018 did, recorded from first step to last, and to be continued after any stop."""

from __future__ import annotations

from lossatlas.zoo.training.loop import train
from lossatlas.zoo.training.settings import Training

__all__ = ["Training", "train"]
