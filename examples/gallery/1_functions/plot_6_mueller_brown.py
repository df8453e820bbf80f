"""
A chemist's surface
===================

The Müller-Brown potential: three valleys, two passes. Where descent ends depends on which side of a pass it starts.
"""

import lossatlas as la

f = la.functions.mueller_brown()
plane = la.weight_plane(f, 0, 1, labels=("x", "y"))
surface = la.evaluate(f, plane, f.bounds, resolution=(81, 71), title="Müller-Brown")
starts = ((-0.75, 0.8), (0.3, 0.3), (-0.2, 0.4), (-1.1, 1.9))
paths = [la.optimize_on_plane(f, plane, s, learning_rate=2e-4, steps=150, label=f"from {s[0]:g}, {s[1]:g}") for s in starts]
la.plot([surface, *paths], "mueller_brown.png", clip=150)
la.view([surface, *paths], export="mueller_brown.html", view={"clip": 150})
