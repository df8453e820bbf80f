"""Several quantities of the same surfaces on one figure, such as loss and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lossatlas.viz.scene.model import Pane, Scene, Surface


def side_by_side(scenes: Sequence[Scene]) -> Scene:
    """Scenes of the same surfaces that show different quantities, in columns from left to right, each with its own color scale.

    Args:
        scenes: as `compose` makes them, one a quantity.
    """
    surfaces, panes, column = dict[str, Surface](), list[Pane](), 0
    for scene in scenes:
        for surface in scene.surfaces:
            before = surfaces.get(surface.name, surface)
            surfaces[surface.name] = replace(before, fields={**surface.fields, **before.fields})
        panes += [replace(pane, column=column + pane.column) for pane in scene.panes]
        column = 1 + max(pane.column for pane in panes)
    colors = tuple(color for scene in scenes for color in scene.colors)
    return scenes[0].replace(panes=tuple(panes), surfaces=tuple(surfaces.values()), colors=colors)
