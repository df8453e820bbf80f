"""Reader of whatever is handed in to be drawn, for figures and pages alike: named surfaces, and the paths on each.

A path belongs to the surfaces over the very plane that it was projected on, which the hashes of the plane's center and
directions tell. Its attribute ``surface`` chooses among several; names alone decide only where an archive has no hashes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import xarray as xr

from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError, InputTypeError
from lossatlas.viz.compose.clipping_box import box_outlines
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.model import ColorScale, Outline, PathData, Scene, Surface

PLANE_KEYS = ("center_hash", "direction_hashes", "kind", "seed", "normalize", "parameters", "axis_labels")
"""Attributes by which two planes are told apart; the hashes decide where both have them."""

Source = xr.Dataset | Archive | str | os.PathLike[str] | Sequence[Any]


@dataclass(frozen=True)
class SourceSurface:
    """A surface, its name and Dataset where it is stored, and the thing that was handed in."""

    surface: Surface
    stored: str
    dataset: xr.Dataset
    thing: Any


@dataclass(frozen=True)
class Sources:
    """Surfaces to draw, for each the paths that run on it, and the trajectory that each path was read from, by the path's name."""

    surfaces: tuple[Surface, ...]
    paths: tuple[tuple[str, PathData], ...]
    recorded: Mapping[str, xr.Dataset] = field(default_factory=dict)
    outlines: tuple[Outline, ...] = ()

    def paths_on(self, surface: str) -> tuple[PathData, ...]:
        return tuple(path for owner, path in self.paths if owner == surface)


def read_sources(source: Source, surfaces: Sequence[str] | None = None, trajectories: Sequence[Any] | None = None) -> Sources:
    """Read what was asked for, for a figure.

    Args:
        source: a surface Dataset, an Archive, the path of one, or a list of these.
        surfaces: names to take from archives; None takes all of them.
        trajectories: names of trajectories, `PathData` objects or projected trajectory Datasets; None takes every one
            on the plane of a chosen surface, an empty list none.

    Raises:
        InputError: an unknown name, nothing to draw, no finished cell, or a path of another plane.
    """
    things = list(iter_inputs(source))
    read = read_surfaces(things, surfaces)
    _check_names(surfaces, [entry.stored for entry in read], things)
    if not read:
        raise nothing_to_draw(things)
    _check_finished([entry.surface for entry in read])
    owned = list(_distinct(list(_paths_of(read, trajectories, things))))
    recorded = {path.name: trajectory for _, path, trajectory in owned if trajectory is not None}
    outlines = box_outlines([entry.dataset for entry in read])
    return Sources(tuple(entry.surface for entry in read), tuple((owner, path) for owner, path, _ in owned), recorded, outlines)


def iter_inputs(source: Any) -> Iterator[Any]:
    """Scenes, Datasets and opened archives, one by one, of whatever may be handed in.

    Raises:
        InputError: something that cannot be drawn.
    """
    if isinstance(source, Scene | Archive | xr.Dataset):
        yield source
    elif isinstance(source, str | os.PathLike):
        yield open_archive(source)
    elif isinstance(getattr(source, "surface", None), xr.Dataset):  # what la.landscape, la.compare and la.race return
        yield source.surface
        yield from source.paths.values()
    elif isinstance(source, Sequence):
        for part in source:
            yield from iter_inputs(part)
    else:
        raise InputTypeError(
            "source",
            type(source).__name__,
            "an xarray.Dataset, an Archive, the path of an archive, or a list of these; for a page also a Scene",
            "Pass the recording's path, or draw it on a surface: la.landscape(model, loss, data, recording=...).plot()"
            if type(source).__name__ == "Trajectory"
            else "",
        )


def read_surfaces(things: Sequence[Any], wanted: Sequence[str] | None = None) -> tuple[SourceSurface, ...]:
    """Every surface of opened archives and Datasets, under names of their own.

    Args:
        things: as `iter_inputs` yields them.
        wanted: names to take from archives; None takes all of them.
    """
    entries = [entry for thing in things for entry in _stored_surfaces(thing, wanted)]
    names = unique_names([stored for stored, *_ in entries], [origin for *_, origin in entries])
    surfaces = _with_distinct_labels([surface_from(data, name=name) for name, (_, data, _, _) in zip(names, entries, strict=True)])
    return tuple(SourceSurface(surface, stored, data, thing) for surface, (stored, data, thing, _) in zip(surfaces, entries, strict=True))


