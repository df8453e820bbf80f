"""
A relief that turns
===================

``la.animate`` turns a surface, or plays the paths that lie on it; ``.mp4`` works as well.
"""

import numpy as np
import xarray as xr

import lossatlas as la

axis = np.linspace(-3, 3, 61)
x, y = np.meshgrid(axis, axis, indexing="ij")
values = 3 - 3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2) + 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
surface = xr.Dataset({"loss": (("alpha", "beta"), values)}, coords={"alpha": axis, "beta": axis}, attrs={"title": "hills"})
la.animate(surface, "turning.gif", frames=24, width=600)
