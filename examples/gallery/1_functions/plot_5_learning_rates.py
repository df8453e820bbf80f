"""
Too long a step
===============

On a bowl of curvature λ, gradient descent converges below a learning rate of 2/λ, bounces for ever at it, and flies out above it.
"""

import lossatlas as la

rates = {"slow": 0.02, "half": 0.1, "close": 0.19, "at 2/λ": 0.2, "beyond": 0.203}
optimizers = {name: {"optimizer": "SGD", "lr": rate} for name, rate in rates.items()}
race = la.race(lambda x, y: x**2 / 2 + 10 * y**2 / 2, optimizers, start=(-2.5, 0.9), steps=40, bounds=((-3, 3), (-2, 2)))
print(race)
race.plot("learning_rates.png", kind="contour")
race.view(export="learning_rates.html")
