"""
Himmelblau: four minima, four ends
==================================

The same rule from four starts ends in four different places; all four minima have the value zero.
"""

import torch

import lossatlas as la


def himmelblau(p, batch):
    x, y = p["x"], p["y"]
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


center = {"x": torch.tensor([3.0], dtype=torch.float64), "y": torch.tensor([2.0], dtype=torch.float64)}
objective = la.Objective(himmelblau, params=center, units="1")
plane = la.weight_plane(objective, ("x", 0), ("y", 0), labels=("x", "y"))
surface = la.evaluate(objective, plane, bounds=(-5, 5), resolution=71, title="Himmelblau")
starts = ((0.5, 0.0), (-1.0, 0.5), (-0.5, -1.0), (0.5, -1.0))
paths = [la.optimize_on_plane(objective, plane, s, learning_rate=0.01, steps=80, label=f"from {s[0]:g}, {s[1]:g}") for s in starts]

la.plot([surface, *paths], "himmelblau.png", scale="log")
la.view([surface, *paths], export="himmelblau.html", view={"log": True})