def stored_paths(things: Sequence[Any]) -> list[tuple[str, xr.Dataset, Any]]:
    """Name, Dataset and origin of every projected trajectory in archives and Datasets."""
    stored = [(name, thing.trajectory(name), thing) for thing in things if isinstance(thing, Archive) for name in thing.trajectories]
    datasets = [(str(t.attrs.get("label") or "path"), t, t) for t in things if isinstance(t, xr.Dataset)]
    return [entry for entry in (*stored, *datasets) if "path_alpha" in entry[1] and np.isfinite(entry[1]["path_alpha"]).any()]


def surfaces_under(path: xr.Dataset, thing: Any, surfaces: Sequence[SourceSurface]) -> list[SourceSurface]:
    """The surfaces that a path lies on: those over its own plane, of these the one it names.

    Args:
        path: a projected trajectory.
        thing: the archive that holds it, whose surfaces alone it may lie on; a Dataset may lie on any.
        surfaces: what is drawn.
    """
    near = [s for s in surfaces if s.surface.is_line == ("path_beta" not in path) and (s.thing is thing or not isinstance(thing, Archive))]
    alike = [(s, _same_plane(path, s.dataset)) for s in near]
    on_plane = [s for s, same in alike if same]
    candidates = on_plane or [s for s, same in alike if same is None]
    named = path.attrs.get("surface")
    chosen = [s for s in candidates if named is not None and s.stored == named]
    return chosen or (candidates if named is None or on_plane else [])


def plane_of(dataset: xr.Dataset) -> dict[str, Any]:
    """Properties that identify a plane; empty where an archive from elsewhere does not say."""
    plane = dataset.attrs.get("plane")
    if not isinstance(plane, dict):
        return {}
    return {key: plane[key] for key in PLANE_KEYS if plane.get(key) is not None}


def unique_names(names: Sequence[str], origins: Sequence[str]) -> list[str]:
    """Names that clash get their archive's in front, and a number where even that is the same."""
    full = [f"{origin}: {name}" if origin and list(names).count(name) > 1 else name for name, origin in zip(names, origins, strict=True)]
    return [
        name if full.count(name) == 1 or not full[:k].count(name) else f"{name} ({full[: k + 1].count(name)})"
        for k, name in enumerate(full)
    ]


def title_of(surfaces: Sequence[Surface]) -> str:
    """One surface titles its figure, unless its name is the one that nameless surfaces get."""
    named = surfaces[0].label or surfaces[0].name if len(surfaces) == 1 else ""
    return "" if named == "surface" else named


def nothing_to_draw(things: Sequence[Any]) -> InputError:
    """No surface in them: how to come by one, or to what a recorder kept."""
    runs = [name for thing in things if isinstance(thing, Archive) for name in thing.trajectories]
    if not runs:
        return InputError("source", "nothing to draw", "an archive or Dataset that holds a surface", "Compute one with: lossatlas evaluate")
    return InputError(
        "source",
        f"nothing to draw but the recorded run {', '.join(runs)}, which lies on no surface yet",
        "an archive or Dataset that holds a surface",
        "See what a recorder kept with --kind recording (kind='recording'); lay a landscape under its path with: lossatlas evaluate "
        "MODULE:OBJECTIVE --recording ARCHIVE (in Python la.pca_plane, la.evaluate, la.project_trajectory)",
    )


def _same_plane(a: xr.Dataset, b: xr.Dataset) -> bool | None:
    """Whether two Datasets are about one plane; None where one of them does not say."""
    plane_a, plane_b = plane_of(a), plane_of(b)
    if "direction_hashes" not in plane_a or "direction_hashes" not in plane_b:
        return None
    return all(plane_a[key] == plane_b[key] for key in ("direction_hashes", "center_hash") if key in plane_a and key in plane_b)


