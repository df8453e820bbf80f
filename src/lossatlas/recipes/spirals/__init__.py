"""Recipe `spirals`: optimizer paths and decision areas side by side (Yang 2021, From Animation to Intuition)."""

from lossatlas.recipes.spirals.run import run

__all__ = ["run"]
