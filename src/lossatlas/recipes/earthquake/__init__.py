"""Recipe `earthquake`: the landscape that each mini-batch sees (Shevchuk 2019)."""

from lossatlas.recipes.earthquake.run import run

__all__ = ["run"]
