"""
Beale: plains where gradients vanish
====================================

Plain gradient descent crawls on the plain; Adam, whose steps do not shrink with the gradient, does not.
"""

import torch

import lossatlas as la


def beale(p, batch):
    x, y = p["x"], p["y"]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


center = {"x": torch.tensor([3.0], dtype=torch.float64), "y": torch.tensor([0.5], dtype=torch.float64)}
objective = la.Objective(beale, params=center, units="1")
plane = la.weight_plane(objective, ("x", 0), ("y", 0), labels=("x", "y"))
surface = la.evaluate(objective, plane, bounds=((-1, 4), (-1, 1.5)), resolution=(71, 61), title="Beale")
rules = {"sgd": 0.005, "momentum": 0.002, "adagrad": 0.3, "adam": 0.05}
paths = [la.optimize_on_plane(objective, plane, (0.2, 1.2), optimizer=o, learning_rate=r, steps=250, label=o) for o, r in rules.items()]

la.plot([surface, *paths], "beale.png", scale="log")
la.view([surface, *paths], export="beale.html", view={"log": True})
