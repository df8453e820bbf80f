"""
Stuck at a saddle
=================

Started exactly on the ridge, descent runs into the saddle and stops; a millionth beside it, it finds the way down.
"""

import torch

import lossatlas as la


def saddle(p, batch):
    x, y = p["x"], p["y"]
    return x**2 - y**2 + y**4 / 4


center = {name: torch.zeros(1, dtype=torch.float64) for name in "xy"}
objective = la.Objective(saddle, params=center, units="1")
plane = la.weight_plane(objective, ("x", 0), ("y", 0), labels=("x", "y"))
surface = la.evaluate(objective, plane, bounds=((-1.5, 1.5), (-2, 2)), resolution=(61, 71), title="x² − y² + y⁴/4")
starts = {"on the ridge": 0.0, "one millionth beside it": 1e-6}
paths = [la.optimize_on_plane(objective, plane, (1.3, y), learning_rate=0.05, steps=250, label=n) for n, y in starts.items()]

la.plot([surface, *paths], "saddle.png")
la.view([surface, *paths], export="saddle.html")
