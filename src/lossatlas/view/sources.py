"""What a user may hand in to be drawn (Dataset, Archive, path, or a list of them), read into named surfaces and paths."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

import xarray as xr

from lossatlas.archive import Archive, open_archive
from lossatlas.errors import InputError
from lossatlas.view.cells import cells_of
from lossatlas.view.colors import DASHES
from lossatlas.view.read import path_from, surface_from
from lossatlas.view.scene import ColorScale, Path, Surface

Source = xr.Dataset | Archive | str | os.PathLike[str] | Sequence[Any]


@dataclass(frozen=True)
class Sources:
    """Surfaces to draw, for each the paths that run on it, and the trajectory that each path was read from, by the path's name."""

    surfaces: tuple[Surface, ...]
    paths: tuple[tuple[str, Path], ...]
    recorded: Mapping[str, xr.Dataset] = field(default_factory=dict)

    def paths_on(self, surface: str) -> tuple[Path, ...]:
        return tuple(path for owner, path in self.paths if owner == surface)


def read_sources(source: Source, surfaces: Sequence[str] | None = None, paths: Sequence[Any] | None = None) -> Sources:
    """Read what was asked for.

    Args:
        surfaces: names to take from archives; None takes all of them.
        paths: names of trajectories, Path objects or trajectory Datasets; None takes every trajectory recorded on a
            chosen surface, an empty list none.

    Raises:
        InputError: an unknown name, nothing to draw, or no finished cell.
    """
    things = _flat(source)
    found = [pair for thing in things for pair in _surfaces_of(thing, surfaces, things)]
    _check_names(surfaces, [stored for stored, *_ in found], things)
    if not found:
        raise nothing_to_draw(things)
    _check_finished([surface for _, surface, _ in found])
    read = list(_distinct(list(_paths_of(found, paths, things))))
    recorded = {path.name: trajectory for _, path, trajectory in read if trajectory is not None}
    return Sources(tuple(surface for _, surface, _ in found), tuple((owner, path) for owner, path, _ in read), recorded)


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
        "See what was recorded with --kind recording (kind='recording'); lay a landscape under its path with: lossatlas evaluate "
        "MODULE:OBJECTIVE --recording ARCHIVE (in Python la.pca_plane, la.evaluate, la.project_path)",
    )


@dataclass(frozen=True)
class Recording:
    """A recorded run: its name in the archive, the label that tells it apart from all others, and the trajectory."""

    name: str
    label: str
    run: xr.Dataset


def recordings(source: Source) -> list[Recording]:
    """What recorders kept, in order. Labels that several runs share get their archive's name behind them, or a number."""
    found: list[tuple[str, str, xr.Dataset]] = []
    for thing in _flat(source):
        runs = {name: thing.trajectory(name) for name in thing.trajectories} if isinstance(thing, Archive) else {"": thing}
        for stored, run in runs.items():
            if "weight_norm" in run:
                name = stored or str(run.attrs.get("title") or run.attrs.get("label") or "path")
                origin = FilePath(thing.location).stem if isinstance(thing, Archive) else ""
                found.append((name, origin, run))
    labels = [str(run.attrs.get("label") or name) for name, _, run in found]
    labels = _told_apart(_told_apart(labels, [name for name, _, _ in found]), [origin for _, origin, _ in found])
    numbers = [str(labels[: k + 1].count(label)) for k, label in enumerate(labels)]
    return [Recording(name, label, run) for (name, _, run), label in zip(found, _told_apart(labels, numbers), strict=True)]


def _told_apart(labels: list[str], words: list[str]) -> list[str]:
    """Labels that occur several times with the words behind them, where the words differ.

    >>> _told_apart(["run", "run", "adam"], ["a", "b", "b"])
    ['run (a)', 'run (b)', 'adam']
    """
    shared = [{word for other, word in zip(labels, words, strict=True) if other == label} for label in labels]
    return [f"{label} ({word})" if len(all_) > 1 and word else label for label, word, all_ in zip(labels, words, shared, strict=True)]


Found = tuple[str, Surface, Any]
Read = tuple[str, Path, xr.Dataset | None]
"""The surface that a path runs on, the path, and the trajectory it was read from."""


