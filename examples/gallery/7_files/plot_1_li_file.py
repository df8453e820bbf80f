"""
A file of Li et al.'s code
==========================

Their ``.h5`` surfaces open as they are: losses, accuracies in per cent, unfinished cells marked -1. Here one is written in their
layout first.
"""

import h5py
import numpy as np

import lossatlas as la

axis = np.linspace(-1, 1, 31)
alpha, beta = np.meshgrid(axis, axis, indexing="ij")
loss = 0.1 + alpha**2 + 2 * beta**2 + 0.3 * np.cos(6 * alpha) * np.cos(5 * beta)
with h5py.File("model_surface.h5", "w") as file:
    file["dir_file"] = "model_weights_xnorm=filter_ynorm=filter.h5"
    file["xcoordinates"], file["ycoordinates"] = axis, axis
    file["train_loss"], file["train_acc"] = loss.T, 100 * np.exp(-loss.T)

surface = la.import_surface("model_surface.h5")
print(surface)
la.plot(surface, "imported.png")
la.view(surface, export="imported.html")
