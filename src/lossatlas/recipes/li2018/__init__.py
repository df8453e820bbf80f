"""Li, Xu, Taylor, Studer, Goldstein 2018, "Visualizing the Loss Landscape of Neural Nets": the figures, each from real networks.

`figures` draws, `planes`, `solutions`, `paths`, `widths` and `ratios` compute, `networks` and `training` bring the networks.
"""

from lossatlas.recipes.li2018.run import run

__all__ = ["run"]