def _flat(source: Source) -> list[Any]:
    if isinstance(source, xr.Dataset | Archive):
        return [source]
    if isinstance(source, str | os.PathLike):
        return [open_archive(source)]
    if isinstance(source, Sequence):
        return [thing for part in source for thing in _flat(part)]
    raise InputError("source", type(source).__name__, "an xarray.Dataset, an Archive, the path of an archive, or a list of these")


def _surfaces_of(thing: Any, wanted: Sequence[str] | None, things: list[Any]) -> Iterator[Found]:
    """Stored name, surface and where it is from; archives that share a name for a surface get their own in front."""
    if isinstance(thing, xr.Dataset):
        if thing.attrs.get("kind") != "trajectory" and "path_alpha" not in thing:
            name = _unused(str(thing.attrs.get("name") or thing.attrs.get("title") or "surface"), things, thing)
            yield name, surface_from(thing, name=name), thing
        return
    for name in thing.surfaces:
        if wanted is None or name in wanted:
            yield name, surface_from(thing.surface(name), name=_unused(name, things, thing)), thing


def _unused(name: str, things: list[Any], thing: Any) -> str:
    place = next(i for i, other in enumerate(things) if other is thing)
    earlier = [other for other in things[:place] if _holds(other, name)]
    return f"{name} ({len(earlier) + 1})" if earlier else name


def _holds(thing: Any, name: str) -> bool:
    if isinstance(thing, Archive):
        return name in thing.surfaces
    return name == str(thing.attrs.get("name") or thing.attrs.get("title") or "surface")


def _check_names(wanted: Sequence[str] | None, found: list[str], things: list[Any]) -> None:
    known = [name for thing in things if isinstance(thing, Archive) for name in thing.surfaces] or found
    for name in wanted or ():
        if known and name not in found:
            raise InputError(
                "surface", name, f"one of {', '.join(known) or 'none'}", "List what an archive holds with: lossatlas info ARCHIVE"
            )


def _check_finished(surfaces: list[Surface]) -> None:
    for surface in surfaces:
        if not any(cells_of(surface, ColorScale(quantity=key), key).drawable.size for key in surface.fields):
            raise InputError(
                "surface",
                surface.name,
                "a surface with at least one computed, finite cell",
                "Continue the evaluation that writes it, then draw again",
            )


def _paths_of(found: list[Found], wanted: Sequence[Any] | None, things: list[Any]) -> Iterator[Read]:
    known = _known_paths(found)
    if wanted is None:
        yield from known
        yield from ((s.name, path_from(d, surface=s), d) for d in things if _is_trajectory(d) for _, s, _ in found)
        return
    for path in wanted:
        yield from _asked(path, known, found)


def _distinct(paths: list[Read]) -> Iterator[Read]:
    """Paths with names of their own: one trajectory over two surfaces has two heights, and so is two paths."""
    taken: dict[str, Path] = {}
    for owner, path, trajectory in paths:
        name = path.name if taken.setdefault(path.name, path) is path else f"{path.name} on {owner}"
        yield owner, path if name == path.name else replace(path, name=name), trajectory


def _known_paths(found: list[Found]) -> list[Read]:
    known: list[Read] = []
    for stored, surface, thing in found:
        for name in thing.trajectories if isinstance(thing, Archive) else ():
            trajectory = thing.trajectory(name)
            if trajectory.attrs.get("surface") in (None, stored) and "path_alpha" in trajectory:
                known.append((surface.name, path_from(trajectory, name=name, surface=surface), trajectory))
    return known


def _is_trajectory(thing: Any) -> bool:
    return isinstance(thing, xr.Dataset) and "path_alpha" in thing


def _asked(path: Any, known: list[Read], found: list[Found]) -> list[Read]:
    if isinstance(path, Path):
        return [(surface.name, path, None) for _, surface, _ in found]
    if isinstance(path, xr.Dataset):
        return [(surface.name, path_from(path, surface=surface), path) for _, surface, _ in found]
    matches = [one for one in known if one[1].name == path]
    if not matches:
        raise InputError(
            "path",
            path,
            f"one of {', '.join(dict.fromkeys(one.name for _, one, _ in known)) or 'none'}",
            "Paths belong to the surface they were recorded on",
        )
    return matches


def dashed(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Each path once, told apart by dashes as well as color where there are several labels."""
    once = list({path.name: path for path in paths}.values())
    labels = list(dict.fromkeys(path.label or path.name for path in once))
    return tuple(replace(path, dash=DASHES[labels.index(path.label or path.name) % 4]) if path.dash == "solid" else path for path in once)
