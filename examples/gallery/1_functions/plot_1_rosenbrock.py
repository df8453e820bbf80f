"""
Rosenbrock's valley
===================

Four optimizers from the customary start. The valley is easy to reach and slow to follow, for it bends.
"""

import lossatlas as la

race = la.race(la.functions.rosenbrock(), {"SGD": 1e-3, "momentum": 3e-4, "RMSprop": 1e-2, "Adam": 0.1}, steps=300)
print(race)
race.plot("rosenbrock.png", scale="log")
race.view(export="rosenbrock.html", view={"log": True})
