"""Scene of a page: archives, surfaces and scenes combined for comparison.

Unlike a figure, a page may show a surface of which nothing is computed yet: it says so, and a live page fills it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from lossatlas.archive import Archive
from lossatlas.errors import InputError
from lossatlas.viz.colors import path_color
from lossatlas.viz.compose.clipping_box import box_outlines
from lossatlas.viz.compose.from_datasets import path_from
from lossatlas.viz.compose.inputs import (
    SourceSurface,
    iter_inputs,
    nothing_to_draw,
    plane_of,
    read_surfaces,
    stored_paths,
    surfaces_under,
    title_of,
    unique_names,
)
from lossatlas.viz.compose.running_training import running_training_scene
from lossatlas.viz.compose.timeline import with_timeline
from lossatlas.viz.scene.model import ColorScale, Pane, PathData, Scene, Surface
from lossatlas.viz.scene.value_ranges import automatic_scale


def scenes_of(source: Any, *, title: str | None = None) -> tuple[tuple[Scene, ...], tuple[str, ...]]:
    """The scenes of a page, and lines it shows above them.

    Args:
        source: a `Scene`, an archive or its path, a surface, or a list of any of these.
        title: replaces the first scene's title.

    Raises:
        InputError: something that cannot be drawn, or an archive without a surface.
    """
    things = list(iter_inputs(source))
    scenes = [thing for thing in things if isinstance(thing, Scene)]
    others = [thing for thing in things if not isinstance(thing, Scene)]
    if others:
        scenes.insert(0, combine(others))
    if not scenes:
        raise InputError("source", "nothing to draw", "a scene, an archive or a surface", "Compute one with: lossatlas evaluate")
    first = scenes[0] if title is None else scenes[0].replace(title=title)
    return (first, *scenes[1:]), ()


def combine(things: Sequence[Any]) -> Scene:
    """One scene of every surface and path in archives and Datasets; `meta` tells their planes apart.

    Of an archive that holds surfaces on several planes the panes show one plane: the first that paths were recorded on,
    else the first. The page offers the others in its legend. Recordings alone, without a surface, are shown on the plane of
    their own principal components.
    """
    entries = read_surfaces(things)
    if not entries:
        training = running_training_scene(things)
        if training is None:
            raise nothing_to_draw(things)
        return training
    surfaces = tuple(entry.surface for entry in entries)
    paths = tuple(_paths(things, entries))
    planes = {entry.surface.name: plane_of(entry.dataset) for entry in entries}
    shown = tuple(name for thing in things for name in _on_one_plane([p.surface for p in entries if p.thing is thing], planes, paths))
    on_path = tuple(path.name for path in paths if path.surface in (None, *shown))
    panes = (Pane("surface", shown, on_path), Pane("contour", shown, on_path))
    scene = Scene(
        panes=panes,
        surfaces=surfaces,
        paths=paths,
        outlines=box_outlines([entry.dataset for entry in entries]),
        colors=_color_scales(surfaces, shown),
        title=title_of(surfaces),
        meta={"planes": planes, "source": {entry.surface.name: [_file(entry.thing), entry.stored] for entry in entries}},
    )
    # Paths on several planes share no timeline; the page makes one for the plane it shows.
    return with_timeline(scene) if paths and len(on_path) == len(paths) else scene


def _color_scales(surfaces: Sequence[Surface], shown: Sequence[str]) -> tuple[ColorScale, ...]:
    """A scale for every quantity of the surfaces that the page opens with, for its reader may choose among them."""
    drawn = [surface for surface in surfaces if surface.name in shown]
    quantities = dict.fromkeys(("loss", *(quantity for surface in drawn for quantity in surface.fields)))
    return tuple(ColorScale(quantity, scale=automatic_scale(drawn, quantity)) for quantity in quantities)


def _on_one_plane(surfaces: Sequence[Surface], planes: dict[str, Any], paths: Sequence[PathData]) -> list[str]:
    """Names of the lines, and of the surfaces that share a plane with the first that carries a path."""
    flat = [surface.name for surface in surfaces if not surface.is_line]
    walked = {path.surface for path in paths}
    first = next((name for name in flat if name in walked), flat[0] if flat else None)
    alike = [name for name in flat if name == first or (first and planes[name] and planes[name] == planes[first])]
    return [s.name for s in surfaces if s.is_line or s.name in alike]


def _paths(things: Sequence[Any], entries: Sequence[SourceSurface]) -> Iterator[PathData]:
    """Every projected trajectory, read against the surface it lies on; one of a plane that no surface here has is left out."""
    usable = [(name, data, surfaces_under(data, thing, entries)) for name, data, thing in stored_paths(things)]
    usable = [(name, data, below) for name, data, below in usable if below or not plane_of(data).get("direction_hashes")]
    names = unique_names([name for name, *_ in usable], [""] * len(usable))
    for k, (name, (_, data, below)) in enumerate(zip(names, usable, strict=True)):
        under = below[0].surface if below else next((entry.surface for entry in entries if not entry.surface.is_line), None)
        path = path_from(data, name=name, surface=under)
        yield replace(path, color=path.color or path_color(k), surface=below[0].surface.name if below else None)


def _file(thing: Any) -> str:
    """The archive's file name, for the Python code a page offers; never where it lies on this machine."""
    return FilePath(thing.location).name if isinstance(thing, Archive) else "archive.zarr"
