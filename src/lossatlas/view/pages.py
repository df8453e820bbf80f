"""What a page shows: scenes as they are, and archives or surfaces gathered into one scene to be compared.

Unlike a figure, a page may show a surface of which nothing is computed yet: it says so, and a live page fills it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
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

PLANE_KEYS = ("center_hash", "direction_hashes", "kind", "seed", "normalize", "parameters", "axis_labels")


def scenes_of(source: Any, *, title: str | None = None) -> tuple[tuple[Scene, ...], tuple[str, ...]]:
    """The scenes of a page, and lines it shows above them.

    Args:
        source: a `Scene`, an archive or its path, a surface, or a list of any of these.
        title: replaces the first scene's title.

    Raises:
        InputError: something that cannot be drawn, or an archive without a surface.
    """
    things = list(_flat(source))
    scenes = [thing for thing in things if isinstance(thing, Scene)]
    others = [thing for thing in things if not isinstance(thing, Scene)]
    if others:
        scenes.insert(0, gather(others))
    if not scenes:
        raise InputError("source", "nothing to draw", "a scene, an archive or a surface", "Compute one with: lossatlas evaluate")
    first = scenes[0] if title is None else scenes[0].replace(title=title)
    return (first, *scenes[1:]), ()


def gather(things: Sequence[Any]) -> Scene:
    """One scene of every surface and path in archives and Datasets; `meta` tells their planes apart."""
    found = [entry for thing in things for entry in _surfaces(thing)]
    if not found:
        raise InputError(
            "source", "nothing to draw", "an archive or Dataset that holds a surface", "List what it holds with: lossatlas info ARCHIVE"
        )
    names = _unique([name for name, _, _ in found], [label for _, _, label in found])
    surfaces = tuple(surface_from(data, name=name) for name, (_, data, _) in zip(names, found, strict=True))
    surfaces = _labelled(surfaces)
    paths = tuple(_paths(things, surfaces))
    shown, on_path = tuple(s.name for s in surfaces), tuple(p.name for p in paths)
    panes = (Pane("surface", shown, on_path), Pane("contour", shown, on_path))
    scene = Scene(
        panes=panes,
        surfaces=surfaces,
        paths=paths,
        colors=(ColorScale(),),
        title=surfaces[0].label if len(surfaces) == 1 else "",
        meta={"planes": {s.name: _plane(data) for s, (_, data, _) in zip(surfaces, found, strict=True)}, "source": _source(things)},
    )
    return with_timeline(scene) if paths else scene


def _flat(source: Any) -> Iterator[Any]:
    if isinstance(source, Scene | Archive | xr.Dataset):
        yield source
    elif isinstance(source, str | os.PathLike):
        yield open_archive(source)
    elif isinstance(source, Sequence):
        for part in source:
            yield from _flat(part)
    else:
        raise InputError(
            "source", type(source).__name__, "a Scene, an xarray.Dataset, an Archive, the path of an archive, or a list of these"
        )


def _surfaces(thing: Any) -> Iterator[tuple[str, xr.Dataset, str]]:
    """Stored name, Dataset and where it is from."""
    if isinstance(thing, Archive):
        yield from ((name, thing.surface(name), FilePath(thing.location).stem) for name in thing.surfaces)
    elif "path_alpha" not in thing:
        yield str(thing.attrs.get("name") or thing.attrs.get("title") or "surface"), thing, ""


def _unique(names: list[str], origins: list[str]) -> list[str]:
    """Names that clash get their archive's in front, and a number where even that is the same."""
    told = [f"{origin}: {name}" if origin and names.count(name) > 1 else name for name, origin in zip(names, origins, strict=True)]
    return [name if told.count(name) == 1 else f"{name} ({told[: k + 1].count(name)})" for k, name in enumerate(told)]


def _labelled(surfaces: tuple[Surface, ...]) -> tuple[Surface, ...]:
    """Labels that are the same for two surfaces say nothing: their names take their place."""
    labels = [surface.label for surface in surfaces]
    return tuple(replace(s, label=s.name) if labels.count(s.label) > 1 else s for s in surfaces)


def _paths(things: Sequence[Any], surfaces: tuple[Surface, ...]) -> Iterator[Path]:
    below = next((surface for surface in surfaces if not surface.is_line), None)
    datasets: list[tuple[str, xr.Dataset]] = []
    for thing in things:
        if isinstance(thing, Archive):
            datasets += [(name, thing.trajectory(name)) for name in thing.trajectories]
        elif "path_alpha" in thing:
            datasets.append((str(thing.attrs.get("label") or "path"), thing))
    usable = [(name, data) for name, data in datasets if "path_alpha" in data and np.isfinite(data["path_alpha"]).any()]
    names = _unique([name for name, _ in usable], [""] * len(usable))
    for k, (name, (_, data)) in enumerate(zip(names, usable, strict=True)):
        path = path_from(data, name=name, surface=below)
        yield replace(path, color=path.color or path_color(k))


def _plane(dataset: xr.Dataset) -> dict[str, Any]:
    """What makes two planes the same; empty where an archive from elsewhere does not say."""
    plane = dataset.attrs.get("plane")
    if not isinstance(plane, dict):
        return {}
    return {key: plane[key] for key in PLANE_KEYS if plane.get(key) is not None}


def _source(things: Sequence[Any]) -> str:
    """The archive's file name, for the Python code a page offers; never where it lies on this machine."""
    return next((FilePath(thing.location).name for thing in things if isinstance(thing, Archive)), "archive.zarr")
