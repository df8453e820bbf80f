"""Scene from Datasets and archives: choose the panes, share one scale, add the paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path as FilePath
from typing import Any, Literal, cast, get_args

import numpy as np
import xarray as xr

from lossatlas._util.argument_checks import check_integer, check_names, check_number, check_text
from lossatlas._util.text import did_you_mean
from lossatlas.errors import InputError
from lossatlas.viz.colors import DEFAULT
from lossatlas.viz.colors import colormap as known_colormap
from lossatlas.viz.compose.camera import choose_camera
from lossatlas.viz.compose.decision_regions import are_regions, regions_scene
from lossatlas.viz.compose.inputs import Source, Sources, once_each, read_sources, title_of
from lossatlas.viz.compose.runs.recorded_runs import holds_recordings_alone, recordings
from lossatlas.viz.compose.runs.recording import recordings_scene
from lossatlas.viz.compose.runs.training import RecordedPath, training_scene
from lossatlas.viz.compose.side_by_side import side_by_side
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.model import Camera, ColorScale, Field, Pane, PaneKind, PathData, ScaleOption, Scene, Surface
from lossatlas.viz.scene.uncertainty import mark_uncertain
from lossatlas.viz.scene.value_ranges import automatic_scale

Kind = Literal["auto", "contour", "surface", "both", "line", "training", "recording"]

OTHER_WORDS = {
    "relief": "surface",
    "3d": "surface",
    "mesh": "surface",
    "2d": "contour",
    "map": "contour",
    "heatmap": "contour",
    "1d": "line",
}
"""What others call the kinds."""


def compose(
    source: Source,
    *,
    surfaces: Sequence[str] | str | None = None,
    trajectories: Sequence[Any] | None = None,
    kind: Kind = "auto",
    quantity: str | Sequence[str] = "loss",
    scale: ScaleOption = "auto",
    colormap: str | None = None,
    clip: float | None = None,
    levels: int = 21,
    camera: Camera | None = None,
    title: str | None = None,
    uncertainty: bool = False,
) -> Scene:
    """A scene of the surfaces in `source`, each in its own pane (lines together in one), all on one shared scale.

    Args:
        source: a surface Dataset, an Archive, the path of one, or a list of these; or decision regions, to which no option but `title`
            applies.
        surfaces: which surfaces of the archives; all by default.
        trajectories: names of trajectories, projected trajectory Datasets or `PathData` objects; by default all that lie on
            the surfaces.
        kind: "auto" draws map and relief of one surface, maps of several, curves of lines, and of recordings alone what
            "recording" does; "training" a map with its
            paths and beside it their decision areas, or, where the data are not 2-D, the curves of loss and accuracy;
            "recording" all that a recorder measured: losses, rates, norms, sharpness, the spread of the weights; of several
            runs, one sheet below the other.
        quantity: the metric to draw, such as "loss" or "accuracy", or its error, "loss_standard_error"; of several, such as
            ``("loss", "accuracy")``, each has a map and a color scale of its own.
        scale: "linear" or "log" for color and height alike; "auto" as in `lossatlas.viz.scene.value_ranges.automatic_scale`.
        clip: hide what is higher; the figure says what share of the cells that is.
        levels: number of contour levels.
        uncertainty: hatch the cells that the samples do not tell apart from the lowest one. Where the losses of the samples
            were stored and compared (`SampleLossArray.store_differences`) this is done anyway, and sharply; from standard
            errors alone it is conservative, and the figure says so.

    Raises:
        InputError: an unknown surface, trajectory, quantity, kind, scale or colormap, or nothing computed yet.
    """
    _check(kind, scale, levels, colormap)
    if are_regions(source):
        return regions_scene(cast(xr.Dataset, source), title or "")
    if not isinstance(quantity, str):
        if not check_names("quantity", quantity):
            raise InputError("quantity", quantity, "the name of a metric, or several")
        options: dict[str, Any] = {"surfaces": surfaces, "trajectories": trajectories, "scale": scale, "colormap": colormap, "clip": clip}
        options |= {"levels": levels, "camera": camera, "title": title, "uncertainty": uncertainty}
        options["kind"] = "contour" if kind == "auto" and not _draws_lines(source, surfaces) else kind
        return side_by_side([compose(source, quantity=name, **options) for name in quantity])
    _check_types(surfaces, trajectories, quantity, clip, camera, title)
    if kind == "recording" or (kind == "auto" and surfaces is None and holds_recordings_alone(source)):
        return _recording(source, trajectories, title or "")
    names = [surfaces] if isinstance(surfaces, str) else surfaces
    sources = read_sources(source, names, [trajectories] if isinstance(trajectories, str) else trajectories)
    quantity = _shared_quantity(sources.surfaces) or quantity if quantity == "loss" else quantity
    sources = replace(sources, surfaces=tuple(_with_error_field(surface, quantity) for surface in sources.surfaces))
    _check_quantity(sources.surfaces, quantity, scale)
    if uncertainty:
        sources = replace(sources, surfaces=tuple(mark_uncertain(surface, quantity) for surface in sources.surfaces))
    clip = _checked_clip(sources.surfaces, quantity, clip)
    chosen = automatic_scale(sources.surfaces, quantity, clip) if scale == "auto" else scale
    color = ColorScale(quantity=quantity, colormap=colormap or DEFAULT, scale=chosen, clip=clip, levels=levels)
    if kind == "training":
        return _training(sources, color, title)
    panes = _panes(sources, kind, quantity, camera or _camera(sources, color))
    drawn_names = {name for pane in panes for name in pane.paths}
    return Scene(
        panes=panes,
        surfaces=sources.surfaces,
        paths=tuple(path for path in once_each([path for _, path in sources.paths]) if path.name in drawn_names),
        outlines=sources.outlines,
        colors=(color,),
        title=title_of(sources.surfaces) if title is None else title,
    )


def _draws_lines(source: Source, surfaces: Sequence[str] | str | None) -> bool:
    """Is there a line among the surfaces, which has no map?"""
    names = [surfaces] if isinstance(surfaces, str) else surfaces
    return any(surface.is_line for surface in read_sources(source, names, []).surfaces)


def _camera(sources: Sources, color: ColorScale) -> Camera:
    """One for all reliefs, which are compared."""
    planes = [surface for surface in sources.surfaces if not surface.is_line]
    return choose_camera(planes, color, [path for _, path in sources.paths])


def _training(sources: Sources, color: ColorScale, title: str | None) -> Scene:
    """Of the first surface that paths run on."""
    paths = once_each([path for _, path in sources.paths])
    owner = next((surface for surface in sources.surfaces if sources.paths_on(surface.name)), None)
    if owner is None:
        raise InputError("kind", "training", "a surface with a path on it", "Record a run and project it with la.project_trajectory")
    names = [path.name for path in sources.paths_on(owner.name)]
    runs = [RecordedPath(path, sources.recorded.get(path.name, xr.Dataset())) for path in paths if path.name in names]
    return training_scene(owner, runs, (color,), title_of((owner,)) if title is None else title)


def _recording(source: Source, trajectories: Sequence[Any] | None, title: str) -> Scene:
    """Of every run that is asked for, or that is there: one sheet below the other."""
    runs = recordings(source)
    chosen = [run for run in runs if trajectories is None or run.name in trajectories or run.label in trajectories]
    if not chosen:
        names = list(dict.fromkeys(run.name for run in runs))
        shown = f"none of {', '.join(names)}" if names else "no recorded run"
        raise InputError("trajectories", shown, "runs that a recorder kept", f"Name one, such as '{names[0] if names else 'run'}'")
    scene = recordings_scene({run.label: run.trajectory for run in chosen}, title)
    archives = (FilePath(str(run.trajectory.encoding.get("source", ""))).name for run in chosen)
    return scene.replace(meta={"archives": tuple(dict.fromkeys(name for name in archives if name))})


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise InputError(name, number, "a whole number above zero")


def _label(paths: Sequence[PathData], step: int) -> str:
    """The step, and the epoch where a path that is still on its way knows it."""
    for path in paths:
        known = np.isfinite(path.epoch) if path.epoch is not None else np.zeros(0, bool)
        if path.epoch is not None and known.any() and path.step[0] <= step <= path.step[-1]:
            epoch = float(np.interp(step, path.step[known], path.epoch[known]))
            return f"step {step:,} · epoch {epoch:,.0f}" if epoch >= 1000 else f"step {step:,} · epoch {epoch:.4g}"
    return f"step {step:,}"


def _check(kind: str, scale: str, levels: int, colormap: str | None) -> None:
    if kind not in get_args(Kind):
        meant = OTHER_WORDS.get(str(kind).lower())
        question = f"Did you mean {meant}?" if meant else did_you_mean(str(kind), get_args(Kind))
        raise InputError("kind", kind, f"one of {', '.join(get_args(Kind))}", question)
    if scale not in get_args(ScaleOption):
        raise InputError("scale", scale, "auto, linear or log")
    check_integer("levels", levels, 2, 200)
    if colormap is not None:
        known_colormap(check_text("colormap", colormap))


def _check_types(surfaces: Any, trajectories: Any, quantity: Any, clip: Any, camera: Any, title: Any) -> None:
    check_names("surfaces", surfaces)
    check_text("quantity", quantity)
    if trajectories is not None and (isinstance(trajectories, bytes) or not isinstance(trajectories, Sequence)):
        raise InputError("trajectories", trajectories, "a list of names, projected trajectory Datasets or PathData objects, or None")
    if clip is not None and (isinstance(clip, bool) or not isinstance(clip, Real)):
        raise InputError("clip", clip, "a number above the lowest value, or None")
    if camera is not None and not isinstance(camera, Camera):
        raise InputError("camera", camera, "a Camera, or None")
    if title is not None:
        check_text("title", title)


def _shared_quantity(surfaces: Sequence[Surface]) -> str:
    """The only quantity of surfaces without a loss; empty where there is a loss, or no one quantity that all have alone."""
    names = {name for surface in surfaces for name in surface.fields}
    return names.pop() if len(names) == 1 else ""


def _with_error_field(surface: Surface, quantity: str) -> Surface:
    """A metric's standard error as a field of its own, where that is what is asked for."""
    base = surface.fields.get(quantity.removesuffix("_standard_error"))
    if base is None or base.standard_error is None or quantity in surface.fields:
        return surface
    error = Field(base.standard_error, f"standard error of {base.label}", base.units, notes=base.notes)
    return replace(surface, fields={**surface.fields, quantity: error})


