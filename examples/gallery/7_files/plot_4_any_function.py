"""
A function of a NumPy vector
============================

``la.ArrayObjective`` takes what ``scipy.optimize.minimize`` takes: here the energy of a chain of ten masses, along its softest modes.
"""

import numpy as np
from scipy.optimize import minimize

import lossatlas as la


def energy(position):
    stretch = np.diff(np.concatenate([[0.0], position, [11.0]])) - 1.0
    return 0.5 * np.sum(stretch**2) + 0.3 * np.sum(np.cos(2 * np.pi * position))


start = np.linspace(1, 10, 10) + 0.1
found = minimize(energy, start)
f = la.ArrayObjective(energy, found.x, name="energy", units="J")
plane = la.hessian_plane(f, biases=True)
surface = la.evaluate(f, plane, bounds=(-0.3, 0.3), resolution=41)
la.plot(surface, "chain.png")
la.view(surface, export="chain.html")
