"""What a page shows: scenes as they are, and archives or surfaces gathered into one scene to be compared.

Unlike a figure, a page may show a surface of which nothing is computed yet: it says so, and a live page fills it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import xarray as xr

from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError
from lossatlas.view.colors import path_color
from lossatlas.view.compose import with_timeline
from lossatlas.view.read import path_from, surface_from
from lossatlas.view.scene import ColorScale, Pane, Path, Scene, Surface
from lossatlas.view.sources import nothing_to_draw, title_of


@dataclass(frozen=True)
class _Place:
    """A surface with where it is from: its name there, the Dataset, and the thing that was given."""

    surface: Surface
    stored: str
    data: xr.Dataset
    thing: Any


PLANE_KEYS = ("center_hash", "direction_hashes", "kind", "seed", "normalize", "parameters", "axis_labels")


def scenes_of(source: Any, *, title: str | None = None) -> tuple[tuple[Scene, ...], tuple[str, ...]]:
    """The scenes of a page, and lines it shows above them.

    Args:
        source: a `Scene`, an archive or its path, a surface, or a list of any of these.
        title: replaces the first scene's title.

    Raises:
        InputError: something that cannot be drawn, or an archive without a surface.
    """
    things = list(each(source))
    scenes = [thing for thing in things if isinstance(thing, Scene)]
    others = [thing for thing in things if not isinstance(thing, Scene)]
    if others:
        scenes.insert(0, gather(others))
    if not scenes:
        raise InputError("source", "nothing to draw", "a scene, an archive or a surface", "Compute one with: lossatlas evaluate")
    first = scenes[0] if title is None else scenes[0].replace(title=title)
    return (first, *scenes[1:]), ()


def gather(things: Sequence[Any]) -> Scene:
    """One scene of every surface and path in archives and Datasets; `meta` tells their planes apart.

    Of an archive that holds surfaces on several planes the panes show one plane: the first that paths were recorded on,
    else the first. The page offers the others in its legend.
    """
    found = [entry for thing in things for entry in _surfaces(thing)]
    if not found:
        raise nothing_to_draw(things)
    names = _unique([name for _, name, _, _ in found], [label for *_, label in found])
    surfaces = tuple(surface_from(data, name=name) for name, (_, _, data, _) in zip(names, found, strict=True))
    surfaces = _labelled(surfaces)
    places = [_Place(surface, stored, data, thing) for surface, (thing, stored, data, _) in zip(surfaces, found, strict=True)]
    paths = tuple(_paths(things, places))
    planes = {place.surface.name: _plane(place.data) for place in places}
    shown = tuple(name for thing in things for name in _on_one_plane([p.surface for p in places if p.thing is thing], planes, paths))
    on_path = tuple(path.name for path in paths if path.surface in (None, *shown))
    panes = (Pane("surface", shown, on_path), Pane("contour", shown, on_path))
    scene = Scene(
        panes=panes,
        surfaces=surfaces,
        paths=paths,
        colors=(ColorScale(),),
        title=title_of(surfaces),
        meta={"planes": planes, "source": {place.surface.name: [_file(place.thing), place.stored] for place in places}},
    )
    # Paths on several planes share no timeline; the page makes one for the plane it shows.
    return with_timeline(scene) if paths and len(on_path) == len(paths) else scene


def each(source: Any) -> Iterator[Any]:
    """Scenes, surfaces and opened archives, one by one, of whatever a page may be made of."""
    if isinstance(source, Scene | Archive | xr.Dataset):
        yield source
    elif isinstance(source, str | os.PathLike):
        yield open_archive(source)
    elif isinstance(source, Sequence):
        for part in source:
            yield from each(part)
    else:
        raise InputError(
            "source", type(source).__name__, "a Scene, an xarray.Dataset, an Archive, the path of an archive, or a list of these"
        )


def _surfaces(thing: Any) -> Iterator[tuple[Any, str, xr.Dataset, str]]:
    """What was given, stored name, Dataset and where it is from."""
    if isinstance(thing, Archive):
        yield from ((thing, name, thing.surface(name), FilePath(thing.location).stem) for name in thing.surfaces)
    elif "path_alpha" not in thing:
        yield thing, str(thing.attrs.get("name") or thing.attrs.get("title") or "surface"), thing, ""


def _on_one_plane(surfaces: Sequence[Surface], planes: dict[str, Any], paths: Sequence[Path]) -> list[str]:
    """Names of the lines, and of the surfaces that share a plane with the first that carries a path."""
    flat = [surface.name for surface in surfaces if not surface.is_line]
    walked = {path.surface for path in paths}
    first = next((name for name in flat if name in walked), flat[0] if flat else None)
    alike = [name for name in flat if name == first or (first and planes[name] and planes[name] == planes[first])]
    return [s.name for s in surfaces if s.is_line or s.name in alike]


def _unique(names: list[str], origins: list[str]) -> list[str]:
    """Names that clash get their archive's in front, and a number where even that is the same."""
    told = [f"{origin}: {name}" if origin and names.count(name) > 1 else name for name, origin in zip(names, origins, strict=True)]
    return [name if told.count(name) == 1 else f"{name} ({told[: k + 1].count(name)})" for k, name in enumerate(told)]


def _labelled(surfaces: tuple[Surface, ...]) -> tuple[Surface, ...]:
    """Labels that are the same for two surfaces say nothing: their names take their place."""
    labels = [surface.label for surface in surfaces]
    return tuple(replace(s, label=s.name) if labels.count(s.label) > 1 else s for s in surfaces)


def _paths(things: Sequence[Any], places: Sequence[_Place]) -> Iterator[Path]:
    """Every projected trajectory, read against the surface it was recorded on."""
    given = [(str(t.attrs.get("label") or "path"), t, t) for t in things if not isinstance(t, Archive) and "path_alpha" in t]
    stored = [(name, thing.trajectory(name), thing) for thing in things if isinstance(thing, Archive) for name in thing.trajectories]
    usable = [entry for entry in (*stored, *given) if "path_alpha" in entry[1] and np.isfinite(entry[1]["path_alpha"]).any()]
    names = _unique([name for name, _, _ in usable], [""] * len(usable))
    for k, (name, (_, data, thing)) in enumerate(zip(names, usable, strict=True)):
        own = _own_surface(data, thing, places)
        below = own or next((place.surface for place in places if not place.surface.is_line), None)
        path = path_from(data, name=name, surface=below)
        yield replace(path, color=path.color or path_color(k), surface=own.name if own else None)


def _own_surface(path: xr.Dataset, thing: Any, places: Sequence[_Place]) -> Surface | None:
    """The surface of the same archive that the path names, else one over the very plane it was projected on."""
    near = [p for p in places if not p.surface.is_line and (p.thing is thing or not isinstance(thing, Archive))]
    named, directions = path.attrs.get("surface"), _plane(path).get("direction_hashes")
    alike = [p for p in near if directions is not None and _plane(p.data).get("direction_hashes") == directions]
    found = [p for p in near if named is not None and p.stored == named] or alike
    return found[0].surface if found else None


def _plane(dataset: xr.Dataset) -> dict[str, Any]:
    """What makes two planes the same; empty where an archive from elsewhere does not say."""
    plane = dataset.attrs.get("plane")
    if not isinstance(plane, dict):
        return {}
    return {key: plane[key] for key in PLANE_KEYS if plane.get(key) is not None}


def _file(thing: Any) -> str:
    """The archive's file name, for the Python code a page offers; never where it lies on this machine."""
    return FilePath(thing.location).name if isinstance(thing, Archive) else "archive.zarr"