def _check_quantity(surfaces: Sequence[Surface], quantity: str, scale: str) -> None:
    for surface in surfaces:
        if quantity not in surface.fields:
            advice = "Measure others with metrics=, such as metrics=('loss', 'perplexity'), where the landscape is computed"
            raise InputError("quantity", quantity, f"one that surface {surface.name} holds: {', '.join(surface.fields)}", advice)
        if scale == "log" and not classify_cells(surface, ColorScale(scale="log"), quantity).drawable.size:
            raise InputError("scale", "log", f"linear, as surface {surface.name} holds no positive {quantity}")


def _checked_clip(surfaces: Sequence[Surface], quantity: str, clip: float | None) -> float | None:
    lowest = min(surface.minimum(quantity)[2] for surface in surfaces)
    if clip is not None and not clip > lowest:
        raise InputError("clip", clip, f"a level above the lowest value, {lowest:.6g}")
    return None if clip is None else check_number("clip", clip)


def _panes(sources: Sources, kind: Kind, quantity: str, camera: Camera) -> tuple[Pane, ...]:
    lines = tuple(surface for surface in sources.surfaces if surface.is_line)
    planes = tuple(surface for surface in sources.surfaces if not surface.is_line)
    if kind == "line" and planes:
        raise InputError("kind", "line", f"contour, surface or both, for {planes[0].name} is a surface over two directions")
    panes = _plane_panes(sources, planes, _kinds(kind, len(planes)), quantity, camera)
    if not lines:
        return panes
    row = max((pane.row + 1 for pane in panes), default=0)
    span = max((pane.column + 1 for pane in panes), default=1)
    return (*panes, _line_pane(lines, quantity, row, span))


