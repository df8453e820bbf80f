"""Animated scenes: the landscape from batch to batch, and training over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

import numpy as np
import xarray as xr
from PIL import Image

from lossatlas.analysis.sampling import Indices, shuffled_batches
from lossatlas.recipes.earthquake.batch_landscape import Landscape
from lossatlas.viz.api import animate
from lossatlas.viz.compose.batch_frames import BatchFrames, growing_steps, interpolate_batches, update_arrows
from lossatlas.viz.compose.from_datasets import path_from, surface_from
from lossatlas.viz.scene.model import Camera, ColorScale, Curve, FloatArray, Pane, PathData, Scene, Surface

CAMERA = Camera(30, 62)
SCALE = ColorScale(levels=16)
COLORS = {"sgd": "#d11141", "momentum": "#1448c8"}


@dataclass(frozen=True)
class Frames:
    """Frame counts and width of an animation.

    Attributes:
        batches: shown. hold: frames of each. blend: frames of a change-over.
        width: pixels.
    """

    batches: int
    hold: int
    blend: int
    width: int


def batch_surfaces_scene(landscape: Landscape, batch_size: int, frames: Frames, kind: str, clip: float | None = None) -> Scene:
    """The landscape of one batch after another; `kind` is "surface" or "contour"."""
    batches = _batches(landscape, batch_size, frames.batches)
    moved = interpolate_batches(len(batches), frames.hold, frames.blend)
    surface = moving(landscape, batches, moved, "batch", f"batches of {batch_size}")
    pane = Pane(kind, ("batch",), camera=CAMERA)  # type: ignore[arg-type]
    return Scene(
        (pane,),
        (surface,),
        colors=(replace(SCALE, clip=clip),),
        timeline=moved.timeline(lambda still, _: f"batch {still + 1}"),
        title="The landscape shakes",
        subtitle=f"{landscape.scenery.title}, one mini-batch of {batch_size} after another",
    )


def sizes_scene(landscape: Landscape, sizes: tuple[int, int], frames: Frames, clip: float | None = None) -> Scene:
    """Two batch sizes side by side on one shared scale: the smaller batch shakes more."""
    moved = interpolate_batches(frames.batches, frames.hold, frames.blend)
    surfaces = tuple(
        moving(landscape, _batches(landscape, size, frames.batches), moved, f"b{size}", f"batches of {size}") for size in sizes
    )
    panes = tuple(Pane("surface", (s.name,), title=s.label, column=i, camera=CAMERA) for i, s in enumerate(surfaces))
    return Scene(
        panes,
        surfaces,
        colors=(replace(SCALE, clip=clip),),
        timeline=moved.timeline(lambda still, _: f"batch {still + 1}"),
        title=f"Mini-batches of {sizes[0]} and of {sizes[1]}",
        subtitle=landscape.scenery.title,
    )


def training_scene(landscape: Landscape, frames: Frames, others: Sequence[xr.Dataset] = (), clip: float | None = None) -> Scene:
    """Step, change of batch, step: the arrow is the optimizer's own update on the landscape of that batch."""
    count = min(frames.batches, len(landscape.batches))
    batches, size = landscape.batches[:count], len(landscape.batches[0])
    moved = interpolate_batches(count, max(frames.hold, 2), frames.blend)
    surface = moving(landscape, batches, moved, "batch", f"batches of {size}")
    paths = tuple(_styled(_cut(path_from(p), count)) for p in (landscape.path, *others))
    first = paths[0]
    return Scene(
        (
            Pane("contour", ("batch",), tuple(p.name for p in paths)),
            Pane("curves", curves=tuple(f"loss {p.name}" for p in paths), column=1, x_label="step", y_label="full loss [nats]"),
        ),
        (surface,),
        paths,
        update_arrows(first.alpha, first.beta, moved),
        curves=tuple(_curve(path) for path in paths),
        colors=(replace(SCALE, clip=clip),),
        timeline=moved.timeline(lambda still, turn: _frame_label(still, turn), growing_steps(moved).tolist(), milliseconds=90),
        title="SGD and momentum" if others else "Mini-batch training",
        subtitle=f"{landscape.scenery.title}, batches of {size}; arrow: {_arrow_label(landscape, others)}",
    )


def relief_scene(landscape: Landscape, frames: Frames) -> Scene:
    """Training as a relief, for the interactive page."""
    scene = training_scene(landscape, frames)
    path = scene.paths[0].name
    return scene.replace(panes=(Pane("surface", ("batch",), (path,), camera=CAMERA),), curves=())


def play(scene: Scene, file: FilePath, width: int) -> int:
    """Write an animation; returns the frames the file holds, where pictures that stand still are one longer frame."""
    animate(scene, file, width=width)
    with Image.open(file) as image:
        return int(getattr(image, "n_frames", 1))


def moving(landscape: Landscape, batches: Sequence[Indices], moved: BatchFrames, name: str, label: str) -> Surface:
    """A surface whose frames are the batches' own, and blends between them."""
    still = surface_from(landscape.losses.batch_surface(batches[0], label), name=name, label=label)
    values = moved.frames(np.asarray(landscape.losses.surfaces(batches).values))
    return replace(still, fields={"loss": replace(still.fields["loss"], values=values, standard_error=None)})


def _batches(landscape: Landscape, size: int, count: int) -> list[Indices]:
    """Batches of as many shuffled epochs as are needed, for instance ten batches of a hundred out of a thousand."""
    samples = landscape.losses.samples
    return shuffled_batches(samples, size, epochs=-(-count // (samples // size)), seed=3)[:count]


def _arrow_label(landscape: Landscape, others: Sequence[xr.Dataset]) -> str:
    """On the plane of a path, updates are seen as their shadows."""
    suffix = "" if landscape.scenery.plane.kind == "weights" else ", projected on the plane"
    return f"the update that {'SGD makes on' if others else ''} this batch{'' if others else ' makes'}{suffix}".replace("  ", " ")


def _styled(path: PathData) -> PathData:
    return replace(path, color=COLORS[path.label.split()[0].lower()])


def _frame_label(still: int, turn: int) -> str:
    return f"batch {still + 1}" if turn == 0 else f"batch {still + 1}: step {still + 1}"


def _cut(path: PathData, count: int) -> PathData:
    """The first `count` updates of a path."""
    kept_values: dict[str, FloatArray | None] = {
        name: None if getattr(path, name) is None else getattr(path, name)[: count + 1]
        for name in ("alpha", "beta", "step", "epoch", "loss", "plane_loss", "residual")
    }
    return replace(path, **kept_values)  # type: ignore[arg-type]


def _curve(path: PathData) -> Curve:
    assert path.loss is not None
    return Curve(f"loss {path.name}", path.step.astype(float), path.loss, path.label, path.color, path.dash)