def _stored_surfaces(thing: Any, wanted: Sequence[str] | None) -> Iterator[tuple[str, xr.Dataset, Any, str]]:
    """Stored name, Dataset, the thing that was handed in, and the name of its archive."""
    if isinstance(thing, Archive):
        origin = FilePath(thing.location).stem
        yield from ((name, thing.surface(name), thing, origin) for name in thing.surfaces if wanted is None or name in wanted)
    elif isinstance(thing, xr.Dataset) and thing.attrs.get("kind") != "trajectory" and "path_alpha" not in thing:
        yield str(thing.attrs.get("name") or thing.attrs.get("title") or "surface"), thing, thing, ""


def _with_distinct_labels(surfaces: list[Surface]) -> list[Surface]:
    """Labels that are the same for two surfaces say nothing: their names take their place."""
    labels = [surface.label for surface in surfaces]
    return [replace(s, label=s.name) if labels.count(s.label) > 1 else s for s in surfaces]


def _check_names(wanted: Sequence[str] | None, names: list[str], things: list[Any]) -> None:
    known = [name for thing in things if isinstance(thing, Archive) for name in thing.surfaces] or names
    for name in wanted or ():
        if known and name not in names:
            raise InputError(
                "surfaces", name, f"one of {', '.join(known) or 'none'}", "List what an archive holds with: lossatlas info ARCHIVE"
            )


def _check_finished(surfaces: list[Surface]) -> None:
    for surface in surfaces:
        if not any(classify_cells(surface, ColorScale(quantity=key), key).drawable.size for key in surface.fields):
            raise InputError(
                "surface",
                surface.name,
                "a surface with at least one computed, finite cell",
                "Continue the evaluation that writes it, then draw again",
            )


OwnedPath = tuple[str, PathData, xr.Dataset | None]
"""The name of the surface that a path runs on, the path, and the trajectory it was read from."""


def _paths_of(surfaces: Sequence[SourceSurface], wanted: Sequence[Any] | None, things: list[Any]) -> Iterator[OwnedPath]:
    """Each of the paths that were asked for, on each of its surfaces."""
    known: list[OwnedPath] = [
        (below.surface.name, path_from(data, name=name, surface=below.surface), data)
        for name, data, thing in stored_paths(things)
        for below in surfaces_under(data, thing, surfaces)
    ]
    if wanted is None:
        yield from known
    for path in wanted or ():
        yield from _requested_paths(path, known, surfaces, things)


def _requested_paths(path: Any, known: list[OwnedPath], surfaces: Sequence[SourceSurface], things: list[Any]) -> list[OwnedPath]:
    if isinstance(path, PathData):
        return [(entry.surface.name, path, None) for entry in surfaces]
    if isinstance(path, xr.Dataset):
        below = surfaces_under(path, path, surfaces)
        if not below:
            raise _other_plane_error(str(path.attrs.get("label") or "path"), surfaces)
        return [(entry.surface.name, path_from(path, surface=entry.surface), path) for entry in below]
    matches = [entry for entry in known if entry[1].name == path]
    if not matches and path in [name for name, *_ in stored_paths(things)]:
        raise _other_plane_error(str(path), surfaces)
    if not matches:
        raise InputError(
            "trajectories",
            path,
            f"one of {', '.join(dict.fromkeys(known_path.name for _, known_path, _ in known)) or 'none'}",
            "Paths belong to the surface they were recorded on",
        )
    return matches


def _other_plane_error(path: str, surfaces: Sequence[SourceSurface]) -> InputError:
    return InputError(
        "trajectories",
        f"{path}, which lies on another plane than {', '.join(entry.surface.name for entry in surfaces)}",
        "a path that was projected on the plane of a surface that is drawn",
        "Project it anew on that plane with la.project_trajectory(trajectory, plane)",
    )


def _distinct(paths: list[OwnedPath]) -> Iterator[OwnedPath]:
    """Paths with names of their own: one trajectory over two surfaces has two heights, and so is two paths."""
    taken: dict[str, PathData] = {}
    for owner, path, trajectory in paths:
        name = path.name if taken.setdefault(path.name, path) is path else f"{path.name} on {owner}"
        yield owner, path if name == path.name else replace(path, name=name), trajectory


def once_each(paths: Sequence[PathData]) -> tuple[PathData, ...]:
    """Each path once, in order."""
    return tuple({path.name: path for path in paths}.values())
