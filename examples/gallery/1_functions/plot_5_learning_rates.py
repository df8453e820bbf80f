"""
Too long a step
===============

On a bowl of curvature λ, gradient descent converges below a learning rate of 2/λ, bounces for ever at it, and flies out above it.
"""

import torch

import lossatlas as la


def bowl(p, batch):
    return p["x"] ** 2 / 2 + 10 * p["y"] ** 2 / 2


center = {name: torch.zeros(1, dtype=torch.float64) for name in "xy"}
objective = la.Objective(bowl, params=center, units="1")
plane = la.weight_plane(objective, ("x", 0), ("y", 0), labels=("x", "y"))
surface = la.evaluate(objective, plane, bounds=((-3, 3), (-2, 2)), resolution=(51, 41), title="x²/2 + 10 y²/2: the limit is 2/10")
rates = (0.02, 0.1, 0.19, 0.2, 0.203)
paths = [la.optimize_on_plane(objective, plane, (-2.5, 0.9), learning_rate=r, steps=40, label=f"rate {r:g}") for r in rates]
for rate, path in zip(rates, paths, strict=True):
    print(f"rate {rate:g}: loss {float(path.path_loss[0]):.2f} -> {float(path.path_loss[-1]):.4f}")

la.plot([surface, *paths], "learning_rates.png", kind="contour")
la.view([surface, *paths], export="learning_rates.html")
