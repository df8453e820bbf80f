"""
Himmelblau: four minima, four ends
==================================

The same rule from four starts ends in four different places; all four minima have the value zero.
"""

import lossatlas as la

f = la.functions.himmelblau()
plane = la.weight_plane(f, 0, 1, labels=("x", "y"))
surface = la.evaluate(f, plane, f.bounds, resolution=71, title="Himmelblau")
starts = ((0.5, 0.0), (-1.0, 0.5), (-0.5, -1.0), (0.5, -1.0))
paths = [la.optimize_on_plane(f, plane, s, learning_rate=0.01, steps=80, label=f"from {s[0]:g}, {s[1]:g}") for s in starts]

la.plot([surface, *paths], "himmelblau.png", scale="log")
la.view([surface, *paths], export="himmelblau.html", view={"log": True})
