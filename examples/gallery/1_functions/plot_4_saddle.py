"""
Stuck at a saddle
=================

Started exactly on the ridge, descent runs into the saddle and stops; a millionth beside it, it finds the way down.
"""

import lossatlas as la

f = la.ArrayObjective(lambda v: v[0] ** 2 - v[1] ** 2 + v[1] ** 4 / 4, [0.0, 0.0], name="x² − y² + y⁴/4", labels=("x", "y"))
plane = la.weight_plane(f, 0, 1)
surface = la.evaluate(f, plane, bounds=((-1.5, 1.5), (-2, 2)), resolution=(61, 71), title="x² − y² + y⁴/4")
starts = {"on the ridge": 0.0, "one millionth beside it": 1e-6}
paths = [la.optimize_on_plane(f, plane, (1.3, y), learning_rate=0.05, steps=250, label=n) for n, y in starts.items()]

la.plot([surface, *paths], "saddle.png")
la.view([surface, *paths], export="saddle.html")
