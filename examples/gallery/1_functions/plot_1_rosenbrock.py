"""
Rosenbrock's valley
===================

Five optimizers start at the same point of the curved valley; of five learning rates each is given the one that
ends lowest after 300 steps.
"""

import math

import torch

import lossatlas as la


def rosenbrock(p, batch):
    return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2


center = {name: torch.ones(1, dtype=torch.float64) for name in "xy"}
objective = la.Objective(rosenbrock, params=center, units="1")
plane = la.weight_plane(objective, ("x", 0), ("y", 0), labels=("x", "y"))
surface = la.evaluate(objective, plane, bounds=((-2, 2), (-1, 3)), resolution=(81, 61), title="Rosenbrock")

paths = []
for optimizer in ("sgd", "momentum", "nesterov", "rmsprop", "adam"):
    rates = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    runs = [
        la.optimize_on_plane(objective, plane, (-1.2, 1.0), optimizer=optimizer, learning_rate=r, steps=300, label=optimizer) for r in rates
    ]
    paths.append(min(runs, key=lambda run: float(run.path_loss[-1]) if math.isfinite(float(run.path_loss[-1])) else math.inf))

la.plot([surface, *paths], "rosenbrock.png", kind="contour", scale="log")
la.view([surface, *paths], export="rosenbrock.html", view={"log": True})