def _kinds(kind: Kind, planes: int) -> tuple[PaneKind, ...]:
    if kind in ("auto", "line", "training", "recording"):
        return ("contour", "surface") if planes == 1 else ("contour",)
    return ("contour", "surface") if kind == "both" else ("contour",) if kind == "contour" else ("surface",)


def _plane_panes(
    sources: Sources, planes: Sequence[Surface], kinds: tuple[PaneKind, ...], quantity: str, camera: Camera
) -> tuple[Pane, ...]:
    """One surface lies with its kinds side by side; several stand in columns, or in a gallery where there is one kind."""
    columns = len(kinds) if len(planes) == 1 else gallery_columns(len(planes)) if len(kinds) == 1 else len(planes)
    panes = []
    for i, surface in enumerate(planes):
        for k, kind in enumerate(kinds):
            row, column = (0, k) if len(planes) == 1 else (i // columns * len(kinds) + k, i % columns)
            title = surface.label if len(planes) > 1 and k == 0 else ""
            names = tuple(path.name for path in sources.paths_on(surface.name))
            panes.append(Pane(kind, (surface.name,), names, title=title, quantity=quantity, row=row, column=column, camera=camera))
    return tuple(panes)


def gallery_columns(count: int) -> int:
    """Columns of a gallery of equal panes: at most three up to nine panes, then four.

    >>> [gallery_columns(n) for n in (1, 2, 3, 4, 6, 12)]
    [1, 2, 3, 2, 3, 4]
    """
    return {1: 1, 2: 2, 4: 2}.get(count, 3 if count <= 9 else 4)


def _line_pane(lines: Sequence[Surface], quantity: str, row: int, span: int) -> Pane:
    right = lines[0].fields["accuracy"].label if quantity == "loss" and all("accuracy" in line.fields for line in lines) else ""
    names = tuple(line.name for line in lines)
    return Pane("line", names, quantity=quantity, row=row, column_span=span, y_label_right=right)
