"""
Numbers from anywhere
=====================

A surface is an ``xarray.Dataset`` with coordinates alpha and beta: values of any program can be drawn, rotated and exported. NaN
is a hole.
"""

import numpy as np
import xarray as xr

import lossatlas as la

alpha, beta = np.linspace(-2, 2, 81), np.linspace(-1.5, 1.5, 61)
a, b = np.meshgrid(alpha, beta, indexing="ij")
values = (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (-4 + 4 * b**2) * b**2
values[(a - 1.4) ** 2 + (b + 0.9) ** 2 < 0.06] = np.nan
surface = xr.Dataset(
    {"loss": (("alpha", "beta"), values)}, coords={"alpha": alpha, "beta": beta}, attrs={"title": "six-hump camel, with a hole"}
)
la.plot(surface, "camel.png")
for suffix in ("stl", "vtp", "csv"):
    la.export_surface(surface, f"camel.{suffix}")
la.view(surface, export="camel.html")
