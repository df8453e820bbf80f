"""Figures of the recipe, as scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import xarray as xr

from lossatlas._util.text import format_percent, format_rough_percent
from lossatlas.viz.animation.writer import save as save_animation
from lossatlas.viz.api import plot, view
from lossatlas.viz.compose.from_datasets import areas_from, path_from, surface_from
from lossatlas.viz.compose.runs.training import RecordedPath, training_scene
from lossatlas.viz.scene.model import ColorScale, DecisionRegions, Pane, PathData, Scene, Surface, Timeline

RED = "#c1121f"
LOG = ColorScale(scale="log", levels=25)
SHARED = ColorScale(scale="log", levels=49, low=1e-3, high=10.0)
"""One scale for networks that are compared: cross-entropy from a thousandth of a nat to ten, guessing is 1.1."""
FRAME_MILLISECONDS = 120


OnPlane = tuple[str, xr.Dataset, xr.Dataset]
"""Which plane, its surface, and the path over it."""


@dataclass(frozen=True)
class NetworkPicture:
    """Data for the figures of one network."""

    name: str
    label: str
    surface: xr.Dataset
    path: xr.Dataset
    areas: xr.Dataset


@dataclass(frozen=True)
class Drawn:
    """The same, ready for scenes."""

    surface: Surface
    path: PathData
    areas: DecisionRegions

    @classmethod
    def of(cls, picture: NetworkPicture) -> Drawn:
        surface = surface_from(picture.surface, name=picture.name, label=picture.label)
        return cls(
            surface, replace(path_from(picture.path, name=picture.name), color=RED), areas_from(picture.areas, name=f"areas {picture.name}")
        )

    def last_areas(self) -> DecisionRegions:
        return replace(self.areas, classes=self.areas.classes[-1])


def overview(pictures: Sequence[NetworkPicture], file: FilePath) -> None:
    """Every network: map with path above, decision areas after the last step below."""
    drawn = [Drawn.of(picture) for picture in pictures]
    columns = min(len(drawn), 4)
    panes = []
    for i, (picture, one) in enumerate(zip(pictures, drawn, strict=True)):
        row, column = 2 * (i // columns), i % columns
        off = f"path {format_percent(picture.path.attrs['residual_norm']['mean'])} off the plane"
        title = f"{picture.label}\nloss {_final(picture.path, 'path_loss')}, accuracy {_final(picture.path, 'path_accuracy')}\n{off}"
        panes.append(Pane("contour", (one.surface.name,), (one.path.name,), title=title, row=row, column=column))
        panes.append(Pane("areas", areas=(one.areas.name,), row=row + 1, column=column, x_label="first feature", y_label="second feature"))
    notes = (
        "each map is the principal plane of its own path, so directions differ from map to map; color scale shared, clipped at its ends",
        "path: recorded steps of Adam, learning rate 0.005, 1,083 points, full batch; areas: decisions after the last step",
        "off the plane: share of the way from the last weights, average over the path",
        f"two components of a random walk recorded at these steps would explain {_pair(pictures[0].path.attrs['random_walk_null'])}",
    )
    scene = Scene(
        tuple(panes),
        tuple(without_marks(one.surface) for one in drawn),
        tuple(replace(one.path, notes=(), residual=None, label="path of Adam") for one in drawn),
        areas=tuple(one.last_areas() for one in drawn),
        colors=(SHARED,),
        title="The way of Adam on the spiral, network by network",
        notes=notes,
    )
    plot(scene, file, dpi=130)


def animate(picture: NetworkPicture, file: FilePath) -> None:
    """Map and path left, decision areas right, losses and accuracies under them, frame by frame."""
    save_animation(animated(picture), file)


def animated(picture: NetworkPicture) -> Scene:
    """The scene of one network's animation: one frame a recorded step."""
    one = Drawn.of(picture)
    scene = training_scene(
        one.surface, (RecordedPath(one.path, xr.merge([picture.path, picture.areas])),), (LOG,), f"Spiral, {picture.label}"
    )
    return scene.replace(timeline=timeline(picture.path))


def page(
    pictures: Sequence[NetworkPicture], surface: xr.Dataset, paths: Sequence[xr.Dataset], colors: Sequence[str], label: str, file: FilePath
) -> None:
    """The interactive page: a scene a network, its path and decision areas on one timeline, then the optimizers together."""
    networks = [_in_relief(animated(picture)) for picture in pictures]
    together = _in_relief(_optimizer_scene(surface, paths, colors, label).replace(timeline=timeline(paths[0])))
    view([*networks, together], export=file, view={"frame": pictures[0].path.sizes["step"] - 1})


def _in_relief(scene: Scene) -> Scene:
    """The map's pane becomes a relief that can be turned; the timeline carries the losses alone."""
    losses = next(pane for pane in scene.panes if pane.kind == "curves")
    panes = tuple(replace(pane, kind="surface") if pane.kind == "contour" else pane for pane in scene.panes)
    shown_panes = tuple(pane for pane in panes if pane.kind != "curves" or pane is losses)
    return scene.replace(panes=shown_panes, curves=tuple(curve for curve in scene.curves if curve.name in losses.curves))


