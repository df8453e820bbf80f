"""
Beale: plains where gradients vanish
====================================

Plain gradient descent crawls on the plain; rules that divide by the size of recent gradients do not.
"""

import lossatlas as la

race = la.race(la.functions.beale(), {"SGD": 0.005, "momentum": 0.002, "Adagrad": 0.3, "Adam": 0.05}, start=(0.2, 1.2), steps=250)
print(race)
race.plot("beale.png")
race.view(export="beale.html")
