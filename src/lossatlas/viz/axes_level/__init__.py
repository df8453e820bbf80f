"""Axes-level plotting: each function draws one thing into matplotlib axes that its caller made, and returns what it drew.

They are what `la.plot` is made of. Colors, fonts and sizes come from the rcParams and style sheets in force; nothing
global is changed, no figure is made, and the axes stay the caller's: titles, legends and color bars are theirs to add.

>>> import matplotlib.pyplot as plt, numpy as np, xarray as xr, lossatlas as la
>>> x, y = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
>>> surface = xr.Dataset({"loss": (("alpha", "beta"), np.add.outer(x**2, y**2))}, {"alpha": x, "beta": y})
>>> figure, (left, right) = plt.subplots(1, 2)
>>> contour = la.plot_contour(surface, left)
>>> bar = figure.colorbar(contour.mappable, ax=left, label="loss")
>>> legend = right.legend(handles=la.plot_line(surface.isel(beta=3, drop=True), right).handles)
>>> plt.close(figure)
"""