def planes(drawn: Sequence[OnPlane], label: str, numbers: Mapping[str, Any], file: FilePath) -> None:
    """One path on three planes, the share that each shows beside what it would show of a path without direction."""
    labels = {"random": "two random directions", "start_end": "start to end, and across", "pca": "principal directions"}
    surfaces, paths, panes = [], [], []
    for column, (name, surface, path) in enumerate(drawn):
        shown = surface_from(surface, name=name, label=labels[name])
        if name == "random":
            shares = path.attrs["explained_variance_ratio"]
            shown = replace(
                shown,
                alpha_label=f"α ({format_rough_percent(shares[0])} of motion)",
                beta_label=f"β ({format_rough_percent(shares[1])} of motion)",
            )
        surfaces.append(replace(shown, origin_label="the end of the run"))
        paths.append(replace(path_from(path, name=name), color=RED, label="path of Adam"))
        lines = _of_random(numbers) if name == "random" else _of_path(path)
        panes.append(Pane("contour", (name,), (name,), title="\n".join((labels[name], *lines)), column=column))
    notes = (
        "motion: share that the plane shows of the squared distances from the last weights, the same for all three planes",
        "random walk: what a path without any direction, recorded at the same steps, would show on its own such plane",
    )
    scene = Scene(tuple(panes), tuple(surfaces), tuple(paths), colors=(LOG,), title=f"The same path on three planes: {label}", notes=notes)
    plot(scene, file)


def _of_random(numbers: Mapping[str, Any]) -> tuple[str, str]:
    shares = numbers["random"]
    share = f"{format_rough_percent(shares['captured_share'])} of motion (chance: {format_rough_percent(shares['expected_share'])})"
    return share, f"cosine of axes {abs(shares['cosine']):.3f} (chance: {numbers['expected_cosine']:.3f})"


def _of_path(path: xr.Dataset) -> tuple[str, str]:
    null = sum(path.attrs["random_walk_null"])
    share = f"{format_percent(path.attrs['captured_share'])} of motion (random walk: {format_rough_percent(null)})"
    return share, f"off the plane {format_percent(path.attrs['residual_norm']['mean'])} of the way"


def lines(lines_by_network: Mapping[str, xr.Dataset], file: FilePath) -> None:
    """The straight lines of all networks, a gallery of small panes with loss and accuracy."""
    columns = min(len(lines_by_network), 4)
    surfaces, panes = [], []
    for i, (name, line) in enumerate(lines_by_network.items()):
        surfaces.append(replace(without_marks(surface_from(line, name=name, label=line.attrs["title"])), origin=None, models=()))
        panes.append(
            Pane(
                "line",
                (name,),
                title=f"{line.attrs['title']}\n{_shape(line)}",
                row=i // columns,
                column=i % columns,
                x_label="first → last weights",
                y_label="loss [nats]",
                y_label_right="accuracy",
            )
        )
    title = "The straight line from first (0) to last weights (1)"
    plot(Scene(tuple(panes), tuple(surfaces), title=title, notes=("monotone: the loss never rises from 0 to 1",)), file, dpi=150)


def optimizers(surface: xr.Dataset, paths: Sequence[xr.Dataset], colors: Sequence[str], label: str, file: FilePath) -> None:
    """All optimizers on one map, with their own losses under it."""
    plot(_optimizer_scene(surface, paths, colors, label), file)


def animate_optimizers(surface: xr.Dataset, paths: Sequence[xr.Dataset], colors: Sequence[str], label: str, file: FilePath) -> None:
    save_animation(_optimizer_scene(surface, paths, colors, label).replace(timeline=timeline(paths[0])), file)


def _optimizer_scene(surface: xr.Dataset, paths: Sequence[xr.Dataset], colors: Sequence[str], label: str) -> Scene:
    # The plane's center is the common start, which the paths mark; no model of interest stands there.
    shown = replace(surface_from(surface, name="optimizers", label=label), origin=None)
    runs = []
    for dataset, color in zip(paths, colors, strict=True):
        run_label = str(dataset.attrs["label"])
        null = format_rough_percent(sum(dataset.attrs["random_walk_null"]))
        share = f"{format_rough_percent(dataset.attrs['captured_share'])} shown (walk: {null})"
        path = path_from(dataset, name=run_label)
        runs.append(RecordedPath(replace(path, color=color, stem=None, label=f"{run_label}: {share}", notes=()), dataset))
    scene = training_scene(shown, runs, (LOG,), f"Five optimizers, one start, one plane: {label}")
    joint = paths[0].attrs
    return scene.replace(
        notes=(
            f"the axes show {_pair(joint['joint_explained_variance_ratio'])} of all motion from the start; of five random walks as long "
            f"they would show {_pair(joint['joint_random_walk_null'])}",
            "shown: share of a run's own squared distances from the start that lies in the plane; walk: the same of a random walk as "
            "long, one of five (the longest claim the axes)",
        )
    )


def timeline(path: xr.Dataset) -> Timeline:
    """One frame a recorded step, labelled with the true step and epoch."""
    steps, epochs = path.step.values, path.epoch.values
    labels = tuple(f"step {step:,} · epoch {epoch:g}" for step, epoch in zip(steps.tolist(), epochs.tolist(), strict=True))
    return Timeline(steps, labels, milliseconds=FRAME_MILLISECONDS)


def without_marks(surface: Surface) -> Surface:
    """The surface without its own notes, for galleries that say once what holds for all."""
    return replace(surface, notes=())


def _shape(line: xr.Dataset) -> str:
    shape = line.attrs["interpolation"]
    if shape["monotone"] is None:
        return "not finite"
    return "monotone" if shape["monotone"] else f"rises by {shape['largest_rise']:.2g} nats"


def _final(path: xr.Dataset, name: str) -> str:
    value = float(path[name][-1])
    return format_percent(value) if name == "path_accuracy" else f"{value:.2g}"


def _pair(shares: Sequence[float]) -> str:
    return " + ".join(format_percent(share) for share in shares)
